"""Whether combinations of attributes that were never trained are understood."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from heliograph.analysis.measures.base import ids_of, key_of, plain_rows
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.pair_counts import atoms_of
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "UnseenCombinations", "unseen_combinations"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnseenCombinations:
    """Shares of utterances that were understood: with all attributes, the mean over attributes, each attribute."""

    all_attributes: float
    per_attribute: float
    attributes: tuple[float, ...]
    num_utterances: int


def unseen_combinations(predicted: Any, attributes: Any, *, trained: Any = None) -> UnseenCombinations:
    """Accuracy on meanings whose combination of attributes was not trained, but each of whose values was.

    `predicted` are the attributes that a listener names, `attributes` the true ones. With `trained`, the meanings of
    training, other meanings are left out; without, all count. EGG's "generalization hold out" holds out a *value* and
    leaves that attribute out of the score; its "uniform holdout" is this. Undefined where no meaning is left. Raises
    ValueError where there is none, and for rows of unequal length.
    """
    if trained is None and (both := _numbers(predicted, attributes)) is not None:
        return _result(both[0] == both[1])
    guessed, true = _rows(predicted, "predicted"), _rows(attributes, "attributes")
    if len(guessed) != len(true):
        raise ValueError(f"{len(guessed)} predicted and {len(true)} attributes: there must be one row for each")
    for place, (one, other) in enumerate(zip(guessed, true, strict=True)):
        if not len(one) == len(other) == len(true[0]):
            raise ValueError(f"row {place}: predicted has {len(one)} attributes, attributes {len(other)}")
    kept = list(range(len(true))) if trained is None else _unseen(true, _rows(trained, "trained"))
    if not kept:
        none = Undefined("no meaning combines trained values in a way that was not trained")
        return UnseenCombinations(all_attributes=none, per_attribute=none, attributes=(), num_utterances=0)
    return _result(np.array([[a == b for a, b in zip(guessed[row], true[row], strict=True)] for row in kept]))


def _result(right: Bool[np.ndarray, "n K"]) -> UnseenCombinations:
    return UnseenCombinations(
        all_attributes=float(right.all(1).mean()), per_attribute=float(right.mean()),
        attributes=tuple(right.mean(0).tolist()), num_utterances=len(right),
    )  # fmt: skip


def _numbers(predicted: Any, attributes: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Both as tables of whole numbers of one shape; None where they are anything else."""
    found = [plain_rows(table, what=what) for table, what in ((predicted, "predicted"), (attributes, "attributes"))]
    arrays = [table.reshape(len(table), -1) for table in found if isinstance(table, np.ndarray)]
    if len(arrays) < 2 or arrays[0].shape != arrays[1].shape or any(table.dtype.kind not in "iu" for table in arrays):
        return None
    return arrays[0], arrays[1]


def _objects(rows: list[tuple[Any, ...]]) -> np.ndarray:
    found = np.empty((len(rows), len(rows[0])), dtype=object)
    for place, row in enumerate(rows):
        for column, part in enumerate(row):
            found[place, column] = part
    return found


class _Compared:
    """Utterances beside one another: of each what a listener named, and what was true, as numbers."""

    def __init__(self, predicted: Any, attributes: Any, *, given: Any = None):
        both = _numbers(predicted, attributes)
        if both is None:
            both = _objects(_rows(predicted, "predicted")), _objects(_rows(attributes, "attributes"))
            self.guessed, self.true = both
            return
        ids = ids_of(np.concatenate(both))  # rows are right where they are alike
        self.guessed, self.true = ids[: len(ids) // 2, None], ids[len(ids) // 2 :, None]

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        """The value with what was true in another order."""
        return float((self.guessed == self.true[order]).astype(bool).all(1).mean())

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        """The value of utterances that occur so many times each."""
        return float(np.average((self.guessed == self.true).astype(bool).all(1), weights=times))


def _rows(table: Any, what: str) -> list[tuple[Any, ...]]:
    return [tuple(key_of(part) for part in row) for row in atoms_of(table, what=what)]


def _unseen(true: list[tuple[Any, ...]], trained: list[tuple[Any, ...]]) -> list[int]:
    combinations, values = set(trained), [set(column) for column in zip(*trained, strict=True)]
    known = [all(part in some for part, some in zip(row, values, strict=True)) for row in true]
    return [place for place, row in enumerate(true) if known[place] and row not in combinations]


MEASURE = Measure(
    name="unseen_combinations", function=unseen_combinations, range=(0.0, 1.0), better=Better.HIGHER,
    chance=Chance.SHUFFLED_MEANINGS, source="Chaabouni et al. 2020", resampling=_Compared,
)  # fmt: skip
