"""Mutual information beyond that of chance, as a share of what there could be."""

import functools
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

from heliograph.analysis.measures.counting import counts_of, of_words_and_meanings
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure
from heliograph.analysis.measures.normalised_mutual_information import MEANS, check_kind_of_mean
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "adjusted_mutual_information", "expected_information"]

SPREADS, SPARE = 40, 40
"""Terms of the expectation lie within so many standard deviations of the mean, and so many more."""
ROUNDING = 1e-9


def adjusted_mutual_information(
    messages: Any, meanings: Any, *, mean: str = "arithmetic", given: Any = None, eos: Any = None, unique: bool = False
) -> float:
    """(I - E I) / (mean of the entropies - E I): 0 for what chance gives, 1 for a perfect code (Vinh et al. 2010).

    E I is the exact mean of the plug-in information over all ways to shuffle meanings. `mean` is that of
    `normalised_mutual_information`. Undefined where all messages, or all meanings, are distinct (or one is all there
    is): chance then tells as much as any code, 0/0; scikit-learn returns rounding noise there. Raises ValueError for
    another mean, where there is no message, or not one meaning for each.
    """
    check_kind_of_mean(mean)
    said = language_of(messages, meanings=meanings, given=given, eos=eos, unique=unique, whole=True)
    return mean_within(lambda part: _adjusted(part, mean=mean), said)


def expected_information(one: np.ndarray, other: np.ndarray) -> float:
    """The mean plug-in information, in bits, of two columns with these counts of kinds, one of them shuffled."""
    kinds = [np.unique(counts[counts > 0].astype(np.int64), return_counts=True) for counts in (one, other)]
    return _expected(*(tuple(map(int, part)) for pair in kinds for part in pair))


@functools.lru_cache(maxsize=512)
def _expected(sizes: tuple, times: tuple, other_sizes: tuple, other_times: tuple) -> float:
    """Sum over pairs of kinds with such counts of the hypergeometric mean of their share."""
    if len(sizes) > len(other_sizes):
        sizes, times, other_sizes, other_times = other_sizes, other_times, sizes, times
    total = sum(size * number for size, number in zip(sizes, times, strict=True))
    others, numbers = np.array(other_sizes, dtype=np.float64)[:, None], np.array(other_times, dtype=np.float64)
    return sum(
        number * float(numbers @ _of_pairs(size, others, total)) for size, number in zip(sizes, times, strict=True)
    )


def _of_pairs(a: int, b: Float[np.ndarray, "kinds 1"], n: int) -> Float[np.ndarray, " kinds"]:
    """The mean of a pair's share of the information, for kinds that occur a and b times among n."""
    middle = a * b / n
    reach = SPREADS * np.sqrt(middle * (1 - a / n) * (1 - b / n)) + SPARE
    low = np.maximum(np.maximum(1, a + b - n), np.floor(middle - reach))
    high = np.minimum(np.minimum(a, b), np.floor(middle + reach))
    both = low + np.arange(int((high - low).max()) + 1)
    inside = both <= high
    both = np.where(inside, both, low)
    chance = np.exp(_log_choose(b, both) + _log_choose(n - b, a - both) - _log_choose(n, a))
    found: np.ndarray = np.where(inside, both / n * np.log2(n * both / (a * b)) * chance, 0.0).sum(1)
    return found


def _log_choose(n: Any, k: Any) -> Any:
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def _adjusted(said: Language, *, mean: str = "arithmetic") -> float:
    words, meant, both = of_words_and_meanings(said)
    counts = [counts_of(ids, said.times) for ids in (said.words.ids(), said.meant)]
    if any((found[found > 0] == 1).all() or (found > 0).sum() == 1 for found in counts):
        return Undefined("all messages or all meanings are distinct, or one is all there is: chance tells as much")
    chance = expected_information(*counts)
    room = MEANS[mean](words, meant) - chance
    if abs(room) < ROUNDING:
        return Undefined("chance tells as much as any code")
    return (max(0.0, words + meant - both) - chance) / room


MEASURE = Measure(
    name="adjusted_mutual_information", function=adjusted_mutual_information, range=(-1.0, 1.0),
    better=Better.HIGHER, chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, source="Vinh et al. 2010",
    resampling=resampled_by(_adjusted, whole=True),
)  # fmt: skip
