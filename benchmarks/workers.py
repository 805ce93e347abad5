"""Env steps per second of Python environments in worker processes, beside one process and beside an earlier build.

    python benchmarks/workers.py [--workers 2] [--rounds 9] [--before FOLDER] [--out benchmarks/results/workers.json]

`busy` works for one millisecond of a core in each step (it spins until its thread has had so much; time in which other
programs had the core does not count) and is stepped with actions that are all alike. `simple_spread` of mpe2 is sampled
by a team of cnet. `--before` names a checkout of an earlier commit, without workers. Every subject is a process of its
own (with its workers) that waits while others are measured; each round measures all of them in turn, for some
seconds. Of a subject the median of all rounds counts, of a ratio the median of the ratios within a round.

On a machine that is shared these go up and down with what others do (`load` is the number of processes that wanted a
core), so rates are told twice: by the clock, and per second that a core worked on the way on which everything waits, in
the main process and in the busiest worker. The latter is what the clock says where nobody else wants the cores, but for
the waking of processes, which is some microseconds in each step.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

COPIES = {"busy": 32, "simple_spread": 32}
FRAGMENT = 5
BUSY_SECONDS = 0.001
RESULTS = pathlib.Path(__file__).parent / "results"


class Busy(ParallelEnv):
    """Two agents that see nothing new, in an environment that works for a millisecond in each step."""

    metadata = {"name": "busy"}  # noqa: RUF012 - as PettingZoo has it
    possible_agents = ["agent_0", "agent_1"]  # noqa: RUF012
    render_mode = None

    def observation_space(self, agent: str) -> spaces.Space:
        return spaces.Box(0.0, 1.0, (4,))

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        self.agents, self.time = list(self.possible_agents), 0
        return self._seen(), {}

    def step(self, actions: dict) -> tuple[dict, dict, dict, dict, dict]:
        end = time.thread_time() + BUSY_SECONDS
        while time.thread_time() < end:
            pass
        self.time += 1
        over, never = (dict.fromkeys(self.agents, flag) for flag in (self.time == 50, False))
        seen, paid = self._seen(), dict.fromkeys(self.agents, 0.0)
        self.agents = [] if self.time == 50 else self.agents
        return seen, paid, over, never, {}

    def _seen(self) -> dict[str, np.ndarray]:
        return {agent: np.zeros(4, np.float32) for agent in self.agents}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Played:
    """An environment, and a function that makes some steps and returns how many env steps these were."""

    env: Any
    move: Callable[[], int]

    def core_seconds(self) -> float:
        """How long cores have worked by now, on the way on which everything waits."""
        ids = getattr(self.env, "process_ids", [])
        return time.process_time() + max(map(seconds_of, ids), default=0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rate:
    """Env steps per second, by the clock and by the cores."""

    clock: float
    cores: float


def seconds_of(pid: int) -> float:
    """How long cores have worked for a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def played(name: str, workers: int) -> Played:
    """An environment of that many workers, ready to be stepped."""
    from heliograph.adapters.pettingzoo import FromPettingZoo

    number = "num_envs" if importlib.util.find_spec("heliograph.renamed") else "num_copies"  # as older commits say
    settings: dict[str, Any] = {number: COPIES[name], **({"num_workers": workers} if workers else {})}
    return sampled(settings) if name == "simple_spread" else moved(FromPettingZoo(Busy, **settings))


def moved(env: Any) -> Played:
    """Steps with actions that are all alike."""
    import torch

    env.reset()
    actions = {"agent": torch.zeros(env.num_envs, 2, dtype=torch.long)}

    def move() -> int:
        for _ in range(FRAGMENT):
            env.step(actions)
        return FRAGMENT * env.num_envs

    return Played(env=env, move=move)


def sampled(settings: dict[str, Any]) -> Played:
    """Steps of `simple_spread` with a team of cnet."""
    from mpe2 import simple_spread_v3

    from heliograph.adapters.pettingzoo import FromPettingZoo

    try:
        from heliograph import Sampler, TeamChoices, build_team, facts_of
    except ImportError:  # of an older checkout
        from heliograph.experiment import TeamChoices, build_team, facts_of  # type: ignore[import-not-found, no-redef]
        from heliograph.sampler import Sampler  # type: ignore[import-not-found, no-redef]

    env = FromPettingZoo(simple_spread_v3.parallel_env, **settings)
    sampler = Sampler(env, build_team(TeamChoices(model="cnet"), facts_of(env), seed=0))

    def move() -> int:
        sampler.fragment(FRAGMENT)
        return FRAGMENT * env.num_envs

    return Played(env=env, move=move)


