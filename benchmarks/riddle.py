"""RIAL and DIAL on the switch riddle: exact normalised return over training, and the cost of an update.

    python benchmarks/riddle.py dial_switch3 --seeds 3 --updates 2000 [--networks separate] [--jobs 1] [--out FILE]

For every seed and kind (the recipe's own, silent, garbled) it trains in one process and every so many updates plays all
visiting sequences (3^6 = 729 for three prisoners) with greedy actions and messages in execution form. The cost is
CPU milliseconds of one process with one thread, sampling and learning together, evaluation left out.
"""

import argparse
from typing import Any

from protocols import exact_normalised
from watched import deployed, header_of, parser_of, result_file, run_all, settings_of, watched

from heliograph.rllib.local import LocalTrainer

SOLVED = 0.99


def train_one(recipe: str, kind: str, seed: int, changes: dict[str, Any], updates: int, every: int) -> dict[str, Any]:
    """Train one team and evaluate it exactly on the way."""
    settings = settings_of(recipe, kind, seed, changes)
    _, found = watched(settings, judge=exact, updates=updates, every=every)
    curve = found["curve"]
    solved = next((update for update, score in curve if score >= SOLVED), None)
    return {"seed": seed, "kind": kind, "exact": curve[-1][1], "first_solved_at": solved, **found}


def exact(trainer: LocalTrainer) -> float:
    """Normalised return over all visiting sequences."""
    return round(exact_normalised(deployed(trainer), trainer.config.env_choice()), 4)


def main() -> None:
    """Train all seeds and kinds, and write the results as they come."""
    parser = parser_of(str(__doc__).split("\n")[0], kinds=["real"], updates=2000)
    parser.add_argument("--networks", default="shared", choices=["shared", "separate"])
    given: argparse.Namespace = parser.parse_args()
    changes = {"networks": given.networks}
    common = {"recipe": given.recipe, "changes": changes, "updates": given.updates, "every": given.every}
    jobs = [{"kind": kind, "seed": seed, **common} for kind in given.kinds for seed in range(given.seeds)]
    out = given.out or result_file("riddle", f"{given.recipe}{'_ns' if given.networks == 'separate' else ''}")
    header = header_of(given.recipe, changes=changes, updates=given.updates)
    run_all(train_one, jobs, at_once=given.jobs, out=out, header=header)


if __name__ == "__main__":
    main()
