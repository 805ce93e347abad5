"""How long messages are, by use and by kind."""

import dataclasses
import math
from typing import Any

import numpy as np

from heliograph.analysis.measures.language import Language, resampled_by
from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.words import words_of

__all__ = ["MEASURE", "MessageLength", "message_length"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MessageLength:
    """Mean length in symbols: over utterances (`by_token`), and over distinct messages (`by_type`)."""

    by_token: float
    by_type: float


def message_length(messages: Any, *, eos: Any = None, counts_eos: bool = False) -> MessageLength:
    """The mean number of symbols of a message (Chaabouni et al. 2019).

    With `eos` a message ends before the first of it, and `counts_eos` adds 1 to each for that symbol, as EGG does.
    Types are distinct messages; for types that are meanings use `law_of_abbreviation`, or pass one message a meaning.
    Raises ValueError where there is no message.
    """
    words, extra = words_of(messages, eos=eos), float(counts_eos)
    kinds = np.unique(words.ids(), return_index=True)[1]
    return MessageLength(
        by_token=float(words.lengths.mean()) + extra, by_type=float(words.lengths[kinds].mean()) + extra
    )


def _by_token(said: Language) -> float:
    return float(np.average(said.words.lengths, weights=said.times))


MEASURE = Measure(
    name="message_length", function=message_length, unit="symbols", range=(0.0, math.inf),
    source="Chaabouni et al. 2019", resampling=resampled_by(_by_token),
)  # fmt: skip
