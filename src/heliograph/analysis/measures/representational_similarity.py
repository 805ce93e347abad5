"""Whether two spaces hold the same things near each other: RSA."""

import enum
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.paired_spaces import paired
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "Correlation", "representational_similarity"]


class Correlation(enum.StrEnum):
    """Correlation of two columns of distances.

    Of their ranks (ties share the mean rank), or of the distances themselves.
    """

    SPEARMAN = "spearman"
    PEARSON = "pearson"


def representational_similarity(
    one: Any, other: Any, *, correlation: Correlation | str = "spearman", is_centred: bool = False
) -> float:
    """The correlation of pairwise cosine distances in two spaces, -1 to 1 (Bouchacourt & Baroni 2018).

    `one` [n, D] and `other` [n, E] hold the same n things in the same order: inputs, hidden features, messages as
    vectors. With `is_centred` the mean of each column is taken off first, which changes cosines. Say which correlation
    it is. Undefined where a vector is zero (it has no direction), or all distances in a space are equal. Time and
    memory grow with n^2. Raises ValueError for tables of unequal length, or fewer than three rows.
    """
    kind, tables = Correlation(correlation), paired(one, other, at_least=3)
    if is_centred:
        tables = tuple(table - table.mean(0) for table in tables)
    apart = []
    for name, table in zip(("one", "other"), tables, strict=True):
        found = _cosine_distances(table)
        if found is None:
            return Undefined(f"{name} has a vector of zeros, which has no direction")
        apart.append(found)
    if any(np.ptp(distances) <= ROUNDING for distances in apart):
        return Undefined("all distances in one of the spaces are equal")
    columns = [rankdata(np.round(d, PLACES)) for d in apart] if kind is Correlation.SPEARMAN else apart
    return float(np.corrcoef(*columns)[0, 1].clip(-1.0, 1.0))


ROUNDING = 1e-12
PLACES = 12
"""Decimal places in which distances must differ to have different ranks."""


def _cosine_distances(table: Float[np.ndarray, "n D"]) -> Float[np.ndarray, " pairs"] | None:
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    if (norms == 0).any():
        return None
    unit = table / norms
    rows, columns = np.triu_indices(len(table), 1)
    found: np.ndarray = 1.0 - (unit @ unit.T)[rows, columns]
    return found


def _example() -> dict[str, Any]:
    return {"one": [[1, 0], [0, 1], [1, 1]], "other": [[2, 0], [0, 1], [1, 0]]}


MEASURE = Measure(
    name="representational_similarity", function=representational_similarity, range=(-1.0, 1.0), pairs=True,
    better=Better.HIGHER, applies_to=AppliesTo.VECTORS, source="Bouchacourt & Baroni 2018", example=_example,
    listed=False,
)  # fmt: skip
