"""How many ways there are to say the same."""

import math
from typing import Any

from heliograph.analysis.measures.counting import of_words_and_meanings
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure

__all__ = ["MEASURE", "synonymy"]


def synonymy(messages: Any, meanings: Any, *, given: Any = None, eos: Any = None, unique: bool = False) -> float:
    """H(message given meaning), in bits: 0 where every meaning is said in one way.

    The names of this and of `ambiguity` are swapped in some papers. Plug-in: few utterances of each meaning understate
    it. Raises ValueError where there is no message, or not one meaning for each.
    """
    said = language_of(messages, meanings=meanings, given=given, eos=eos, unique=unique, whole=True)
    return mean_within(_synonymy, said)


def _synonymy(said: Language) -> float:
    _, of_meanings, both = of_words_and_meanings(said)
    return max(0.0, both - of_meanings)


MEASURE = Measure(
    name="synonymy", function=synonymy, unit="bits", range=(0.0, math.inf), better=Better.LOWER,
    chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, resampling=resampled_by(_synonymy, whole=True),
)  # fmt: skip
