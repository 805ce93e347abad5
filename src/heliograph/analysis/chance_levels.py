"""What a measure comes to by chance: the same messages beside meanings in another order, again and again."""

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.measure import Better, Resampling
from heliograph.analysis.measures.permutation_baseline import shuffled_within

__all__ = ["ChanceLevel", "chance_level", "orders"]

ROUNDING = 1e-9
"""By so much values that are equal may differ."""
QUANTILE = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChanceLevel:
    """Values under shuffled meanings: their mean, the quantile that 5 % are better than, and p.

    `p` is (1 + #{as good}) / (1 + B) of B shuffles; where all orders were tried (`exact`), the share of them that are
    as good. Better is lower where the measure says so, else higher.
    """

    mean: float
    quantile: float
    p: float
    exact: bool


def chance_level(
    value: float, resampling: Resampling, *, group: Int[np.ndarray, " n"], permutations: int, better: Better, seed: int
) -> ChanceLevel | None:
    """The chance level of a value, within groups; None where it has none, since chance gives no number."""
    exact = _num_orders(group, most=permutations) <= permutations
    found = np.array([resampling.shuffled(order) for order in orders(group, permutations=permutations, seed=seed)])
    known: Float[np.ndarray, " b"] = found[~np.isnan(found)]
    if not len(known):
        return None
    lower = better is Better.LOWER
    as_good = known <= value + ROUNDING if lower else known >= value - ROUNDING
    share = as_good.mean() if exact else (1 + as_good.sum()) / (1 + len(known))
    quantile = np.quantile(known, 1 - QUANTILE if lower else QUANTILE)
    return ChanceLevel(mean=float(known.mean()), quantile=float(quantile), p=float(share), exact=exact)


def orders(group: Int[np.ndarray, " n"], *, permutations: int, seed: int) -> Iterator[Int[np.ndarray, " n"]]:
    """Orders of rows within groups: all there are where those are no more, else so many drawn from the seed."""
    if _num_orders(group, most=permutations) <= permutations:
        yield from _all_orders(group)
        return
    rng = np.random.default_rng(seed)
    rows = np.arange(len(group))
    for _ in range(permutations):
        yield shuffled_within(rows, group, rng)


def _num_orders(group: Int[np.ndarray, " n"], *, most: int) -> int:
    """Return how many there are, or some number above `most`."""
    number = 1
    for size in np.bincount(group).tolist():
        number *= math.factorial(min(size, 12))
        if number > most:
            break
    return number


def _all_orders(group: Int[np.ndarray, " n"]) -> Iterator[Int[np.ndarray, " n"]]:
    rows = [np.flatnonzero(group == some) for some in range(int(group.max()) + 1)]
    for parts in itertools.product(*(itertools.permutations(some.tolist()) for some in rows)):
        order = np.empty(len(group), dtype=np.int64)
        for some, part in zip(rows, parts, strict=True):
            order[some] = part
        yield order
