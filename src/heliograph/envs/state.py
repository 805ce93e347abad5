"""The state of an environment: a frozen dataclass of tensors, and pure functions that take whole states apart.

Saving, branching, enumerating, scripted solvers and drawing work on states, whatever the environment.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

__all__ = ["EnvState", "S", "clone", "merge", "named_tensors", "refill", "select"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvState:
    """Base of all states: everything that changes in an episode, for all copies at once.

    Fields are tensors `[B, ...]`, further states, or dicts of both. Nobody writes into these tensors: a new state comes
    from `dataclasses.replace`.
    """


T = TypeVar("T")
if TYPE_CHECKING:
    import typing_extensions

    S = typing_extensions.TypeVar("S", bound=EnvState, default=Any)
else:
    S = TypeVar("S", bound=EnvState)
"""The state of an environment, in the types of what works for any; `TeamEnv` alone stands for `TeamEnv[Any]`."""


def clone(state: T) -> T:
    """Return a state whose tensors are copies."""
    return _mapped(torch.clone, state)


def select(state: T, copies: Int[Tensor, " b"]) -> T:
    """Return the state of some copies, by number and in that order; a number may come more than once."""
    return _mapped(lambda leaf: leaf[copies], state)


def merge(mask: Bool[Tensor, " B"], new: T, old: T) -> T:
    """Return `new` in the copies of the mask and `old` in the others."""

    def chosen(yes: Tensor, no: Tensor) -> Tensor:
        if yes is no:
            return yes
        return torch.where(mask if yes.dim() == 1 else mask.view(-1, *[1] * (yes.dim() - 1)), yes, no)

    return _mapped(chosen, new, old)


def named_tensors(state: Any) -> dict[str, Tensor]:
    """Return the tensors of a state by the names of their fields, joined by dots where states lie in states."""
    return dict(_named(state, ()))


def refill(state: T, tensors: Mapping[str, Tensor]) -> T:
    """Return a state of the same form with tensors from `named_tensors`; KeyError names a field that has none."""
    values = iter([tensors[name] for name in named_tensors(state)])
    return _mapped(lambda leaf: next(values).clone().to(leaf.device), state)


def _mapped(function: Callable[..., Tensor], first: Any, *rest: Any) -> Any:
    if isinstance(first, Tensor):
        return function(first, *rest)
    if isinstance(first, dict):
        return {key: _mapped(function, value, *[other[key] for other in rest]) for key, value in first.items()}
    names = [field.name for field in dataclasses.fields(first)]
    return type(first)(
        **{name: _mapped(function, getattr(first, name), *[getattr(other, name) for other in rest]) for name in names}
    )


def _named(part: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(part, Tensor):
        yield ".".join(path), part
        return
    if isinstance(part, dict):
        items = [(str(key), value) for key, value in part.items()]
    elif dataclasses.is_dataclass(part):
        items = [(field.name, getattr(part, field.name)) for field in dataclasses.fields(part)]
    else:
        raise TypeError(
            f"{'.'.join(path) or 'the state'} is a {type(part).__name__}: a state holds tensors [B, ...], further "
            "states and dicts of both"
        )
    for name, value in items:
        yield from _named(value, (*path, name))
