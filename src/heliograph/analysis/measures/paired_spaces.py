"""Two tables of numbers that tell of the same things, row by row."""

from typing import Any

import numpy as np
from jaxtyping import Float


def paired(one: Any, other: Any, *, at_least: int) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, "n E"]]:
    """Both as float64; raises ValueError where rows are too few, not equally many, or not finite."""
    first, second = (matrix_of(table, what=name) for table, name in ((one, "one"), (other, "other")))
    if len(first) != len(second):
        raise ValueError(f"one has {len(first)} rows and other {len(second)}: they must tell of the same things")
    if len(first) < at_least:
        raise ValueError(f"{len(first)} rows: needs at least {at_least}")
    return first, second


def matrix_of(table: Any, *, what: str) -> Float[np.ndarray, "n D"]:
    """Rows of finite numbers as float64; a row that is a number has one column."""
    rows = table.detach().cpu() if hasattr(table, "detach") else table
    found = np.asarray(rows, dtype=np.float64)
    if not found.ndim or not len(found):
        raise ValueError(f"{what} has no rows")
    found = found.reshape(len(found), -1)
    if not np.isfinite(found).all():
        raise ValueError(f"{what} has numbers that are not finite")
    return found
