"""Whether combinations of attributes that were never trained are understood."""

import dataclasses
from typing import Any

import numpy as np

from heliograph.analysis.measures.base import key_of
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
    right = np.array([[a == b for a, b in zip(guessed[row], true[row], strict=True)] for row in kept])
    return UnseenCombinations(
        all_attributes=float(right.all(1).mean()), per_attribute=float(right.mean()),
        attributes=tuple(right.mean(0).tolist()), num_utterances=len(kept),
    )  # fmt: skip


def _rows(table: Any, what: str) -> list[tuple[Any, ...]]:
    return [tuple(key_of(part) for part in row) for row in atoms_of(table, what=what)]


def _unseen(true: list[tuple[Any, ...]], trained: list[tuple[Any, ...]]) -> list[int]:
    combinations, values = set(trained), [set(column) for column in zip(*trained, strict=True)]
    known = [all(part in some for part, some in zip(row, values, strict=True)) for row in true]
    return [place for place, row in enumerate(true) if known[place] and row not in combinations]


MEASURE = Measure(
    name="unseen_combinations", function=unseen_combinations, range=(0.0, 1.0), better=Better.HIGHER,
    chance=Chance.SHUFFLED_MEANINGS, source="Chaabouni et al. 2020",
)  # fmt: skip
