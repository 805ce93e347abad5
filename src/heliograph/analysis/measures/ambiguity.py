"""How many things the same message may mean."""

import math
from typing import Any

from heliograph.analysis.measures.counting import of_words_and_meanings
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure

__all__ = ["MEASURE", "ambiguity"]


def ambiguity(messages: Any, meanings: Any, *, given: Any = None, eos: Any = None, unique: bool = False) -> float:
    """H(meaning given message), in bits: 0 where every message has one meaning (polysemy, homonymy in some papers).

    The names of this and of `synonymy` are swapped in some papers. Plug-in: few utterances of each message understate
    it. Raises ValueError where there is no message, or not one meaning for each.
    """
    said = language_of(messages, meanings=meanings, given=given, eos=eos, unique=unique, whole=True)
    return mean_within(_ambiguity, said)


def _ambiguity(said: Language) -> float:
    of_words, _, both = of_words_and_meanings(said)
    return max(0.0, both - of_words)


MEASURE = Measure(
    name="ambiguity", function=ambiguity, unit="bits", range=(0.0, math.inf), better=Better.LOWER,
    chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, resampling=resampled_by(_ambiguity, whole=True),
)  # fmt: skip
