"""Recipes on the tasks of IC3Net: success and steps beside the silent twin and scripted teams, and what they cost.

    python benchmarks/traffic.py ic3net_traffic_junction_easy --seeds 3 [--kinds real silent] [--env-steps 3000000]
    python benchmarks/traffic.py ic3net_predator_prey_5x5 --seeds 3 --threshold 8.5 [--set training.lr=5e-4]

For every seed and kind it trains in one process, on equally many env steps, and every so many updates plays 200 fresh
episodes of the task itself (the last setting of the curriculum), actions greedy and messages in execution form; in the
end 1,000, greedy and sampled, and where the task has more than one length (`--lengths`) at each of them. Beside them
stand the scripted scores of the same setting: always gas and the right of way, or searching and knowing the prey.
`first_reached_at` is the first evaluation on the way, in env steps, that reaches the threshold (by default the target).
Runs that the file holds are kept; the weights of finished ones lie in `--teams DIR` where it is given.
"""

import argparse
import dataclasses
import functools
import math
import pathlib
from typing import Any

import torch
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

from heliograph.experiments.choices import EnvChoice, build_env
from heliograph.registry import load
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.rollout import Keeping
from heliograph.rollouts.sampler import Sampler, rounds
from heliograph.rollouts.statistics import episodes_of
from heliograph.team.team import Team
from heliograph.types import Choice

EPISODES, FINAL_EPISODES, MAX_COPIES = 200, 1000, 250
EVALUATION_SEED = 0x5EED_0000
SHOWN = {
    "traffic_junction": ("gas", "yield", "distance", "right_of_way"),
    "predator_prey": ("random", "search", "direct"),
}


def train_one(
    recipe: str, kind: str, seed: int, changes: dict[str, Any], updates: int, every: int, metric: str,
    threshold: float, lengths: list[int], teams: str | None, unfinished: pathlib.Path | None,
) -> dict[str, Any]:  # fmt: skip
    """Train one team, evaluate it on the way, and with more episodes at the end."""
    settings = settings_of(recipe, kind, seed, changes)
    part = folder_of(unfinished, {"recipe": recipe, "kind": kind, "seed": seed})
    judged = functools.partial(judge, metric=metric)
    trainer, found = watched(settings, judge=judged, updates=updates, every=every, unfinished=part)
    team, env = deployed(trainer), trainer.config.env_choice()
    final = {choice.value: scores(team, env, FINAL_EPISODES, choice=choice) for choice in Choice}
    others = {steps: scores(team, lasting(env, steps), FINAL_EPISODES) for steps in lengths}
    if teams is not None:
        keep(trainer, settings, pathlib.Path(teams) / f"{recipe}_{kind}_{seed}")
    curve = found.pop("curve")
    return {
        "seed": seed,
        "kind": kind,
        "num_env_steps": trainer.env_runner.num_env_steps_sampled_lifetime,
        "metric": metric,
        "threshold": threshold,
        "first_reached_at": first_reached(curve, metric=metric, threshold=threshold, recipe=recipe),
        "wall_seconds": round(found["wall_ms_per_update"] * updates / 1e3, 1),
        **final,
        **({"lengths": others} if others else {}),
        **found,
        "curve": [point for _, point in curve],
    }


def judge(trainer: LocalTrainer, *, metric: str) -> dict[str, Any]:
    """The metric of the team as it is now, and what it has cost."""
    steps = trainer.env_runner.num_env_steps_sampled_lifetime
    found = scores(deployed(trainer), trainer.config.env_choice(), EPISODES)
    return {"num_env_steps": steps, metric: found[metric], **trainer.curriculum.columns()}


def scores(team: Team, env: EnvChoice, num_episodes: int, *, choice: Choice = Choice.GREEDY) -> dict[str, float]:
    """Over fresh episodes, the same ones for every team; with intervals of 95 %."""
    copies = min(num_episodes, MAX_COPIES)
    world = build_env(env, num_envs=copies, seed=EVALUATION_SEED)
    with torch.no_grad():
        sampler = Sampler(world, team, seed=EVALUATION_SEED)
        episodes = episodes_of(rounds(sampler, num_episodes, choice=choice, keeping=Keeping.SAID))
    found: dict[str, float] = {"num_episodes": num_episodes}
    values = {
        "success_rate": episodes.success,
        "episode_len_mean": episodes.lengths.float(),
        "episode_return_mean": episodes.returns,
    }
    for name, value in values.items():
        found[name] = round(float(value.double().mean()), 4)
        found[f"{name}_interval"] = round(1.96 * float(value.double().std()) / math.sqrt(num_episodes), 4)
    return found


def first_reached(curve: list[Any], *, metric: str, threshold: float, recipe: str) -> int | None:
    """Env steps at the first evaluation that was good enough."""
    falls = metric in load("recipe", recipe)().at_most
    good = [p["num_env_steps"] for _, p in curve if (p[metric] <= threshold if falls else p[metric] >= threshold)]
    return good[0] if good else None


def lasting(env: EnvChoice, steps: int) -> EnvChoice:
    """The same task with episodes of another length."""
    return EnvChoice(env=env.env, settings={**env.settings, "steps": steps})


def scripted(env: EnvChoice, lengths: list[int]) -> dict[str, Any]:
    """Scores of scripted teams in the same setting, by length of the episodes."""
    found = {}
    for choice in [env, *(lasting(env, steps) for steps in lengths)]:
        world: Any = build_env(choice, num_envs=1)
        if hasattr(world, "scores"):
            shown = {name: score for name, score in world.scores().items() if name in SHOWN[env.env]}
            found[str(world.steps)] = {name: dataclasses.asdict(score) for name, score in shown.items()}
        if hasattr(world, "searches"):
            told = {f"told_{name}": dataclasses.asdict(score) for name, score in world.searches().items()}
            found[str(world.steps)] |= told
    return found


def main() -> None:
    """Train all seeds and kinds, and write the results as they come."""
    parser = parser_of(str(__doc__).split("\n")[0], kinds=["real", "silent"], updates=None)
    parser.add_argument("--env-steps", type=int, default=None, help="budget of a run, where not the recipe's")
    parser.add_argument("--threshold", type=float, default=None, help="of the metric, where not the recipe's target")
    parser.add_argument("--teams", default=None, metavar="DIR", help="folder for the weights of finished runs")
    parser.add_argument("--lengths", type=int, nargs="+", default=[], help="other lengths of episodes to read it at")
    given: argparse.Namespace = parser.parse_args()
    recipe, changes = load("recipe", given.recipe)(), changes_of(given.set)
    goals = recipe.goals
    metric = next(iter(goals))
    first = settings_of(given.recipe, "real", 0, changes)
    batch = first.algorithm_settings["train_batch_size_per_learner"]
    budget = given.env_steps or first.env_steps or first.max_iterations * batch
    updates = given.updates or math.ceil(budget / batch)
    common = {
        "recipe": given.recipe, "changes": changes, "updates": updates, "every": given.every, "metric": metric,
        "threshold": goals[metric] if given.threshold is None else given.threshold, "lengths": given.lengths,
        "teams": given.teams, "unfinished": given.unfinished,
    }  # fmt: skip
    jobs = [{"kind": kind, "seed": seed, **common} for seed in seeds_of(given) for kind in given.kinds]
    out = given.out or result_file("traffic", given.recipe)
    header = header_of(given.recipe, changes=changes, updates=updates)
    header |= {"env_steps": budget, "goal": recipe.goal(), "scripted": scripted(first.env_choice(), given.lengths)}
    run_all(train_one, jobs, at_once=given.jobs, out=out, header=header)


if __name__ == "__main__":
    main()
