"""RIAL and DIAL on the switch riddle: exact normalised return over training, and the cost of an update.

    python benchmarks/riddle.py dial_switch3 --seeds 3 --updates 2000 [--networks separate] [--jobs 1] [--out FILE]

For every seed and kind (the recipe's own, silent, garbled) it trains in one process and every so many updates plays all
visiting sequences (3^6 = 729 for three prisoners) with greedy actions and messages in execution form. Of the 4^10 =
1,048,576 sequences of four prisoners it plays 4,096, drawn once, on the way, and all of them at the end. The cost is
CPU milliseconds of one process with one thread, sampling and learning together, evaluation left out.
"""

import argparse
import pathlib
from typing import Any

import torch
from protocols import exact_normalised
from unfinished import folder_of
from watched import (
    changes_of,
    deployed,
    header_of,
    keep,
    parser_of,
    result_file,
    run_all,
    seeds_of,
    settings_of,
    watched,
)

from heliograph.experiments.choices import build_env
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.sampler import Sampler, play_episodes

SOLVED = 0.99
SOME = 4096


def train_one(
    recipe: str, kind: str, seed: int, changes: dict[str, Any], updates: int, every: int,
    unfinished: pathlib.Path | None, teams: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train one team and evaluate it exactly on the way."""
    settings = settings_of(recipe, kind, seed, changes)
    part = folder_of(unfinished, {"recipe": recipe, "kind": kind, "seed": seed, "changes": changes})
    trainer, found = watched(settings, judge=on_the_way, updates=updates, every=every, unfinished=part)
    if teams is not None:
        keep(trainer, settings, pathlib.Path(teams) / f"{recipe}_{kind}_{seed}")
    solved = next((update for update, score in found["curve"] if score >= SOLVED), None)
    return {"seed": seed, "kind": kind, "exact": exact(trainer), "first_solved_at": solved, **found}


def exact(trainer: LocalTrainer) -> float:
    """Normalised return over all visiting sequences."""
    return round(exact_normalised(deployed(trainer), trainer.config.env_choice()), 4)


def on_the_way(trainer: LocalTrainer) -> float:
    """The same, where there are many over some that were drawn once."""
    choice = trainer.config.env_choice()
    env: Any = build_env(choice, num_envs=SOME)
    if env.num_starts <= SOME:
        return exact(trainer)
    env.fix_starts(torch.randint(env.num_starts, (SOME,), generator=torch.Generator().manual_seed(0)))
    mean = float(play_episodes(Sampler(env, deployed(trainer)), SOME)[0].returns.mean())
    return round(mean / env.bounds().full_information, 4)


def main() -> None:
    """Train all seeds and kinds, and write the results as they come."""
    parser = parser_of(str(__doc__).split("\n")[0], kinds=["real"], updates=2000)
    parser.add_argument("--teams", default=None, metavar="DIR", help="folder for the weights of finished runs")
    parser.add_argument("--networks", default="shared", choices=["shared", "separate"])
    given: argparse.Namespace = parser.parse_args()
    changes = {**changes_of(given.set), "networks": given.networks}
    common = {"recipe": given.recipe, "changes": changes, "updates": given.updates, "every": given.every}
    common |= {"unfinished": given.unfinished, "teams": given.teams}
    jobs = [{"kind": kind, "seed": seed, **common} for kind in given.kinds for seed in seeds_of(given)]
    out = given.out or result_file("riddle", f"{given.recipe}{'_ns' if given.networks == 'separate' else ''}")
    header = header_of(given.recipe, changes=changes, updates=given.updates)
    run_all(train_one, jobs, at_once=given.jobs, out=out, header=header)


if __name__ == "__main__":
    main()
