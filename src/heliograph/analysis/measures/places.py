"""What the symbol at each place of a message tells about each attribute."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.counting import entropy_bits, shared_bits
from heliograph.analysis.measures.language import Language
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["NOTHING", "Feature", "best_less_second", "mean_gap", "places_of"]

NOTHING = 1e-12
"""Bits that are none but for rounding."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Feature:
    """What varies with messages, such as the symbol at a place: an id of it, in some utterances, with attributes."""

    ids: Int[np.ndarray, " m"]
    attributes: Int[np.ndarray, "m K"]
    times: Float[np.ndarray, " m"]

    def bits(self) -> float:
        """Its entropy."""
        return entropy_bits(self.ids, self.times)

    def told(self) -> list[float]:
        """Bits that it shares with each attribute."""
        return [shared_bits(self.ids, column, self.times) for column in self.attributes.T]


def places_of(said: Language, *, padded: bool = False) -> Iterator[Feature]:
    """The symbol at each place: of messages that reach it, or `padded`, of all, where the end counts as a symbol."""
    for column in said.words.codes.T:
        here = column >= 0
        if padded or here.all():
            yield Feature(ids=column + 1 if padded else column, attributes=said.attributes, times=said.times)
        else:
            yield Feature(ids=column[here], attributes=said.attributes[here], times=said.times[here])


def best_less_second(told: list[float]) -> float:
    """The largest number less the second largest, which is 0 where there is no second."""
    ordered = sorted([*told, 0.0], reverse=True)
    return ordered[0] - ordered[1]


def mean_gap(features: Iterator[Feature]) -> float:
    """The mean over what varies of (largest - second largest information about an attribute) / entropy."""
    found = []
    for feature in features:
        bits = feature.bits() if feature.times.any() else 0.0
        if bits > NOTHING:
            found.append(best_less_second(feature.told()) / bits)
    return float(np.mean(found)) if found else Undefined("every message is the same in this respect: nothing varies")
