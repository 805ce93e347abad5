"""How alike two spaces are up to rotation and scale: linear CKA."""

from typing import Any

import numpy as np

from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.paired_spaces import paired
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "linear_cka"]

ROUNDING = 1e-12


def linear_cka(one: Any, other: Any) -> float:
    """||A'B||^2 / (||A'A|| ||B'B||) of two tables with centred columns, 0 to 1 (Kornblith et al. 2019).

    `one` [n, D] and `other` [n, E] hold the same n things in the same order. The same after rotation, and after one
    scale for a whole table; not after a scale for each column. Too high for few rows: with fewer rows than columns even
    random tables are alike, so compare with shuffled rows. Undefined where all rows of a table are equal. Raises
    ValueError for tables of unequal length, or fewer than two rows.
    """
    tables = paired(one, other, at_least=2)
    first, second = ((table - table.mean(0)) for table in tables)
    scales = [np.linalg.norm(table) for table in (first, second)]
    if any(scale <= ROUNDING * np.abs(table).max(initial=0.0) for scale, table in zip(scales, tables, strict=True)):
        return Undefined("all rows of one of the tables are equal")
    first, second = first / scales[0], second / scales[1]
    own = np.linalg.norm(first.T @ first) * np.linalg.norm(second.T @ second)
    return float(np.linalg.norm(first.T @ second) ** 2 / own)


def _example() -> dict[str, Any]:
    return {"one": [[1, 0], [0, 1], [1, 1]], "other": [[2, 0], [0, 1], [1, 0]]}


MEASURE = Measure(
    name="linear_cka", function=linear_cka, range=(0.0, 1.0), better=Better.HIGHER, applies_to=AppliesTo.VECTORS,
    source="Kornblith et al. 2019", example=_example, listed=False,
)  # fmt: skip
