"""RIAL and DIAL on the digit games: returns on training and on test images, and what channel noise does.

    python benchmarks/digits.py dial_colour_digit --seeds 5 [--first-seed 40] [--kinds real silent] [--updates 3000]
    python benchmarks/digits.py dial_multistep_digits --seeds 2 --kinds real --sigmas 0 0.5 1 2 [--steps 2]

For every seed and kind it trains in one process and every so many updates plays fresh episodes of both splits with
greedy actions, messages in execution form (hard, "train" and "test") and in training form (soft, noisy, "train_soft").
With `--sigmas` the same for each noise, and the histogram of what speakers put into the channel before noise.
Of what speakers of colour-digit say before noise it keeps what the code is about: the shares of its variance that the
colour and the digit's parity explain, and its standard deviation. With `--teams DIR` weights of finished runs are kept.
"""

import argparse
import pathlib
from typing import Any

import torch
from torch import Tensor
from unfinished import folder_of
from watched import (
    KINDS,
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

from heliograph.experiments.choices import EnvChoice, build_env
from heliograph.registry import load
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.rollouts.statistics import Episodes
from heliograph.team.team import Team
from heliograph.types import Choice, MessageForm

EPISODES = 2048
FINAL_EPISODES = 8192
EVALUATION_SEED = 0x5EED_0000
BINS, WIDEST = 60, 15.0


def train_one(
    recipe: str, kind: str, seed: int, changes: dict[str, Any], updates: int, every: int, sigma: float | None,
    unfinished: pathlib.Path | None, teams: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train one team, evaluate it on the way, and once more with more episodes at the end."""
    settings = settings_of(recipe, kind, seed, with_sigma(changes, sigma))
    part = folder_of(unfinished, {"recipe": recipe, "kind": kind, "seed": seed, "sigma": sigma})
    trainer, found = watched(settings, judge=judge, updates=updates, every=every, unfinished=part)
    if teams is not None:
        keep(trainer, settings, pathlib.Path(teams) / f"{recipe}_{kind}_{seed}")
    team, env = deployed(trainer), trainer.config.env_choice()
    about = {"seed": seed, "kind": kind, **({} if sigma is None else {"sigma": sigma})}
    final = scores(team, env, FINAL_EPISODES)
    intents = None if sigma is None else histogram(told(team, env)[0])
    return {**about, **final, **found, **({} if intents is None else {"intents": intents})}


def with_sigma(changes: dict[str, Any], sigma: float | None) -> dict[str, Any]:
    """Changes of settings, the channel's noise among them where it is given."""
    if sigma is None:
        return changes
    return {**changes, "channel_settings": {**changes.get("channel_settings", {}), "sigma": sigma}}


def judge(trainer: LocalTrainer) -> dict[str, float]:
    """Mean returns of the team as it is now, and what its code is about."""
    team, env = deployed(trainer), trainer.config.env_choice()
    return {**scores(team, env, EPISODES), **code_of(team, env)}


def code_of(team: Team, env: EnvChoice) -> dict[str, float]:
    """What the soft messages of colour-digit are about, before noise; nothing where no bit is spoken by gradient."""
    if env.env != "colour_digit" or team.silent or team.spells:
        return {}
    said, digit, colour = told(team, env)
    about = {"said_colour": explained(said, colour), "said_parity": explained(said, digit % 2)}
    return {**about, "said_deviation": round(float(said.std()), 3)}


def explained(said: Tensor, fact: Tensor) -> float:
    """The share of the variance of what is said that a fact explains."""
    groups = [said[fact == value] for value in fact.unique()]
    between = sum(len(group) * (group.mean() - said.mean()).square() for group in groups) / len(said)
    return round(float(between / said.var(correction=0).clamp(min=1e-12)), 3)


def scores(team: Team, env: EnvChoice, num_episodes: int) -> dict[str, float]:
    """Mean return on both splits, messages hard; with training images also soft, where that is something else."""
    found = {split: mean_return(team, env, num_episodes, split=split) for split in ("train", "test")}
    if not team.silent and not team.spells:
        found["train_soft"] = mean_return(team, env, num_episodes, form=MessageForm.TRAINING)
    return found


def mean_return(team: Team, env: EnvChoice, num_episodes: int, **how: Any) -> float:
    """Over fresh episodes, the same ones for every team."""
    return round(float(played(team, env, num_episodes, **how)[0].returns.double().mean()), 4)


def played(
    team: Team, env: EnvChoice, num_episodes: int, *, split: str = "train", form: MessageForm = MessageForm.EXECUTION
) -> tuple[Episodes, list[Rollout]]:
    """Fresh episodes with images of a split, actions greedy."""
    choice = EnvChoice(env=env.env, settings={**env.settings, "split": split})
    world = build_env(choice, num_envs=num_episodes, seed=EVALUATION_SEED)
    return play_episodes(Sampler(world, team, seed=EVALUATION_SEED), num_episodes, choice=Choice.GREEDY, form=form)


@torch.no_grad()
def told(team: Team, env: EnvChoice) -> tuple[Tensor, Tensor, Tensor]:
    """What speakers put into the channel, before noise, in steps in which they speak, and two facts of their images."""
    (rollout,) = played(team, env, EPISODES, form=MessageForm.TRAINING)[1]
    speak = rollout.speaking & rollout.valid.unsqueeze(-1)
    facts = rollout.meaning[: len(speak)][speak]
    return team.unroll(rollout).channel_inputs[0][speak].flatten(), facts[:, 0].long(), facts[:, -1].long()


def histogram(intents: Tensor) -> dict[str, Any]:
    """Shares of intents in equal bins (the outer ones hold all beyond), and quartiles of their size."""
    counts = torch.histc(intents.clamp(-WIDEST, WIDEST), bins=BINS, min=-WIDEST, max=WIDEST)
    quartiles = torch.quantile(intents.abs(), torch.tensor([0.25, 0.5, 0.75]))
    shares = [round(float(share), 4) for share in counts / len(intents)]
    return {"widest": WIDEST, "shares": shares, "quartiles_of_size": [round(float(q), 3) for q in quartiles]}


def main() -> None:
    """Train all seeds, kinds and noises, and write the results as they come."""
    parser = parser_of(str(__doc__).split("\n")[0], kinds=KINDS, updates=None)
    parser.add_argument("--twin-seeds", type=int, default=None, help="seeds of the twins, where fewer are wanted")
    parser.add_argument("--sigmas", type=float, nargs="+", default=[None], help="noises of the channel to try")
    parser.add_argument("--teams", default=None, metavar="DIR", help="folder for the weights of finished runs")
    parser.add_argument("--steps", type=int, default=None, help="of multistep_digits, where not the recipe's")
    given: argparse.Namespace = parser.parse_args()
    changes = changes_of([*given.set, *([] if given.steps is None else [f"env.steps={given.steps}"])])
    updates = given.updates or load("recipe", given.recipe)().settings["iterations"]
    common = {"recipe": given.recipe, "changes": changes, "updates": updates, "every": given.every}
    common |= {"unfinished": given.unfinished, "teams": given.teams}
    jobs = [
        {"kind": kind, "seed": seed, "sigma": sigma, **common}
        for sigma in given.sigmas
        for kind in given.kinds
        for seed in seeds_of(given, None if kind == "real" else given.twin_seeds)
    ]
    out = given.out or result_file("digits", given.recipe)
    header = header_of(given.recipe, changes=changes, updates=updates)
    run_all(train_one, jobs, at_once=given.jobs, out=out, header=header)


if __name__ == "__main__":
    main()
