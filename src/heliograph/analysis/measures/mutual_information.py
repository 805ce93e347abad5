"""Mutual information between messages and meanings."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import aligned, entropies_within, entropy_of_ids

__all__ = ["mutual_information", "mutual_information_of_ids", "normalised_mutual_information"]

MEANS: dict[str, Callable[[float, float], float]] = {
    "min": min,
    "geometric": lambda a, b: (a * b) ** 0.5,
    "arithmetic": lambda a, b: (a + b) / 2,
    "max": max,
}


def mutual_information(messages: Any, meanings: Any, *, given: Any = None) -> float:
    """How much a message tells about its sender's meaning, in bits: H(message) + H(meaning) - H(both), plug-in.

    Few utterances of many kinds overstate it: compare with `permutation_baseline`. `given` (the role of each sender,
    say) makes it conditional: the mean within its values, so that roles may use different codes.
    """
    said, meant, group = aligned(messages, meanings, given)
    return mutual_information_of_ids(said, meant, given=group)


def normalised_mutual_information(
    messages: Any, meanings: Any, *, given: Any = None, mean: str = "arithmetic"
) -> float:
    """Mutual information over a mean of the two entropies: "min", "geometric", "arithmetic" or "max".

    1 where both are constant and 0 where only one is (as scikit-learn has it). With `given` all three are means within
    its values.
    """
    if mean not in MEANS:
        raise ValueError(f"mean={mean!r}: must be one of {', '.join(map(repr, MEANS))}")
    said, meant, group = aligned(messages, meanings, given)
    entropies = (_within(said, group), _within(meant, group))
    if min(entropies) == 0.0:
        return float(max(entropies) == 0.0)
    return mutual_information_of_ids(said, meant, given=group) / MEANS[mean](*entropies)


def _within(ids: Int[np.ndarray, " n"], group: Int[np.ndarray, " n"] | None) -> float:
    """Entropy of ids, the mean within groups."""
    if group is None:
        return entropy_of_ids(ids)
    return float(np.average(entropies_within(group, ids), weights=np.bincount(group)))


def mutual_information_of_ids(
    said: Int[np.ndarray, " n"], meant: Int[np.ndarray, " n"], *, given: Int[np.ndarray, " n"] | None = None
) -> float:
    """The same of ids that are counted already."""
    group = np.zeros_like(said) if given is None else given
    both = said * (int(meant.max()) + 1) + meant
    bits = entropies_within(group, said) + entropies_within(group, meant) - entropies_within(group, both)
    return max(0.0, float(np.average(bits, weights=np.bincount(group))))
