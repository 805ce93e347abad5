"""Whether hearers' next actions go with messages."""

import math
from typing import Any

import numpy as np

from heliograph.analysis.measures.base import check_convention, ids_of
from heliograph.analysis.measures.counting import of_words_and_meanings
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Chance, Measure
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import whole_words

__all__ = ["MEASURE", "instantaneous_coordination"]

CONVENTIONS = {"bits": "log base 2", "lowe": "nats"}


def instantaneous_coordination(
    messages: Any, hearer_actions: Any, *, shift: int = 0, episodes: Any = None, convention: str = "bits",
    given: Any = None,
) -> float:  # fmt: skip
    """I(message ; what another agent then does), plug-in, in bits ("lowe": in nats).

    `hearer_actions` are what a hearer did on reading each message. Where both are series by step, `shift=1` pairs each
    message with the action a step later, and the last one of each of `episodes` has no pair (Jaques et al. 2019; Lowe
    et al. 2019). A common cause is enough for a high value. Undefined where no pair is left. Raises ValueError where
    there is no message, or not one action for each.
    """
    check_convention(convention, CONVENTIONS)
    if shift < 0:
        raise ValueError(f"shift={shift}: must be 0 or more steps")
    words, actions = whole_words(messages), ids_of(hearer_actions, what="hearer_actions")
    if len(words) != len(actions):
        raise ValueError(f"{len(words)} messages and {len(actions)} actions: there must be one action for each")
    if shift >= len(words):
        return Undefined(f"there are {len(words)} messages: none has an action {shift} steps later")
    heard = np.ones(len(words) - shift, dtype=bool)
    if episodes is not None:
        which = ids_of(episodes, what="episodes")
        if len(which) != len(words):
            raise ValueError(f"{len(words)} messages and episodes= of {len(which)}: there must be one for each")
        heard = which[: len(heard)] == which[shift:]
    if not heard.any():
        return Undefined(f"no episode has a message with an action {shift} steps later")
    rows = np.flatnonzero(heard)
    within = None if given is None else ids_of(given, what="given")[rows]
    said = language_of(words[rows], meanings=actions[rows + shift], given=within, whole=True)
    return mean_within(lambda part: _shared(part, convention=convention), said)


def _shared(said: Language, *, convention: str = "bits") -> float:
    of_words, of_actions, both = of_words_and_meanings(said)
    return max(0.0, of_words + of_actions - both) * (math.log(2) if convention == "lowe" else 1.0)


MEASURE = Measure(
    name="instantaneous_coordination", function=instantaneous_coordination, unit="bits", range=(0.0, math.inf),
    chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, source="Jaques et al. 2019",
    resampling=resampled_by(_shared, whole=True, beside="hearer_actions"),
)  # fmt: skip
