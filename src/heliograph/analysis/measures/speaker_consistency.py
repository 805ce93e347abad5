"""Whether a speaker's messages go with what it does itself."""

import math
from typing import Any

from heliograph.analysis.measures.base import check_convention
from heliograph.analysis.measures.counting import of_words_and_meanings
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Chance, Measure

__all__ = ["MEASURE", "speaker_consistency"]

CONVENTIONS = {"bits": "log base 2", "lowe": "nats"}


def speaker_consistency(
    messages: Any, actions: Any, *, convention: str = "bits", given: Any = None, eos: Any = None
) -> float:
    """I(message ; the sender's own action in the same step), plug-in, in bits ("lowe": in nats).

    High values need no listener: show it beside an effect on hearers (Jaques et al. 2019; Lowe et al. 2019). Raises
    ValueError where there is no message, or not one action for each.
    """
    check_convention(convention, CONVENTIONS)
    said = language_of(messages, meanings=actions, given=given, eos=eos, whole=True)
    return mean_within(lambda part: _shared(part, convention=convention), said)


def _shared(said: Language, *, convention: str = "bits") -> float:
    of_words, of_actions, both = of_words_and_meanings(said)
    return max(0.0, of_words + of_actions - both) * (math.log(2) if convention == "lowe" else 1.0)


MEASURE = Measure(
    name="speaker_consistency", function=speaker_consistency, unit="bits", range=(0.0, math.inf),
    chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, source="Jaques et al. 2019",
    resampling=resampled_by(_shared, whole=True, beside="actions"),
)  # fmt: skip
