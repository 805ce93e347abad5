"""A recipe on `graph_colouring` beside its twins and what is known exactly: do a thousand agents gain by talking?

    python benchmarks/colouring.py commnet_graph_colouring_1024 --seeds 3 [--kinds real silent garbled] [--every 10]

For every seed and kind it trains in one process on equally many updates, and in the end plays 100 fresh episodes, on
the same graphs for all teams, with greedy and with sampled actions (messages in execution form either way). Mean
returns stand with intervals of 95 % over episodes; an episode is itself a mean over all agents. Beside them stand the
exact bounds and the scripted protocol `recolour`. `differences` holds, for each seed, how much more the real team has
than its twin, and over the seeds the mean with an interval of 95 % (Student's t).
"""

import argparse
import dataclasses
import json
import pathlib
from typing import Any

import torch
from scipy import stats
from watched import KINDS, deployed, header_of, parser_of, result_file, run_all, seeds_of, settings_of, watched

from heliograph.envs.graph_colouring import recolour
from heliograph.experiments.choices import EnvChoice, build_env
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.storage.run_folder import write_json
from heliograph.team.team import Team
from heliograph.types import Choice

EPISODES, COPIES, POINT_EPISODES = 100, 20, 20
EVALUATION_SEED = 0x5EED_0000


def train_one(recipe: str, kind: str, seed: int, updates: int, every: int) -> dict[str, Any]:
    """Train one team and play with it."""
    trainer, found = watched(settings_of(recipe, kind, seed, {}), judge=judge, updates=updates, every=every)
    team, env = deployed(trainer), trainer.config.env_choice()
    final = {choice.value: told(returns(team, env, EPISODES, choice=choice)) for choice in Choice}
    steps = trainer.env_runner.num_env_steps_sampled_lifetime
    return {"seed": seed, "kind": kind, "num_env_steps": steps, **final, **found}


def judge(trainer: LocalTrainer) -> dict[str, float]:
    """Mean returns of the team as it is now."""
    team, env = deployed(trainer), trainer.config.env_choice()
    return {c.value: round(float(returns(team, env, POINT_EPISODES, choice=c).mean()), 4) for c in Choice}


def returns(team: Team, env: EnvChoice, num_episodes: int, *, choice: Choice) -> torch.Tensor:
    """Of fresh episodes, the same graphs for every team."""
    world = build_env(env, num_envs=COPIES, seed=EVALUATION_SEED)
    with torch.no_grad():
        return play_episodes(Sampler(world, team, seed=EVALUATION_SEED), num_episodes, choice=choice)[0].returns


def told(values: torch.Tensor) -> dict[str, Any]:
    """A mean with its interval, and what it is of."""
    half = 1.96 * float(values.double().std()) / len(values) ** 0.5
    return {"episode_return_mean": round(float(values.mean()), 4), "interval": round(half, 4), "episodes": len(values)}


def scripted(env: EnvChoice) -> dict[str, Any]:
    """The exact bounds, and the return of the scripted protocol."""
    world: Any = build_env(env, num_envs=EPISODES, seed=EVALUATION_SEED)
    step, stream, total = world.reset(), torch.Generator().manual_seed(0), torch.zeros(EPISODES)
    for _ in range(world.steps):
        own, senders = step.meaning[..., 0], step.adjacency.senders
        heard = own.gather(1, senders.flatten(1)).view(senders.shape)
        step = world.step({"agent": recolour(own, heard=heard, colours=world.colours, generator=stream)})
        total += step.rewards.mean(1)
    return {"bounds": dataclasses.asdict(world.bounds()), "recolour": told(total)}


def differences(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """How much more real teams have than twins of the same seed, by how actions are chosen."""
    found: dict[str, Any] = {}
    for twin in KINDS[1:]:
        for choice in Choice:
            scores = {
                kind: {r["seed"]: r[choice.value]["episode_return_mean"] for r in runs if r["kind"] == kind}
                for kind in ("real", twin)
            }
            seeds = sorted(scores["real"].keys() & scores[twin].keys())
            gains = [round(scores["real"][seed] - scores[twin][seed], 4) for seed in seeds]
            found[f"real_minus_{twin}_{choice.value}"] = {"by_seed": gains, **interval(gains)}
    return found


def interval(values: list[float]) -> dict[str, float]:
    """The mean over seeds, and half its interval of 95 %."""
    if len(values) < 2:
        return {}
    numbers = torch.tensor(values, dtype=torch.float64)
    half = stats.t.ppf(0.975, len(values) - 1) * float(numbers.std()) / len(values) ** 0.5
    return {"mean": round(float(numbers.mean()), 4), "interval": round(float(half), 4)}


def main() -> None:
    """Train all seeds and kinds, and write the results as they come."""
    parser = parser_of(str(__doc__).split("\n")[0], kinds=KINDS, updates=None)
    parser.set_defaults(every=10)
    given: argparse.Namespace = parser.parse_args()
    first = settings_of(given.recipe, "real", 0, {})
    updates = given.updates or first.max_iterations
    common = {"recipe": given.recipe, "updates": updates, "every": given.every}
    jobs = [{"kind": kind, "seed": seed, **common} for seed in seeds_of(given) for kind in given.kinds]
    out: pathlib.Path = given.out or result_file("large", given.recipe)
    out.parent.mkdir(exist_ok=True)
    header = header_of(given.recipe, changes={}, updates=updates) | {"scripted": scripted(first.env_choice())}
    run_all(train_one, jobs, at_once=given.jobs, out=out, header=header)
    result = json.loads(out.read_text(encoding="utf8"))
    write_json(out, {**result, "differences": differences(result["runs"])})


if __name__ == "__main__":
    main()
