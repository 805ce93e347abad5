"""Iterations of training beside those of an older commit, in turns: has anything become slower?

    git worktree add OLD acce751
    OMP_NUM_THREADS=1 python benchmarks/before.py --before OLD [--rounds 5] [--out benchmarks/results/before.json]

The cases are those of `speed.py` (the comparison, the default model, and growth), of `updates.py` (Q-learning by its
number of episodes) and of `junction_speed.json`. Two processes with one thread each, one with the sources of either
tree, take turns iteration by iteration, so that other work on the machine slows both alike. `times` is how many times
as fast the present commit is: of each round the ratio of sums, the median of the rounds; by wall clock, and by the
seconds of the process.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import Any

HERE = pathlib.Path(__file__).parent.parent
RESULTS = HERE / "benchmarks" / "results"
SPEAKER: dict[str, Any] = {
    "env": "speaker_listener", "model": "feedforward", "model_settings": {"size": 64}, "channel": "symbols",
    "critic": "observation",
    "algorithm_settings": {
        "num_envs_per_env_runner": 2048, "train_batch_size_per_learner": 4096, "minibatch_size": 2048, "num_epochs": 4,
        "target_kl": None, "entropy_coeff": 0.0, "message_entropy_coeff": 0.0,
    },
}  # fmt: skip
SECONDS = 1.0
"""Of iterations in a round, about, of each side."""


def cases() -> dict[str, dict[str, Any]]:
    """Settings by the name of their row."""
    found: dict[str, dict[str, Any]] = {"speed: speaker_listener": SPEAKER, "speed: default model": {}}
    for copies in (1024, 4096, 16384):
        batch = {"num_envs_per_env_runner": copies, "train_batch_size_per_learner": copies * 2}
        found[f"speed: {copies} copies"] = with_training(SPEAKER, **batch)
    for agents in (2, 8, 32, 128, 256):
        copies = max(8, 2048 // agents)
        batch = {"num_envs_per_env_runner": copies, "train_batch_size_per_learner": 16 * copies}
        batch |= {"minibatch_size": 4 * copies, "rollout_fragment_length": 16}
        riddle = {**SPEAKER, "env": "switch_riddle", "env_settings": {"prisoners": agents}}
        found[f"speed: {agents} agents"] = with_training(riddle, **batch)
    for episodes in (32, 128, 512, 2048):
        found[f"updates: {episodes} episodes"] = {"recipe": "dial_switch3", "num_envs_per_env_runner": episodes}
    found["junction"] = {"recipe": "ic3net_traffic_junction_medium_published"}
    return found


def with_training(settings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The same with some settings of training changed."""
    return {**settings, "algorithm_settings": {**settings["algorithm_settings"], **changes}}


def trainer_of(case: dict[str, Any]) -> Any:
    """A trainer of a case, of whichever commit is imported."""
    try:
        from heliograph.experiments.settings import settings_from
        from heliograph.rllib.runs.configured import config_of
        from heliograph.rllib.runs.local import LocalTrainer
    except ImportError:  # as older commits say
        from heliograph.rllib.local import LocalTrainer
        from heliograph.rllib.settings import settings_from
        from heliograph.rllib.train import config_of
    from heliograph.registry import load

    settings = dict(case)
    if "recipe" in case:
        copies = settings.pop("num_envs_per_env_runner", None)
        settings = dict(load("recipe", settings.pop("recipe"))().settings)
        if copies is None:
            settings["env_settings"] = {**settings["env_settings"], "vision": 0}
        else:
            settings = with_training(settings, num_envs_per_env_runner=copies)
    return LocalTrainer(config_of(settings_from({**settings, "torch_num_threads": 1, "seed": 1})))


def serve() -> None:
    """Read names of cases, make an iteration of each, and print its seconds."""
    import torch

    torch.set_num_threads(1)
    known, trainers = cases(), dict[str, Any]()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        name = json.loads(line)
        if name not in trainers:
            trainers.clear()
            trainers[name] = trainer_of(known[name])
        wall, cpu = time.perf_counter(), time.process_time()
        trainers[name].train()
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), file=answer, flush=True)


class Side:
    """A process that makes iterations with the sources of a tree."""

    def __init__(self, tree: pathlib.Path):
        environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", __file__, "--serve"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )

    def iterate(self, name: str) -> list[float]:
        """Seconds of an iteration, by wall clock and of the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(name) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def compared(name: str, sides: dict[str, Side], *, rounds: int) -> dict[str, Any]:
    """How many times as fast the present commit is in a case."""
    for _ in range(2):
        last = {key: side.iterate(name) for key, side in sides.items()}
    iterations = max(1, min(30, round(SECONDS / last["present"][1])))
    ratios: list[tuple[float, float]] = []
    cpu: dict[str, list[float]] = {key: [] for key in sides}
    for _ in range(rounds):
        sums = {key: [0.0, 0.0] for key in sides}
        for _ in range(iterations):
            for key, side in sides.items():
                found = side.iterate(name)
                sums[key] = [a + b for a, b in zip(sums[key], found, strict=True)]
                cpu[key].append(found[1])
        wall, own = (sums["before"][i] / sums["present"][i] for i in (0, 1))
        ratios.append((wall, own))
    return {
        "times_wall": round(statistics.median(wall for wall, _ in ratios), 3),
        "times_cpu": round(statistics.median(own for _, own in ratios), 3),
        "iterations_a_round": iterations,
        "cpu_ms_present": round(1e3 * statistics.median(cpu["present"]), 2),
        "cpu_ms_before": round(1e3 * statistics.median(cpu["before"]), 2),
    }


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--before", type=pathlib.Path, help="a worktree of the older commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose names hold this text")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve()
    if given.before is None:
        parser.error("--before: name a worktree of the older commit")
    sides, rows = {"before": Side(given.before), "present": Side(HERE)}, {}
    for name in cases():
        if given.only in name:
            rows[name] = compared(name, sides, rounds=given.rounds)
            print(name, rows[name], flush=True)
    if given.out is not None:
        from protocols import commit, machine

        from heliograph.rllib.runs.described import versions
        from heliograph.storage.run_folder import write_json

        how = f"python benchmarks/before.py --before OLD --rounds {given.rounds} --out {given.out}"
        about = {"command": how, "commit": commit(), "before": "acce751", "versions": versions(), "hardware": machine()}
        write_json(given.out, {**about, "rounds": given.rounds, "rows": rows})


if __name__ == "__main__":
    main()
