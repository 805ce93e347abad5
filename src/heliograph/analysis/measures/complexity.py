"""How much a corpus repeats itself: phrases of Lempel and Ziv, and how far it can be compressed."""

import dataclasses
import functools
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import words_of

__all__ = ["MEASURE", "Complexity", "complexity", "lempel_ziv"]

LEVEL = 9
"""Of zlib's compression."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Complexity:
    """`phrases` of Lempel and Ziv (1976); `normalised`, phrases * log_V(n) / n, near 1 for a long random sequence.

    `compressed_share` is the size that zlib leaves over that of the raw symbols, in bytes: it depends on the version of
    zlib, and short corpora do not shrink. `normalised` is undefined where fewer than two symbols occur.
    """

    phrases: int
    normalised: float
    compressed_share: float


def complexity(messages: Any, *, eos: Any = None) -> Complexity:
    """The complexity of all messages, in the order of rows and without anything between them (Lempel & Ziv 1976).

    With `eos` each ends before the first of it. Rows in another order may have another complexity. Symbols are names.
    Raises ValueError where there is no message, or none has a symbol.
    """
    words = words_of(messages, eos=eos)
    ids = words.codes[words.said]
    if not len(ids):
        raise ValueError("all messages are empty: there is no symbol to be complex")
    ids = _as_met(ids)
    kinds, number = int(ids.max()) + 1, len(ids)
    phrases = lempel_ziv(ids.tolist())
    width = next(t for t, size in ((np.uint8, 8), (np.uint16, 16), (np.uint64, 64)) if kinds <= 2**size)
    raw = ids.astype(width).tobytes()
    return Complexity(
        phrases=phrases,
        normalised=phrases * math.log(number, kinds) / number if kinds > 1 else Undefined("only one symbol occurs"),
        compressed_share=len(zlib.compress(raw, LEVEL)) / len(raw),
    )


def _as_met(ids: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Numbers from 0 in the order in which they first occur, so that names of symbols do not matter to a compressor."""
    _, first, code = np.unique(ids, return_index=True, return_inverse=True)
    found: np.ndarray = np.argsort(np.argsort(first))[code]
    return found


def lempel_ziv(symbols: Sequence[Any]) -> int:
    """The number of phrases of a sequence; each is the shortest that has not occurred before (it may overlap itself).

    What is left at the end counts as one. In linear time, by an automaton of all that occurred.
    """
    automaton, place, length, phrases = _Occurred(), 0, 0, 0
    for symbol in symbols:
        if symbol in automaton.following[place]:
            place, length = automaton.following[place][symbol], length + 1
        else:
            place, length, phrases = 0, 0, phrases + 1
        automaton.append(symbol)
        while place and automaton.longest[automaton.shorter[place]] >= length:
            place = automaton.shorter[place]
    return phrases + (length > 0)


class _Occurred:
    """All that occurs in a sequence that grows: its suffix automaton."""

    def __init__(self) -> None:
        self.following: list[dict[Any, int]] = [{}]
        self.shorter, self.longest, self.last = [-1], [0], 0

    def append(self, symbol: Any) -> None:
        new, place = self._state({}, self.longest[self.last] + 1), self.last
        self.last = new
        while place >= 0 and symbol not in self.following[place]:
            self.following[place][symbol] = new
            place = self.shorter[place]
        if place < 0:
            self.shorter[new] = 0
            return
        found = self.following[place][symbol]
        if self.longest[found] == self.longest[place] + 1:
            self.shorter[new] = found
            return
        twin = self._state(dict(self.following[found]), self.longest[place] + 1)
        self.shorter[twin] = self.shorter[found]
        self.shorter[found] = self.shorter[new] = twin
        while place >= 0 and self.following[place].get(symbol) == found:
            self.following[place][symbol] = twin
            place = self.shorter[place]

    def _state(self, following: dict[Any, int], longest: int) -> int:
        self.following.append(following)
        self.shorter.append(-1)
        self.longest.append(longest)
        return len(self.longest) - 1


class _AsItIs:
    """Messages in the order of rows; a draw of them has repetitions of its own, and tells nothing about these."""

    def __init__(self, messages: Any, *, given: Any = None):
        self._messages = messages

    @functools.cached_property
    def _phrases(self) -> float:
        return float(complexity(self._messages).phrases)

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        return self._phrases

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        return self._phrases if (times == 1).all() else Undefined("rows that are drawn twice repeat themselves")


MEASURE = Measure(
    name="complexity",
    function=complexity,
    unit="phrases",
    range=(1.0, math.inf),
    source="Lempel & Ziv 1976",
    resampling=_AsItIs,
)
