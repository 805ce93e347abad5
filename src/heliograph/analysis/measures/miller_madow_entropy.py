"""Entropy of whole messages, corrected for having seen few of them."""

import math
from typing import Any

from heliograph.analysis.measures.counting import bits_of, counts_of
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Measure

__all__ = ["MEASURE", "miller_madow_entropy"]


def miller_madow_entropy(messages: Any, *, given: Any = None, eos: Any = None) -> float:
    """The entropy of whole messages with the first-order correction of Miller (1955), in bits.

    H + (kinds - 1) / (2 N ln 2), where kinds are the messages that occur. It may exceed log2 of the kinds, and
    information computed from it may exceed entropy. Raises ValueError where there is no message.
    """
    return mean_within(_miller_madow, language_of(messages, given=given, eos=eos, whole=True))


def _miller_madow(said: Language) -> float:
    counts = counts_of(said.words.ids(), said.times)
    return bits_of(counts) + float((counts > 0).sum() - 1) / (2 * float(counts.sum()) * math.log(2))


MEASURE = Measure(
    name="miller_madow_entropy", function=miller_madow_entropy, unit="bits", range=(0.0, math.inf),
    applies_to=AppliesTo.WHOLE, source="Miller 1955", resampling=resampled_by(_miller_madow, whole=True),
)  # fmt: skip
