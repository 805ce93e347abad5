"""Entropy of runs of symbols within messages."""

import functools
import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.base import joined
from heliograph.analysis.measures.counting import entropy_bits
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import Words

__all__ = ["MEASURE", "ngram_entropy", "ngrams_of"]


def ngram_entropy(messages: Any, *, size: int = 2, given: Any = None, eos: Any = None) -> float:
    """The plug-in entropy of all runs of `size` adjacent symbols, in bits, never across the border of two messages.

    Undefined where no message is so long. Raises ValueError where there is no message, and for a size below 1.
    """
    if size < 1:
        raise ValueError(f"size={size}: must be 1 or more")
    return mean_within(lambda part: _ngram_entropy(part, size=size), language_of(messages, given=given, eos=eos))


def ngrams_of(said: Language, *, size: int) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]] | None:
    """An id of each run of symbols, and how often it counts; None where there is none."""
    ids, rows = _runs(said.words, size)
    return (ids, said.times[rows]) if len(ids) and said.times[rows].any() else None


@functools.lru_cache(maxsize=4)
def _runs(words: Words, size: int) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """An id of each run, and the message that it lies in."""
    starts = max(0, words.codes.shape[1] - size + 1)
    rows, places = np.nonzero(np.arange(starts) + size <= words.lengths[:, None])
    return (joined(*(words.codes[rows, places + at] for at in range(size))) if len(rows) else rows), rows


def _ngram_entropy(said: Language, *, size: int = 2) -> float:
    found = ngrams_of(said, size=size)
    return Undefined(f"no message has {size} symbols") if found is None else entropy_bits(*found)


MEASURE = Measure(
    name="ngram_entropy", function=ngram_entropy, unit="bits", range=(0.0, math.inf),
    source="Boldt & Mortensen 2024 (ELCC)", resampling=resampled_by(_ngram_entropy),
)  # fmt: skip
