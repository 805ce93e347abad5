"""How messages and meanings are written for people."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from heliograph.analysis.corpus import Corpus

MANY_SYMBOLS = 10
NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def message_labels(corpus: Corpus) -> list[str]:
    """One short text for each utterance: its symbols, or the signs of its vector's entries."""
    codes = corpus.codes()
    return [word_label(code, vocabulary=corpus.metadata["vocabulary"]) for code in codes.tolist()]


def word_label(code: Sequence[int], *, vocabulary: int | None) -> str:
    """Symbols side by side (apart where they have several digits); signs where there is no vocabulary."""
    if vocabulary is None:
        return "".join("+" if symbol else MINUS for symbol in code)
    return ("" if vocabulary <= MANY_SYMBOLS else " ").join(str(symbol) for symbol in code)


def meaning_label(meaning: Sequence[int]) -> str:
    """The attributes of a meaning, joined by commas; a dash where the agent knows nothing."""
    return NOTHING if all(z < 0 for z in meaning) else ",".join(str(z) for z in meaning)


def meaning_labels(corpus: Corpus) -> list[str]:
    """One short text for each utterance: what its sender knew."""
    return [meaning_label(meaning) for meaning in corpus.meanings().tolist()]


def vector_label(vector: Any) -> str:
    """Numbers with at most two decimals, without needless zeros."""
    return " ".join(_number(value) for value in np.asarray(vector, dtype=float).reshape(-1).tolist())


def _number(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", MINUS)
