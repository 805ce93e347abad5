"""Whether messages that lie together mean the same."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from heliograph.analysis.measures.base import check_aligned, distances, ids_of

__all__ = ["NeighbourPurity", "neighbour_purity"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeighbourPurity:
    """Share of a message's nearest neighbours that mean the same, and what shuffled meanings would give."""

    purity: float
    shuffled: float
    neighbours: int


def neighbour_purity(messages: Any, meanings: Any, *, neighbours: int = 10) -> NeighbourPurity:
    """The mean share of the k nearest messages that have the same meaning; messages as rows of numbers.

    Whole numbers are symbols, compared place by place; others are vectors, compared by Euclidean distance. Neighbours
    that are equally near share the last places, so the order of rows does not matter. `shuffled` is the exact mean
    over all ways to shuffle meanings. Time and memory grow with n^2: pass a sample of at most some thousands.
    """
    check_aligned(messages, meanings)
    rows = np.asarray(messages).reshape(len(messages), -1)
    meant = ids_of(meanings)
    n = len(meant)
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
    apart = distances(rows, rows).astype(float)
    np.fill_diagonal(apart, np.inf)
    furthest = np.partition(apart, k - 1, axis=1)[:, k - 1 : k]
    nearer, level = apart < furthest, apart == furthest
    shared = (k - nearer.sum(1, keepdims=True)) / level.sum(1, keepdims=True)
    return (nearer + level * shared) / k
