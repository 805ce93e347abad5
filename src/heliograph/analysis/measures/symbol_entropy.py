"""Entropy of symbols, wherever they stand."""

import math
from typing import Any

import numpy as np

from heliograph.analysis.measures.counting import entropy_bits
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "symbol_entropy"]


def symbol_entropy(messages: Any, *, given: Any = None, eos: Any = None) -> float:
    """The plug-in entropy of all symbols of all messages together, in bits (ELCC 2024: one-gram entropy).

    It mixes places: see `position_entropy`. Padding counts as a symbol unless `eos` cuts it off. Undefined where no
    message has a symbol. Raises ValueError where there is no message.
    """
    return mean_within(_symbol_entropy, language_of(messages, given=given, eos=eos))


def _symbol_entropy(said: Language) -> float:
    where = said.words.said
    if not where.any():
        return Undefined("no message has a symbol")
    return entropy_bits(said.words.codes[where], np.broadcast_to(said.times[:, None], where.shape)[where])


MEASURE = Measure(
    name="symbol_entropy", function=symbol_entropy, unit="bits", range=(0.0, math.inf),
    source="Boldt & Mortensen 2024 (ELCC)", resampling=resampled_by(_symbol_entropy),
)  # fmt: skip
