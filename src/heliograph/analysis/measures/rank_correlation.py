"""Rank correlation of the distances between the same things in two spaces, over all pairs."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int, Num

from heliograph.analysis.measures.distances import Apart
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["PairsOfDistances", "spearman_of"]

MOST_CELLS = 2**16
"""Pairs of levels so many of which are counted in a table; more are ranked one by one."""
MOST_LEVELS = 2**8
"""Levels that are kept apart where both distances have many."""
MOST_SPREAD = 5_000
"""Things of which a level for each two is kept."""
BLOCK = 250_000
"""Pairs that are counted at the same time."""


class PairsOfDistances:
    """Spearman's correlation over pairs i < j of how far messages and meanings lie apart, in other orders too.

    Where distances have too many levels for a table, as those of vectors, neighbouring levels are put together for
    other orders and draws: with thousands of them no digit that is shown changes.
    """

    def __init__(self, messages: Apart, meanings: Apart):
        self.messages, self.meanings = messages, meanings
        self.in_table = messages.num_levels * meanings.num_levels <= MOST_CELLS
        self._in_coarse: PairsOfDistances | None = None

    @functools.cached_property
    def _spread(self) -> Apart:
        """Messages with a level for each two of them, where there is memory for that."""
        kind, few = self.messages.kind, len(self.messages.kind) <= MOST_SPREAD
        level_of = self.messages.part(slice(None), slice(None)) if few else self.messages.level_of
        return dataclasses.replace(self.messages, level_of=level_of, kind=np.arange(len(kind)) if few else kind)

    def value(self) -> float:
        """Return the value of things as they are."""
        return self._correlation(self.messages, self.meanings)

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        """The value of messages in their order, with meanings in another."""
        coarse = self._coarse()
        return coarse._correlation(coarse._spread, coarse.meanings.otherwise(order))

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        """The value of things that occur so many times each; a thing has no distance to itself, drawn again or not."""
        kept, coarse = np.flatnonzero(times), self._coarse()
        parts = coarse.messages.otherwise(kept), coarse.meanings.otherwise(kept)
        return coarse._correlation(*parts, weights=times[kept].astype(np.float64))

    def _coarse(self) -> "PairsOfDistances":
        """The same with so few levels that they fit into a table."""
        if self.in_table:
            return self
        if self._in_coarse is None:
            meanings = self.meanings.coarser(max(MOST_LEVELS, MOST_CELLS // self.messages.num_levels))
            self._in_coarse = PairsOfDistances(self.messages.coarser(MOST_CELLS // meanings.num_levels), meanings)
        return self._in_coarse

    def _correlation(self, messages: Apart, meanings: Apart, weights: Float[np.ndarray, " n"] | None = None) -> float:
        if not self.in_table:
            return _of_each(messages, meanings, weights)
        num, others = len(messages.kind), meanings.num_levels
        table = np.zeros(messages.num_levels * others)
        small = np.uint8 if len(table) < 2**8 else np.uint16
        step = max(1, BLOCK // num)
        for start in range(0, num, step):
            stop = min(start + step, num)
            rows, columns = slice(start, stop), slice(start, num)
            code: np.ndarray = messages.part(rows, columns).astype(small)
            np.multiply(code, small(others), out=code)
            np.add(code, meanings.part(rows, columns).astype(small, copy=False), out=code)
            heavy = None if weights is None else weights[rows, None] * weights[columns]
            for part, times in ((slice(0, stop - start), 1), (slice(stop - start, None), 2)):
                heavy_part = None if heavy is None else heavy[:, part].ravel()
                table += times * np.bincount(code[:, part].ravel(), weights=heavy_part, minlength=len(table))
        table[0] -= num if weights is None else float((weights**2).sum())
        one, other = np.nonzero(table.reshape(-1, others) > 0.5)
        return spearman_of(one, other, table.reshape(-1, others)[one, other])


def _of_each(messages: Apart, meanings: Apart, weights: Float[np.ndarray, " n"] | None) -> float:
    upper = np.triu_indices(len(messages.kind), 1)
    one, other = (apart.part(slice(None), slice(None))[upper] for apart in (messages, meanings))
    heavy = np.ones(len(one)) if weights is None else weights[upper[0]] * weights[upper[1]]
    return spearman_of(one, other, heavy)


def spearman_of(one: Num[np.ndarray, " m"], other: Num[np.ndarray, " m"], times: Float[np.ndarray, " m"]) -> float:
    """Spearman's correlation of two columns of levels, whole numbers from 0, each row counted so many times."""
    if not len(one):
        return Undefined("there are no two utterances to compare")
    ranks = []
    for levels, what in ((one, "messages"), (other, "meanings")):
        counts = np.bincount(levels, weights=times)
        if (counts > 0).sum() < 2:
            return Undefined(f"all {what} lie equally far apart")
        ranks.append((counts.cumsum() - counts / 2)[levels])
    first, second = (rank - np.average(rank, weights=times) for rank in ranks)
    spread = float((times * first**2).sum()) ** 0.5 * float((times * second**2).sum()) ** 0.5
    return float(np.clip((times * first * second).sum() / spread, -1.0, 1.0))
