"""Columns of a corpus as Arrow arrays, made from whole tensors: lists, names and texts without an object a row."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.channels.spelling import END_OF_WORD, said_places

__all__ = [
    "SCHEMA", "Ragged", "filled", "frame_of", "lines_of", "lists_in", "lists_of_equal_length", "names_at",
    "ragged_lists", "texts_of", "words_up_to_the_end",
]  # fmt: skip

WORDS, NUMBERS, NAMES = pa.list_(pa.int64()), pa.list_(pa.float64()), pa.list_(pa.string())
SCHEMA = pa.schema(
    {
        "episode": pa.int64(),
        "step": pa.int64(),
        "round": pa.int64(),
        "sender": pa.string(),
        "role": pa.string(),
        "hearers": NAMES,
        "symbols": WORDS,
        "vector": NUMBERS,
        "length": pa.int64(),
        "bits": pa.float64(),
        "meaning": WORDS,
        "actions": pa.list_(NUMBERS),
        "reward": pa.float64(),
        "action": NUMBERS,
        "read": WORDS,
        "attention": NUMBERS,
        "gate": pa.bool_(),
        "message": pa.string(),
    }
)
SHOWN_NUMBERS = 8
"""Of a vector, in the column `message`."""
EMPTY_WORD = "(empty)"
"""In the column `message`, where a word ended before its first symbol."""
DECIMALS = 2
MOST_KINDS = 1_000_000
"""Different numbers that are told apart by a table and not by sorting."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ragged:
    """Rows of numbers: `values` [m, d] of some of the `size` rows, block by block; the others have none."""

    size: int
    rows: list[Int[np.ndarray, " _m"]]
    values: list[Float[np.ndarray, "_m _d"]]


def ragged_lists(found: Ragged) -> pa.Array:
    """A list for each row, null where it has none."""
    lengths = np.zeros(found.size, dtype=np.int64)
    present = np.zeros(found.size, dtype=bool)
    for rows, values in zip(found.rows, found.values, strict=True):
        lengths[rows], present[rows] = values.shape[1], True
    cuts = np.concatenate([[0], lengths.cumsum()])
    flat = np.empty(cuts[-1])
    for rows, values in zip(found.rows, found.values, strict=True):
        flat[cuts[rows][:, None] + np.arange(values.shape[1])] = values
    return lists_in(pa.array(flat), cuts, missing=~present)


def lists_in(values: pa.Array, cuts: Int[np.ndarray, " n1"], *, missing: np.ndarray | None = None) -> pa.Array:
    """Lists of the values between one cut and the next; null where they are missing."""
    mask = None if missing is None or not missing.any() else pa.array(missing)
    return pa.ListArray.from_arrays(pa.array(cuts.astype(np.int32)), values, mask=mask)


def words_up_to_the_end(symbols: Tensor, *, ends: bool) -> pa.Array:
    """Words [n, L] as lists of what was said before their end, or whole where words do not end."""
    if not ends:
        return lists_of_equal_length(symbols)
    kept = said_places(symbols, ends=True) & (symbols != END_OF_WORD)
    cuts = np.concatenate([[0], kept.sum(1).numpy(force=True).cumsum()])
    return lists_in(pa.array(symbols[kept].numpy(force=True)), cuts)


def lists_of_equal_length(table: Tensor) -> pa.Array:
    """Rows of a table [n, D] as lists."""
    rows = table.numpy(force=True)
    cuts = np.arange(len(rows) + 1) * int(np.prod(rows.shape[1:]))
    return lists_in(pa.array(rows.reshape(-1)), cuts)


def names_at(names: Sequence[str], places: Int[np.ndarray, " n"]) -> pa.Array:
    """The name at each place."""
    return pa.array(list(names), pa.string()).take(pa.array(places))


def filled(value: Any, size: int, kind: pa.DataType) -> pa.Array:
    """The same value again and again."""
    return pa.repeat(pa.scalar(value, kind), size)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """The table with lists as Python's own, and what is null as None where it is not a number."""
    return pd.DataFrame({name: _series(name, table[name]) for name in table.column_names})


def _series(name: str, column: pa.ChunkedArray) -> pd.Series:
    if name == "vector" and not column.null_count:  # an object for each number would fill the memory
        return column.to_pandas()
    plain = not (pa.types.is_list(column.type) or column.null_count)
    return column.to_pandas() if plain else pd.Series(column.to_pylist(), dtype=object)


def texts_of(said: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return what was said as texts, by which rows can be grouped: "2 0 1", or "0.25 -1.00"; null where it is null.

    The first numbers of a vector, with two decimals.
    """
    whole = said.combine_chunks() if isinstance(said, pa.ChunkedArray) else said
    shown = pc.list_slice(whole, 0, SHOWN_NUMBERS)
    texts = pc.binary_join(_with_texts(shown, _numbers_as_texts(pc.list_flatten(shown))), " ")
    longer = pc.greater(pc.list_value_length(whole), SHOWN_NUMBERS)
    shortened = pc.if_else(longer, pc.binary_join_element_wise(texts, "...", " "), texts)
    return pc.if_else(pc.equal(pc.list_value_length(whole), 0), EMPTY_WORD, shortened)


def lines_of(symbols: pa.ChunkedArray | pa.Array) -> str:
    """Return lists of symbols as JSON lines, each with its end."""
    whole = symbols.combine_chunks() if isinstance(symbols, pa.ChunkedArray) else symbols
    texts = pc.binary_join(_with_texts(whole, pc.list_flatten(whole).cast(pa.string())), ", ")
    return "".join(f"[{word}]\n" for word in texts.to_pylist())


def _with_texts(lists: pa.Array, texts: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    missing = lists.is_null().to_numpy(zero_copy_only=False)
    return lists_in(texts, np.concatenate([[0], lengths.cumsum()]), missing=missing)


def _numbers_as_texts(numbers: pa.Array) -> pa.Array:
    """Each different number is written once: there are far fewer of them than rows."""
    if pa.types.is_integer(numbers.type):
        return numbers.cast(pa.string())
    scaled = np.rint(numbers.to_numpy(zero_copy_only=False) * 10**DECIMALS)
    low, high = (scaled.min(), scaled.max()) if len(scaled) else (0.0, 0.0)
    if high - low < MOST_KINDS:  # False for NaN
        kind = (scaled - low).astype(np.int32)
        kinds = np.flatnonzero(np.bincount(kind)) if len(kind) else np.zeros(0, dtype=np.int64)
        place = np.zeros(int(high - low) + 1, dtype=np.int32)
        place[kinds] = np.arange(len(kinds))
        kind, kinds = place[kind], kinds + low
    else:
        kinds, kind = np.unique(scaled, return_inverse=True)
    texts = [f"{number:.{DECIMALS}f}" for number in kinds / 10**DECIMALS + 0.0]  # no negative zero
    return pa.array(texts, pa.string()).take(pa.array(kind.reshape(-1)))
