"""What the symbol at each place of a message tells about each attribute."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.counting import SMALL, bits_of, entropy_bits, shared_bits
from heliograph.analysis.measures.cross_tables import cross_tables
from heliograph.analysis.measures.language import Language
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["NOTHING", "Feature", "best_less_second", "mean_gap", "places_of", "told_of"]

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


def told_of(features: Iterable[Feature]) -> list[tuple[float, list[float]]]:
    """Return what each feature tells, as `Feature.told` does; several of the same utterances are counted at once.

    Pairs of features beside pairs of attributes make one table, whose sums are those of each with each.
    """
    features = list(features)
    if len(features) < 2 or not all(_counted_by_attribute(feature) for feature in features):
        return [feature.told() for feature in features]
    first = features[0]
    if any(feature.meant is not first.meant or feature.times is not first.times for feature in features):
        return [feature.told() for feature in features]
    columns = [feature.ids for feature in features]
    tables = cross_tables(columns, attributes=first.attributes, meant=first.meant, times=first.times)
    return [(bits_of(own[0].sum(1)), [_shared(table) for table in own]) for own in tables]


def _counted_by_attribute(feature: Feature) -> bool:
    """Tell whether meanings are so many that attributes are counted one by one."""
    kinds = (int(feature.ids.max()) + 1) * len(feature.attributes) if len(feature.ids) else 0
    return kinds > min(SMALL, len(feature.ids)) and bool(feature.attributes.shape[1])


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
    for bits, told in told_of(features):
        if bits > NOTHING:
            found.append(best_less_second(told) / bits)
    return float(np.mean(found)) if found else Undefined("every message is the same in this respect: nothing varies")
