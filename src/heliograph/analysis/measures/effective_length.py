"""How many places of a message its listener heeds."""

import enum
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import ids_of, numbers_of
from heliograph.analysis.measures.measure import Measure

__all__ = ["MEASURE", "Replacing", "effective_length"]

Listener = Callable[[Int[np.ndarray, "n L"]], Any]
"""From messages, one a row, to what it makes of each: an action, a guess, a row of numbers."""


class Replacing(enum.StrEnum):
    """When a place counts: where some other symbol changes the output, or as the share of others that do."""

    SOME = "some"
    MEAN = "mean"


def effective_length(
    messages: Any, listener: Listener, *, vocabulary: int | None = None, replacing: Replacing | str = "some"
) -> float:
    """The mean number of places whose replacement changes what the listener does, 0 to L (Rita et al. 2020).

    Each place is replaced by every one of the V - 1 other symbols while the rest stays, and the listener is asked.
    Symbols are whole numbers below V = `vocabulary` (None: the largest that is said, plus 1). Papers differ in what
    counts: `replacing="some"`, a place where any other symbol changes the output; `"mean"`, the share of the others
    that do. The listener must give the same output for the same message. Raises ValueError for messages of unequal
    length, or symbols outside the vocabulary.
    """
    kind, words = Replacing(replacing), numbers_of(messages)
    vocabulary = int(words.max()) + 1 if vocabulary is None else vocabulary
    if words.dtype.kind != "i" or (words < 0).any() or (words >= vocabulary).any():
        raise ValueError(f"messages must be whole numbers from 0 to {vocabulary - 1}, of equal length")
    number, length = words.shape
    variants = [words]
    for place, shift in np.ndindex(length, vocabulary - 1):
        other = words.copy()
        other[:, place] = (other[:, place] + shift + 1) % vocabulary
        variants.append(other)
    outputs = ids_of(listener(np.concatenate(variants)), what="outputs").reshape(-1, number)
    changed = (outputs[1:] != outputs[0]).reshape(length, vocabulary - 1, number)
    heeded = changed.any(1) if kind is Replacing.SOME else changed.mean(1)
    return float(heeded.sum(0).mean())


def _example() -> dict[str, Any]:
    return {"messages": [[0, 0], [0, 1], [1, 0], [1, 1]], "listener": lambda words: np.asarray(words).prod(1)}


MEASURE = Measure(
    name="effective_length", function=effective_length, unit="symbols", range=(0.0, math.inf),
    source="Rita et al. 2020", example=_example,
)  # fmt: skip
