"""What measures share: rows of any kind become integer ids, and ids become counts. Entropies are plug-in, in bits."""

from collections.abc import Mapping, Set
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

Key = Any
"""A hashable stand-in of a row: equal for equal rows."""
MISSING = float("nan")
"""The stand-in of whatever differs from itself (NaN, NaT, NA); the same object each time, so equal as a key."""
MOST_CELLS = 8
"""Numbers up to so many for each row are counted in a table, larger ones are sorted."""
ROUNDING = 8
"""So many times the resolution of the largest of some numbers two of them differ at least, or they count as equal."""
NUMERIC = "biufc"
"""Kinds of NumPy arrays that hold numbers."""


def ids_of(rows: Any, *, what: str = "messages") -> Int[np.ndarray, " n"]:
    """One integer per row, equal for equal rows.

    Rows may be numbers, words as strings, lists, arrays or tensors, of equal or unequal length; they come in a list, an
    array, a tensor, or a column of pandas or Arrow. NaN equals NaN, and 0.0 equals -0.0. Raises ValueError where there
    is no row (nothing was said, so there is nothing to measure), or where there are no rows to speak of.
    """
    table = plain_table(rows, what=what)
    if isinstance(table, np.ndarray):
        return _ids_of_numbers(table)
    numbers: dict[Key, int] = {}
    return np.array([numbers.setdefault(key_of(row), len(numbers)) for row in table], dtype=np.int64)


