"""The arguments of the commands that train: the team, the budget, and how the work is done."""

import argparse
from typing import Any

from heliograph.experiments.controls import CONTROLS

__all__ = [
    "add_budget",
    "add_choices",
    "add_controls",
    "add_evaluate_every",
    "add_seeds",
    "add_threads",
    "add_work",
    "positive_count",
]


def add_choices(group: Any) -> None:
    """Add the team: model, channel, topology, algorithm, losses, settings, policies."""
    for name, default in (("model", "cnet"), ("channel", "dru"), ("topology", "full"), ("algorithm", "ppo")):
        group.add_argument(f"--{name}", metavar=name[0].upper(), help=f"default {default}; see heliograph list")
    group.add_argument("--population", metavar="P", help="several policies a role, by who plays whom (default none)")
    group.add_argument("--size", type=positive_count, metavar="N", help="members of the population (default 4)")
    group.add_argument(
        "--loss", action="append", metavar="NAME[=COEFFICIENT]", help="an auxiliary loss; may be given several times"
    )
    group.add_argument(
        "--set", nargs="+", action="extend", metavar="SECTION.KEY=VALUE",
        help="of the sections env, curriculum, model, channel, topology, population, training, team, loss; JSON, text",
    )  # fmt: skip
    group.add_argument(
        "--config", metavar="FILE", help="training settings in YAML or JSON; what is given beside it takes their place"
    )
    group.add_argument(
        "--policy", action="append", metavar="NAME=AGENT,AGENT",
        help="a policy and the agents that it plays (others: one for each role); may be given several times",
    )  # fmt: skip
    group.add_argument("--freeze", action="append", metavar="NAME", help="a policy that is not trained")
    group.add_argument("--callbacks", action="append", metavar="MODULE:CLASS", help="RLlib callbacks; several times")
    group.add_argument("--learn-from", metavar="CORPUS", help="policies first learn the language of this corpus")
    group.add_argument(
        "--load-policy", action="append", metavar="NAME=TEAM",
        help="begin with the weights of this policy of a run folder or team file; may be given several times",
    )  # fmt: skip


def add_budget(group: Any) -> None:
    """Add how long training takes, and what ends it early."""
    budget = group.add_mutually_exclusive_group()
    budget.add_argument("--iterations", type=positive_count, metavar="N", help="updates (default 100)")
    budget.add_argument("--env-steps", type=positive_count, metavar="N", help="moves of the whole team")
    group.add_argument(
        "--until", nargs="+", action="extend", metavar="KEY>=VALUE",
        help="stop as soon as columns of progress.csv are this high, or (KEY<=VALUE) this low, such as "
        "'episode_return_mean>=0.98'",
    )  # fmt: skip
    group.add_argument(
        "--patience", type=positive_count, metavar="N",
        help="stop after N iterations in a row without a better value of the first of these, or of the mean return",
    )  # fmt: skip


def add_evaluate_every(group: Any) -> None:
    """Add evaluations during training."""
    group.add_argument(
        "--evaluate-every", type=positive_count, metavar="N",
        help="iterations between two evaluations, whose scores are columns too: evaluation_normalised_return>=0.99",
    )  # fmt: skip


def add_work(group: Any) -> None:
    """Add processes, devices, threads and checkpoints."""
    group.add_argument("--env-runners", type=int, metavar="N", help="remote env runners (default 0: in this process)")
    group.add_argument("--learners", type=int, metavar="N", help="remote learners (default 0: in this process)")
    group.add_argument("--gpus", type=float, metavar="N", help="GPUs of each learner (default 0: it learns on the CPU)")
    add_threads(group)
    group.add_argument("--jobs", type=positive_count, metavar="N", help="runs at a time (default: as many as cores)")
    group.add_argument("--checkpoint-every", type=positive_count, metavar="N", help="iterations between (default 10)")
    group.add_argument(
        "--record-every",
        type=positive_count,
        metavar="N",
        help="iterations between two corpora in DIR for a timelapse",
    )
    for name, what in (("wandb", "Weights & Biases, in this project"), ("mlflow", "MLflow, in this experiment")):
        group.add_argument(
            f"--{name}", nargs="?", const="heliograph", metavar="NAME",
            help=f"log to {what} too (default heliograph); needs heliograph[{name}]",
        )  # fmt: skip


def add_seeds(group: Any, *, several: str) -> None:
    """Add --seed and --seeds, of which one is given."""
    seeds = group.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, metavar="S", help="default 0")
    seeds.add_argument("--seeds", type=int, nargs="+", metavar="S", help=several)


def add_threads(group: Any) -> None:
    """Add the threads of each process."""
    group.add_argument(
        "--threads",
        type=positive_count,
        metavar="N",
        help="threads of each process (default: as many as its networks are worth)",
    )


def add_controls(group: Any, where: str) -> None:
    """Add --controls, with the names of some or none, and --no-controls."""
    told = f"train controls {where}: {', '.join(CONTROLS)} (agents hear only themselves); without names the first two"
    group.add_argument("--controls", nargs="*", type=_control, metavar="CONTROL", default=None, help=told)
    group.add_argument("--no-controls", dest="controls", action="store_const", const=False, help="train none")


def _control(text: str) -> str:
    if text not in CONTROLS:
        told = f"{text!r} is no control ({', '.join(CONTROLS)}); ENV or RECIPE stands before --controls"
        raise argparse.ArgumentTypeError(told)
    return text


def positive_count(text: str) -> int:
    """A number of things, 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: must be 1 or more")
    return number
