"""Topographic similarity of segments."""

from typing import Any

from heliograph.analysis.measures.base import check_convention
from heliograph.analysis.measures.harris_segmentation import harris_segmentation
from heliograph.analysis.measures.measure import Better, Chance, Measure, Resampling
from heliograph.analysis.measures.topographic_similarity import similarities, topographic_similarity

__all__ = ["MEASURE", "w_topsim"]

CONVENTIONS = {
    "raw": "edit distance of segments",
    "harris": "the same, with 0 for what is undefined",
    "emlangkit": "segments side by side, padded, and compared place by place",
}


def w_topsim(
    messages: Any, attributes: Any, *, threshold: float = 0.5, convention: str = "raw", given: Any = None,
    eos: Any = None, unique: bool = False,
) -> float:  # fmt: skip
    """Topographic similarity with the segments of `harris_segmentation` as symbols, -1 to 1 (Ueda et al. 2023).

    To be compared with `c_topsim`, of symbols. Conventions: "raw" edit distance, "harris" (0 for NaN), "emlangkit"
    (Hamming distance of padded segments). Undefined as `topographic_similarity` is. Raises ValueError where there is no
    message, or not one meaning for each.
    """
    check_convention(convention, CONVENTIONS)
    segments = _segments(messages, threshold, eos)
    how = "hamming" if convention == "emlangkit" else "raw"
    found = topographic_similarity(segments, attributes, convention=how, given=given, unique=unique)
    return 0.0 if convention == "harris" and found != found else found


def _segments(messages: Any, threshold: float, eos: Any) -> list[tuple[str, ...]]:
    found = harris_segmentation(messages, threshold=threshold, eos=eos).segments
    return [tuple(map(repr, row)) for row in found]


def _resampling(messages: Any, attributes: Any, *, given: Any = None, threshold: float = 0.5) -> Resampling:
    """Segments are those of all messages, whatever is shuffled or drawn."""
    return similarities(_segments(messages, threshold, None), attributes, given=given, convention="raw")


MEASURE = Measure(
    name="w_topsim", function=w_topsim, range=(-1.0, 1.0), better=Better.HIGHER, chance=Chance.SHUFFLED_MEANINGS,
    source="Ueda et al. 2023", resampling=_resampling, pairs=True,
)  # fmt: skip