def aligned(messages: Any, meanings: Any, given: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Ids of messages, of meanings and of what is given (None: nothing); refuses sequences of unequal length."""
    said, meant = ids_of(messages), ids_of(meanings, what="meanings")
    if len(said) != len(meant):
        raise ValueError(f"{len(said)} messages and {len(meant)} meanings: there must be one meaning for each")
    if given is None:
        return said, meant, None
    group = ids_of(given, what="given")
    if len(said) != len(group):
        raise ValueError(f"{len(said)} messages and given= of {len(group)}: there must be one value for each message")
    return said, meant, group


def numbers_of(rows: Any) -> Num[np.ndarray, "n D"]:
    """Messages as a matrix: symbols as whole numbers (of words of unequal length -1 is the end), vectors as float64.

    Raises ValueError for vectors that are not finite, or of unequal length.
    """
    table = plain_table(rows, what="messages")
    if not isinstance(table, np.ndarray):
        table = _matrix([_parts(key_of(row)) for row in table])
    matrix = table.reshape(len(table), -1)
    if matrix.dtype.kind in "biu":
        return matrix.astype(np.int64)
    matrix = matrix.astype(np.float64)
    broken = ~np.isfinite(matrix).all(1)
    if broken.any():
        place = int(broken.argmax())
        raise ValueError(f"message {place} is {matrix[place].tolist()}: vectors must be finite numbers")
    return matrix


def plain_rows(rows: Any, *, what: str) -> np.ndarray | list[tuple[Any, ...]]:
    """Rows as an array of numbers where they are one, else as a tuple of parts for each, nested ones side by side."""
    table = plain_table(rows, what=what)
    return table if isinstance(table, np.ndarray) else [_parts(key_of(row)) for row in table]


def key_of(value: Any) -> Key:
    """The stand-in of one row, or of a part of it."""
    value = _plain(value)
    if isinstance(value, (list, tuple)):
        return tuple(key_of(part) for part in value)
    if isinstance(value, (Mapping, Set)):
        raise ValueError(f"row {value!r}: must be a number, a word, or a sequence of them")
    try:
        return value if value == value else MISSING
    except TypeError:  # pandas.NA, which does not say whether it equals itself
        return MISSING


def check_convention(convention: str, known: Mapping[str, str]) -> None:
    """Refuse a convention that a measure does not have, with what each of them says."""
    if convention not in known:
        raise ValueError(f"convention={convention!r}: must be {'; '.join(f'{k!r}, {v}' for k, v in known.items())}")


def joined(*ids: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """One id for each distinct combination of ids."""
    code = np.zeros(len(ids[0]), dtype=np.int64)
    for part in ids:
        code = renumbered(code * (int(part.max()) + 1) + part)
    return code


def renumbered(code: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Numbers from 0 without gaps, in the same order, in the place of whole numbers from 0."""
    top = int(code.max()) + 1
    if top > MOST_CELLS * len(code):
        return np.unique(code, return_inverse=True)[1].reshape(-1)
    occurs = np.zeros(top, dtype=np.int64)
    occurs[code] = 1
    found: np.ndarray = (occurs.cumsum() - 1)[code]
    return found


def entropies_within(group: Int[np.ndarray, " n"], ids: Int[np.ndarray, " n"]) -> Float[np.ndarray, " groups"]:
    """The plug-in entropy of ids within each group, in bits."""
    sizes, kinds = np.bincount(group), int(ids.max()) + 1
    code = group * kinds + ids
    if len(sizes) * kinds <= MOST_CELLS * len(code):
        share = np.bincount(code, minlength=len(sizes) * kinds).reshape(len(sizes), kinds) / sizes[:, None]
        found: np.ndarray = (share * -np.log2(np.where(share > 0, share, 1.0))).sum(1)
        return found
    _, first, counts = np.unique(code, return_index=True, return_counts=True)
    share = counts / sizes[group[first]]
    return np.bincount(group[first], weights=share * -np.log2(share), minlength=len(sizes))


def entropy_of_ids(ids: Int[np.ndarray, " n"]) -> float:
    """Plug-in entropy in bits."""
    share = np.bincount(ids) / len(ids)
    share = share[share > 0]
    return max(0.0, float(-(share * np.log2(share)).sum()))


def rounding_of(vectors: Float[np.ndarray, "n D"]) -> Float[np.ndarray, " D"]:
    """By how much two numbers of each column may differ and count as equal, as if computed in another order.

    It goes by the largest number of a column and by the resolution of float32, where all of them are such, whatever
    holds them now; else by that of float64.
    """
    with np.errstate(over="ignore"):
        single = bool((vectors == vectors.astype(np.float32)).all())
    largest: np.ndarray = np.abs(vectors).max(0, initial=0.0)
    return ROUNDING * float(np.finfo(np.float32 if single else np.float64).eps) * largest


def plain_table(rows: Any, *, what: str) -> np.ndarray | list[Any]:
    """Rows as an array of numbers where they are one, else as a list."""
    if isinstance(rows, (Mapping, Set)) or not hasattr(rows, "__len__"):
        raise ValueError(f"{what} is a {type(rows).__name__}: must be a sequence, one row for each utterance")
    if hasattr(rows, "to_numpy") and not hasattr(rows, "to_pylist"):
        rows = rows.to_numpy()
    rows = _array(rows) if hasattr(rows, "detach") else rows.to_pylist() if hasattr(rows, "to_pylist") else rows
    if isinstance(rows, np.ndarray) and not rows.ndim:
        raise ValueError(f"{what} is one number: must be a sequence, one row for each utterance")
    if len(rows) == 0:
        raise ValueError("no rows: measures need at least one utterance")
    array = rows if isinstance(rows, np.ndarray) else _numbers(list(rows))
    return array if array is not None and array.dtype.kind in NUMERIC else list(rows)


def _numbers(rows: list[Any]) -> np.ndarray | None:
    """A list as an array; None where rows have parts that are no plain numbers, or unequal lengths."""
    first = rows[0]
    if isinstance(first, (str, bytes)) or any(hasattr(row, "detach") for row in rows):
        return None
    try:
        return np.asarray(rows)
    except ValueError:
        return None


def _plain(value: Any) -> Any:
    """An array, tensor or scalar of some library as Python's own."""
    if hasattr(value, "detach"):
        return _array(value).tolist()
    for method in ("tolist", "to_pylist", "as_py"):
        if hasattr(value, method):
            return getattr(value, method)()
    return value


def _array(tensor: Any) -> np.ndarray:
    """A tensor as an array, of any dtype and from any device."""
    found: np.ndarray = (tensor.double() if tensor.is_floating_point() else tensor).numpy(force=True)
    return found


def _ids_of_numbers(array: np.ndarray) -> Int[np.ndarray, " n"]:
    rows = array.reshape(len(array), -1)
    if not rows.shape[1]:
        return np.zeros(len(rows), dtype=np.int64)
    if rows.dtype.kind in "fc":  # by their bits, with one form of NaN and of zero
        rows = np.ascontiguousarray(rows, dtype=np.complex128 if rows.dtype.kind == "c" else np.float64)
        rows = rows.view(np.float64)
        rows = (np.where(np.isnan(rows), np.nan, rows) + 0.0).view(np.int64)
    rows = rows.astype(np.int64)  # of 64 bits without a sign: by their bits
    code = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        code = joined(code, _numbered(column))
    return code


def _numbered(column: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Whole numbers of any size as ids."""
    low, high = int(column.min()), int(column.max())
    if high - low > MOST_CELLS * len(column):
        return np.unique(column, return_inverse=True)[1].reshape(-1)
    return renumbered(column - low)


def _parts(key: Key) -> tuple[Any, ...]:
    """The symbols or numbers of one message, nested ones side by side."""
    if isinstance(key, (str, bytes)):
        return tuple(key)
    if not isinstance(key, tuple):
        return (key,)
    return tuple(part for inner in key for part in ((inner,) if isinstance(inner, (str, bytes)) else _parts(inner)))


def _matrix(words: list[tuple[Any, ...]]) -> np.ndarray:
    """Words as whole numbers, one for each symbol; vectors (any part that is a float) as they are."""
    longest = max(len(word) for word in words)
    if any(isinstance(part, float) for word in words for part in word):
        if any(len(word) != longest for word in words):
            raise ValueError("messages are vectors of unequal length: distances need equal ones")
        return np.array(words, dtype=np.float64)
    symbols: dict[Any, int] = {}
    matrix = np.full((len(words), longest), -1)
    for place, word in enumerate(words):
        matrix[place, : len(word)] = [symbols.setdefault(part, len(symbols)) for part in word]
    return matrix
