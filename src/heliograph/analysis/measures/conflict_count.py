"""How often a symbol does not mean what it mostly means at its place."""

import math
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from heliograph.analysis.measures.cross_tables import cross_tables
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "conflict_count"]


def conflict_count(
    messages: Any, attributes: Any, *, given: Any = None, eos: Any = None, unique: bool = False
) -> float:
    """Return how many symbols are off the value that they mostly stand for at their place, 0 for an unambiguous code.

    The minimum, over all ways to give each place an attribute of its own, of the sum over places and symbols of
    utterances whose value is not the modal one of that symbol there (Kucinski et al. 2021; Korbak et al. 2020). With
    fewer places than attributes some stand for none. Undefined for more places than attributes. Raises ValueError where
    there is no message, or not one meaning for each.
    """
    said = language_of(messages, attributes=attributes, given=given, eos=eos, unique=unique)
    return mean_within(_conflicts, said)


def _conflicts(said: Language) -> float:
    places, attributes = said.words.codes.shape[1], said.of_meanings.shape[1]
    if places > attributes:
        return Undefined(f"messages have {places} places for {attributes} attributes: no place has one of its own")
    if not places:
        return 0.0
    how: dict[str, Any] = {"attributes": said.of_meanings, "meant": said.meant, "times": said.times}
    tables = cross_tables(list(said.words.columns() + 1), **how)
    off = [[float((table[1:].sum(1) - table[1:].max(1)).sum()) for table in own] for own in tables]
    return float(np.array(off)[linear_sum_assignment(off)].sum())


MEASURE = Measure(
    name="conflict_count", function=conflict_count, unit="utterances", range=(0.0, math.inf), better=Better.LOWER,
    chance=Chance.SHUFFLED_MEANINGS, source="Kucinski et al. 2021", resampling=resampled_by(_conflicts),
)  # fmt: skip
