"""Mutual information as a share of what there is to tell."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.counting import bits_together, entropy_bits
from heliograph.analysis.measures.language import Language, Resampled, language_of
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure

__all__ = ["MEANS", "MEASURE", "check_kind_of_mean", "normalised_mutual_information"]

MEANS: dict[str, Callable[[float, float], float]] = {
    "min": min,
    "geometric": lambda a, b: (a * b) ** 0.5,
    "arithmetic": lambda a, b: (a + b) / 2,
    "max": max,
}


def normalised_mutual_information(
    messages: Any, meanings: Any, *, mean: str = "arithmetic", given: Any = None, eos: Any = None, unique: bool = False
) -> float:
    """Mutual information over a mean of the two entropies: "min", "geometric", "arithmetic" or "max" (Strehl 2002).

    Libraries differ in the default; ours is scikit-learn's. 1 where both are constant and 0 where only one is (as
    scikit-learn has it). With `given` all three are means within its values. Raises ValueError for another mean, where
    there is no message, or not one meaning for each.
    """
    check_kind_of_mean(mean)
    said = language_of(messages, meanings=meanings, given=given, eos=eos, unique=unique, whole=True)
    return _Normalised(said, mean=mean).drawn(np.ones(len(said), dtype=np.int64))


def check_kind_of_mean(mean: str) -> None:
    """Refuse a mean that there is not."""
    if mean not in MEANS:
        raise ValueError(f"mean={mean!r}: must be one of {', '.join(map(repr, MEANS))}")


def _share(words: float, meant: float, both: float, *, mean: str) -> float:
    if min(words, meant) == 0.0:
        return float(max(words, meant) == 0.0)
    return max(0.0, words + meant - both) / MEANS[mean](words, meant)


def _of_words(said: Language) -> float:
    return entropy_bits(said.words.ids(), said.times)


def _of_meanings(said: Language) -> float:
    return entropy_bits(said.meant, said.times)


def _of_both(said: Language) -> float:
    return bits_together(said)


class _Normalised:
    """The share of the means within groups of all three entropies."""

    def __init__(self, said: Language, *, mean: str = "arithmetic"):
        kinds = (_of_words, _of_meanings, _of_both)
        self.parts = [Resampled(kind, said) for kind in kinds]
        self.mean = mean
        once = np.ones(len(said), dtype=np.int64)
        self.apart = [part.drawn(once) for part in self.parts[:2]]

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        """The value with meanings in another order, which changes the entropy of both together alone."""
        words, meant = self.apart
        return _share(words, meant, self.parts[2].shuffled(order), mean=self.mean)

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        """The value of utterances that occur so many times each."""
        words, meant, both = (part.drawn(times) for part in self.parts)
        return _share(words, meant, both, mean=self.mean)


def _resampling(messages: Any, meanings: Any, *, mean: str = "arithmetic", **how: Any) -> _Normalised:
    return _Normalised(language_of(messages, meanings=meanings, whole=True, **how), mean=mean)


MEASURE = Measure(
    name="normalised_mutual_information", function=normalised_mutual_information, range=(0.0, 1.0),
    better=Better.HIGHER, chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, source="Strehl & Ghosh 2002",
    resampling=_resampling,
)  # fmt: skip
