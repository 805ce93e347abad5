"""How messages and meanings are written for people."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from heliograph.analysis.corpus import Corpus
from heliograph.texts import NOTHING

MANY_SYMBOLS = 10
MINUS = "\N{MINUS SIGN}"
HEIGHTS = "▁▂▃▄▅▆▇█"
FEW_NUMBERS, WIDEST_STRIP, WIDEST_WORD = 8, 16, 10
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
EMPTY = "\N{EMPTY SET}"
SAME = " #"
"""Between a label and the number of the code, where several look the same."""


def message_labels(corpus: Corpus) -> list[str]:
    """One short text for each utterance: its symbols, or the mean of the vectors that share its code."""
    vectors, codes = corpus.vectors(), corpus.codes()
    if vectors is None:
        vocabulary, ragged = corpus.metadata["vocabulary"], corpus.eos is not None
        words = corpus.utterances["symbols"].tolist() if ragged else codes.tolist()
        return [word_label(word, vocabulary=vocabulary) for word in words]
    labels: list[str] = []
    for code in range(int(codes.max()) + 1):
        label = message_label(vectors[codes[:, 0] == code].mean(0))
        same = sum(other.split(SAME)[0] == label for other in labels)
        labels.append(f"{label}{SAME}{same + 1}" if same else label)
    return [labels[code] for code in codes[:, 0]]


def word_label(code: Sequence[int], *, vocabulary: int | None) -> str:
    """Symbols side by side (apart where they have several digits); of a word of none, that it is empty."""
    if not len(code):
        return EMPTY
    return ("" if (vocabulary or 0) <= MANY_SYMBOLS else " ").join(str(symbol) for symbol in code)


def shortened(label: str) -> str:
    """A label that fits beside an axis: its beginning, where it is long."""
    return label if len(label) <= WIDEST_WORD else label[: WIDEST_WORD - 1] + ELLIPSIS


def meaning_label(meaning: Sequence[int]) -> str:
    """The attributes of a meaning, joined by commas; a dash where the agent knows nothing."""
    return NOTHING if all(z < 0 for z in meaning) else ",".join(str(z) for z in meaning)


def meaning_labels(corpus: Corpus) -> list[str]:
    """One short text for each utterance: what its sender knew."""
    return [meaning_label(meaning) for meaning in corpus.meanings().tolist()]


def vector_label(vector: Any) -> str:
    """Numbers with at most two decimals, without needless zeros."""
    return " ".join(_number(value) for value in np.asarray(vector, dtype=float).reshape(-1).tolist())


def message_label(vector: Any) -> str:
    """A vector that was said: its numbers where they are few, else a strip of at most 16 heights from -1 to 1.

    Heights are of tanh of the mean of neighbouring numbers: the same numbers look the same in every message.
    """
    values = np.asarray(vector, dtype=float).reshape(-1)
    if len(values) <= FEW_NUMBERS:
        return vector_label(values)
    means = [part.mean() for part in np.array_split(values, min(len(values), WIDEST_STRIP))]
    heights = np.rint((np.tanh(means) + 1) / 2 * (len(HEIGHTS) - 1)).astype(int)
    return "".join(HEIGHTS[height] for height in heights)


def number(value: float | None, *, digits: int = 2, sign: bool = False) -> str:
    """A number with so many decimals and a true minus; a dash for None."""
    if value is None:
        return NOTHING
    rounded = round(value, digits) + 0.0
    return f"{rounded:{'+' if sign and rounded else ''}.{digits}f}".replace("-", MINUS)


def count(value: int) -> str:
    """A whole number, its thousands apart."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(value: float | None) -> str:
    """A share as a whole percentage; one decimal where rounding would say all or nothing."""
    if value is None:
        return NOTHING
    digits = 1 if 0 < value < 0.01 or 0.99 < value < 1 else 0
    return f"{100 * value:.{digits}f} %"


def _number(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", MINUS)
