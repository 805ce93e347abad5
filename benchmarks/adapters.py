"""What the adapters of Python environments cost: beside a plain loop of the same environments, and an older commit.

    git worktree add OLD acce751
    OMP_NUM_THREADS=1 python benchmarks/adapters.py --before OLD --out benchmarks/results/adapters.json

Random actions, nothing learns. Each side of a round is a process of its own, in turns; of each side the fastest of many
short stretches counts, as other work on the machine can only slow a side down. The adapter seeds every episode, the
plain loop none. `battle` of magent2 0.3.4 is among them where that is installed (`pip install --no-deps magent2`).
"""

import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

COPIES = (16, 1)
SECONDS = 2.0
STRETCHES = 40
"""Of these the fastest counts."""
FEWEST, MIN_STEPS = 4, 60


def environments() -> dict[str, tuple[str, Callable[[], Any]]]:
    """Environments by name, and how each is played."""
    from mpe2 import simple_reference_v3, simple_spread_v3
    from pettingzoo.classic import rps_v2
    from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole

    found: dict[str, tuple[str, Callable[[], Any]]] = {
        "simple_spread": ("parallel", simple_spread_v3.parallel_env),
        "simple_reference": ("parallel", simple_reference_v3.parallel_env),
        "rps": ("turns", rps_v2.env),
        "MultiAgentCartPole": ("rllib", lambda: MultiAgentCartPole({"num_agents": 2})),
    }
    if importlib.util.find_spec("magent2") is not None:
        from magent2.environments import battle_v4

        found["battle"] = ("parallel", lambda: battle_v4.parallel_env(map_size=16))
    return found


def adapted(kind: str, make: Callable[[], Any], copies: int) -> Callable[[], None]:
    """A vector step of the adapted environment."""
    import torch

    from heliograph.adapters.pettingzoo import FromPettingZoo
    from heliograph.rllib.multi_agent_env import FromMultiAgentEnv

    number = "num_envs" if importlib.util.find_spec("heliograph.renamed") else "num_copies"  # as older commits say
    env: Any = (FromMultiAgentEnv if kind == "rllib" else FromPettingZoo)(make, **{number: copies})
    env.reset()
    sizes = {role.name: (int(role.action_space.n), (copies, len(role.agents))) for role in env.roles}
    return lambda: env.step({name: torch.randint(size, shape) for name, (size, shape) in sizes.items()})


def raw(kind: str, make: Callable[[], Any], copies: int) -> Callable[[], None]:
    """A step of each copy in a plain loop."""
    envs = [make() for _ in range(copies)]
    play = {"parallel": _parallel, "turns": _turns, "rllib": _rllib}[kind]
    shown = [env.reset(seed=seed) for seed, env in enumerate(envs)]

    def step() -> None:
        for index, env in enumerate(envs):
            shown[index] = play(env, shown[index])

    return step


def _parallel(env: Any, shown: Any) -> Any:
    env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    return None if env.agents else env.reset()


def _turns(env: Any, shown: Any) -> Any:
    while env.agents:
        _, _, terminated, truncated, _ = env.last()
        if not (terminated or truncated):
            break
        env.step(None)
    if not env.agents:
        env.reset()
        env.last()
    env.step(env.action_space(env.agent_selection).sample())


def _rllib(env: Any, shown: Any) -> Any:
    actions = {agent: env.get_action_space(agent).sample() for agent in shown[0]}
    observations, _, terminated, truncated, infos = env.step(actions)
    return env.reset() if terminated["__all__"] or truncated["__all__"] else (observations, infos)


def measured(side: str) -> dict[str, float]:
    """Microseconds of a copy's step, by environment and number of copies."""
    found = {}
    for name, (kind, make) in environments().items():
        for copies in COPIES:
            step = (raw if side == "raw" else adapted)(kind, make, copies)
            for _ in range(20):
                step()
            found[f"{name} x {copies}"] = 1e6 * min(stretches(step)) / copies
    return found


def stretches(step: Callable[[], None]) -> Iterator[float]:
    """Seconds of a vector step in each of `STRETCHES`, fewer where one takes long."""
    began = time.perf_counter()
    for number in range(STRETCHES):
        if number < FEWEST or time.perf_counter() - began < 2 * SECONDS:
            yield stretch(step)


def stretch(step: Callable[[], None]) -> float:
    """Seconds of a vector step, as a mean over a stretch that holds some episodes' ends."""
    steps, began, now = 0, time.perf_counter(), 0.0
    while now < SECONDS / STRETCHES or steps < MIN_STEPS:
        step()
        steps, now = steps + 1, time.perf_counter() - began
    return now / steps


def side_of(name: str, tree: pathlib.Path) -> dict[str, float]:
    """One side, measured by a process of its own with the sources of a tree."""
    path = os.pathsep.join(filter(None, [str(tree / "src"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", __file__, "--side", name]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measure the sides in turns, and write down the fastest of each."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--before", type=pathlib.Path, help="a worktree of the older commit")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--side", choices=("raw", "adapted"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(measured(given.side)))
        return
    here = pathlib.Path(__file__).parent.parent
    sides = {"raw": ("raw", here), "adapted": ("adapted", here)}
    sides |= {} if given.before is None else {"before": ("adapted", given.before)}
    rounds = [{name: side_of(*how) for name, how in sides.items()} for _ in range(given.rounds)]
    best = {name: {key: min(each[name][key] for each in rounds) for key in rounds[0][name]} for name in sides}
    loop = best["raw"]
    others = [name for name in best if name != "raw"]
    ratios = {name: {key: round(best[name][key] / loop[key], 2) for key in loop} for name in others}
    print(json.dumps(ratios, indent=2))
    if given.out is not None:
        from protocols import commit, machine

        from heliograph.rllib.runs.train import versions
        from heliograph.storage.run_folder import write_json

        how = f"--before OLD --rounds {given.rounds} --out {given.out}"
        about: dict[str, Any] = {
            "command": f"python benchmarks/adapters.py {how}",
            "commit": commit(),
            "before": "acce751",
        }
        microseconds = {name: {key: round(value, 1) for key, value in found.items()} for name, found in best.items()}
        about |= {"versions": versions(), "hardware": machine()}
        write_json(given.out, {**about, "microseconds": microseconds, "ratio_to_raw": ratios})


if __name__ == "__main__":
    main()
