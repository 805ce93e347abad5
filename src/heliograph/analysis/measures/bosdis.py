"""Bag-of-symbols disentanglement."""

from collections.abc import Iterator
from typing import Any

from heliograph.analysis.measures.base import check_convention
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.places import Feature, mean_gap

__all__ = ["MEASURE", "bosdis"]

CONVENTIONS = {
    "all": "every symbol counts (emlangkit)",
    "egg": "symbol 0, and symbols from `vocabulary` on, are left out",
}


def bosdis(
    messages: Any, attributes: Any, *, convention: str = "all", vocabulary: int | None = None, given: Any = None,
    eos: Any = None, unique: bool = False,
) -> float:  # fmt: skip
    """Tell whether each symbol stands for one attribute, wherever it is: bag-of-symbols disentanglement, 0 to 1.

    The mean over symbols v whose number n_v varies of (largest - second largest I(n_v; a_k) over attributes k) /
    H(n_v), where n_v is how often v occurs in a message (Chaabouni et al. 2020); with one attribute the second is 0.

    "all" counts every symbol, as emlangkit does; "egg" leaves out symbol 0 and, where `vocabulary` is given, symbols
    from that number on. Undefined where no number varies. Raises ValueError where there is no message, or not one
    meaning for each.
    """
    check_convention(convention, CONVENTIONS)
    said = language_of(messages, attributes=attributes, given=given, eos=eos, unique=unique)
    return mean_within(lambda part: _bosdis(part, convention=convention, vocabulary=vocabulary), said)


def _bosdis(said: Language, *, convention: str = "all", vocabulary: int | None = None) -> float:
    return mean_gap(_numbers_of_symbols(said, convention=convention, vocabulary=vocabulary))


def _numbers_of_symbols(said: Language, *, convention: str, vocabulary: int | None) -> Iterator[Feature]:
    table = said.of_meanings
    for column, name in zip(said.words.counts().T, said.words.names, strict=True):
        out_of = convention == "egg" and (name == 0 or (vocabulary is not None and name >= vocabulary))
        if not out_of:
            yield Feature(ids=column, meant=said.meant, times=said.times, attributes=table)


MEASURE = Measure(
    name="bosdis", function=bosdis, range=(0.0, 1.0), better=Better.HIGHER, chance=Chance.SHUFFLED_MEANINGS,
    source="Chaabouni et al. 2020", resampling=resampled_by(_bosdis),
)  # fmt: skip
