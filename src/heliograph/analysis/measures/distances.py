"""How far messages, or meanings, lie apart: a level for each pair, equal for equal distances and in their order."""

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer, Num
from scipy.spatial.distance import cdist

from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import Words

__all__ = ["Apart", "between_places", "between_vectors", "between_words", "edit_distances"]

BLOCK = 250_000
"""Pairs that are looked at at the same time."""
CELLS = 1_000_000
"""Numbers of a row of the table of edit distances that are worked out at the same time, of all pairs together."""
MOST_RATIOS = 2**16
"""Edit distances of two lengths, over a length, so many of which are told apart without looking at all pairs."""
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
        if self._in_order:
            found: np.ndarray = self.level_of[rows, columns]
            return found
        return np.take(self.level_of[self.kind[rows]], self.kind[columns], axis=1)

    @functools.cached_property
    def _in_order(self) -> bool:
        """Tell whether each thing is of a kind of its own, in their order."""
        return len(self.kind) == len(self.level_of) and bool((self.kind == np.arange(len(self.kind))).all())

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
    by_length = np.argsort(words.lengths[first], kind="stable")
    kind = np.empty_like(by_length)
    kind[by_length] = np.arange(len(first))
    first = first[by_length]
    kinds = words[first]
    steps = edit_distances(kinds)
    if over is None:
        return Apart(level_of=steps, num_levels=int(steps.max()) + 1, kind=kind[ids])
    return _relative(steps, kinds.lengths, first, over=over, kind=kind[ids])


def _relative(
    steps: Integer[np.ndarray, "U U"], lengths: Int[np.ndarray, " U"], first: Int[np.ndarray, " U"], *, over: str,
    kind: Int[np.ndarray, " n"],
) -> Apart:  # fmt: skip
    """Edit distances over a length, as a ratio for each two lengths and each distance where those are few."""
    sizes, size = np.unique(lengths, return_inverse=True)
    num, width = int(steps.max()) + 1, len(sizes)
    if width**2 * num > MOST_RATIOS:
        earlier = np.where(first[:, None] <= first, lengths[:, None], lengths)
        length = _length(lengths[:, None], lengths, earlier, over=over)
        return _levels(np.where(length > 0, steps / np.maximum(length, 0.5), 0.0), kind)
    one, other = sizes[:, None, None], sizes[None, :, None]
    length = _length(one, other, one + np.zeros_like(other), over=over)
    ratios = np.where(length > 0, np.arange(num) / np.maximum(length, 0.5), 0.0).ravel()
    mine, theirs = ((size * times).astype(np.uint16) for times in (width * num, num))
    code, occurs = np.empty(steps.shape, dtype=np.uint16), np.zeros(len(ratios), dtype=np.int64)
    for rows in _blocks(len(code)):
        part = np.add(mine[rows, None], theirs, out=code[rows])
        if over == "first":
            np.copyto(part, mine + theirs[rows, None], where=first[rows, None] > first)
        part += steps[rows]
        occurs += np.bincount(part.ravel(), minlength=len(ratios))
    kept = np.flatnonzero(occurs)
    levels, num_levels = _numbered(ratios[kept])
    level = np.zeros(len(ratios), dtype=levels.dtype)
    level[kept] = levels
    found = np.empty(steps.shape, dtype=level.dtype)
    for rows in _blocks(len(code)):
        np.take(level, code[rows], out=found[rows], mode="clip")
    return Apart(level_of=found, num_levels=num_levels, kind=kind)


def _length(one: Any, other: Any, earlier: Any, *, over: str) -> Any:
    """Return what the edit distance of two words is divided by."""
    return {"mean": (one + other) / 2, "longer": np.maximum(one, other), "first": earlier}[over]


def _blocks(number: int) -> list[slice]:
    """Some rows at a time of a table of all with all."""
    step = max(1, BLOCK // number)
    return [slice(start, min(start + step, number)) for start in range(0, number, step)]


def between_places(table: Int[np.ndarray, "n L"], kind: Int[np.ndarray, " n"]) -> Apart:
    """The number of columns in which rows differ (Hamming); `kind` is an id of each row, equal for equal ones."""
    rows = _narrow(table[np.unique(kind, return_index=True)[1]])
    found = np.zeros((len(rows), len(rows)), dtype=np.min_scalar_type(rows.shape[1]))
    columns = np.ascontiguousarray(rows.T)
    for block in _blocks(len(rows)):
        differs = np.empty((block.stop - block.start, len(rows)), dtype=np.uint8)
        for column in columns:
            np.not_equal(column[block, None], column, out=differs.view(bool))
            found[block] += differs
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
    level, number = _numbered(distances)
    return Apart(level_of=level, num_levels=number, kind=kind)


def _numbered(distances: Float[np.ndarray, "*shape"]) -> tuple[Integer[np.ndarray, "*shape"], int]:
    """Distances as levels, and how many of these there are."""
    scale = float(distances.max()) or 1.0
    values, level = np.unique(np.round(distances / scale, DIGITS), return_inverse=True)
    return level.reshape(distances.shape).astype(np.min_scalar_type(len(values))), len(values)


def edit_distances(words: Words) -> Integer[np.ndarray, "n n"]:
    """Return how many symbols must be put in, left out or replaced to make each word of each other."""
    by_length = np.argsort(words.lengths, kind="stable")
    lengths, codes = words.lengths[by_length], _narrow(words.codes[by_length])
    found = np.zeros((len(words), len(words)), dtype=np.uint8 if codes.shape[1] < 255 else np.uint16)
    sizes, starts = np.unique(lengths, return_index=True)
    spans = [*zip(sizes.tolist(), starts.tolist(), [*starts[1:].tolist(), len(words)], strict=True)]
    for place, (short, start, stop) in enumerate(spans):
        for long, first, last in spans[place:]:
            step = max(1, CELLS // ((last - first) * (long + 1)))
            for row in range(start, stop, step):
                rows, columns = slice(row, min(row + step, stop)), slice(max(row, first), last)
                found[rows, columns] = _edits(codes[rows, :short], codes[columns, :long], found.dtype)
                found[columns, rows] = found[rows, columns].T
    if (by_length[1:] > by_length[:-1]).all():
        return found
    place_of = np.argsort(by_length)
    return found[place_of[:, None], place_of]


def _edits(
    ones: Integer[np.ndarray, "a s"], others: Integer[np.ndarray, "b t"], kind: Any
) -> Integer[np.ndarray, "a b"]:
    """Edit distances of words of one length to words of another: the usual table, a cell of all pairs at a time."""
    shape, columns = (len(ones), len(others)), np.ascontiguousarray(others.T)
    row = [np.full(shape, place, dtype=kind) for place in range(others.shape[1] + 1)]
    differs = np.empty(shape, dtype=np.uint8)
    for place in range(ones.shape[1]):
        replaced, row[0] = row[0], np.full(shape, place + 1, dtype=kind)
        for at, against in enumerate(columns, start=1):
            np.not_equal(ones[:, place, None], against, out=differs.view(bool))
            replaced += differs  # the cell before, of the row before, is needed no more
            shorter = np.minimum(row[at], row[at - 1])
            shorter += 1
            replaced, row[at] = row[at], np.minimum(shorter, replaced, out=shorter)
    return row[-1]


def _narrow(codes: Int[np.ndarray, "n L"]) -> Integer[np.ndarray, "n L"]:
    """Whole numbers from -1 in the smallest type that tells them apart, which is compared faster."""
    return (codes + 1).astype(np.min_scalar_type(int(codes.max(initial=0)) + 1))
