"""Whether frequent meanings have short messages: Zipf's law of abbreviation."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from jaxtyping import Int
from scipy.stats import spearmanr

from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import words_of

__all__ = ["MEASURE", "Abbreviation", "abbreviation_of", "law_of_abbreviation"]

ROUNDING = 1e-12
CONSTANT = "all meanings are equally frequent, or all lengths are equal"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Abbreviation:
    """Mean lengths in symbols, and how they go with frequency.

    `token_length` weighs each meaning by its frequency, `type_length` does not. `chance` is the mean token length over
    all orders of lengths (which is the type length), and `p` the share of orders whose token length is no longer.
    `correlation` is Spearman's of frequency and length, undefined where one of them does not vary.
    """

    token_length: float
    type_length: float
    chance: float
    p: float
    correlation: float


def law_of_abbreviation(
    messages: Any, meanings: Any, *, eos: Any = None, num_permutations: int = 999, seed: int = 0
) -> Abbreviation:
    """The law of abbreviation over meanings (Chaabouni et al. 2019; Ueda et al. 2023).

    A meaning's frequency is its observed count, its length the mean of its messages' (with `eos`, before the first of
    it). Lengths are put in another order over meanings: all n! orders where these are at most `num_permutations`, else
    so many that are drawn from `seed`, and then p = (1 + #{no longer}) / (1 + B). Equal lengths make the smallest p
    larger. Raises ValueError where there is no message, or not one meaning for each.
    """
    lengths = words_of(messages, eos=eos).lengths
    meant = ids_of(meanings, what="meanings")
    if len(meant) != len(lengths):
        raise ValueError(f"{len(lengths)} messages and {len(meant)} meanings: there must be one meaning for each")
    counts = np.bincount(meant)
    means = np.bincount(meant, weights=lengths) / counts
    return abbreviation_of(counts / counts.sum(), means, num_permutations=num_permutations, seed=seed)


def abbreviation_of(
    frequencies: Any,
    lengths: Any,
    *,
    num_permutations: int = 999,
    seed: int = 0,
) -> Abbreviation:
    """The same of the frequency of each meaning (they sum to 1) and its length."""
    share, length = np.asarray(frequencies, dtype=np.float64), np.asarray(lengths, dtype=np.float64)
    observed, least = float(share @ length), ROUNDING * float(np.abs(length).max(initial=1.0))
    if math.factorial(min(len(length), 20)) <= num_permutations:
        orders = np.array(list(itertools.permutations(range(len(length)))))
        p = float((length[orders] @ share <= observed + least).mean())
    else:
        rng = np.random.default_rng(seed)
        found = rng.permuted(np.tile(length, (num_permutations, 1)), axis=1) @ share
        p = float((1 + (found <= observed + least).sum()) / (1 + num_permutations))
    varies = np.ptp(share) > ROUNDING and np.ptp(length) > ROUNDING
    return Abbreviation(
        token_length=observed,
        type_length=float(length.mean()),
        chance=float(length.mean()),
        p=p,
        correlation=float(spearmanr(share, length).statistic) if varies else Undefined(CONSTANT),
    )


class _TokenLength:
    """The mean length of utterances, which is what meanings' lengths weighted by their frequencies come to."""

    def __init__(self, messages: Any, meanings: Any, *, given: Any = None, eos: Any = None):
        self._lengths = words_of(messages, eos=eos).lengths

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        """The same: it does not heed which meaning has which length."""
        return float(self._lengths.mean())

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        """The value of utterances that occur so many times each."""
        return float(np.average(self._lengths, weights=times))


def _example() -> dict[str, Any]:
    return {"messages": [[1, 0], [1, 0], [2, 0], [1, 1]], "meanings": [0, 0, 1, 2], "eos": 0}


MEASURE = Measure(
    name="law_of_abbreviation", function=law_of_abbreviation, unit="symbols", range=(0.0, math.inf),
    better=Better.LOWER, chance=Chance.OWN, source="Chaabouni et al. 2019; Ueda et al. 2023", example=_example,
    resampling=_TokenLength,
)  # fmt: skip
