"""How the counts of messages fall with their rank: Zipf's law."""

import dataclasses
import math
from typing import Any

import numpy as np
from scipy.optimize import brentq

from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.counting import counts_of
from heliograph.analysis.measures.language import Language, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "RankFrequency", "rank_frequency", "rank_frequency_of"]

ALONE = "only one message occurs: there are no two ranks"
MOST = 64.0
"""An exponent of so much leaves nothing to any rank but the first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankFrequency:
    """`slope` of log count on log rank (-1 is Zipf's law), the maximum-likelihood `exponent` (1 is), and `num_kinds`.

    Slope and exponent are undefined where there is but one kind of message.
    """

    slope: float
    exponent: float
    num_kinds: int


def rank_frequency(messages: Any) -> RankFrequency:
    """The rank-frequency law of whole messages (Chaabouni et al. 2019).

    `slope` is the least-squares slope of log(count) on log(rank), r = 1 the most frequent; it weighs a rare kind as
    much as a frequent one, and few kinds make it unsure. `exponent` is the a that makes the counts most likely under
    p(r) = r^-a / sum_k k^-a over the kinds that occur: prefer it. Neither has a unit. Equal counts take neighbouring
    ranks, in any order. For symbols in the place of messages pass all symbols, one a row. Raises ValueError where there
    is no message.
    """
    return rank_frequency_of(np.bincount(ids_of(messages)))


def rank_frequency_of(counts: Any) -> RankFrequency:
    """The same of counts of each kind, in any order."""
    sizes = np.sort(np.asarray(counts, dtype=np.float64))[::-1]
    sizes = sizes[sizes > 0]
    if not len(sizes):
        raise ValueError("no counts: a law of ranks needs at least one message")
    if len(sizes) == 1:
        nothing = Undefined(ALONE)
        return RankFrequency(slope=nothing, exponent=nothing, num_kinds=1)
    ranks = np.log(np.arange(1, len(sizes) + 1))
    return RankFrequency(slope=_slope(sizes, ranks), exponent=_likeliest(sizes, ranks), num_kinds=len(sizes))


def _slope(sizes: np.ndarray, ranks: np.ndarray) -> float:
    """The slope of least squares."""
    centred = ranks - ranks.mean()
    return float(centred @ np.log(sizes) / (centred @ centred))


def _likeliest(sizes: np.ndarray, ranks: np.ndarray) -> float:
    """The exponent under which the mean log rank is the observed one."""
    observed = float(sizes @ ranks / sizes.sum())

    def above(exponent: float) -> float:
        weights = np.exp(-exponent * ranks)
        return float(weights @ ranks / weights.sum()) - observed

    if above(0.0) <= 0.0:
        return 0.0
    return MOST if above(MOST) >= 0.0 else float(brentq(above, 0.0, MOST, xtol=1e-13))


def _slope_of(said: Language) -> float:
    sizes = np.sort(counts_of(said.words.ids(), said.times))[::-1]
    sizes = sizes[sizes > 0]
    return _slope(sizes, np.log(np.arange(1, len(sizes) + 1))) if len(sizes) > 1 else Undefined(ALONE)


MEASURE = Measure(
    name="rank_frequency", function=rank_frequency, range=(-math.inf, 0.0), applies_to=AppliesTo.WHOLE,
    source="Chaabouni et al. 2019", resampling=resampled_by(_slope_of, whole=True),
)  # fmt: skip
