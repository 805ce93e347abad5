"""RIAL and DIAL on the switch riddle: exact normalised return over training, and the cost of an update.

    python benchmarks/riddle.py dial_switch3 --seeds 3 --updates 2000 [--networks separate] [--jobs 1] [--out FILE]

For every seed and kind (the recipe's own, silent, garbled) it trains in one process and every so many updates plays all
visiting sequences (3^6 = 729 for three prisoners) with greedy actions and messages in execution form. The cost is
CPU milliseconds of one process with one thread, sampling and learning together, evaluation left out.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import pathlib
import sys
import time
from typing import Any

import torch
from protocols import RESULTS, commit, exact_normalised, machine

from heliograph.experiment import build_team
from heliograph.models.team import Team
from heliograph.registry import load
from heliograph.rllib.local import LocalTrainer
from heliograph.rllib.settings import settings_from, twin_of
from heliograph.rllib.train import config_of, versions
from heliograph.run_folder import write_json

SOLVED = 0.99


def train_one(recipe: str, kind: str, seed: int, changes: dict[str, Any], updates: int, every: int) -> dict[str, Any]:
    """Train one team and evaluate it exactly on the way."""
    torch.set_num_threads(1)
    settings = settings_from({**load("recipe", recipe)().settings, **changes, "seed": seed})
    settings = settings if kind == "real" else twin_of(settings, kind)
    torch.manual_seed(seed)
    trainer = LocalTrainer(config_of(settings))
    curve, cpu, wall = [], 0.0, 0.0
    for update in range(1, updates + 1):
        began = time.process_time(), time.perf_counter()
        trainer.train()
        cpu, wall = cpu + time.process_time() - began[0], wall + time.perf_counter() - began[1]
        if update % every == 0:
            score = exact_normalised(deployed(trainer), trainer.config.env_choice())
            curve.append((update, round(score, 4)))
    solved = next((update for update, score in curve if score >= SOLVED), None)
    cost = {"cpu_ms_per_update": round(1e3 * cpu / updates, 1), "wall_ms_per_update": round(1e3 * wall / updates, 1)}
    return {"seed": seed, "kind": kind, "exact": curve[-1][1], "first_solved_at": solved, **cost, "curve": curve}


def deployed(trainer: LocalTrainer) -> Team:
    """A copy of the team as it would be deployed."""
    team = build_team(trainer.config.choices(), trainer.config.facts(), seed=0).eval()
    team.load_state_dict(trainer.team.state_dict())
    return team


def main() -> None:
    """Train all seeds and kinds, and write the results as they come."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=["real"], choices=["real", "silent", "garbled"])
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--networks", default="shared", choices=["shared", "separate"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    given = parser.parse_args()
    out = given.out or RESULTS / "riddle" / f"{given.recipe}{'_ns' if given.networks == 'separate' else ''}.json"
    changes, recipe = {"networks": given.networks}, load("recipe", given.recipe)()
    header = {
        "recipe": given.recipe,
        "command": "python benchmarks/" + " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": commit(),
        "versions": versions(),
        "hardware": machine(),
        "settings": {**recipe.settings, **changes},
        "updates": given.updates,
    }
    runs: list[dict[str, Any]] = []
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(given.jobs, mp_context=context) as pool:
        jobs = [(kind, seed) for kind in given.kinds for seed in range(given.seeds)]
        todo = [
            pool.submit(train_one, given.recipe, kind, seed, changes, given.updates, given.every) for kind, seed in jobs
        ]
        for future in concurrent.futures.as_completed(todo):
            runs.append(future.result())
            runs.sort(key=lambda run: (given.kinds.index(run["kind"]), run["seed"]))
            write_json(out, {**header, "runs": runs})
            print(json.dumps({k: v for k, v in future.result().items() if k != "curve"}), flush=True)


if __name__ == "__main__":
    main()
