"""Positional disentanglement."""

from typing import Any

from heliograph.analysis.measures.base import check_convention
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.places import mean_gap, places_of

__all__ = ["MEASURE", "posdis"]

CONVENTIONS = {
    "reached": "a place counts for the messages that reach it",
    "egg": "messages are padded, and the end counts as a symbol",
}


def posdis(
    messages: Any, attributes: Any, *, convention: str = "reached", given: Any = None, eos: Any = None,
    unique: bool = False,
) -> float:  # fmt: skip
    """Tell whether each place stands for one attribute, 0 to 1: positional disentanglement (Chaabouni et al. 2020).

    The mean over places j with H(s_j) > 0 of (largest - second largest I(s_j; a_k) over attributes k) / H(s_j); with
    one attribute the second is 0. A place that hardly varies weighs as much as any: a team that says nothing but
    whether one attribute has one value scores 1, so show `position_attribute_map` beside it.

    "reached" leaves out messages that end before a place; "egg" (and emlangkit) pads them, so that places also tell of
    length. Undefined where no place varies. Raises ValueError where there is no message, or not one meaning for each.
    """
    check_convention(convention, CONVENTIONS)
    said = language_of(messages, attributes=attributes, given=given, eos=eos, unique=unique)
    return mean_within(lambda part: _posdis(part, convention=convention), said)


def _posdis(said: Language, *, convention: str = "reached") -> float:
    return mean_gap(places_of(said, padded=convention == "egg"))


MEASURE = Measure(
    name="posdis", function=posdis, range=(0.0, 1.0), better=Better.HIGHER, chance=Chance.SHUFFLED_MEANINGS,
    source="Chaabouni et al. 2020", resampling=resampled_by(_posdis),
)  # fmt: skip
