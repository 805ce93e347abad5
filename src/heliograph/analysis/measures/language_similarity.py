"""How alike what two speakers say for the same meanings is."""

import enum
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import entropy_of_ids, ids_of, joined
from heliograph.analysis.measures.levenshtein import levenshtein
from heliograph.analysis.measures.measure import AppliesTo, Measure
from heliograph.analysis.measures.words import words_of

__all__ = ["MEASURE", "Likeness", "language_similarity"]


class Likeness(enum.StrEnum):
    """By edit distance, which needs equal symbols; or by normalised mutual information, which does not."""

    EDIT = "edit"
    NMI = "nmi"


def language_similarity(
    messages: Any, others: Any, *, likeness: Likeness | str = "edit", meanings: Any = None, eos: Any = None
) -> float:
    """The similarity of two speakers' messages, 0 to 1; row i of both is said of the same thing (Rita et al. 2022).

    "edit": the mean of 1 - edit distance / length of the longer (1 for two empty ones), in which symbols must mean the
    same to both. "nmi": normalised mutual information (arithmetic mean) of the messages, for which each may have
    symbols of its own; it is 1 where all messages of both differ, so use it where meanings repeat. With `meanings` each
    meaning counts once ("edit": the mean of its rows), without it as often as it occurs. With `eos` words end before
    the first of it. Raises ValueError where there is no message, or rows are not equally many.
    """
    kind = Likeness(likeness)
    one, two = (words_of(said, eos=eos).tuples() for said in (messages, others))
    if len(one) != len(two):
        raise ValueError(f"{len(one)} messages and {len(two)} others: row by row they must be of the same thing")
    if kind is Likeness.NMI:
        return _shared(ids_of(one), ids_of(two))
    alike = np.array([_alike(a, b) for a, b in zip(one, two, strict=True)])
    if meanings is None:
        return float(alike.mean())
    meant = ids_of(meanings, what="meanings")
    if len(meant) != len(one):
        raise ValueError(f"{len(one)} messages and {len(meant)} meanings: there must be one meaning for each")
    counts = np.bincount(meant)
    return float((np.bincount(meant, weights=alike)[counts > 0] / counts[counts > 0]).mean())


def _shared(one: Int[np.ndarray, " n"], other: Int[np.ndarray, " n"]) -> float:
    """I / mean entropy: 1 where neither ever varies, 0 where one does not."""
    own, theirs = entropy_of_ids(one), entropy_of_ids(other)
    if min(own, theirs) == 0.0:
        return float(max(own, theirs) == 0.0)
    return max(0.0, own + theirs - entropy_of_ids(joined(one, other))) / ((own + theirs) / 2)


def _alike(one: tuple[Any, ...], other: tuple[Any, ...]) -> float:
    longer = max(len(one), len(other))
    return 1.0 - levenshtein(one, other) / longer if longer else 1.0


MEASURE = Measure(
    name="language_similarity", function=language_similarity, range=(0.0, 1.0), applies_to=AppliesTo.SYMBOLS,
    source="Rita et al. 2022", listed=False,
    example=lambda: {"messages": [[1, 2], [2, 2], [1, 1]], "others": [[1, 3], [2, 2], [2, 2]]},
)  # fmt: skip
