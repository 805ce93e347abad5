"""What measures share: rows become integer ids, and ids become counts. Entropies are plug-in estimates, in bits."""

from typing import Any

import numpy as np
from jaxtyping import Int, Num


def ids_of(rows: Any) -> Int[np.ndarray, " n"]:
    """One integer per row, equal for equal rows: of a sequence of numbers, a matrix, or rows of unequal length.

    Raises ValueError where there is no row: nothing was said, so there is nothing to measure.
    """
    if len(rows) == 0:
        raise ValueError("no rows: measures need at least one utterance")
    ragged = isinstance(rows, (list, tuple)) and any(hasattr(row, "__len__") for row in rows)
    array = _padded(rows) if ragged else np.asarray(rows)
    if array.ndim == 1:
        return np.unique(array, return_inverse=True)[1].reshape(-1)
    return np.unique(array.reshape(len(array), -1), axis=0, return_inverse=True)[1].reshape(-1)


def joined(*ids: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """One id for each distinct combination of ids."""
    code = np.zeros(len(ids[0]), dtype=np.int64)
    for part in ids:
        code = np.unique(code * (int(part.max()) + 1) + part, return_inverse=True)[1].reshape(-1)
    return code


def entropy_of_ids(ids: Int[np.ndarray, " n"]) -> float:
    """Plug-in entropy in bits."""
    share = np.bincount(ids) / len(ids)
    share = share[share > 0]
    return max(0.0, float(-(share * np.log2(share)).sum()))


def distances(first: Num[np.ndarray, "n D"], second: Num[np.ndarray, "m D"]) -> Num[np.ndarray, "n m"]:
    """Between whole numbers (symbols) the number of places that differ, between vectors the squared distance."""
    if np.issubdtype(first.dtype, np.integer):
        return (first[:, None, :] != second[None, :, :]).sum(-1)
    squared = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :] - 2 * first @ second.T
    return squared.clip(min=0).round(10)


def check_aligned(messages: Any, meanings: Any) -> None:
    """Refuse sequences of unequal length."""
    if len(messages) != len(meanings):
        raise ValueError(f"{len(messages)} messages and {len(meanings)} meanings: there must be one meaning for each")


def _padded(rows: Any) -> np.ndarray:
    lengths = [len(row) for row in rows]
    padded = np.zeros((len(rows), max(lengths) + 1))
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
        padded[index, -1] = len(row)
    return padded
