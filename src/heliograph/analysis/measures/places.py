"""What the symbol at each place of a message tells about each attribute."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.counting import SMALL, bits_of, entropy_bits, joint_table, shared_bits
from heliograph.analysis.measures.language import Language
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["NOTHING", "Feature", "best_less_second", "mean_gap", "places_of"]

NOTHING = 1e-12
"""Bits that are none but for rounding."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Feature:
    """A property of messages, such as the symbol at a place: an id of it, in some utterances, with their meanings.

    `attributes` [U, K] holds the attributes of each meaning.
    """

    ids: Int[np.ndarray, " m"]
    meant: Int[np.ndarray, " m"]
    times: Float[np.ndarray, " m"]
    attributes: Int[np.ndarray, "U K"]

    def tables(self) -> list[Float[np.ndarray, "ids values"]]:
        """How often it occurs with each value, for each attribute."""
        return [joint_table(self.ids, column, self.times) for column in self.attributes[self.meant].T]

    def told(self) -> tuple[float, list[float]]:
        """Its entropy, and the bits that it shares with each attribute."""
        if not self.times.any():
            return 0.0, [0.0] * self.attributes.shape[1]
        num_ids = int(self.ids.max()) + 1
        if num_ids * len(self.attributes) > min(SMALL, len(self.ids)):
            columns = self.attributes[self.meant].T
            told = [shared_bits(self.ids, column, self.times) for column in columns]
            return entropy_bits(self.ids, self.times), told
        code = self.ids * len(self.attributes) + self.meant
        table = np.bincount(code, weights=self.times, minlength=num_ids * len(self.attributes)).reshape(num_ids, -1)
        return bits_of(table.sum(1)), [_shared(_by_value(table, column)) for column in self.attributes.T]


def _by_value(table: Float[np.ndarray, "ids U"], value_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "ids values"]:
    """Counts of each id with each meaning, added up over the meanings with the same value of an attribute."""
    found = np.zeros((int(value_of.max()) + 1, len(table)))
    np.add.at(found, value_of, table.T)
    return found.T


def _shared(table: Float[np.ndarray, "ids values"]) -> float:
    return max(0.0, bits_of(table.sum(1)) + bits_of(table.sum(0)) - bits_of(table))


def places_of(said: Language, *, padded: bool = False) -> Iterator[Feature]:
    """The symbol at each place: of messages that reach it, or `padded`, of all, where the end counts as a symbol."""
    table = said.of_meanings
    for column in said.words.columns():
        here = column >= 0
        if padded or here.all():
            yield Feature(ids=column + 1 if padded else column, meant=said.meant, times=said.times, attributes=table)
        else:
            yield Feature(ids=column[here], meant=said.meant[here], times=said.times[here], attributes=table)


def best_less_second(told: list[float]) -> float:
    """The largest number less the second largest, which is 0 where there is no second."""
    ordered = sorted([*told, 0.0], reverse=True)
    return ordered[0] - ordered[1]


def mean_gap(features: Iterator[Feature]) -> float:
    """The mean over what varies of (largest - second largest information about an attribute) / entropy."""
    found = []
    for feature in features:
        bits, told = feature.told()
        if bits > NOTHING:
            found.append(best_less_second(told) / bits)
    return float(np.mean(found)) if found else Undefined("every message is the same in this respect: nothing varies")
