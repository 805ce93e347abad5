"""Small languages whose measures were worked out by hand or by other programs, and what any measure must hold."""

import math
from typing import Any

import numpy as np

MESSAGES = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [1, 2], [0, 0]]
MEANINGS = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [1, 1], [0, 0]]
"""Two attributes and a message for each meaning, but `12` for two of them."""
RAGGED = ["1", "12", "3", "321"]
RAGGED_MEANINGS = [[0, 0], [0, 1], [1, 0], [1, 1]]
WITH_ENDS = [[1, 2, 0], [1, 3, 0], [2, 2, 0], [1, 2, 0]]
"""0 is the end of a sentence."""
GRID = [[a, b] for a in range(4) for b in range(4)]
LANGUAGES: dict[str, list[list[int]]] = {
    "by place": [[0 if a < 2 else 2, a % 2, b] for a, b in GRID],
    "bag of symbols": [
        [0, 0, 4], [0, 0, 5], [0, 0, 6], [0, 0, 7], [1, 4, 1], [1, 5, 1], [1, 6, 1], [1, 7, 1],
        [2, 4, 2], [2, 5, 2], [2, 6, 2], [2, 7, 2], [3, 4, 3], [3, 3, 5], [3, 3, 6], [3, 3, 7],
    ],
    "identity": GRID,
    "constant": [[1, 1, 1]] * 16,
    "holistic": [[i] for i in range(16)],
}  # fmt: skip
"""Each says the 16 meanings of `GRID`, in their order."""


def close(found: float, expected: float) -> bool:
    """Whether a number is what it should be to 1e-9, NaN where that is None."""
    return math.isnan(found) if expected is None else math.isclose(found, expected, rel_tol=0.0, abs_tol=1e-9)


def reordered(rows: Any, order: Any) -> list[Any]:
    return [rows[place] for place in order]


def renamed(messages: list[list[int]], seed: int) -> list[list[int]]:
    """The same with other numbers for symbols."""
    names = np.random.default_rng(seed).permutation(50).tolist()
    return [[names[symbol] for symbol in word] for word in messages]
