"""Entropies of what is counted: of ids that count as often as they are told to, in bits."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from heliograph.analysis.measures.base import joined
from heliograph.analysis.measures.language import Language

__all__ = [
    "SMALL",
    "bits_of",
    "bits_of_pairs",
    "bits_together",
    "counts_of",
    "entropy_bits",
    "joint_table",
    "of_words_and_meanings",
    "shared_bits",
]

TINY = 10_000
"""Cells of a table whose sums are quicker than to count anew."""
MANY = 1_000
"""Counts of which those that are equal are worth putting together."""
LOOSE = 4
"""Cells of a table for each row, up to which it is quicker to fill it than to sort rows."""
SMALL = 1_000_000
"""Cells that a table of one feature may have."""


def counts_of(ids: Int[np.ndarray, " n"], times: Float[np.ndarray, " n"]) -> Float[np.ndarray, " kinds"]:
    """How often each id counts."""
    return np.bincount(ids, weights=times)


def bits_of(counts: Num[np.ndarray, "..."]) -> float:
    """The plug-in entropy of counts of any shape, in bits; 0 where nothing was counted."""
    found = counts[counts > 0]
    if not len(found):
        return 0.0
    total = found.sum()
    if len(found) > MANY and found.max() < len(found) and ((whole := found.astype(np.int64)) == found).all():
        times = np.bincount(whole)  # there are few different counts
        found = np.flatnonzero(times)
        return max(0.0, float(np.log2(total) - (times[found] * found * np.log2(found)).sum() / total))
    return max(0.0, float(np.log2(total) - (found * np.log2(found)).sum() / total))


def entropy_bits(ids: Int[np.ndarray, " n"], times: Float[np.ndarray, " n"]) -> float:
    """The plug-in entropy of ids, in bits."""
    return bits_of(counts_of(ids, times))


def counts_of_pairs(
    one: Int[np.ndarray, " n"], other: Int[np.ndarray, " n"], times: Float[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """A row of each pair of ids that occurs, by the first id and then the other, and how often each pair counts."""
    kinds = int(other.max()) + 1
    code = one * kinds + other
    cells = (int(one.max()) + 1) * kinds
    if cells <= max(TINY, len(code)):
        counts, row = np.bincount(code, weights=times, minlength=cells), np.zeros(cells, dtype=np.int64)
        row[code] = np.arange(len(code))
        found = np.flatnonzero(counts)
        return row[found], counts[found]
    order = np.argsort(code)
    ordered = code[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return order[starts], np.add.reduceat(times[order], starts)


def joint_table(
    one: Int[np.ndarray, " n"], other: Int[np.ndarray, " n"], times: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "kinds others"]:
    """How often each id occurs with each of the others."""
    shape = int(one.max()) + 1, int(other.max()) + 1
    return np.bincount(one * shape[1] + other, weights=times, minlength=shape[0] * shape[1]).reshape(shape)


def bits_of_pairs(one: Int[np.ndarray, " n"], other: Int[np.ndarray, " n"], times: Float[np.ndarray, " n"]) -> float:
    """The plug-in entropy of pairs of ids, in bits."""
    kinds = int(other.max()) + 1
    cells = (int(one.max()) + 1) * kinds
    code = one * kinds + other
    if cells <= max(TINY, LOOSE * len(code)):
        return bits_of(np.bincount(code, weights=times, minlength=cells))
    if (times != 1).any():
        return bits_of(counts_of_pairs(one, other, times)[1])
    ordered = np.sort(code.astype(np.uint32) if cells <= 2**32 else code)
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return bits_of(np.diff(ends, prepend=-1))


def shared_bits(one: Int[np.ndarray, " n"], other: Int[np.ndarray, " n"], times: Float[np.ndarray, " n"]) -> float:
    """The plug-in mutual information of two columns of ids, in bits."""
    if (int(one.max()) + 1) * (int(other.max()) + 1) <= TINY:
        table = joint_table(one, other, times)
        return max(0.0, bits_of(table.sum(1)) + bits_of(table.sum(0)) - bits_of(table))
    return max(0.0, entropy_bits(one, times) + entropy_bits(other, times) - bits_of_pairs(one, other, times))


def of_words_and_meanings(said: Language) -> tuple[float, float, float]:
    """Entropies of whole messages, of meanings, and of both together, in bits."""
    words: Any = said.words.ids()
    for name, ids in (("words", words), ("meant", said.meant)):
        if name not in said.apart:
            said.apart[name] = entropy_bits(ids, said.times)
    return said.apart["words"], said.apart["meant"], bits_together(said)


def bits_together(said: Language) -> float:
    """The entropy of messages and meanings together, in bits."""
    words: Any = said.words.ids()
    if (said.times == 1).all():
        return bits_of_pairs(said.meant, words, said.times)
    if "both" not in said.of_pairs:
        said.of_pairs["both"] = joined(said.meant, words)
    return entropy_bits(said.of_pairs["both"], said.times)
