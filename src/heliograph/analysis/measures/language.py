"""Utterances as measures count them: words, what was meant by each, and how often each counts."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.base import ids_of, joined, key_of, plain_table
from heliograph.analysis.measures.undefined import Undefined, reason_of
from heliograph.analysis.measures.words import Words, whole_words, words_of

__all__ = ["Language", "Resampled", "attributes_of", "language_of", "mean_within", "resampled_by", "weighted_mean"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Language:
    """Utterances side by side: `words`; `meant`, an id of each meaning; `group`, an id of `given`.

    `of_meanings` holds the attributes of each meaning, `times` says how often each utterance counts. What a measure
    does not take is all zeros, of attributes one column.
    """

    words: Words
    meant: Int[np.ndarray, " n"]
    of_meanings: Int[np.ndarray, "U K"]
    group: Int[np.ndarray, " n"]
    times: Float[np.ndarray, " n"]
    of_pairs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What was counted of words beside these meanings, for whoever counts it again."""
    apart: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What was counted of words and meanings each for themselves, so often."""

    def __len__(self) -> int:
        return len(self.meant)

    def __getitem__(self, rows: Any) -> "Language":
        """Some of the utterances, by a mask or numbers."""
        parts = {name: getattr(self, name)[rows] for name in ("words", "meant", "group", "times")}
        return Language(of_meanings=self.of_meanings, **parts)

    @property
    def attributes(self) -> Int[np.ndarray, "n K"]:
        """The attributes of what was meant by each utterance."""
        found: np.ndarray = self.of_meanings[self.meant]
        return found

    def meaning_otherwise(self, order: Int[np.ndarray, " n"]) -> "Language":
        """The same words in their order, with meanings in another."""
        alike = bool((self.times == self.times[0]).all())
        return dataclasses.replace(self, meant=self.meant[order], of_pairs={}, apart=self.apart if alike else {})

    def so_often(self, times: Float[np.ndarray, " n"]) -> "Language":
        """The same utterances, each so many times."""
        return dataclasses.replace(self, times=times, apart={})


def language_of(
    messages: Any, *, meanings: Any = None, attributes: Any = None, given: Any = None, eos: Any = None,
    unique: bool = False, whole: bool = False,
) -> Language:  # fmt: skip
    """Utterances of any form; raises ValueError where there is none, and for columns of unequal length.

    `eos` is the symbol before which words end; `unique` keeps one of the utterances with the same word, meaning and
    value of `given`. With `whole` messages may be vectors, each different one a word of one symbol.
    """
    words = whole_words(messages) if whole and eos is None else words_of(messages, eos=eos)
    zeros = np.zeros(len(words), dtype=np.int64)
    table = zeros[:, None] if attributes is None else attributes_of(attributes)
    meant = ids_of(meanings, what="meanings") if meanings is not None else joined(*table.T)
    group = zeros if given is None else ids_of(given, what="given")
    if len(meant) != len(words):
        raise ValueError(f"{len(words)} messages and {len(meant)} meanings: there must be one meaning for each")
    if len(group) != len(words):
        raise ValueError(f"{len(words)} messages and given= of {len(group)}: there must be one value for each message")
    of_meanings = np.zeros((int(meant.max()) + 1, table.shape[1]), dtype=np.int64)
    of_meanings[meant] = table
    found = Language(words=words, meant=meant, of_meanings=of_meanings, group=group, times=np.ones(len(words)))
    if not unique:
        return found
    first = np.unique(joined(words.ids(), meant, group), return_index=True)[1]
    return found[np.sort(first)]


def mean_within(measure: Callable[[Language], float], said: Language) -> float:
    """The mean of a measure within each value of what is given, weighted by utterances; those that have none left out.

    Undefined, for the reason of the first, where none has any.
    """
    if not said.group.any():
        return measure(said)
    sizes = np.bincount(said.group, weights=said.times)
    return weighted_mean([measure(said[said.group == group]) for group in range(len(sizes))], sizes.tolist())


def weighted_mean(values: list[float], weights: list[int] | list[float]) -> float:
    """The weighted mean of the values that are defined; undefined, for the reason of the first, where none is."""
    known = [not np.isnan(value) and weight > 0 for value, weight in zip(values, weights, strict=True)]
    if not any(known):
        return Undefined(reason_of(values[0]) or "it is undefined within every value of given")
    return float(np.average(np.array(values)[known], weights=np.array(weights)[known]))


class Resampled:
    """A measure of utterances whose meanings are shuffled, or that occur several times, within what is given."""

    def __init__(self, measure: Callable[[Language], float], said: Language):
        self.measure = measure
        self.rows = [np.flatnonzero(said.group == group) for group in range(int(said.group.max()) + 1)]
        self.parts = [said[rows] for rows in self.rows]
        self.place = np.zeros(len(said), dtype=np.int64)
        for rows in self.rows:
            self.place[rows] = np.arange(len(rows))

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        """The value with meanings in another order, which keeps each within its group."""
        orders = [self.place[order[rows]] for rows in self.rows]
        values = [self.measure(p.meaning_otherwise(o)) for p, o in zip(self.parts, orders, strict=True)]
        return weighted_mean(values, [len(rows) for rows in self.rows])

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        """The value of utterances that occur so many times each."""
        weights = [times[rows].astype(np.float64) for rows in self.rows]
        said = [part.so_often(w) for part, w in zip(self.parts, weights, strict=True)]
        values = [self.measure(part) if w.any() else np.nan for part, w in zip(said, weights, strict=True)]
        return weighted_mean(values, [float(w.sum()) for w in weights])


def resampled_by(
    measure: Callable[..., float], *, whole: bool = False, beside: str = "meanings"
) -> Callable[..., Resampled]:
    """The function that shuffles and draws are computed by.

    It serves where a measure is a function of `Language` that heeds its `times`.

    `beside` is what its function calls that which stands beside messages, such as `actions`.
    """

    def made(
        messages: Any, *, attributes: Any = None, given: Any = None, eos: Any = None, unique: bool = False, **more: Any
    ) -> Resampled:
        which: dict[str, Any] = {"given": given, "eos": eos, "unique": unique, "whole": whole}
        said = language_of(messages, meanings=more.pop(beside, None), attributes=attributes, **which)
        return Resampled(lambda part: measure(part, **more), said)

    return made


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
