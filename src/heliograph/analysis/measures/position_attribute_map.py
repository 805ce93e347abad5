"""The table behind positional disentanglement: what each place tells about each attribute."""

import dataclasses
import math
from typing import Any

import numpy as np

from heliograph.analysis.measures.language import Language, language_of, resampled_by
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.places import places_of, told_of
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "PositionAttributeMap", "position_attribute_map"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PositionAttributeMap:
    """Bits that each place shares with each attribute, [L, K]; the entropy of each place; the mean of the largest."""

    mean_largest: float
    information: tuple[tuple[float, ...], ...]
    entropies: tuple[float, ...]


def position_attribute_map(
    messages: Any, attributes: Any, *, eos: Any = None, unique: bool = False
) -> PositionAttributeMap:
    """I(s_j; a_k) in bits for each place j and attribute k, with H(s_j): the table behind `posdis`.

    `mean_largest` is the mean over places of the largest I(s_j; a_k), and has the chance level. Messages that end
    before a place do not count there. Undefined where no message has a symbol. Raises ValueError where there is no
    message, or not one meaning for each.
    """
    said = language_of(messages, attributes=attributes, eos=eos, unique=unique)
    told = told_of(feature for feature in places_of(said) if len(feature.ids))
    return PositionAttributeMap(
        mean_largest=_mean_largest(said),
        information=tuple(tuple(bits) for _, bits in told),
        entropies=tuple(bits for bits, _ in told),
    )


def _mean_largest(said: Language) -> float:
    told = told_of(feature for feature in places_of(said) if feature.times.any())
    largest = [max(bits, default=0.0) for _, bits in told]
    return float(np.mean(largest)) if largest else Undefined("no message has a symbol")


MEASURE = Measure(
    name="position_attribute_map", function=position_attribute_map, unit="bits", range=(0.0, math.inf),
    better=Better.HIGHER, chance=Chance.SHUFFLED_MEANINGS, source="Chaabouni et al. 2020",
    resampling=resampled_by(_mean_largest),
)  # fmt: skip
