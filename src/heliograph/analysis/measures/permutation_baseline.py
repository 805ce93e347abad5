"""What mutual information comes to by chance."""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import aligned
from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.mutual_information import mutual_information_of_ids

__all__ = ["MEASURE", "PermutationBaseline", "permutation_baseline", "shuffled_within"]

ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class PermutationBaseline:
    """Observed mutual information, and what it is when meanings are shuffled among the messages."""

    observed_bits: float
    mean_bits: float
    quantile_95_bits: float
    p_value: float


def permutation_baseline(
    messages: Any, meanings: Any, *, given: Any = None, num_permutations: int = 200, seed: int = 0
) -> PermutationBaseline:
    """Mutual information under shuffled meanings: mean, 95 % quantile, and p = (1 + #{as high}) / (1 + B).

    With `given`, meanings are shuffled within its values. The smallest p that B permutations can show is 1 / (1 + B).
    """
    said, meant, group = aligned(messages, meanings, given)
    observed = mutual_information_of_ids(said, meant, given=group)
    rng = np.random.default_rng(seed)
    shuffled = [shuffled_within(meant, group, rng) for _ in range(num_permutations)]
    bits = np.array([mutual_information_of_ids(said, other, given=group) for other in shuffled])
    return PermutationBaseline(
        observed_bits=observed,
        mean_bits=float(bits.mean()),
        quantile_95_bits=float(np.quantile(bits, 0.95)),
        p_value=float((1 + (bits >= observed - ROUNDING).sum()) / (1 + num_permutations)),
    )


def shuffled_within(
    meant: Int[np.ndarray, " n"], group: Int[np.ndarray, " n"] | None, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """Meanings in another order, each within its group."""
    if group is None or not group.any():
        return rng.permutation(meant)
    order, random_order = np.argsort(group, kind="stable"), np.argsort(group + rng.random(len(group)))
    found = np.empty_like(meant)
    found[order] = meant[random_order]
    return found


MEASURE = Measure(
    name="permutation_baseline", function=permutation_baseline, unit="bits", range=(0.0, math.inf),
    better=Better.HIGHER, applies_to=AppliesTo.WHOLE, listed=False,
)  # fmt: skip
