"""Action spaces of Gymnasium, each mapped to one that a team acts in, actions and masks both ways.

`acted(space)` looks at a space once. Spaces of choices become one Discrete or MultiDiscrete, with a part for each
choice in the order of the space; Boxes of floats become one Box. A mask becomes flags, those of all parts side by side.
"""

import enum
from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np
from gymnasium import spaces

from heliograph.adapters.choices import Flags, choice_map
from heliograph.adapters.spaces import children

__all__ = ["ActionMap", "acted"]

Row = np.ndarray | np.generic | int | list[int]
"""A team's action: an array, or for choices what `tolist` makes of one."""
MOST_CHOICES = 256
"""Whole numbers that one entry of a Box may take, to be one choice each."""
MOST_SHOWN = 8
"""Choices whose sizes are told one by one."""


class ActionMap(ABC):
    """How one foreign action space is acted in: `space` is the one of the team."""

    space: spaces.Space
    keeps_numbers = False
    """Whether `action` gives a whole number back as it is."""

    @abstractmethod
    def action(self, row: Row) -> Any:
        """The foreign action, contained in its space, of a team's action."""

    @abstractmethod
    def row(self, action: Any) -> np.ndarray | np.generic:
        """The team's action that means a foreign one."""

    @abstractmethod
    def flags(self, mask: Any) -> Flags:
        """Return which choices a mask allows, those of all parts side by side; raises ValueError where it fits none."""

    @abstractmethod
    def forbids_all(self, mask: Any) -> bool:
        """Tell whether a mask fits and allows no action at all: its agent has nothing to choose."""

    @abstractmethod
    def describe(self) -> str:
        """Return what an agent chooses, in words."""


def acted(space: spaces.Space) -> ActionMap:
    """The map of an action space; raises ValueError, with the remedy, where no policy here can act in it."""
    kinds = {_kind_of(leaf) for leaf in _leaves(space)}
    if not kinds:
        raise ValueError(f"action space {space} has nothing to choose: Discrete(1) stands for that")
    if kinds == {_Kind.CHOICE}:
        return _Chosen(space)
    if kinds == {_Kind.NUMBER} and not _has_alternatives(space):
        return _Continuous(space)
    if kinds == {_Kind.CHOICE, _Kind.NUMBER}:
        raise ValueError(
            f"action space {space} mixes choices and real numbers: wrap the environment so that agents choose among "
            "fixed values of the numbers (MultiDiscrete), or so that numbers above a threshold mean a choice (Box)"
        )
    raise ValueError(
        f"action space {space}: no policy here puts that out; wrap the environment so that agents act in a Discrete, "
        f"MultiDiscrete, MultiBinary, Text or Box space of fixed size (of whole numbers at most {MOST_CHOICES} an "
        "entry), or a Tuple or Dict of such"
    )


def _leaves(space: spaces.Space) -> list[spaces.Space]:
    if isinstance(space, (spaces.Tuple, spaces.Dict, spaces.OneOf)):
        return [leaf for _, part in children(space) for leaf in _leaves(part)]
    return [space]


class _Kind(enum.Enum):
    CHOICE = "choice"
    NUMBER = "number"
    OTHER = "other"


def _kind_of(leaf: spaces.Space) -> _Kind:
    if isinstance(leaf, spaces.Box):
        is_float = np.dtype(leaf.dtype).kind == "f"
        return _Kind.NUMBER if is_float else _Kind.CHOICE if _is_small(leaf) else _Kind.OTHER
    if isinstance(leaf, spaces.Text):
        return _Kind.CHOICE if leaf.max_length and leaf.character_set else _Kind.OTHER
    known = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
    return _Kind.CHOICE if isinstance(leaf, known) else _Kind.OTHER


def _has_alternatives(space: spaces.Space) -> bool:
    if isinstance(space, (spaces.Tuple, spaces.Dict)):
        return any(_has_alternatives(part) for _, part in children(space))
    return isinstance(space, spaces.OneOf)


def _is_small(space: spaces.Box) -> bool:
    span = space.high.astype(object) - space.low.astype(object)
    return bool((span < MOST_CHOICES).all()) if space.shape else int(span) < MOST_CHOICES


