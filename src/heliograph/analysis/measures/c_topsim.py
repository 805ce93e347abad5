"""Topographic similarity of symbols, as it stands beside that of segments."""

from typing import Any

from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.topographic_similarity import similarities, topographic_similarity

__all__ = ["MEASURE", "c_topsim"]


def c_topsim(messages: Any, attributes: Any, *, given: Any = None, eos: Any = None, unique: bool = False) -> float:
    """`topographic_similarity` by raw edit distance of symbols, under the name that stands beside `w_topsim`."""
    return topographic_similarity(messages, attributes, convention="raw", given=given, eos=eos, unique=unique)


MEASURE = Measure(
    name="c_topsim", function=c_topsim, range=(-1.0, 1.0), better=Better.HIGHER, chance=Chance.SHUFFLED_MEANINGS,
    source="Ueda et al. 2023", resampling=similarities, pairs=True, listed=False,
)  # fmt: skip
