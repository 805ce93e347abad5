"""What a team environment and its worker processes say to each other; a step takes one byte there and none back."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from heliograph.adapters.failures import Failure, Warned
from heliograph.types import Role

__all__ = ["BEGIN", "DONE", "STEP", "Call", "Facts", "Orders", "Question", "Reply", "orders_for"]

BEGIN, STEP, DONE = b"b", b"s", b""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """A method of a worker to be called, with its arguments: all that is not done in every step."""

    name: str
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """Record of what a worker has to say beyond that it is done."""

    value: Any = None
    failure: Failure | None = None
    warned: tuple[Warned, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """Asked by a worker amid an order: whether what it found (or not) in its copies is there in any."""

    found: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """Record of what a worker's adapter is to those who use it."""

    kind: str
    roles: tuple[Role, ...]
    agent_ids: tuple[Any, ...]
    role_rule: str
    described: dict[str, str]


@dataclasses.dataclass(kw_only=True)
class Orders:
    """Orders to workers beside actions, of all copies `[B]`: who starts, by which seed, who moves, and its age."""

    starting: Tensor
    seeds: Tensor
    moving: Tensor
    elapsed: Tensor


def orders_for(num_envs: int) -> Orders:
    """Orders that order nothing."""
    never, zeros = torch.zeros(num_envs, dtype=torch.bool), torch.zeros(num_envs, dtype=torch.long)
    return Orders(starting=never, seeds=zeros, moving=never, elapsed=zeros)
