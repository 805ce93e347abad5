"""Entropy of whole messages."""

import math
from typing import Any

from heliograph.analysis.measures.base import entropy_of_ids, ids_of
from heliograph.analysis.measures.measure import AppliesTo, Measure

__all__ = ["MEASURE", "entropy"]


def entropy(messages: Any) -> float:
    """How much messages vary, in bits: the plug-in entropy of whole messages, one a row.

    0 where the same is always said, log2(n) where n messages are equally frequent. Rows may be numbers, strings, arrays
    or tensors, and may differ in length. Raises ValueError where there is no message.
    """
    return entropy_of_ids(ids_of(messages))


MEASURE = Measure(
    name="entropy", function=entropy, unit="bits", range=(0.0, math.inf), applies_to=AppliesTo.BOTH,
    source="Kharitonov et al. 2019",
)  # fmt: skip
