"""Episodes of many copies in which copies that are alike so far are computed once: the same episodes in less time.

Where nothing of a team is random, copies that see the same and remember the same do the same. Games of few objects have
few such kinds, however many episodes are played.
"""

import dataclasses
import functools

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.team.team import Team
from heliograph.types import Choice, MessageForm, TeamStep, Tree, changed, held, map_tensors, tensors_of

__all__ = ["Begun", "begun_once", "distinct_rows", "is_deterministic", "play_begun", "play_distinct"]

SEEN = ("observations", "observing", "acting", "speaking", "hearing", "action_mask", "positions", "adjacency", "state")
"""Fields of a step that a team acts by."""


def is_deterministic(team: Team, env: TeamEnv) -> bool:
    """Tell whether greedy play of a team is a function of what its agents see; False where that is not known."""
    learnt = all(policy.model.trainable for policy in team.policies.values())
    plain = len(env.teams) == 1 and env.counts_absent and env.horizon is not None
    return learnt and plain and (team.silent or team.channel.is_deterministic)


@torch.no_grad()
def play_distinct(
    team: Team, env: TeamEnv, *, num_episodes: int, assignment: Tensor | None
) -> tuple[Float[Tensor, " E"], Float[Tensor, " E"]]:
    """Mean returns of the team and success (NaN: unknown) of whole greedy episodes, messages in execution form."""
    returns, success = list[Tensor](), list[Tensor]()
    for first in range(0, num_episodes, env.num_envs):
        kept = min(env.num_envs, num_episodes - first)
        found, won = _round(team, env, env.reset(), assignment=assignment)
        returns.append(found[:kept])
        success.append(won[:kept])
    return torch.cat(returns), torch.cat(success)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Begun:
    """An environment in which episodes have begun, and what it shows then; it is not moved, but copies of it are."""

    env: TeamEnv
    seen: TeamStep


def begun_once(env: TeamEnv, *, seed: int) -> Begun:
    """Begin episodes from a seed, once for each environment and seed."""
    known: dict[int, Begun] = env.__dict__.setdefault("_begun", {})
    if seed not in known:
        env.seed(seed)
        seen = env.reset()
        known[seed] = Begun(env=env.selected(torch.arange(env.num_envs)), seen=seen)
    return known[seed]


@torch.no_grad()
def play_begun(
    team: Team, start: Begun, *, num_episodes: int, assignment: Tensor | None
) -> tuple[Float[Tensor, " E"], Float[Tensor, " E"]]:
    """The same of episodes that have begun, at most one of each copy."""
    env = start.env.selected(torch.arange(start.env.num_envs))
    returns, success = _round(team, env, start.seen, assignment=assignment)
    return returns[:num_episodes], success[:num_episodes]


def _round(team: Team, env: TeamEnv, seen: TeamStep, *, assignment: Tensor | None) -> tuple[Tensor, Tensor]:
    """An episode of every copy; `kind` tells which row of the team's state is that of a copy."""
    size = env.num_envs
    first: TeamStep = map_tensors(functools.partial(_rows, rows=torch.zeros(1, dtype=torch.long), size=size), seen)
    state = team.initial_state(first, assignment=None if assignment is None else assignment.unsqueeze(0))
    kind, ended, edges = torch.zeros(size, dtype=torch.long), torch.zeros_like(seen.terminated), None
    total, alive, success = torch.zeros(size), torch.ones(size, dtype=torch.bool), torch.full((size,), torch.nan)
    while bool(alive.any()):
        rows, copies = distinct_rows(tensors_of([kind, ended, *(held(seen, name) for name in SEEN)]), size=size)
        number, before = len(tensors_of(state)[0]), kind[rows]
        state, edges = map_tensors(functools.partial(_rows, rows=before, size=number), (state, edges))
        state = state if edges is None else team.cut(state, ended[rows], edges)
        needed = changed(seen, info={}, final_observations=None, final_state=None)
        part: TeamStep = map_tensors(functools.partial(_rows, rows=rows, size=size), needed)
        acted = team.step(part, state, choice=Choice.GREEDY, form=MessageForm.EXECUTION)
        state, edges, kind = acted.state, acted.edges, copies
        seen = env.step(map_tensors(lambda leaf, copies=copies: leaf[copies], acted.actions))
        ended = seen.terminated | seen.truncated
        total = total + seen.rewards.mean(1) * alive
        over = seen.episode_over & alive
        if "success" in seen.info:
            success = torch.where(over, seen.info["success"].float(), success)
        alive = alive & ~over
    return total, success


def distinct_rows(leaves: list[Tensor], *, size: int) -> tuple[Int[Tensor, " U"], Int[Tensor, " B"]]:
    """Rows that differ in any of some tensors [B, ...], by number, and for each copy which of them it is like.

    They are told apart by a sum with random weights, and compared number by number where that is equal.
    """
    own = [leaf.reshape(size, -1).double() for leaf in leaves if leaf.dim() and len(leaf) == size]
    whole = torch.cat(own, 1)
    _, copies = (whole @ _weights(whole.shape[1])).unique(return_inverse=True)
    rows = torch.full((int(copies.max()) + 1,), size).scatter_reduce(0, copies, torch.arange(size), "amin")
    if torch.equal(whole[rows][copies], whole):
        return rows, copies
    return torch.arange(size), torch.arange(size)


@functools.cache
def _weights(number: int) -> Float[Tensor, " n"]:
    return torch.randn(number, generator=torch.Generator().manual_seed(0), dtype=torch.double)


def _rows(leaf: Tree, *, rows: Tensor, size: int) -> Tree:
    return leaf[rows] if leaf.dim() and len(leaf) == size else leaf
