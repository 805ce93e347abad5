"""Topographic similarity: whether like meanings have like messages."""

from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import check_convention, ids_of, numbers_of, plain_rows, plain_table
from heliograph.analysis.measures.distances import Apart, between_places, between_vectors, between_words
from heliograph.analysis.measures.language import Language, language_of, weighted_mean
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure
from heliograph.analysis.measures.rank_correlation import PairsOfDistances
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import Words

__all__ = ["MEASURE", "similarities", "topographic_similarity"]

CONVENTIONS = {
    "raw": "edit distance as it is (Korbak, Harris)",
    "egg": "over the mean length (EGG core, emlangkit)",
    "zoo": "over the length of the first message (EGG zoo, DeepMind)",
    "rita": "over the longer length (Rita)",
    "hamming": "places that differ, shorter messages padded",
    "euclidean": "of vectors",
    "cosine": "of vectors",
}
OVER = {"raw": None, "egg": "mean", "zoo": "first", "rita": "longer"}
MEANINGS = {"hamming": "attributes that differ", "euclidean": "of numbers", "cosine": "of numbers"}


def topographic_similarity(
    messages: Any, attributes: Any, *, convention: str | None = None, meaning_distance: str = "hamming",
    given: Any = None, eos: Any = None, unique: bool = False,
) -> float:  # fmt: skip
    """Tell whether like meanings have like messages, -1 to 1 (Brighton & Kirby 2006; Lazaridou et al. 2018).

    Spearman's correlation, over all pairs i < j of utterances, of the distance of their meanings and that of their
    messages. `meaning_distance` is "hamming" (attributes that differ), "euclidean" or "cosine". `convention` is the
    distance of messages, for which tools differ: "raw" edit distance (the default; Korbak, Harris), over the mean
    length ("egg", emlangkit too), over the length of the first ("zoo": EGG's zoo; it depends on the order of rows),
    over the longer ("rita"), or "hamming"; they rank messages of one length alike, ragged ones far from it. Vectors are
    compared by "euclidean" distance (their default) or "cosine".

    Arguments stand as in emlangkit; EGG takes meanings first. Repeated utterances raise it: `unique` keeps one of each.
    Pairs depend on one another, so that p is found by shuffling meanings, never from tables of the correlation.
    Undefined where all messages, or all meanings, lie equally far apart, and for the cosine of a row of zeros. Raises
    ValueError where there is no message, or not one meaning for each. Memory grows with the square of distinct
    messages: 5,000 take some 100 MB.
    """
    how: dict[str, Any] = {"convention": convention, "meaning_distance": meaning_distance}
    return similarities(messages, attributes, given=given, eos=eos, unique=unique, **how).value()


class _WithinGroups:
    """Topographic similarity, the mean within groups."""

    def __init__(self, parts: list[PairsOfDistances | Undefined], rows: list[Int[np.ndarray, " m"]], number: int):
        self.parts, self.rows = parts, rows
        self.place = np.zeros(number, dtype=np.int64)
        for some in rows:
            self.place[some] = np.arange(len(some))

    def value(self) -> float:
        """Return the value of utterances as they are."""
        return self._mean([part if isinstance(part, Undefined) else part.value() for part in self.parts])

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        """The value with meanings in another order, which keeps each within its group."""
        orders = [self.place[order[rows]] for rows in self.rows]
        pairs = zip(self.parts, orders, strict=True)
        return self._mean([part if isinstance(part, Undefined) else part.shuffled(o) for part, o in pairs])

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        """The value of utterances that occur so many times each."""
        pairs = zip(self.parts, self.rows, strict=True)
        return self._mean([part if isinstance(part, Undefined) else part.drawn(times[rows]) for part, rows in pairs])

    def _mean(self, values: list[float]) -> float:
        return weighted_mean(values, [len(rows) for rows in self.rows]) if len(values) > 1 else values[0]


def similarities(
    messages: Any, attributes: Any, *, convention: str | None = None, meaning_distance: str = "hamming",
    given: Any = None, eos: Any = None, unique: bool = False,
) -> _WithinGroups:  # fmt: skip
    """Topographic similarity in other orders too: all distances are worked out once."""
    vectors = None if isinstance(messages, Words) or eos is not None else _vectors(messages)
    convention = convention or ("raw" if vectors is None else "euclidean")
    check_convention(convention, CONVENTIONS)
    if meaning_distance not in MEANINGS:
        raise ValueError(f"meaning_distance={meaning_distance!r}: must be one of {', '.join(map(repr, MEANINGS))}")
    if (convention in ("euclidean", "cosine")) != (vectors is not None):
        kind = "symbols" if vectors is None else "vectors"
        raise ValueError(f"convention={convention!r}: messages are {kind}, which it does not compare")
    said = language_of(messages, attributes=attributes, given=given, eos=eos, whole=vectors is not None)
    numbers = None if meaning_distance == "hamming" else _numbers(attributes)
    kept = np.arange(len(said)) if not unique else _first_of_each(said)
    groups = said.group[kept]
    rows = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    parts = []
    for some in rows:
        at = kept[some]
        far = _of_messages(said[at], None if vectors is None else vectors[at], convention)
        meant = _of_meanings(said[at], None if numbers is None else numbers[at], meaning_distance)
        parts.append(next((x for x in (far, meant) if isinstance(x, Undefined)), None) or _pairs(far, meant))
    return _WithinGroups(parts, rows, len(kept))


def _pairs(messages: Any, meanings: Any) -> PairsOfDistances:
    return PairsOfDistances(messages, meanings)


def _vectors(messages: Any) -> np.ndarray | None:
    """Messages as vectors; None where they are symbols."""
    table = plain_rows(messages, what="messages")
    if isinstance(table, np.ndarray):
        fractions = table.dtype.kind == "f" and bool((table != np.floor(table)).any())
    else:
        fractions = any(isinstance(part, float) and not part.is_integer() for row in table for part in row)
    return numbers_of(messages) if fractions else None


def _numbers(attributes: Any) -> np.ndarray:
    try:
        return np.asarray(plain_table(attributes, what="meanings"), dtype=np.float64).reshape(len(attributes), -1)
    except (TypeError, ValueError) as error:
        raise ValueError("meanings must be rows of numbers, all of one length, for distances of numbers") from error


def _first_of_each(said: Language) -> Int[np.ndarray, " m"]:
    pairs = np.stack([said.words.ids(), said.meant, said.group], 1)
    return np.sort(np.unique(ids_of(pairs), return_index=True)[1])


def _of_messages(said: Language, vectors: np.ndarray | None, convention: str) -> Apart | Undefined:
    if vectors is not None:
        return between_vectors(vectors, metric=convention)
    if convention == "hamming":
        return between_places(said.words.codes, said.words.ids())
    return between_words(said.words, over=OVER[convention])


def _of_meanings(said: Language, numbers: np.ndarray | None, metric: str) -> Apart | Undefined:
    if numbers is None:
        return between_places(said.attributes, ids_of(said.meant))
    return between_vectors(numbers, metric=metric)


MEASURE = Measure(
    name="topographic_similarity", function=topographic_similarity, range=(-1.0, 1.0), better=Better.HIGHER,
    chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.BOTH, source="Brighton & Kirby 2006",
    resampling=similarities, pairs=True,
)  # fmt: skip
