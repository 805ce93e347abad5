"""The edit distance of two words."""

from collections.abc import Sequence
from typing import Any


def levenshtein(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how many symbols must be put in, left out or replaced to make one word of the other."""
    row = list(range(len(other) + 1))
    for place, symbol in enumerate(one, start=1):
        before, row[0] = row[0], place
        for k, second in enumerate(other, start=1):
            before, row[k] = row[k], min(row[k] + 1, row[k - 1] + 1, before + (symbol != second))
    return row[-1]
