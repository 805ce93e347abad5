"""Exact evaluation: every start that an environment can have is played once, where it can enumerate them."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.envs.state import EnvState, named_tensors, select
from heliograph.experiments.choices import EnvChoice, opened
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.team.state import TeamState
from heliograph.team.team import Team
from heliograph.types import Choice, MessageForm, map_tensors

__all__ = ["Branching", "Enumerable", "all_starts", "enumerable", "exact_return", "mean_over_starts"]

CHUNK = 8192
MAX_STARTS = 10_000_000


@runtime_checkable
class Enumerable(Protocol):
    """An environment with `num_starts` equally likely starts, of which `fix_starts` sets those of the next episodes.

    Nothing else in its episodes is random.
    """

    @property
    def num_starts(self) -> int:
        """Return how many starts there are."""

    def fix_starts(self, numbers: Int[Tensor, " B"]) -> None:
        """Choose by number, from 0, how the next episode of every copy starts."""


@runtime_checkable
class Branching(Enumerable, Protocol):
    """An enumerable environment whose starts are told step by step: those that are alike so far are played as one."""

    def first_branches(self) -> EnvState:
        """The starts as far as the first step shows them: a state with a copy for each."""

    def num_branches(self, state: Any) -> int:
        """Ways in which each copy may go on, equally likely; 1 where nothing is left to be told."""

    def branches(self, state: Any) -> EnvState:
        """A state with `num_branches` copies for each copy, one for each way, in that order."""


def enumerable(choice: EnvChoice, *, at_most: int = MAX_STARTS) -> bool:
    """Tell whether all starts of an environment can be played, and are no more than that."""
    with opened(choice) as env:
        return isinstance(env, Enumerable) and env.num_starts <= at_most


def all_starts(choice: EnvChoice, *, at_most: int = MAX_STARTS) -> Iterator[TeamEnv]:
    """The environment with all its starts fixed, some thousand copies at a time.

    Raises ValueError where it cannot enumerate them, or has more than `at_most`.
    """
    with opened(choice) as env:
        if not isinstance(env, Enumerable):
            raise ValueError(f"env={choice.env!r} cannot enumerate its starts, as switch_riddle can: give a number")
        num_starts = env.num_starts
    if num_starts > at_most:
        raise ValueError(f"env={choice.env!r} has {num_starts:,} starts, more than {at_most:,}: give a number")
    part: Any
    for numbers in torch.arange(num_starts).split(CHUNK):
        with opened(choice, num_envs=len(numbers)) as part:
            part.fix_starts(numbers.to(part.device))
            yield part


def mean_over_starts(choice: EnvChoice, returns_of: Callable[[TeamEnv], Tensor]) -> float:
    """The mean over all starts of what `returns_of` makes of an environment: the return of each copy [B]."""
    total, number = 0.0, 0
    for env in all_starts(choice):
        returns = returns_of(env).double()
        total, number = total + float(returns.sum()), number + len(returns)
    return total / number


def exact_return(team: Team, choice: EnvChoice) -> float:
    """Mean return of a team over all starts: greedy actions, messages in execution form, in units of reward.

    Starts that are alike for some steps are played once for these steps, where the environment tells them apart.
    """
    with opened(choice) as env:
        if isinstance(env, Branching) and enumerable(choice):
            return _mean_over_branches(team, _sprouted(env))
    return mean_over_starts(choice, lambda env: play_episodes(Sampler(env, team), env.num_envs)[0].returns)


@dataclasses.dataclass(kw_only=True)
class _Bough:
    """Copies that have come equally far, each for a share of all starts, and their returns until now."""

    env: Any
    state: TeamState
    returns: Tensor
    share: float


def _mean_over_branches(team: Team, env: TeamEnv) -> float:
    """Depth first, some thousand copies at a time; episodes that are over branch no more."""
    start = team.initial_state(env.view())
    total, boughs = 0.0, _split(env, start, torch.zeros(env.num_envs), share=1 / env.num_envs)
    while boughs:
        bough = boughs.pop()
        seen = bough.env.view()
        with torch.no_grad():
            acted = team.step(seen, bough.state, choice=Choice.GREEDY, form=MessageForm.EXECUTION)
        step = bough.env.step(acted.actions)
        state = team.cut(acted.state, step.terminated | step.truncated, acted.edges)
        returns = bough.returns + step.rewards.mean(1)
        total += bough.share * float(returns[step.episode_over].double().sum())
        on = (~step.episode_over).nonzero().squeeze(1)
        if len(on):
            ways = bough.env.num_branches(select(bough.env.state, on))
            rows = on.repeat_interleave(ways)
            boughs += _split(_branched(bough.env, on), _rows(state, rows), returns[rows], share=bough.share / ways)
    return total


def _sprouted(env: Any) -> TeamEnv:
    """The environment in its first branches."""
    env.reset()
    first = env.first_branches()
    number = len(next(iter(named_tensors(first).values())))
    return _at(env, torch.zeros(number, dtype=torch.long, device=env.device), first)


def _branched(env: Any, parents: Tensor) -> TeamEnv:
    """The environment with the branches of some of its copies."""
    state = select(env.state, parents)
    return _at(env, parents.repeat_interleave(env.num_branches(state)), env.branches(state))


def _at(env: TeamEnv, copies: Tensor, state: EnvState) -> TeamEnv:
    part = env.selected(copies)
    part.state = state
    return part


def _split(env: Any, state: TeamState, returns: Tensor, *, share: float) -> list[_Bough]:
    if env.num_envs <= CHUNK:
        return [_Bough(env=env, state=state, returns=returns, share=share)]
    parts = torch.arange(env.num_envs).split(CHUNK)
    return [
        _Bough(env=env.selected(rows), state=_rows(state, rows), returns=returns[rows], share=share) for rows in parts
    ]


def _rows(state: TeamState, rows: Tensor) -> TeamState:
    return map_tensors(lambda leaf: leaf[rows], state)
