"""How much a language changed between two checkpoints."""

import dataclasses
from collections import Counter
from typing import Any

from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.levenshtein import levenshtein
from heliograph.analysis.measures.measure import AppliesTo, Measure
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import words_of

__all__ = ["MEASURE", "LanguageDrift", "language_drift"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageDrift:
    """`changed_share` of the meanings that have another modal message, and the mean edit distance, in symbols.

    Both over `num_meanings` that are meant at both checkpoints; undefined where there is none.
    """

    changed_share: float
    edit_distance: float
    num_meanings: int


def language_drift(
    messages: Any, meanings: Any, later_messages: Any, later_meanings: Any = None, *, eos: Any = None
) -> LanguageDrift:
    """The change of the most frequent message of each meaning between two checkpoints (Lee et al. 2019).

    Utterances of both, each with its meaning (`later_meanings` None: the same, row by row). Where messages of a meaning
    are equally frequent, it has not changed if any of them still is the most frequent, and its distance is that of the
    nearest two: a tie is no change by itself. With `eos` words end before the first of it. Raises ValueError where
    there is no message, or not one meaning for each.
    """
    later_meanings = meanings if later_meanings is None else later_meanings
    before, after = words_of(messages, eos=eos).tuples(), words_of(later_messages, eos=eos).tuples()
    if (len(meanings), len(later_meanings)) != (len(before), len(after)):
        raise ValueError(
            f"{len(before)} and {len(after)} messages, {len(meanings)} and {len(later_meanings)} meanings: "
            "there must be one meaning for each"
        )
    meant = ids_of([*meanings, *later_meanings], what="meanings").tolist()
    first, second = _modes(before, meant[: len(before)]), _modes(after, meant[len(before) :])
    both = first.keys() & second.keys()
    if not both:
        reason = Undefined("no meaning is meant at both checkpoints")
        return LanguageDrift(changed_share=reason, edit_distance=reason, num_meanings=0)
    apart = [min(levenshtein(a, b) for a in first[m] for b in second[m]) for m in both]
    changed = [not first[m] & second[m] for m in both]
    return LanguageDrift(
        changed_share=sum(changed) / len(both), edit_distance=sum(apart) / len(both), num_meanings=len(both)
    )


def _modes(words: list[tuple[Any, ...]], meant: list[int]) -> dict[int, set[tuple[Any, ...]]]:
    """The most frequent words of each meaning."""
    counts: dict[int, Counter[tuple[Any, ...]]] = {}
    for word, meaning in zip(words, meant, strict=True):
        counts.setdefault(meaning, Counter())[word] += 1
    return {m: {word for word, n in found.items() if n == max(found.values())} for m, found in counts.items()}


def _example() -> dict[str, Any]:
    return {"messages": [[0], [1], [2], [3]], "meanings": [0, 1, 2, 3], "later_messages": [[0], [1], [2], [4]]}


MEASURE = Measure(
    name="language_drift", function=language_drift, range=(0.0, 1.0), applies_to=AppliesTo.SYMBOLS,
    source="Lee et al. 2019", example=_example, listed=False,
)  # fmt: skip
