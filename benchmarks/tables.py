"""The protocols that RIAL and DIAL find for the switch riddle, as decision tables: is each optimal by itself?

    python benchmarks/tables.py dial_switch3 --seeds 10 --updates 2000 [--every 50] [--out FILE]

For every seed it trains in one process until the team reaches 0.99 of the return of full information (exact, over all
visiting sequences, greedy, messages in execution form), extracts the decision table from the corpus of those sequences,
plays the table alone over all of them, and notes what the light means.
"""

import argparse
import json
import pathlib
from typing import Any

import torch
from protocols import RESULTS, command, commit, machine
from riddle import SOLVED, deployed

from heliograph.analysis.evaluate import evaluate
from heliograph.analysis.recording import record
from heliograph.experiments.settings import settings_from
from heliograph.protocols.protocol import protocol_of
from heliograph.registry import load
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of, versions
from heliograph.storage.run_folder import Run, write_json


def one(recipe: str, seed: int, *, updates: int, every: int) -> dict[str, Any]:
    """Train one team and read its protocol."""
    settings = settings_from({**load("recipe", recipe)().settings, "seed": seed})
    torch.manual_seed(seed)
    trainer = LocalTrainer(config_of(settings))
    score, run = 0.0, as_run(trainer)
    while trainer.iteration < updates and score < SOLVED:
        trainer.train()
        if trainer.iteration % every == 0:
            run = as_run(trainer)
            score = evaluate(run, num_episodes=None)["normalised_return"]
    found = protocol_of(record(run, num_episodes=None))
    (table,), (meaning,) = found.tables, found.meanings
    assert found.played is not None
    return {
        "seed": seed,
        "updates": trainer.iteration,
        "team": score,
        "table": found.played.normalised_return,
        "table_optimal": found.optimal,
        "followed_share": table.followed,
        "conditions": [condition.heading for condition in table.conditions],
        "fact": meaning.fact,
        "holds": meaning.holds,
        "by_day": meaning.by_step,
        "code": meaning.words(found.reading)[:-1],
    }


def as_run(trainer: LocalTrainer) -> Run:
    """The team as it would be deployed."""
    config = trainer.config
    return Run(
        folder=pathlib.Path(),
        config={"env": config.env_choice().model_dump(), "team": config.choices().model_dump()},
        env=config.env_choice(),
        choices=config.choices(),
        facts=config.facts(),
        team=deployed(trainer),
    )


def main() -> None:
    """Train all seeds, and write the results as they come."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    out = given.out or RESULTS / "riddle" / f"{given.recipe}_tables.json"
    header = {
        "recipe": given.recipe,
        "command": command(),
        "commit": commit(),
        "versions": versions(),
        "hardware": machine(),
    }
    runs: list[dict[str, Any]] = []
    for seed in range(given.seeds):
        runs.append(one(given.recipe, seed, updates=given.updates, every=given.every))
        write_json(out, {**header, "runs": runs})
        print(json.dumps(runs[-1]), flush=True)


if __name__ == "__main__":
    main()
