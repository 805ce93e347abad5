"""How much of what it could say a language says: entropy over its largest value."""

import math
from typing import Any

from heliograph.analysis.measures.base import check_convention
from heliograph.analysis.measures.counting import bits_of, counts_of
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "efficiency"]

CONVENTIONS = {
    "distinct": "over log2 of the messages that occur",
    "code": "over L log2 V, of all messages of L symbols of V",
}


def efficiency(
    messages: Any, *, convention: str = "distinct", vocabulary: int | None = None, length: int | None = None,
    given: Any = None, eos: Any = None,
) -> float:  # fmt: skip
    """The entropy of whole messages over its largest value, 0 to 1; papers call two of them "normalised".

    "distinct" (ELCC 2024) divides by log2 of the number of messages that occur: 1 where they are equally frequent.
    "code" (Mu & Goodman 2021) divides by L log2 V; `vocabulary` V and `length` L are what occurs where they are not
    given. Undefined where one message is all there is, or could be. Raises ValueError where there is no message.
    """
    check_convention(convention, CONVENTIONS)
    said = language_of(messages, given=given, eos=eos)
    how: dict[str, Any] = {"convention": convention, "vocabulary": vocabulary, "length": length}
    return mean_within(lambda part: _efficiency(part, **how), said)


def _efficiency(
    said: Language, *, convention: str = "distinct", vocabulary: int | None = None, length: int | None = None
) -> float:
    counts = counts_of(said.words.ids(), said.times)
    if convention == "distinct":
        largest = math.log2((counts > 0).sum())
    else:
        longest = said.words.codes.shape[1] if length is None else length
        largest = longest * math.log2(max(1, len(said.words.names) if vocabulary is None else vocabulary))
    if largest <= 0.0:
        return Undefined("there is one message only: 0 bits of 0")
    return bits_of(counts) / largest


MEASURE = Measure(
    name="efficiency", function=efficiency, range=(0.0, 1.0), source="Boldt & Mortensen 2024 (ELCC)",
    resampling=resampled_by(_efficiency),
)  # fmt: skip
