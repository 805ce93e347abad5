"""Observation spaces of Gymnasium, each mapped to one that a team observes, and values both ways.

`observed(space)` looks at a space once; what it returns is called for every observation of every step. Tuples and Dicts
become one Dict without levels, whose keys are the paths of the parts ("position", "self/speed", "0").
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
from gymnasium import spaces

from heliograph.adapters.images import Axes, ImageLayout, axes_of, layout_of
from heliograph.types import Tree

__all__ = ["FIXED", "ObservationMap", "alphabet", "children", "observed"]

FIXED = "wrap the environment so that it shows a Box of fixed size: a row for each entry, zeros where there is none"
FLOAT32 = np.dtype(np.float32)
LARGEST = float(np.finfo(np.float32).max)
SEPARATORS = str.maketrans("./", "__")
"""What cannot stand in a key, since the names of modules and paths are told by it."""
Index = tuple[int, ...]


class ObservationMap(ABC):
    """How one foreign observation space is seen: `space` is the one of the team, a Dict where there are `parts`."""

    space: spaces.Space

    @abstractmethod
    def write(self, arrays: Tree, index: Index, value: Any) -> None:
        """Store a foreign observation at an index of arrays; raises ValueError where it does not fit its space."""

    @abstractmethod
    def read(self, arrays: Tree, index: Index) -> Any:
        """The foreign observation that was stored there (floats as float32 keeps them)."""

    @abstractmethod
    def describe(self) -> str:
        """Return what an agent sees, in words: each part with the form it has for a network."""


def observed(space: spaces.Space) -> ObservationMap:
    """The map of an observation space; raises ValueError, with the remedy, where no fixed arrays can hold it."""
    leaf = _leaf(space)
    if leaf is not None:
        return leaf
    if not isinstance(space, (spaces.Tuple, spaces.Dict, spaces.OneOf)):
        known = "Box, Discrete, MultiDiscrete, MultiBinary, Text, Tuple, Dict and OneOf are seen"
        raise ValueError(f"observation space {space}: no array of fixed size holds it ({known}): {FIXED}")
    parts = {key: observed(part) for key, part in children(space)}
    if not parts:
        raise ValueError(f"observation space {space} holds nothing: show a constant, Box(0, 1, (1,)), instead")
    return _Choice(parts) if isinstance(space, spaces.OneOf) else _Parts(space, parts)


def children(space: Any) -> Iterator[tuple[str, spaces.Space]]:
    """The parts of a space and their names: positions with as many digits as the last one, or keys as text."""
    if isinstance(space, spaces.Dict):
        names = [str(key).translate(SEPARATORS) for key in space.spaces]
        if len(set(names)) < len(names):
            names = [f"{i}_{name}" for i, name in enumerate(names)]
        yield from zip(names, space.spaces.values(), strict=True)
    else:
        width = len(str(len(space.spaces) - 1))
        yield from ((f"{i:0{width}d}", part) for i, part in enumerate(space.spaces))


def alphabet(space: spaces.Text) -> str:
    """The characters of a Text in a fixed order (a set has another one in every process)."""
    return "".join(sorted(space.character_set))


def _leaf(space: spaces.Space) -> ObservationMap | None:
    if isinstance(space, spaces.Box):
        return _Numbers(space)
    if isinstance(space, spaces.Discrete):
        return _Whole(space)
    if isinstance(space, (spaces.MultiDiscrete, spaces.MultiBinary)):
        return _WholeNumbers(space)
    return _Characters(space) if isinstance(space, spaces.Text) else None


# ---- one array -----------------------------------------------------------------------------------------------------


@final
class _Numbers(ObservationMap):
    """Box: floats as float32, bytes and flags as they are, other whole numbers as int64; images channels last."""

    def __init__(self, space: spaces.Box):
        self._foreign, self._shape, self._layout = space, space.shape, layout_of(space)
        self._axes = axes_of(self._layout, space.shape)
        self.space = _box(space, self._axes)
        kept = np.dtype(self.space.dtype)
        self._is_float, self._given = kept.kind == "f", np.dtype(space.dtype)
        limits: tuple[float, float] = (0, 1) if kept.kind == "b" else (-LARGEST, LARGEST)
        if kept.kind in "iu":
            info = np.iinfo(kept if kept == np.uint8 else np.int64)
            limits = info.min, info.max
        self._least, self._most = limits
        self._zeros = np.zeros(self._shape, np.float32).ravel()
        self._is_usual = self._is_float and self._axes is None

    def write(self, arrays: Tree, index: Index, value: Any) -> None:
        if (
            type(value) is np.ndarray
            and value.dtype is FLOAT32
            and value.shape == self._shape
            and self._is_usual
            and (value if value.ndim == 1 else value.ravel()).dot(self._zeros) == 0.0  # else it is not finite
        ):
            arrays[index] = value
            return
        array = _array(value, self._shape)
        if self._is_float:
            if not self._is_finite(array):
                raise ValueError("it must hold finite numbers, none beyond those of float32")
        elif array.dtype != self._given and not self._is_whole(array):
            raise ValueError(f"it must hold whole numbers from {self._least} to {self._most}, as {self._foreign} says")
        arrays[index] = array if self._axes is None else self._axes.applied(array)

    def _is_finite(self, array: np.ndarray) -> bool:
        if array.dtype == np.float32:  # NaN where any is not finite; faster than to ask each
            return bool((array if array.ndim == 1 else array.ravel()).dot(self._zeros) == 0.0)
        fits = np.abs(array) <= LARGEST if array.dtype == np.float64 else np.isfinite(array)
        return bool(fits.all())

    def _is_whole(self, array: np.ndarray) -> bool:
        return bool(((array >= self._least) & (array <= self._most) & (array == np.rint(array))).all())

    def read(self, arrays: Tree, index: Index) -> Any:
        array = arrays[index]
        array = array if self._axes is None else self._axes.undone(array, self._shape)
        return np.asarray(array).astype(self._foreign.dtype)

    def describe(self) -> str:
        size = " x ".join(map(str, self._shape)) or "1"
        if self._layout is ImageLayout.NONE:
            return f"{size} numbers"
        seen = "" if self._axes is None else f", seen as {' x '.join(map(str, self.space.shape or ()))}"
        return f"{self._layout.value}: {size}{seen}"


@final
class _Whole(ObservationMap):
    """Discrete, counted from 0."""

    def __init__(self, space: spaces.Discrete):
        self._start, self._n, self._foreign = int(space.start), int(space.n), space
        self.space = space if self._start == 0 else spaces.Discrete(self._n)

    def write(self, arrays: Tree, index: Index, value: Any) -> None:
        if type(value) in (int, np.int64) and 0 <= value - self._start < self._n:
            arrays[index] = value - self._start
            return
        array = np.asarray(value)
        if array.size != 1:
            raise ValueError(f"its shape is {array.shape}, not ()")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"it must hold a number, not {value!r}")
        number = array.item()
        if not 0 <= number - self._start < self._n or number != int(number):
            raise ValueError(f"{value} is not in {self._foreign}")
        arrays[index] = number - self._start

    def read(self, arrays: Tree, index: Index) -> Any:
        return np.dtype(self._foreign.dtype).type(int(arrays[index]) + self._start)

    def describe(self) -> str:
        start = f" from {self._start} on" if self._start else ""
        return f"one of {self._n}{start}"


@final
class _WholeNumbers(ObservationMap):
    """MultiDiscrete of any axes, flat and counted from 0, and MultiBinary."""

    def __init__(self, space: spaces.MultiDiscrete | spaces.MultiBinary):
        self._foreign, self._shape = space, tuple(space.shape or ())
        binary = isinstance(space, spaces.MultiBinary)
        self._start = np.zeros(self._shape, np.int64) if binary else space.start.astype(np.int64)
        self._sizes = np.full(self._shape, 2) if binary else space.nvec.astype(np.int64)
        plain = binary or (len(self._shape) == 1 and not self._start.any())
        self.space = space if plain else spaces.MultiDiscrete(self._sizes.ravel())
        self._kept = tuple(self.space.shape or ())

    def write(self, arrays: Tree, index: Index, value: Any) -> None:
        array = _array(value, self._shape)
        if array.dtype.kind == "u":
            array = array.astype(np.int64)
        counted = array - self._start
        if not ((counted >= 0) & (counted < self._sizes) & (counted == np.rint(counted))).all():
            raise ValueError(f"{array} is not in {self._foreign}")
        arrays[index] = counted.reshape(self._kept)

    def read(self, arrays: Tree, index: Index) -> Any:
        return (arrays[index].reshape(self._shape) + self._start).astype(self._foreign.dtype)

    def describe(self) -> str:
        counts = sorted(set(self._sizes.ravel().tolist()))
        many = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        return f"{self._sizes.size} choices, one of {many} each"


@final
class _Characters(ObservationMap):
    """Text: each character counted from 1 in the order of the alphabet, then zeros."""

    def __init__(self, space: spaces.Text):
        if not (space.max_length and space.character_set):
            raise ValueError(f"observation space {space} holds nothing: leave it out")
        self._foreign, self._letters, self._length = space, alphabet(space), space.max_length
        self._number = {letter: i + 1 for i, letter in enumerate(self._letters)}
        self.space = spaces.MultiDiscrete(np.full(self._length, len(self._letters) + 1))

    def write(self, arrays: Tree, index: Index, value: Any) -> None:
        if not self._foreign.contains(value):
            raise ValueError(f"{value!r} is not in {self._foreign}")
        numbers = [self._number[letter] for letter in value]
        arrays[index] = numbers + [0] * (self._length - len(numbers))

    def read(self, arrays: Tree, index: Index) -> Any:
        return "".join(self._letters[number - 1] for number in arrays[index].tolist() if number)

    def describe(self) -> str:
        return f"text of up to {self._length} of {len(self._letters)} characters"


# ---- several -------------------------------------------------------------------------------------------------------


class _Together(ObservationMap):
    """Parts in one Dict: what parts of several levels are called is their path."""

    def __init__(self, parts: Mapping[str, ObservationMap], **more: spaces.Space):
        self._parts = list(parts.items())
        flat = {key: part for name, one in parts.items() for key, part in _leaves(name, one)}
        self.space = spaces.Dict([*more.items(), *flat.items()])
        self._places = [_places(name, one) for name, one in parts.items()]

    def describe(self) -> str:
        return "; ".join(f"{name}: {part.describe()}" for name, part in self._parts)

    def _arrays(self, number: int, arrays: Mapping[str, Any]) -> Tree:
        """The arrays of a part, under the names that it knows."""
        places = self._places[number]
        return arrays[places] if isinstance(places, str) else {key: arrays[path] for key, path in places.items()}


@final
class _Parts(_Together):
    """Tuple and Dict, all of whose parts are there."""

    def __init__(self, space: Any, parts: Mapping[str, ObservationMap]):
        super().__init__(parts)
        self._keys = list(space.spaces) if isinstance(space, spaces.Dict) else None

    def write(self, arrays: Tree, index: Index, value: Any) -> None:
        for number, ((name, part), one) in enumerate(zip(self._parts, self._values(value), strict=True)):
            try:
                part.write(self._arrays(number, arrays), index, one)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{name!r}: {error}") from error

    def read(self, arrays: Tree, index: Index) -> Any:
        values = tuple(part.read(self._arrays(i, arrays), index) for i, (_, part) in enumerate(self._parts))
        return values if self._keys is None else dict(zip(self._keys, values, strict=True))

    def _values(self, value: Any) -> Sequence[Any] | np.ndarray:
        if self._keys is None:
            if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != len(self._parts):
                raise ValueError(f"it must be a tuple of {len(self._parts)}, not {value!r}")
            return value
        missing = [key for key in self._keys if key not in value]
        if missing:
            raise ValueError(f"it lacks {missing}")
        return [value[key] for key in self._keys]


@final
class _Choice(_Together):
    """OneOf: which part it is, that part, and zeros for the others."""

    WHICH = "which"

    def __init__(self, parts: Mapping[str, ObservationMap]):
        super().__init__(parts, **{self.WHICH: spaces.Discrete(len(parts))})

    def write(self, arrays: Tree, index: Index, value: Any) -> None:
        which, one = int(value[0]), value[1]
        if not 0 <= which < len(self._parts):
            raise ValueError(f"it must be one of the first {len(self._parts)} parts, not {which!r}")
        for array in arrays.values():
            array[index] = 0
        arrays[self.WHICH][index] = which
        self._parts[which][1].write(self._arrays(which, arrays), index, one)

    def read(self, arrays: Tree, index: Index) -> Any:
        which = int(arrays[self.WHICH][index])
        return np.int64(which), self._parts[which][1].read(self._arrays(which, arrays), index)


def _leaves(name: str, part: ObservationMap) -> list[tuple[str, spaces.Space]]:
    if not isinstance(part, _Together):
        return [(name, part.space)]
    return [(f"{name}/{key}", leaf) for key, leaf in part.space.spaces.items()]


def _places(name: str, part: ObservationMap) -> str | dict[str, str]:
    return {key: f"{name}/{key}" for key in part.space.spaces} if isinstance(part, _Together) else name


def _array(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(value)
    if array.shape != shape:
        if array.size != 1 or math.prod(shape) != 1:
            raise ValueError(f"its shape is {array.shape}, not {shape}")
        array = array.reshape(shape)
    if array.dtype.kind not in "biuf":
        raise ValueError("it must hold finite numbers")
    return array


def _box(space: spaces.Box, axes: Axes | None) -> spaces.Box:
    """The Box of a team, in float32 for floats and for whole numbers too large for int64."""
    dtype = np.dtype(space.dtype)
    wide = dtype == np.uint64 and int(space.high.max(initial=0)) > np.iinfo(np.int64).max
    kept = np.dtype(np.float32) if dtype.kind == "f" or wide else dtype
    if kept == dtype and axes is None:
        return space
    place: Callable[[np.ndarray], np.ndarray] = (lambda array: array) if axes is None else axes.applied
    with np.errstate(over="ignore"):
        low, high = (place(np.asarray(bound)).astype(kept) for bound in (space.low, space.high))
    return spaces.Box(low, high, dtype=kept.type)
