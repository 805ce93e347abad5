"""How unlike two namings of the same meanings are: gNID."""

from typing import Any

import numpy as np

from heliograph.analysis.measures.information_plane import naming_of
from heliograph.analysis.measures.measure import AppliesTo, Measure
from heliograph.analysis.measures.probability_tables import information
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "gnid"]

ROUNDING = 1e-15


def gnid(prior: Any, naming: Any, other: Any) -> float:
    """1 - I(W;V) / max(I(W;W'), I(V;V')), W' another draw for the same meaning (Zaslavsky et al. 2018).

    `prior` [M] is how often each meaning is meant; `naming` [M, W] and `other` [M, V] how likely each word of two
    languages names it. 0 for the same naming, by whatever words, 1 for namings that tell nothing of each other; not 0
    for a soft naming against its own argmax. Undefined where both say the same of all meanings. Raises ValueError where
    a table holds no probabilities.
    """
    share, one, _ = naming_of(prior, naming)
    _, two, _ = naming_of(prior, other)

    def common(first: np.ndarray, second: np.ndarray) -> float:
        return information((share[:, None] * first).T @ second)

    most = max(common(one, one), common(two, two))
    if most <= ROUNDING:
        return Undefined("neither naming tells anything of meanings")
    return float(np.clip(1.0 - common(one, two) / most, 0.0, 1.0))


def _example() -> dict[str, Any]:
    return {"prior": [0.5, 0.5], "naming": [[0.9, 0.1], [0.2, 0.8]], "other": [[1.0, 0.0], [0.0, 1.0]]}


MEASURE = Measure(
    name="gnid", function=gnid, range=(0.0, 1.0), applies_to=AppliesTo.BOTH, source="Zaslavsky et al. 2018",
    example=_example, listed=False,
)  # fmt: skip
