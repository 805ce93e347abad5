"""Utterances as measures count them: words, what was meant by each, and within what they are counted."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import ids_of, joined, key_of, plain_table
from heliograph.analysis.measures.undefined import Undefined, reason_of
from heliograph.analysis.measures.words import Words, words_of

__all__ = ["Said", "attributes_of", "mean_within", "said_in", "weighted_mean"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Said:
    """Utterances side by side: `words`; `meant`, an id of each meaning; `attributes` of it; `group`, an id of `given`.

    What a measure does not take is all zeros, of `attributes` one column.
    """

    words: Words
    meant: Int[np.ndarray, " n"]
    attributes: Int[np.ndarray, "n K"]
    group: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.meant)

    def __getitem__(self, rows: Any) -> "Said":
        """Some of the utterances, by a mask or numbers."""
        return Said(
            words=self.words[rows], meant=self.meant[rows], attributes=self.attributes[rows], group=self.group[rows]
        )


def said_in(
    messages: Any, *, meanings: Any = None, attributes: Any = None, given: Any = None, eos: Any = None,
    unique: bool = False,
) -> Said:  # fmt: skip
    """Utterances of any form; raises ValueError where there is none, and for columns of unequal length.

    `eos` is the symbol before which words end; `unique` keeps one of the utterances with the same word, meaning and
    value of `given`.
    """
    words = words_of(messages, eos=eos)
    zeros = np.zeros(len(words), dtype=np.int64)
    table = zeros[:, None] if attributes is None else attributes_of(attributes)
    meant = ids_of(meanings, what="meanings") if meanings is not None else joined(*table.T)
    group = zeros if given is None else ids_of(given, what="given")
    if len(meant) != len(words):
        raise ValueError(f"{len(words)} messages and {len(meant)} meanings: there must be one meaning for each")
    if len(group) != len(words):
        raise ValueError(f"{len(words)} messages and given= of {len(group)}: there must be one value for each message")
    found = Said(words=words, meant=meant, attributes=table, group=group)
    if not unique:
        return found
    first = np.unique(joined(words.ids(), meant, group), return_index=True)[1]
    return found[np.sort(first)]


def mean_within(measure: Callable[[Said], float], said: Said) -> float:
    """The mean of a measure within each value of what is given, weighted by utterances; those that have none left out.

    Undefined, for the reason of the first, where none has any.
    """
    sizes = np.bincount(said.group)
    if len(sizes) == 1:
        return measure(said)
    return weighted_mean([measure(said[said.group == group]) for group in range(len(sizes))], sizes.tolist())


def weighted_mean(values: list[float], weights: list[float]) -> float:
    """The weighted mean of the values that are defined; undefined, for the reason of the first, where none is."""
    known = [not np.isnan(value) for value in values]
    if not any(known):
        return Undefined(reason_of(values[0]) or "it is undefined within every value of given")
    return float(np.average(np.array(values)[known], weights=np.array(weights)[known]))


def attributes_of(attributes: Any) -> Int[np.ndarray, "n K"]:
    """Meanings as one id for each attribute; a meaning that is a number or a text has one.

    Raises ValueError where there is no meaning, and where some have more attributes than others.
    """
    table = plain_table(attributes, what="meanings")
    if isinstance(table, np.ndarray):
        columns: list[Any] = list(table.reshape(len(table), -1).T)
    else:
        rows = [key if isinstance(key := key_of(row), tuple) else (key,) for row in table]
        for place, row in enumerate(rows):
            if len(row) != len(rows[0]):
                raise ValueError(f"meaning {place} has {len(row)} attributes, the first has {len(rows[0])}")
        columns = [list(column) for column in zip(*rows, strict=True)]
    if not columns:
        return np.zeros((len(table), 0), dtype=np.int64)
    return np.stack([ids_of(column, what="meanings") for column in columns], 1)
