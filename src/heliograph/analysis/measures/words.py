"""Messages as words: symbols by number, side by side, each message as long as it is."""

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from heliograph.analysis.measures.base import ids_of, joined, plain_rows

__all__ = ["END", "Words", "whole_words", "words_of"]

END = -1
"""What stands behind the last symbol of a word that is shorter than others."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Words:
    """Messages: `codes` [n, L] holds symbols by number, `END` behind the last; `names` what each number stands for."""

    codes: Int[np.ndarray, "n L"]
    lengths: Int[np.ndarray, " n"]
    names: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> "Words":
        """The words of some rows, by a mask or numbers."""
        codes, lengths = self.codes[rows], self.lengths[rows]
        return dataclasses.replace(self, codes=codes[:, : int(lengths.max(initial=0))], lengths=lengths)

    @property
    def said(self) -> Bool[np.ndarray, "n L"]:
        """Return where there is a symbol."""
        return self.codes != END

    def ids(self) -> Int[np.ndarray, " n"]:
        """One integer for each message, equal for equal ones, from 0 without gaps."""
        return self._ids

    @functools.cached_property
    def _ids(self) -> Int[np.ndarray, " n"]:
        return joined(*(self.codes + 1).T) if self.codes.shape[1] else np.zeros(len(self), dtype=np.int64)

    def counts(self) -> Int[np.ndarray, "n V"]:
        """How often each symbol occurs in each message."""
        return self._counts

    @functools.cached_property
    def _counts(self) -> Int[np.ndarray, "n V"]:
        rows, places = np.nonzero(self.said)
        code = self.codes[rows, places] * len(self) + rows
        return np.bincount(code, minlength=len(self) * len(self.names)).reshape(len(self.names), len(self)).T

    def columns(self) -> Int[np.ndarray, "L n"]:
        """The symbols at each place, side by side in memory."""
        return self._columns

    @functools.cached_property
    def _columns(self) -> Int[np.ndarray, "L n"]:
        return np.ascontiguousarray(self.codes.T)

    def tuples(self) -> list[tuple[Any, ...]]:
        """Every message as its symbols, by name."""
        return [
            tuple(self.names[code] for code in row[:length])
            for row, length in zip(self.codes.tolist(), self.lengths.tolist(), strict=True)
        ]


def words_of(messages: Any, *, eos: Any = None) -> Words:
    """Messages of any form as words: each row a number, a text (of characters), or a sequence of symbols.

    With `eos` a word ends before the first of that symbol. Raises ValueError where there is no message, and for numbers
    that are no whole ones: those are vectors, which have no symbols.
    """
    if isinstance(messages, Words):
        return messages if eos is None else _cut(messages, eos)
    table = plain_rows(messages, what="messages")
    words = _of_array(table) if isinstance(table, np.ndarray) else _of_lists(table)
    return words if eos is None else _cut(words, eos)


def whole_words(messages: Any) -> Words:
    """Messages of any form, vectors too, each different one a word of one symbol; words stay as they are."""
    if isinstance(messages, Words):
        return messages
    ids = ids_of(messages)
    return Words(codes=ids[:, None], lengths=np.ones(len(ids), np.int64), names=tuple(range(int(ids.max()) + 1)))


def _of_array(table: np.ndarray) -> Words:
    rows = table.reshape(len(table), -1)
    whole = rows.astype(np.int64, copy=False) if rows.dtype.kind in "biu" else _whole(rows)
    flat = whole.ravel()
    low, high = (int(flat.min()), int(flat.max())) if flat.size else (0, -1)
    if 0 <= high - low <= 8 * flat.size:
        occurs = np.zeros(high - low + 1, dtype=bool)
        occurs[flat - low] = True
        names, codes = np.flatnonzero(occurs) + low, (occurs.cumsum() - 1)[whole - low]
    else:
        names, codes = np.unique(whole, return_inverse=True)
    lengths = np.full(len(rows), rows.shape[1], dtype=np.int64)
    return Words(codes=codes.reshape(rows.shape), lengths=lengths, names=tuple(names.tolist()))


def _whole(rows: np.ndarray) -> np.ndarray:
    """Numbers with a fraction of 0 as whole ones."""
    with np.errstate(invalid="ignore"):
        wrong = (rows != np.floor(rows)) | ~np.isfinite(rows) if rows.dtype.kind == "f" else np.ones(rows.shape, bool)
    if wrong.any():
        row, place = (int(found[0]) for found in np.nonzero(wrong))
        raise ValueError(f"message {row} has {rows[row, place]}: symbols must be whole numbers or names")
    return rows.astype(np.int64)


def _of_lists(rows: list[Any]) -> Words:
    numbers: dict[Any, int] = {}
    words = [[numbers.setdefault(_symbol(part, row), len(numbers)) for part in word] for row, word in enumerate(rows)]
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    codes = np.full((len(words), int(lengths.max())), END, dtype=np.int64)
    codes[np.arange(codes.shape[1]) < lengths[:, None]] = [code for word in words for code in word]
    return Words(codes=codes, lengths=lengths, names=tuple(numbers))


def _symbol(part: Any, row: int) -> Any:
    """A part of a message as the name of a symbol: whole numbers of any type are the same name."""
    if isinstance(part, float) or part is None:
        if part is None or not float(part).is_integer():
            raise ValueError(f"message {row} has {part!r}: symbols must be whole numbers or names")
        return int(part)
    return part


def _cut(words: Words, eos: Any) -> Words:
    """Words without their first end of sentence and what follows it."""
    if eos not in words.names:
        return words
    ends = words.codes == words.names.index(eos)
    lengths = np.where(ends.any(1), ends.argmax(1), words.lengths)
    codes = np.where(np.arange(words.codes.shape[1]) < lengths[:, None], words.codes, END)
    kept = np.flatnonzero(np.bincount(codes[codes != END], minlength=len(words.names)))
    numbers = np.full(len(words.names) + 1, END, dtype=np.int64)
    numbers[kept] = np.arange(len(kept))
    codes = numbers[codes][:, : int(lengths.max(initial=0))]
    return Words(codes=codes, lengths=lengths, names=tuple(words.names[code] for code in kept))
