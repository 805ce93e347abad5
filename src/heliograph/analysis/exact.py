"""Exact evaluation: every start that an environment can have is played once, where it can enumerate them."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.experiment import EnvChoice, build_env
from heliograph.models.team import Team
from heliograph.sampler import Sampler, play

__all__ = ["Enumerable", "all_starts", "enumerable", "exact_return", "mean_over_starts"]

CHUNK = 8192
MAX_STARTS = 10_000_000


@runtime_checkable
class Enumerable(Protocol):
    """An environment with `num_starts` equally likely starts, of which `fix_starts` sets those of the next episodes.

    Nothing else in its episodes is random.
    """

    @property
    def num_starts(self) -> int:
        """How many starts there are."""

    def fix_starts(self, numbers: Int[Tensor, " B"]) -> None:
        """Choose by number, from 0, how the next episode of every copy starts."""


def enumerable(choice: EnvChoice, *, at_most: int = MAX_STARTS) -> bool:
    """Whether all starts of an environment can be played, and are no more than that."""
    env = build_env(choice, num_copies=1)
    return isinstance(env, Enumerable) and env.num_starts <= at_most


def all_starts(choice: EnvChoice, *, at_most: int = MAX_STARTS) -> Iterator[TeamEnv]:
    """The environment with all its starts fixed, some thousand copies at a time.

    Raises ValueError where it cannot enumerate them, or has more than `at_most`.
    """
    env = build_env(choice, num_copies=1)
    if not isinstance(env, Enumerable):
        raise ValueError(f"env={choice.env!r} cannot enumerate its starts, as switch_riddle can: give a number")
    if env.num_starts > at_most:
        raise ValueError(f"env={choice.env!r} has {env.num_starts:,} starts, more than {at_most:,}: give a number")
    for numbers in torch.arange(env.num_starts).split(CHUNK):
        part: Any = build_env(choice, num_copies=len(numbers))
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
    """Mean return of a team over all starts: greedy actions, messages in execution form, in units of reward."""
    return mean_over_starts(choice, lambda env: play(Sampler(env, team), env.num_copies)[0].returns)
