"""Which messages were said of which meanings, how often: by pairs that occur, and symbols with values of attributes."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.base import joined, plain_rows
from heliograph.analysis.measures.counting import counts_of_pairs
from heliograph.analysis.measures.cross_tables import concept_tables
from heliograph.analysis.measures.language import Language

__all__ = ["PairCounts", "atoms_of", "concepts_of_meanings", "pairs_in", "symbols_by_concept"]


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
    if (said.times == 1).all():
        at, both = counts_of_pairs(said.meant, words, said.times)
    else:
        if "first" not in said.of_pairs:
            code = joined(said.meant, words)
            said.of_pairs["both"], said.of_pairs["first"] = code, np.unique(code, return_index=True)[1]
        at, both = said.of_pairs["first"], np.bincount(said.of_pairs["both"], weights=said.times)
    at, both = at[both > 0], both[both > 0]
    of_words, of_meanings = (np.bincount(ids, weights=said.times) for ids in (words, said.meant))
    return PairCounts(
        message=words[at], meaning=said.meant[at], both=both, of_message=of_words[words[at]],
        of_meaning=of_meanings[said.meant[at]], total=float(said.times.sum()),
    )  # fmt: skip


def symbols_by_concept(said: Language, *, once: bool = False) -> Float[np.ndarray, "V C"]:
    """How often each symbol was said of each concept, a value of an attribute; `once`: once in an utterance."""
    num_symbols = len(said.words.names)
    if not num_symbols:
        return np.zeros((0, concepts_of_meanings(said).shape[1]))
    if once:
        present = [(counts > 0).astype(np.int64) for counts in said.words.counts().T]
        tables = concept_tables(present, said)
        found = [table[1] if len(table) > 1 else np.zeros(table.shape[1]) for table in tables]
        return np.array(found).reshape(num_symbols, -1)
    found = [table[1:] for table in concept_tables(list(said.words.columns() + 1), said)]
    filled = [np.pad(table, ((0, num_symbols - len(table)), (0, 0))) for table in found]
    return np.sum(filled, axis=0) if filled else np.zeros((num_symbols, 0))


def concepts_of_meanings(said: Language) -> Int[np.ndarray, "U C"]:
    """Return which concepts, a value of an attribute each, are in which meanings: 1 where one is."""
    table = said.of_meanings
    parts = [np.eye(int(column.max()) + 1, dtype=np.int64)[column] for column in table.T]
    return np.concatenate(parts, 1) if parts else np.zeros((len(table), 0), dtype=np.int64)


def atoms_of(meanings: Any, *, what: str = "meanings") -> list[tuple[Any, ...]]:
    """Meanings as collections of names, of any number each."""
    rows = plain_rows(meanings, what=what)
    return [tuple(row) for row in (rows.reshape(len(rows), -1).tolist() if isinstance(rows, np.ndarray) else rows)]
