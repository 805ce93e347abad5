"""Context independence of symbols, in a bag, and values of attributes."""

from typing import Any

import numpy as np

from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.pair_counts import symbols_by_concept
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "context_independence_bag"]

EQUAL = 1e-12


def context_independence_bag(
    messages: Any, attributes: Any, *, given: Any = None, eos: Any = None, unique: bool = False
) -> float:
    """The mean over values c of attributes of p(v given c) p(c given v), where every symbol occurs with every value.

    v = argmax_v p(v given c), ties to the highest p(c given v): Korbak et al. 2020, whose code leaves ties to the hash
    seed of the process. A perfect code of two attributes has 1/4 on this scale, not 1. Undefined where no message has a
    symbol. Raises ValueError where there is no message, or not one meaning for each.
    """
    said = language_of(messages, attributes=attributes, given=given, eos=eos, unique=unique)
    return mean_within(_bag, said)


def _bag(said: Language) -> float:
    counts = symbols_by_concept(said)
    counts = counts[:, counts.sum(0) > 0]
    if not counts.size:
        return Undefined("no message has a symbol")
    used = counts / counts.sum(0)
    told = counts / np.maximum(counts.sum(1, keepdims=True), EQUAL)
    best = used >= used.max(0) - EQUAL
    chosen = np.where(best, told, -1.0).argmax(0)
    columns = np.arange(counts.shape[1])
    return float((used[chosen, columns] * told[chosen, columns]).mean())


MEASURE = Measure(
    name="context_independence_bag", function=context_independence_bag, range=(0.0, 1.0), better=Better.HIGHER,
    chance=Chance.SHUFFLED_MEANINGS, source="Korbak et al. 2020", resampling=resampled_by(_bag),
)  # fmt: skip
