"""How often each value of some columns occurs with each value of others: many small tables, counted together."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.language import Language

__all__ = ["concept_tables", "cross_tables"]

BUNDLE = 100
"""Combinations of values of several columns that are counted at the same time."""
Bundle = tuple[list[int], list[int], Int[np.ndarray, " m"]]


def cross_tables(
    columns: Sequence[Int[np.ndarray, " n"]],
    *,
    attributes: Int[np.ndarray, "U K"],
    meant: Int[np.ndarray, " n"],
    times: Float[np.ndarray, " n"],
) -> list[list[Float[np.ndarray, "values others"]]]:
    """For each column, and each attribute of what was meant, how often each value occurs with each of the other.

    Values are whole numbers from 0. Several columns beside several attributes make one table, whose sums are those of
    each with each.
    """
    whole = list(np.ascontiguousarray(attributes.T))
    said = _bundles(columns, [int(column.max()) + 1 for column in columns])
    others = [(some, sizes, code[meant]) for some, sizes, code in _bundles(whole, [int(x.max()) + 1 for x in whole])]
    weights = None if (times == 1).all() else times
    found: list[list[Float[np.ndarray, "values others"]]] = [[] for _ in columns]
    for (some, own, one), (_, more, other) in itertools.product(said, others):
        code = one * math.prod(more)
        code += other
        sizes = own + more
        table = np.bincount(code, weights=weights, minlength=math.prod(sizes)).reshape(sizes)
        for (at, column), place in itertools.product(enumerate(some), range(len(own), len(sizes))):
            part = table.sum(tuple(axis for axis in range(len(sizes)) if axis not in (at, place)))
            found[column].append(part.astype(np.float64, copy=False))
    return found


def concept_tables(columns: Sequence[Int[np.ndarray, " n"]], said: Language) -> list[Float[np.ndarray, "values C"]]:
    """For each column, how often each of its values occurs with each concept, a value of an attribute."""
    if not said.of_meanings.shape[1]:
        return [np.zeros((int(column.max()) + 1, 0)) for column in columns]
    tables = cross_tables(columns, attributes=said.of_meanings, meant=said.meant, times=said.times)
    return [np.concatenate(some, 1) for some in tables]


def _bundles(columns: Sequence[Int[np.ndarray, " m"]], sizes: list[int]) -> list[Bundle]:
    """Columns put together while the combinations of their values are few: which, sizes, a number for each row."""
    found: list[Bundle] = []
    cells = BUNDLE + 1
    for place, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        if cells * size > BUNDLE:
            found.append(([place], [size], column))
            cells = size
        else:
            some, own, code = found[-1]
            found[-1] = ([*some, place], [*own, size], code * size + column)
            cells *= size
    return found
