"""Which messages were said of which meanings, how often: by pairs that occur, and symbols with values of attributes."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.base import plain_rows
from heliograph.analysis.measures.counting import counts_of_pairs
from heliograph.analysis.measures.language import Language

__all__ = ["PairCounts", "atoms_of", "concepts_of_meanings", "pairs_in", "symbols_by_meaning"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PairCounts:
    """Pairs that occur: ids of `message` and `meaning`, how often `both` and each of the two occur, and of how many."""

    message: Int[np.ndarray, " p"]
    meaning: Int[np.ndarray, " p"]
    both: Float[np.ndarray, " p"]
    of_message: Float[np.ndarray, " p"]
    of_meaning: Float[np.ndarray, " p"]
    total: float


def pairs_in(said: Language) -> PairCounts:
    """The pairs of whole messages and meanings, those of each meaning together."""
    words = said.words.ids()
    at, both = counts_of_pairs(said.meant, words, said.times)
    at, both = at[both > 0], both[both > 0]
    of_words, of_meanings = (np.bincount(ids, weights=said.times) for ids in (words, said.meant))
    return PairCounts(
        message=words[at], meaning=said.meant[at], both=both, of_message=of_words[words[at]],
        of_meaning=of_meanings[said.meant[at]], total=float(said.times.sum()),
    )  # fmt: skip


def symbols_by_meaning(said: Language, *, once: bool = False) -> Float[np.ndarray, "V U"]:
    """How often each symbol was said of each meaning; `once` counts it once in an utterance."""
    shape = len(said.words.names), int(said.meant.max()) + 1
    found = np.zeros(shape[0] * shape[1])
    if once:
        for symbol, counts in enumerate(said.words.counts().T):
            here = np.bincount(said.meant, weights=said.times * (counts > 0), minlength=shape[1])
            found[symbol * shape[1] : (symbol + 1) * shape[1]] = here
        return found.reshape(shape)
    for column in said.words.columns():
        here = column >= 0
        code = column[here] * shape[1] + said.meant[here]
        found += np.bincount(code, weights=said.times[here], minlength=len(found))
    return found.reshape(shape)


def concepts_of_meanings(said: Language) -> Int[np.ndarray, "U C"]:
    """Return which concepts, a value of an attribute each, are in which meanings: 1 where one is."""
    table = said.of_meanings
    parts = [np.eye(int(column.max()) + 1, dtype=np.int64)[column] for column in table.T]
    return np.concatenate(parts, 1) if parts else np.zeros((len(table), 0), dtype=np.int64)


def atoms_of(meanings: Any, *, what: str = "meanings") -> list[tuple[Any, ...]]:
    """Meanings as collections of names, of any number each."""
    rows = plain_rows(meanings, what=what)
    return [tuple(row) for row in (rows.reshape(len(rows), -1).tolist() if isinstance(rows, np.ndarray) else rows)]
