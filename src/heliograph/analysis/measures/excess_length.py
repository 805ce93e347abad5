"""How much longer messages are than those of the best code."""

from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.language import Language, resampled_by
from heliograph.analysis.measures.measure import Better, Measure
from heliograph.analysis.measures.words import words_of

__all__ = ["MEASURE", "excess_length", "optimal_lengths"]


def excess_length(
    messages: Any, meanings: Any, *, vocabulary: int | None = None, eos: Any = None, counts_eos: bool = True
) -> float:
    """The mean length of an utterance less that of the best code for the meanings, in symbols (Chaabouni et al. 2019).

    The best code gives the frequent meanings the short words, each once; see `optimal_lengths`. Lengths count the
    symbol that ends each message, said or not. `vocabulary` counts symbols, that one among them where `counts_eos`;
    None: those that occur, and the end. Below 0 where meanings share messages. Raises ValueError where there is no
    message, not one meaning for each, or a vocabulary that can tell no two meanings apart.
    """
    words, meant = words_of(messages, eos=eos), ids_of(meanings, what="meanings")
    if len(meant) != len(words):
        raise ValueError(f"{len(words)} messages and {len(meant)} meanings: there must be one meaning for each")
    own = len(words.names)
    size = max(2, own + 1) if vocabulary is None else vocabulary + (0 if counts_eos else 1)
    share = np.sort(np.bincount(meant))[::-1] / len(meant)
    observed = float(words.lengths.mean()) + 1
    return observed - float(share @ optimal_lengths(len(share), vocabulary=size))


def optimal_lengths(num_words: int, *, vocabulary: int) -> Int[np.ndarray, " n"]:
    """The lengths of the shortest different words, their end counted: (V - 1)^(l - 1) words of length l.

    `vocabulary` is V, with the symbol that ends a word. Raises ValueError where V words are too few to go on.
    """
    if vocabulary < 2 and num_words > 1:
        raise ValueError(f"vocabulary={vocabulary}: {num_words} words need at least one symbol beside the end")
    lengths: list[int] = []
    length = 1
    while len(lengths) < num_words:
        lengths += [length] * min((vocabulary - 1) ** (length - 1), num_words - len(lengths))
        length += 1
    return np.array(lengths, dtype=np.int64)


def _excess(said: Language) -> float:
    counts = said.words.counts()
    size = max(2, int(np.count_nonzero((said.times > 0).astype(np.float64) @ counts)) + 1)
    share = np.sort(np.bincount(said.meant, weights=said.times))[::-1]
    share = share[share > 0] / said.times.sum()
    observed = float(np.average(said.words.lengths, weights=said.times)) + 1
    return observed - float(share @ optimal_lengths(len(share), vocabulary=size))


MEASURE = Measure(
    name="excess_length", function=excess_length, unit="symbols", better=Better.LOWER, source="Chaabouni et al. 2019",
    resampling=resampled_by(_excess),
)  # fmt: skip
