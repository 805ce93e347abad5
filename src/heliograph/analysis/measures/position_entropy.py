"""Entropy of the symbols at each place of a message."""

import dataclasses
import math
from typing import Any

import numpy as np

from heliograph.analysis.measures.counting import bits_of, counts_of
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "PositionEntropy", "position_entropy"]

NONE = np.zeros(0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PositionEntropy:
    """Entropy of symbols in bits: the mean over places, and that of each place, among messages that reach it."""

    mean: float
    places: tuple[float, ...]


def position_entropy(messages: Any, *, given: Any = None, eos: Any = None) -> PositionEntropy:
    """The plug-in entropy H(s_j) of the symbols at each place j, in bits, and its mean over places.

    Messages that end before a place do not count there. `mean` is undefined where no message has a symbol. Raises
    ValueError where there is no message.
    """
    said = language_of(messages, given=given, eos=eos)
    num_places = said.words.codes.shape[1]
    places = [mean_within(lambda part, at=at: _at_place(part, at), said) for at in range(num_places)]  # type: ignore[misc]
    return PositionEntropy(mean=_mean(places), places=tuple(places))


def _at_place(said: Language, place: int) -> float:
    counts = counts_of(said.words.columns()[place] + 1, said.times)[1:] if place < said.words.codes.shape[1] else NONE
    return bits_of(counts) if counts.any() else Undefined("no message is so long")


def _mean(places: list[float]) -> float:
    return float(np.nanmean(places)) if not np.isnan(places).all() else Undefined("no message has a symbol")


def _position_entropy(said: Language) -> float:
    return _mean([_at_place(said, place) for place in range(said.words.codes.shape[1])])


MEASURE = Measure(
    name="position_entropy", function=position_entropy, unit="bits", range=(0.0, math.inf),
    source="Boldt & Mortensen 2024 (ELCC)", resampling=resampled_by(_position_entropy),
)  # fmt: skip
