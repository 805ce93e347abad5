"""Vectors as codes, so that they can be counted: which of them are the same message is decided by the vectors alone.

Nothing depends on where 0 lies, on units, on which column comes first, or on the order of rows. Where few different
vectors occur, each is a code of its own. Else they are cut into at most 32 cells, again and again where one column at
one threshold explains most of what still varies. What codes tell is a lower bound of what the vectors tell.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from heliograph.analysis.measures.base import joined, rounding_of

__all__ = ["codes_of", "codes_within"]

MAX_CELLS = 32
UTTERANCES_PER_CODE = 8
"""On average at least; of more different vectors than that nothing could be counted."""
SAMPLE = 512
"""Vectors that cuts are found from at most, spread evenly over all."""
NEARLY_ALL = 0.9
"""Of a sample; where so many differ all do, as a rule, and none is looked at alone."""
WIDEST = 4
"""Numbers that pass into one another by steps of rounding are one level while it is no wider than so many of these."""


def codes_within(vectors: Num[np.ndarray, "n D"], group: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """`codes_of` the vectors of each group on its own: groups share no code."""
    found, used = np.zeros(len(vectors), dtype=np.int64), 0
    for one in np.unique(group):
        here = group == one
        codes = codes_of(vectors[here])
        found[here] = codes + used
        used += int(codes.max()) + 1
    return found


def codes_of(vectors: Num[np.ndarray, "n D"]) -> Int[np.ndarray, " n"]:
    """A code for each vector; those that are not finite share one."""
    found, used = np.zeros(len(vectors), dtype=np.int64), 0
    finite = np.isfinite(vectors).all(1)
    if finite.any():
        found[finite] = _codes(vectors[finite].astype(np.float64))
        used = int(found.max()) + 1
    found[~finite] = used
    return found


def _codes(vectors: Float[np.ndarray, "n D"]) -> Int[np.ndarray, " n"]:
    equal = rounding_of(vectors)
    varies = np.ptp(vectors, axis=0) > equal if vectors.shape[1] else np.zeros(0, dtype=bool)
    if not varies.any():
        return np.zeros(len(vectors), dtype=np.int64)
    vectors, equal = vectors[:, varies], equal[varies]
    few = max(MAX_CELLS, len(vectors) // UTTERANCES_PER_CODE)
    centred = (vectors - vectors.mean(0)) / vectors.std(0)
    some = _sampled(centred)
    shown = _by_level(vectors[some], equal)
    if shown is not None and int(shown.max()) < max(MAX_CELLS, NEARLY_ALL * len(some)):
        codes = _by_level(vectors, equal)
        if codes is not None and int(codes.max()) < few:
            return codes
    return _cells(centred, some, at_most=min(MAX_CELLS, max(2, len(vectors) // UTTERANCES_PER_CODE)))


def _sampled(rows: Float[np.ndarray, "n D"]) -> Int[np.ndarray, " m"]:
    """Return where some rows are, whatever their order: evenly spread over the sums of their numbers."""
    step = -(-len(rows) // SAMPLE)
    return rows.sum(1).argsort(kind="stable")[step // 2 :: step]


def _by_level(vectors: Float[np.ndarray, "n D"], equal: Float[np.ndarray, " D"]) -> Int[np.ndarray, " n"] | None:
    """A code for each vector, where those count as equal that differ by rounding alone; None where that is unclear.

    Sorted numbers of a column that follow one another by less are one level; it is unclear where that makes a wide one.
    """
    code = np.zeros(len(vectors), dtype=np.int64)
    for column, least in zip(vectors.T, equal, strict=True):
        order = column.argsort(kind="stable")
        ordered = column[order]
        begins = np.concatenate([[True], np.diff(ordered) > least])
        first = ordered[begins][begins.cumsum() - 1]
        if (ordered - first > WIDEST * least).any():
            return None
        levels = np.empty(len(ordered), dtype=np.int64)
        levels[order] = begins.cumsum() - 1
        code = joined(code, levels)
    return code


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Cut:
    """Record of where a cell is cut in two, and by how much that lessens its sum of squares."""

    column: int
    threshold: float
    gain: float

    def above(self, rows: Float[np.ndarray, "n D"]) -> Bool[np.ndarray, " n"]:
        return rows[:, self.column] > self.threshold


def _cells(rows: Float[np.ndarray, "n D"], sample: Int[np.ndarray, " m"], *, at_most: int) -> Int[np.ndarray, " n"]:
    """Cells of standardised vectors: of all cells of a sample the one is cut next in which that gains most."""
    some = rows[sample]
    cells, cell_of_some = np.zeros(len(rows), dtype=np.int64), np.zeros(len(some), dtype=np.int64)
    best = [_best_cut(some)]
    while len(best) < at_most:
        old, new = max(range(len(best)), key=lambda cell: best[cell].gain), len(best)
        cut = best[old]
        if cut.gain <= 0:
            break
        cell_of_some[(cell_of_some == old) & cut.above(some)] = new
        cells[(cells == old) & cut.above(rows)] = new
        best[old] = _best_cut(some[cell_of_some == old])
        best.append(_best_cut(some[cell_of_some == new]))
    return cells


def _best_cut(rows: Float[np.ndarray, "n D"]) -> _Cut:
    number = len(rows)
    if number < 2:
        return _Cut(column=0, threshold=0.0, gain=0.0)
    means = rows.mean(0)
    ordered = np.sort(np.ascontiguousarray((rows - means).T))
    left = np.arange(1, number)
    gains = ordered.cumsum(1)[:, :-1] ** 2 * (1 / left + 1 / (number - left))  # of centred numbers, whose sum is 0
    gains[ordered[:, 1:] <= ordered[:, :-1]] = 0.0
    column, place = np.unravel_index(int(gains.argmax()), gains.shape)
    threshold = float(ordered[column, place] + ordered[column, place + 1]) / 2 + float(means[column])
    return _Cut(column=int(column), threshold=threshold, gain=float(gains[column, place]))
