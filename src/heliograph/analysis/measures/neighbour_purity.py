"""Whether messages that lie together mean the same."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Num
from scipy.spatial.distance import cdist

from heliograph.analysis.measures.base import ids_of, numbers_of, rounding_of
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure

__all__ = ["MEASURE", "NeighbourPurity", "neighbour_purity"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeighbourPurity:
    """Share of a message's nearest neighbours that mean the same, and what shuffled meanings would give."""

    purity: float
    shuffled: float
    neighbours: int

    @property
    def chance(self) -> float:
        """Return what a table holds it against."""
        return self.shuffled


def neighbour_purity(messages: Any, meanings: Any, *, neighbours: int = 10) -> NeighbourPurity:
    """The mean share of the k nearest messages that have the same meaning; messages as rows of numbers, or words.

    Words, and rows of whole numbers, are symbols, compared place by place; others are vectors, compared by Euclidean
    distance, whatever their unit, origin or dtype. Neighbours that are equally near share the last places, so the order
    of rows does not matter. `shuffled` is the exact mean over all ways to shuffle meanings. Time and memory grow with
    n^2: pass a sample of at most some thousands. Raises ValueError for vectors that are not finite.
    """
    rows, meant = numbers_of(messages), ids_of(meanings, what="meanings")
    n = len(meant)
    if len(rows) != n:
        raise ValueError(f"{len(rows)} messages and {n} meanings: there must be one meaning for each")
    if n < 2:
        raise ValueError(f"{n} utterance: a neighbour needs at least 2")
    k = min(neighbours, n - 1)
    same = meant[:, None] == meant[None, :]
    counts = np.bincount(meant)
    return NeighbourPurity(
        purity=float((_weights(rows, k) * same).sum(1).mean()),
        shuffled=float((counts * (counts - 1)).sum() / (n * (n - 1))),
        neighbours=k,
    )


def _weights(rows: Num[np.ndarray, "n D"], k: int) -> Float[np.ndarray, "n n"]:
    apart, equal = _distances(rows)
    np.fill_diagonal(apart, np.inf)
    furthest = np.partition(apart, k - 1, axis=1)[:, k - 1 : k]
    nearer, level = apart < furthest - equal, np.abs(apart - furthest) <= equal
    shared = (k - nearer.sum(1, keepdims=True)) / level.sum(1, keepdims=True)
    return (nearer + level * shared) / k


def _distances(rows: Num[np.ndarray, "n D"]) -> tuple[Float[np.ndarray, "n n"], float]:
    """Places that differ, or Euclidean distances in units of the spread; and the difference that is but rounding."""
    if rows.dtype.kind == "i":
        return cdist(rows, rows, "hamming") * rows.shape[1], 0.5
    spread = float(np.ptp(rows, axis=0).max(initial=0.0))
    if spread == 0.0:
        return np.zeros((len(rows), len(rows))), 0.0
    unit = np.ldexp(1.0, int(np.frexp(spread)[1]))
    return cdist(rows / unit, rows / unit), float(rounding_of(rows).max()) / unit


MEASURE = Measure(
    name="neighbour_purity", function=neighbour_purity, range=(0.0, 1.0), better=Better.HIGHER, chance=Chance.OWN,
    applies_to=AppliesTo.BOTH, pairs=True,
)  # fmt: skip
