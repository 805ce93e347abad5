"""The best one-to-one dictionary of symbols and concepts."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.pair_counts import atoms_of, symbols_by_concept
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import words_of

__all__ = ["MEASURE", "BestMatching", "best_matching", "concept_best_matching"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestMatching:
    """The score of the best dictionary, and its entries: symbol, concept, and how many utterances have both."""

    score: float
    pairs: tuple[tuple[Any, Any, float], ...]


def concept_best_matching(
    messages: Any, attributes: Any, *, given: Any = None, eos: Any = None, unique: bool = False
) -> float:
    """How well a one-to-one dictionary of symbols and concepts explains utterances, 0 to 1 (Carmeli et al. 2024).

    Symbols and concepts (values of attributes) are matched so that the number of utterances with both is largest; it is
    divided by the sum over utterances of max(symbols, concepts), where a repeated symbol counts again. A holistic code
    of two binary attributes still has 1/2. Undefined where no message has a symbol and no meaning a concept. Raises
    ValueError where there is no message, or not one meaning for each. For meanings with unequal numbers of concepts see
    `best_matching`.
    """
    said = language_of(messages, attributes=attributes, given=given, eos=eos, unique=unique)
    return mean_within(_score, said)


def best_matching(messages: Any, meanings: Any, *, eos: Any = None) -> BestMatching:
    """The same with the dictionary, of meanings that are collections of concepts by name, of any number each."""
    words, atoms = words_of(messages, eos=eos), atoms_of(meanings)
    if len(words) != len(atoms):
        raise ValueError(f"{len(words)} messages and {len(atoms)} meanings: there must be one meaning for each")
    names = list(dict.fromkeys(atom for row in atoms for atom in row))
    has = np.array([[name in row for name in names] for row in atoms], dtype=np.int64).reshape(len(atoms), -1)
    weights = (words.counts() > 0).T.astype(np.float64) @ has
    most = float(np.maximum(words.lengths, [len(row) for row in atoms]).sum())
    pairs = [(words.names[i], names[j], float(weights[i, j])) for i, j in _matched(weights) if weights[i, j] > 0]
    return BestMatching(score=_over(sum(weight for _, _, weight in pairs), most), pairs=tuple(pairs))


def _score(said: Language) -> float:
    weights = symbols_by_concept(said, once=True)
    most = float((np.maximum(said.words.lengths, said.of_meanings.shape[1]) * said.times).sum())
    return _over(float(sum(weights[i, j] for i, j in _matched(weights))), most)


def _matched(weights: Float[np.ndarray, "V C"]) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _over(weight: float, most: float) -> float:
    return weight / most if most else Undefined("no message has a symbol, and no meaning a concept")


MEASURE = Measure(
    name="concept_best_matching", function=concept_best_matching, range=(0.0, 1.0), better=Better.HIGHER,
    chance=Chance.SHUFFLED_MEANINGS, source="Carmeli et al. 2024", resampling=resampled_by(_score),
)  # fmt: skip
