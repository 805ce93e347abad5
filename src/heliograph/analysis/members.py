"""Members of a population together: what each scores with each of the others, on the same copies at once."""

import dataclasses
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from heliograph.analysis.measures.cross_play import cross_play
from heliograph.experiments.choices import build_population, opened
from heliograph.rollouts.meetings import Fixed
from heliograph.rollouts.recording import Keeping
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.storage.run_folder import Run

__all__ = ["MemberTable", "member_keys", "member_table"]

FRESH = 1_000_003
"""Added to the seed, so that episodes are none of training."""
MOST_COPIES = 16_384


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MemberTable:
    """Scores of member i as the first agent with member j as all others, `[S, S]`, and their standard errors.

    `first` names the role of the first agent. `success_rates` is None where the environment reports no success.
    """

    first: str
    returns: Float[np.ndarray, "S S"]
    standard_errors: Float[np.ndarray, "S S"]
    success_rates: Float[np.ndarray, "S S"] | None
    num_episodes: int


def member_table(run: Run, *, num_episodes: int = 1000, seed: int = 0) -> MemberTable:
    """Play every member with every other, greedily, `num_episodes` for each pair; nothing is trained or changed.

    Raises ValueError where a run has no population.
    """
    rule = build_population(run.choices)
    if rule is None:
        raise ValueError(f"{run.place} has no population: its agents have one policy each")
    pairs = torch.cartesian_prod(torch.arange(rule.size), torch.arange(rule.size))
    at_once = max(1, min(num_episodes, MOST_COPIES // len(pairs)))
    returns, success = list[Tensor](), list[Tensor]()
    with opened(run.env, num_envs=at_once * len(pairs), seed=FRESH + seed) as env:
        sampler = Sampler(env, run.team, seed=FRESH + seed, assign=Fixed(_assigned(run, pairs, at_once, rule.size)))
        for begun in range(0, num_episodes, at_once):
            episodes, _ = play_episodes(sampler, env.num_envs, keeping=Keeping.SAID)
            kept = min(at_once, num_episodes - begun)
            returns.append(episodes.returns.view(len(pairs), at_once)[:, :kept])
            success.append(episodes.success.view(len(pairs), at_once)[:, :kept])
    found = torch.cat(returns, 1).double().numpy(force=True)
    shape = (rule.size, rule.size)
    successes = torch.cat(success, 1).double().mean(1)
    return MemberTable(
        first=run.facts.roles[0].name,
        returns=found.mean(1).reshape(shape),
        standard_errors=(found.std(1, ddof=min(1, num_episodes - 1)) / num_episodes**0.5).reshape(shape),
        success_rates=None if bool(successes.isnan().any()) else successes.numpy(force=True).reshape(shape),
        num_episodes=num_episodes,
    )


def member_keys(run: Run, *, num_episodes: int, seed: int) -> dict[str, Any]:
    """The table as keys of an evaluation; nothing where there is no population."""
    if run.choices.population is None:
        return {}
    table = member_table(run, num_episodes=num_episodes, seed=seed)
    found = cross_play(table.returns)
    return {
        "member_returns": table.returns.tolist(),
        "member_success_rates": None if table.success_rates is None else table.success_rates.tolist(),
        "members_own": found.own,
        "members_cross": found.cross,
    }


def _assigned(run: Run, pairs: Tensor, at_once: int, size: int) -> Tensor:
    """Policies [B, N]: the first of a pair plays the first agent, the second all others."""
    roles = torch.tensor([place for place, role in enumerate(run.facts.roles) for _ in role.agents])
    first, others = pairs.repeat_interleave(at_once, 0).split(1, 1)
    members = torch.cat([first, others.expand(-1, len(roles) - 1)], 1)
    return size * roles + members
