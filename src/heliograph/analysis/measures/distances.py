"""How far messages, or meanings, lie apart: a level for each pair, equal for equal distances and in their order."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer, Num
from scipy.spatial.distance import cdist

from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import Words

__all__ = ["Apart", "between_places", "between_vectors", "between_words", "edit_distances"]

BLOCK = 500_000
"""Pairs whose edit distance is worked out at the same time."""
DIGITS = 10
"""Distances that agree in so many digits are equal."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Apart:
    """Distances of n things: the `kind` of each, and `level_of` two kinds, from 0 (equal) to `num_levels` - 1."""

    level_of: Num[np.ndarray, "U U"]
    num_levels: int
    kind: Int[np.ndarray, " n"]

    def part(self, rows: slice, columns: slice) -> Num[np.ndarray, "a b"]:
        """Levels from some of the things to some."""
        return np.take(self.level_of[self.kind[rows]], self.kind[columns], axis=1)

    def coarser(self, most: int) -> "Apart":
        """The same with at most so many levels, neighbouring ones put together; only equal things keep level 0."""
        step = -(-self.num_levels // max(1, most - 1))
        if step <= 1:
            return self
        levels = (self.level_of.astype(np.int64) + step - 1) // step
        return Apart(level_of=levels.astype(np.uint16), num_levels=int(levels.max()) + 1, kind=self.kind)

    def otherwise(self, order: Any) -> "Apart":
        """The same things in another order, or some of them."""
        return dataclasses.replace(self, kind=self.kind[order])


def between_words(words: Words, *, over: str | None = None) -> Apart:
    """Edit distances (Levenshtein), as they are, or `over` the "mean" length, the "longer" or that of the "first" word.

    0 between two empty words.
    """
    ids = words.ids()
    first = np.unique(ids, return_index=True)[1]
    kinds = words[first]
    steps = edit_distances(kinds)
    if over is None:
        return Apart(level_of=steps, num_levels=int(steps.max()) + 1, kind=ids)
    one, other = kinds.lengths[:, None], kinds.lengths[None, :]
    rows = np.arange(len(first))
    earlier = np.where(first[rows][:, None] <= first[rows][None, :], one, other)
    length = {"mean": (one + other) / 2, "longer": np.maximum(one, other), "first": earlier}[over]
    return _levels(np.where(length > 0, steps / np.maximum(length, 0.5), 0.0), ids)


def between_places(table: Int[np.ndarray, "n L"], kind: Int[np.ndarray, " n"]) -> Apart:
    """The number of columns in which rows differ (Hamming); `kind` is an id of each row, equal for equal ones."""
    rows = table[np.unique(kind, return_index=True)[1]]
    found = np.zeros((len(rows), len(rows)), dtype=np.uint16)
    for column in rows.T:
        found += column[:, None] != column[None, :]
    return Apart(level_of=found, num_levels=rows.shape[1] + 1, kind=kind)


def between_vectors(vectors: Float[np.ndarray, "n D"], *, metric: str) -> Apart | Undefined:
    """Euclidean or cosine distances of vectors; undefined for the cosine of one that is all zeros."""
    if metric == "cosine" and not (norms := np.abs(vectors).max(1, initial=0.0)).all():
        return Undefined(f"row {int((norms == 0).argmax())} is all zeros: it has no direction, and no cosine distance")
    kinds, kind = np.unique(vectors, axis=0, return_inverse=True)
    found = np.maximum(cdist(kinds, kinds, metric), 0.0)
    np.fill_diagonal(found, 0.0)
    return _levels(found, kind.reshape(-1))


def _levels(distances: Float[np.ndarray, "U U"], kind: Int[np.ndarray, " n"]) -> Apart:
    scale = float(distances.max()) or 1.0
    values, level = np.unique(np.round(distances / scale, DIGITS), return_inverse=True)
    smallest = np.uint16 if len(values) < 2**16 else np.int32
    return Apart(level_of=level.reshape(distances.shape).astype(smallest), num_levels=len(values), kind=kind)


def edit_distances(words: Words) -> Integer[np.ndarray, "n n"]:
    """Return how many symbols must be put in, left out or replaced to make each word of each other."""
    found = np.zeros((len(words), len(words)), dtype=np.uint16)
    lengths = np.unique(words.lengths)
    of_length = {int(length): np.flatnonzero(words.lengths == length) for length in lengths}
    for short in map(int, lengths):
        for long in (int(length) for length in lengths if length >= short):
            block = max(1, BLOCK // len(of_length[long]))
            for start in range(0, len(of_length[short]), block):
                rows, columns = of_length[short][start : start + block], of_length[long]
                part = _edits(words.codes[rows, :short], words.codes[columns, :long])
                found[np.ix_(rows, columns)] = part
                found[np.ix_(columns, rows)] = part.T
    return found


def _edits(ones: Int[np.ndarray, "a s"], others: Int[np.ndarray, "b t"]) -> Integer[np.ndarray, "a b"]:
    """Edit distances of words of one length to words of another: the usual table, a cell of all pairs at a time."""
    narrow = np.uint8 if max(ones.shape[1], others.shape[1]) < 255 else np.uint16
    shape = (len(ones), len(others))
    row = [np.full(shape, place, dtype=narrow) for place in range(others.shape[1] + 1)]
    for place, symbols in enumerate(ones.T):
        diagonal, row[0] = row[0], np.full(shape, place + 1, dtype=narrow)
        for at, against in enumerate(others.T, start=1):
            replaced = diagonal + (symbols[:, None] != against[None, :])
            diagonal = row[at]
            row[at] = np.minimum(np.minimum(row[at - 1], diagonal) + narrow(1), replaced).astype(narrow, copy=False)
    return row[-1].astype(np.uint16)
