"""Spaces of choices, part by part: how picks become values, values picks, and masks flags.

A mask comes in the form in which Gymnasium's `Space.sample(mask=...)` takes it, or as flags of all parts side by side.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool

from heliograph.adapters.spaces import alphabet, children

__all__ = ["ChoiceMap", "Flags", "choice_map"]

Flags = Bool[np.ndarray, " n"]


class ChoiceMap(ABC):
    """One leaf of a space of choices, or several together: `sizes` of its parts, and values both ways."""

    sizes: list[int]

    @abstractmethod
    def action(self, picks: np.ndarray) -> Any:
        """The value that the picks of all parts mean."""

    @abstractmethod
    def picks(self, action: Any) -> Sequence[int]:
        """The picks that mean a value."""

    @abstractmethod
    def flags(self, mask: Any) -> Flags:
        """The flags of all parts, of a mask in the form in which Gymnasium samples by it; None allows all."""

    def side_by_side(self, mask: Any) -> Flags:
        """The flags of a mask that is an array of them (of any axes)."""
        flags = np.asarray(mask)
        if flags.size != sum(self.sizes) or flags.dtype.kind not in "biuf" or not np.isfinite(flags).all():
            raise ValueError(f"needs {sum(self.sizes)} flags; it has {flags.size} entries")
        return flags.ravel().astype(bool)

    def can_act(self, flags: Flags) -> bool:
        """Tell whether flags allow a choice in each part."""
        return bool(np.logical_or.reduceat(flags, self.starts).all())

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """Return where the flags of each part begin."""
        return np.cumsum([0, *self.sizes[:-1]])

    def every(self) -> Flags:
        """The flags that allow all."""
        return np.ones(sum(self.sizes), bool)


@final
class _Numbered(ChoiceMap):
    """Discrete."""

    def __init__(self, space: spaces.Discrete):
        self.sizes, self._start = [int(space.n)], int(space.start)

    def action(self, picks: np.ndarray) -> Any:
        return int(picks[0]) + self._start

    def picks(self, action: Any) -> Sequence[int]:
        return [int(action) - self._start]

    def flags(self, mask: Any) -> Flags:
        return self.every() if mask is None else self.side_by_side(mask)


@final
class _Table(ChoiceMap):
    """MultiDiscrete of any axes, and a Box of whole numbers, an entry in each part."""

    def __init__(self, space: spaces.MultiDiscrete | spaces.Box):
        self._space, self._shape, self._dtype = space, space.shape, np.dtype(space.dtype)
        start = space.low if isinstance(space, spaces.Box) else space.start
        self._start = np.asarray(start).astype(np.int64)
        if isinstance(space, spaces.Box):
            self.sizes = (space.high.astype(np.int64) - self._start + 1).ravel().tolist()
        else:
            self.sizes = space.nvec.astype(np.int64).ravel().tolist()

    def action(self, picks: np.ndarray) -> Any:
        return np.asarray(picks.reshape(self._shape) + self._start).astype(self._dtype)

    def picks(self, action: Any) -> Sequence[int]:
        return (np.asarray(action).astype(np.int64) - self._start).ravel().tolist()

    def flags(self, mask: Any) -> Flags:
        if mask is None:
            return self.every()
        if not _is_nested(mask):
            return self.side_by_side(mask)
        parts = [np.ravel(part) for part in _unnested(mask)]
        if [len(part) for part in parts] != self.sizes:
            raise ValueError(f"needs {sum(self.sizes)} flags, {self.sizes} of them in its parts")
        return self.side_by_side(np.concatenate(parts))


@final
class _Bits(ChoiceMap):
    """MultiBinary; a mask of its own form has 0 and 1 for what an entry must be, and 2 where it is free."""

    FREE = 2

    def __init__(self, space: spaces.MultiBinary):
        self._shape, self._dtype = space.shape, np.dtype(space.dtype)
        self.sizes = [2] * int(np.prod(self._shape, dtype=int))

    def action(self, picks: np.ndarray) -> Any:
        return picks.reshape(self._shape).astype(self._dtype)

    def picks(self, action: Any) -> Sequence[int]:
        return np.asarray(action).astype(np.int64).ravel().tolist()

    def flags(self, mask: Any) -> Flags:
        if mask is None:
            return self.every()
        must = np.asarray(mask)
        if must.shape != self._shape:
            return self.side_by_side(mask)
        if not np.isin(must, (0, 1, self.FREE)).all():
            raise ValueError(f"needs entries 0, 1 or 2 (free), or {sum(self.sizes)} flags")
        free = must.ravel() == self.FREE
        return np.stack([free | (must.ravel() == 0), free | (must.ravel() == 1)], 1).ravel()


@final
class _Letters(ChoiceMap):
    """Text, a part for each place: its characters, and (from the least length on) first the end of the text."""

    def __init__(self, space: spaces.Text):
        self._letters, self._least, self._most = alphabet(space), space.min_length, space.max_length
        self._order = [list(space.character_list).index(letter) for letter in self._letters]
        self.sizes = [len(self._letters) + (place >= self._least) for place in range(self._most)]

    def action(self, picks: np.ndarray) -> Any:
        found = []
        for place, pick in enumerate(picks.tolist()):
            letter = pick - (place >= self._least)
            if letter < 0:
                break
            found.append(self._letters[letter])
        return "".join(found)

    def picks(self, action: Any) -> Sequence[int]:
        said = [self._letters.index(letter) + (place >= self._least) for place, letter in enumerate(action)]
        return said + [0] * (self._most - len(said))

    def flags(self, mask: Any) -> Flags:
        if mask is None:
            return self.every()
        if not (isinstance(mask, tuple) and len(mask) == 2 and (mask[1] is None or np.ndim(mask[1]))):
            return self.side_by_side(mask)
        length, letters = mask
        allowed = np.ones(len(self._letters), bool) if letters is None else np.asarray(letters, bool)[self._order]
        length = length if allowed.any() else 0
        if length is not None and not self._least <= length <= self._most:
            raise ValueError(f"needs a text of {self._least} to {self._most} characters, not {length}")
        return np.concatenate([self._at(place, length, allowed) for place in range(self._most)])

    def _at(self, place: int, length: int | None, allowed: np.ndarray) -> np.ndarray:
        if place < self._least:
            return allowed
        ends = length is None or place >= length
        return np.concatenate([[ends], allowed & (length is None or place < length)])


@final
class _Several(ChoiceMap):
    """Tuple, Dict and OneOf of choices, one after the other; for OneOf, first which of them it is."""

    def __init__(self, space: Any):
        self._parts = [choice_map(part) for _, part in children(space)]
        self._keys = list(space.spaces) if isinstance(space, spaces.Dict) else None
        self._is_choice = isinstance(space, spaces.OneOf)
        self.sizes = [len(self._parts)] if self._is_choice else []
        self._spans = []
        for part in self._parts:
            self._spans.append(slice(len(self.sizes), len(self.sizes) + len(part.sizes)))
            self.sizes = self.sizes + part.sizes

    def action(self, picks: np.ndarray) -> Any:
        if self._is_choice:
            which = int(picks[0])
            return which, self._parts[which].action(picks[self._spans[which]])
        values = tuple(part.action(picks[span]) for part, span in zip(self._parts, self._spans, strict=True))
        return values if self._keys is None else dict(zip(self._keys, values, strict=True))

    def picks(self, action: Any) -> Sequence[int]:
        found = [0] * len(self.sizes)
        if self._is_choice:
            found[0] = int(action[0])
            found[self._spans[found[0]]] = self._parts[found[0]].picks(action[1])
            return found
        values = action if self._keys is None else [action[key] for key in self._keys]
        for part, span, value in zip(self._parts, self._spans, values, strict=True):
            found[span] = part.picks(value)
        return found

    def flags(self, mask: Any) -> Flags:
        if mask is None:
            return self.every()
        if isinstance(mask, np.ndarray) or (not isinstance(mask, Mapping) and not _is_nested(mask)):
            return self.side_by_side(mask)
        masks = self._masks(mask)
        flags = [part.flags(one) for part, one in zip(self._parts, masks, strict=True)]
        if not self._is_choice:
            return np.concatenate(flags)
        which = [part.can_act(one) for part, one in zip(self._parts, flags, strict=True)]
        rest = [one if able else part.every() for part, one, able in zip(self._parts, flags, which, strict=True)]
        return np.concatenate([which, *rest])

    def _masks(self, mask: Any) -> Sequence[Any]:
        if self._keys is not None:
            if not isinstance(mask, Mapping) or not set(mask) <= set(self._keys):
                raise ValueError(f"needs a dict with the keys {self._keys}, or {sum(self.sizes)} flags")
            return [mask.get(key) for key in self._keys]
        if isinstance(mask, Mapping) or len(mask) != len(self._parts):
            raise ValueError(f"needs a tuple of {len(self._parts)} masks, or {sum(self.sizes)} flags")
        return mask


def choice_map(space: spaces.Space) -> ChoiceMap:
    """The parts of a space of choices."""
    if isinstance(space, spaces.Discrete):
        return _Numbered(space)
    if isinstance(space, (spaces.MultiDiscrete, spaces.Box)):
        return _Table(space)
    if isinstance(space, spaces.MultiBinary):
        return _Bits(space)
    return _Letters(space) if isinstance(space, spaces.Text) else _Several(space)


def _is_nested(mask: Any) -> bool:
    """Tell whether a mask has a mask for each part, and is not an array of flags."""
    return isinstance(mask, (tuple, list)) and any(
        one is None or isinstance(one, (tuple, list, Mapping)) or np.ndim(one) for one in mask
    )


def _unnested(mask: Any) -> list[Any]:
    """The arrays of flags in a mask of several axes, in order."""
    if _is_nested(mask):
        return [array for part in mask for array in _unnested(part)]
    return [mask]
