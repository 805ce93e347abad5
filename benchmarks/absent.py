"""What leaving out absent agents is worth: updates of A2C on Traffic Junction beside those of an older commit.

    git worktree add --detach /tmp/before acce751
    python benchmarks/absent.py --before /tmp/before --rounds 3

The two trees take turns, a process each with one thread, in the published trainer without sight: as it begins (random
cars, which stand about, at the first arrival rate), with cars that nearly always drive at that rate, and the same at
the last rate. Counted are env steps per second of the processor's own time, as the machine may be shared, and what
the weights sum to after the updates: the same where results are the same.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
from typing import Any

from protocols import command, machine

ROOT = pathlib.Path(__file__).parent.parent
CHILD = """
import json, sys, time
import torch
try:
    from heliograph.experiments.settings import settings_from
    from heliograph.rllib.runs import bench
    from heliograph.rllib.runs.configured import config_of
    from heliograph.rllib.runs.local import LocalTrainer
except ImportError:
    from heliograph.rllib import bench
    from heliograph.rllib.local import LocalTrainer
    from heliograph.rllib.settings import settings_from
    from heliograph.rllib.train import config_of
from heliograph.registry import load

torch.set_num_threads(1)
DRIVES = 3.0  # logit of gas over brake


def measured(difficulty, rate, drives, updates):
    own = dict(load("recipe", f"ic3net_traffic_junction_{difficulty}_published")().settings)
    env = {**own["env_settings"], "vision": 0, "p_arrive": rate}
    trainer = LocalTrainer(config_of(settings_from({**own, "env_settings": env, "curriculum": {}})))
    if drives:
        with torch.no_grad():
            trainer.learner.team_module.team.policies["car"].model.head.bias[0] = DRIVES
        weights = trainer.learner.module.get_state(inference_only=True)
        trainer.env_runner.set_state({"rl_module": weights})
    bench._iteration(trainer)
    before, cpu, wall = trainer.env_runner.num_env_steps_sampled_lifetime, time.process_time(), time.perf_counter()
    for _ in range(updates):
        bench._iteration(trainer)
    steps = trainer.env_runner.num_env_steps_sampled_lifetime - before
    weights = sum(float(p.detach().double().sum()) for p in trainer.team.parameters())
    return {
        "env_steps_per_cpu_second": round(steps / (time.process_time() - cpu)),
        "env_steps_per_second": round(steps / (time.perf_counter() - wall)),
        "weights_sum": weights,
    }


print(json.dumps([measured(*case) for case in json.loads(sys.argv[1])]))
"""
CASES = [
    ("medium", 0.05, False), ("medium", 0.05, True), ("medium", 0.2, True),
    ("hard", 0.02, False), ("hard", 0.02, True), ("hard", 0.05, True),
]  # fmt: skip


def measured(tree: pathlib.Path, updates: int) -> list[dict[str, Any]]:
    """All cases in one process with the sources of a tree."""
    own = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    cases = json.dumps([[*case, updates] for case in CASES])
    found = subprocess.run([sys.executable, "-c", CHILD, cases], env=own, capture_output=True, text=True, check=True)
    told: list[dict[str, Any]] = json.loads(found.stdout.splitlines()[-1])
    return told


def commit_of(tree: pathlib.Path) -> str:
    """The commit that is checked out."""
    command = ["git", "-C", str(tree), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Take turns, and write what was found after each round."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--before", type=pathlib.Path, required=True, help="the tree of the older commit")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1, help="of 8,000 env steps, after one to warm up")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "benchmarks" / "results" / "absent.json")
    given = parser.parse_args()
    trees = {"before": given.before, "now": ROOT}
    rounds: list[dict[str, Any]] = []
    for _ in range(given.rounds):
        rounds.append({name: measured(tree, given.updates) for name, tree in trees.items()})
        given.out.write_text(json.dumps(report(rounds, trees), indent=2, sort_keys=True) + "\n")


def report(rounds: list[dict[str, Any]], trees: dict[str, pathlib.Path]) -> dict[str, Any]:
    """All rounds, and of each case the median of the ratios within a round."""
    found = []
    for place, (difficulty, rate, drives) in enumerate(CASES):
        turns = [{name: turn[name][place] for name in trees} for turn in rounds]
        ratios = [t["now"]["env_steps_per_cpu_second"] / t["before"]["env_steps_per_cpu_second"] for t in turns]
        found.append(
            {
                "difficulty": difficulty, "p_arrive": rate, "drives": drives, "rounds": turns,
                "times_as_fast": round(statistics.median(ratios), 2),
            }
        )  # fmt: skip
    commits = {name: commit_of(tree) for name, tree in trees.items()}
    return {"command": command(), "commits": commits, "cases": found, "hardware": machine()}


if __name__ == "__main__":
    main()
