"""Entropy of whole messages."""

import math
from typing import Any

from heliograph.analysis.measures.base import entropy_of_ids
from heliograph.analysis.measures.counting import entropy_bits
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Measure

__all__ = ["MEASURE", "entropy"]


def entropy(messages: Any, *, given: Any = None, eos: Any = None) -> float:
    """How much messages vary, in bits: the plug-in entropy of whole messages, one a row.

    H(M) = -sum_m p(m) log2 p(m). 0 where the same is always said, log2(n) where n messages are equally frequent. Rows
    may be numbers, strings, arrays or tensors, and may differ in length. Raises ValueError where there is no message.
    """
    said = language_of(messages, given=given, eos=eos, whole=True)
    return mean_within(lambda part: entropy_of_ids(part.words.ids()), said)


def _entropy(said: Language) -> float:
    return entropy_bits(said.words.ids(), said.times)


MEASURE = Measure(
    name="entropy", function=entropy, unit="bits", range=(0.0, math.inf), applies_to=AppliesTo.WHOLE,
    source="Kharitonov et al. 2019", resampling=resampled_by(_entropy, whole=True),
)  # fmt: skip