@final
class _Chosen(ActionMap):
    """A space of choices as one Discrete or MultiDiscrete."""

    def __init__(self, space: spaces.Space):
        self._foreign, self._choices = space, choice_map(space)
        self._sizes = self._choices.sizes
        self.space = self._of_team()
        self._single = isinstance(self.space, spaces.Discrete)
        self._start = int(space.start) if isinstance(space, spaces.Discrete) else None
        self.keeps_numbers = self._start == 0

    def _of_team(self) -> spaces.Space:
        space = self._foreign
        if isinstance(space, spaces.Discrete) and space.start == 0:
            return space
        if isinstance(space, spaces.MultiDiscrete):
            plain = len(space.shape) == 1 and not space.start.any() and np.dtype(space.dtype) == np.int64
            return space if plain else spaces.MultiDiscrete(self._sizes)
        return spaces.Discrete(self._sizes[0]) if len(self._sizes) == 1 else spaces.MultiDiscrete(self._sizes)

    def action(self, row: Row) -> Any:
        if self._start is None:
            return self._choices.action(np.atleast_1d(row))
        return (row if type(row) is int else int(np.asarray(row))) + self._start

    def row(self, action: Any) -> np.ndarray | np.generic:
        picks = np.asarray(self._choices.picks(action), np.int64)
        return picks[0] if self._single else picks

    def flags(self, mask: Any) -> Flags:
        wanted = f"needs {sum(self._sizes)} flags, not all 0"
        try:
            flags = self._choices.flags(mask)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise ValueError(f"{wanted}: {error}") from error
        if flags.shape != (sum(self._sizes),) or not self._choices.can_act(flags):
            raise ValueError(wanted)
        return flags

    def forbids_all(self, mask: Any) -> bool:
        try:
            flags = self._choices.flags(mask)
        except (TypeError, ValueError, KeyError, IndexError):
            return False
        return flags.shape == (sum(self._sizes),) and not flags.any()

    def describe(self) -> str:
        sizes = self._sizes
        if self._single:
            return f"one of {sizes[0]}"
        shown = " x ".join(map(str, sizes)) if len(sizes) <= MOST_SHOWN else f"{min(sizes)} to {max(sizes)} each"
        return f"{len(sizes)} choices, {shown}"


# ---- numbers -------------------------------------------------------------------------------------------------------


@final
class _Continuous(ActionMap):
    """Box of floats, and Tuple or Dict of such, as one Box of float32."""

    def __init__(self, space: spaces.Space):
        self._foreign, boxes = space, _leaves(space)
        low, high = (np.concatenate([_bounds(box, name) for box in boxes]) for name in ("low", "high"))
        is_plain = isinstance(space, spaces.Box)
        plain_shape = space.shape if is_plain else low.shape
        fits = is_plain and np.dtype(space.dtype) == np.float32
        self.space = space if fits else spaces.Box(low.reshape(plain_shape), high.reshape(plain_shape))
        self._sizes = [int(np.prod(box.shape, dtype=int)) for box in boxes]

    def action(self, row: Row) -> Any:
        return np.array(row, np.float32) if self.space is self._foreign else _filled(self._foreign, np.ravel(row), 0)[0]

    def row(self, action: Any) -> np.ndarray | np.generic:
        return np.concatenate(_numbers(self._foreign, action)).astype(np.float32).reshape(self.space.shape)

    def flags(self, mask: Any) -> Flags:
        raise ValueError(f"no mask limits actions of {self._foreign}: leave it out")

    def forbids_all(self, mask: Any) -> bool:
        return False

    def describe(self) -> str:
        return f"{sum(self._sizes)} real numbers"


def _bounds(box: spaces.Box, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(getattr(box, name)).astype(np.float32).ravel()


def _filled(space: Any, numbers: np.ndarray, start: int) -> tuple[Any, int]:
    """A value of a space of Boxes with these numbers from `start` on, and how far it has used them."""
    if isinstance(space, spaces.Box):
        end = start + int(np.prod(space.shape, dtype=int))
        value = numbers[start:end].reshape(space.shape).astype(space.dtype)
        return np.asarray(np.clip(value, space.low, space.high), space.dtype), end
    values = []
    for part in space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces:
        value, start = _filled(part, numbers, start)
        values.append(value)
    return dict(zip(space.spaces, values, strict=True)) if isinstance(space, spaces.Dict) else tuple(values), start


def _numbers(space: Any, action: Any) -> list[np.ndarray]:
    if isinstance(space, spaces.Box):
        return [np.ravel(action)]
    pairs = (
        [(part, action[key]) for key, part in space.spaces.items()]
        if isinstance(space, spaces.Dict)
        else zip(space.spaces, action, strict=True)
    )
    return [array for part, value in pairs for array in _numbers(part, value)]