def probe(name: str, workers: int, seconds: float) -> None:
    """Measure env steps per second whenever a line comes in."""
    import torch

    torch.set_num_threads(1)
    subject = played(name, workers)
    subject.move()
    print("ready", flush=True)
    for _ in sys.stdin:
        start, cores, steps = time.perf_counter(), subject.core_seconds(), 0
        while (passed := time.perf_counter() - start) < seconds:
            steps += subject.move()
        rate = Rate(clock=steps / passed, cores=steps / (subject.core_seconds() - cores))
        print(json.dumps(dataclasses.asdict(rate)), flush=True)


class Subject:
    """A process that is measured, and its rates so far."""

    def __init__(self, name: str, *, workers: int, seconds: float, source: pathlib.Path):
        command = [sys.executable, "-W", "ignore", __file__, "--probe", name, "--workers", str(workers)]
        self.rates: list[Rate] = []
        self._process = subprocess.Popen(
            [*command, "--seconds", str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(source)},
            start_new_session=True,  # a share of the cores of its own, where sessions have shares
        )  # fmt: skip
        if self._answer() != "ready":
            raise SystemExit(f"{name} with {workers} workers could not be measured")

    def measure(self) -> None:
        """Add one rate."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        self.rates.append(Rate(**json.loads(self._answer())))

    def end(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def commit_of(checkout: pathlib.Path) -> str:
    """The commit of a checkout."""
    git = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def ratio(one: Subject, other: Subject, *, by: str) -> dict[str, float]:
    """How much faster one is than another: the median over rounds, the least and the most."""
    ratios = [getattr(a, by) / getattr(b, by) for a, b in zip(one.rates, other.rates, strict=True)]
    kinds = {"median": statistics.median, "least": min, "most": max}
    return {kind: round(function(ratios), 2) for kind, function in kinds.items()}


def main() -> None:
    """Measure, show and keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--before", type=pathlib.Path, default=None, help="a checkout of an earlier commit")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "workers.json")
    parser.add_argument("--probe", default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.probe:
        probe(given.probe, given.workers, given.seconds)
        return
    from protocols import commit, machine

    from heliograph.rllib.runs.train import versions
    from heliograph.storage.run_folder import write_json

    command = f"python benchmarks/workers.py --workers {given.workers} --rounds {given.rounds}"
    command = f"{command} --seconds {given.seconds}"
    found: dict[str, Any] = {"command": command, "commit": commit(), "versions": versions(), "hardware": machine()}
    found["before"] = None if given.before is None else commit_of(given.before)
    found["load"] = [round(os.getloadavg()[0], 1)]
    for name in COPIES:
        found[name] = measured(name, given)
        found["load"].append(round(os.getloadavg()[0], 1))
        print(json.dumps({name: found[name]}, indent=2), flush=True)
    write_json(given.out, found)


def measured(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Rates and ratios of one environment."""
    here = pathlib.Path(__file__).parents[1] / "src"
    how: dict[str, Any] = {"seconds": given.seconds, "source": here}
    subjects = {"workers": Subject(name, workers=given.workers, **how), "one_process": Subject(name, workers=0, **how)}
    if given.before is not None:
        subjects["before"] = Subject(name, workers=0, **{**how, "source": given.before / "src"})
    for _ in range(given.rounds):
        for subject in subjects.values():
            subject.measure()
    for subject in subjects.values():
        subject.end()
    told: dict[str, Any] = {"num_envs": COPIES[name], "num_workers": given.workers}
    for by in ("clock", "cores"):
        rates = {key: [getattr(rate, by) for rate in subject.rates] for key, subject in subjects.items()}
        told[f"by_{by}"] = {
            "env_steps_per_second": {key: round(statistics.median(found), 1) for key, found in rates.items()},
            **{f"workers_to_{key}": ratio(subjects["workers"], subjects[key], by=by) for key in [*subjects][1:]},
        }
    return told


if __name__ == "__main__":
    main()
