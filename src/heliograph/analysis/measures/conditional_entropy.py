"""How much a symbol leaves open about the next one."""

import math
from typing import Any

from heliograph.analysis.measures.base import check_convention
from heliograph.analysis.measures.counting import entropy_bits
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.ngram_entropy import ngrams_of
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "conditional_entropy"]

CONVENTIONS = {
    "elcc": "entropy of pairs minus that of all symbols",
    "exact": "entropy of pairs minus that of the first symbols of pairs",
}


def conditional_entropy(messages: Any, *, convention: str = "elcc", given: Any = None, eos: Any = None) -> float:
    """How much a symbol leaves open about its successor, in bits.

    "elcc" (ELCC 2024): H2 - H1, of all pairs and all symbols; since ends have no successor it may fall below 0.
    "exact": H(next given previous) over the pairs. Undefined where no message has two symbols. Raises ValueError where
    there is no message.
    """
    check_convention(convention, CONVENTIONS)
    said = language_of(messages, given=given, eos=eos)
    return mean_within(lambda part: _conditional_entropy(part, convention=convention), said)


def _conditional_entropy(said: Language, *, convention: str = "elcc") -> float:
    pairs, singles = ngrams_of(said, size=2), ngrams_of(said, size=1)
    if pairs is None or singles is None:
        return Undefined("no message has 2 symbols")
    if convention == "elcc":
        return entropy_bits(*pairs) - entropy_bits(*singles)
    codes = said.words.codes
    first = codes[:, :-1][codes[:, 1:] >= 0]
    return max(0.0, entropy_bits(*pairs) - entropy_bits(first, pairs[1]))


MEASURE = Measure(
    name="conditional_entropy", function=conditional_entropy, unit="bits", range=(-math.inf, math.inf),
    source="Boldt & Mortensen 2024 (ELCC)", resampling=resampled_by(_conditional_entropy),
)  # fmt: skip
