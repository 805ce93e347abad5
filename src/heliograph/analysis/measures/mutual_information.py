"""Mutual information between messages and meanings."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import entropies_within
from heliograph.analysis.measures.counting import of_words_and_meanings
from heliograph.analysis.measures.language import Language, language_of, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure
from heliograph.moved import moved_name

__all__ = ["MEASURE", "mutual_information", "mutual_information_of_ids"]


def mutual_information(
    messages: Any, meanings: Any, *, given: Any = None, eos: Any = None, unique: bool = False
) -> float:
    """How much a message tells about its sender's meaning, in bits: H(message) + H(meaning) - H(both), plug-in.

    Few utterances of many kinds overstate it, by about (kinds of messages - 1)(kinds of meanings - 1) / (2 N ln 2):
    compare with `permutation_baseline`. `given` (the role of each sender, say) makes it conditional: the mean within
    its values, so that roles may use different codes. Raises ValueError where there is no message, or not one meaning
    for each.
    """
    said = language_of(messages, meanings=meanings, given=given, eos=eos, unique=unique, whole=True)
    return mutual_information_of_ids(said.words.ids(), said.meant, given=said.group)


def mutual_information_of_ids(
    said: Int[np.ndarray, " n"], meant: Int[np.ndarray, " n"], *, given: Int[np.ndarray, " n"] | None = None
) -> float:
    """The same of ids that are counted already."""
    group = np.zeros_like(said) if given is None else given
    both = said * (int(meant.max()) + 1) + meant
    bits = entropies_within(group, said) + entropies_within(group, meant) - entropies_within(group, both)
    return max(0.0, float(np.average(bits, weights=np.bincount(group))))


def _bits(said: Language) -> float:
    of_words, of_meanings, both = of_words_and_meanings(said)
    return max(0.0, of_words + of_meanings - both)


MEASURE = Measure(
    name="mutual_information", function=mutual_information, unit="bits", range=(0.0, math.inf), better=Better.HIGHER,
    chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, source="Lowe et al. 2019",
    resampling=resampled_by(_bits, whole=True),
)  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return moved_name(__name__, name)
