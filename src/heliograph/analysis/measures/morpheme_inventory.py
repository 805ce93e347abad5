"""The smallest forms that carry meaning, found greedily."""

import collections
import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.pair_counts import atoms_of
from heliograph.analysis.measures.words import words_of

__all__ = ["MEASURE", "Morpheme", "MorphemeInventory", "MorphemeScores", "morpheme_inventory", "morpheme_scores"]

NOTHING = 1e-9
Run = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Morpheme:
    """A form, adjacent symbols, and a meaning, names of what it stands for; bits of its presence, and its uses."""

    form: tuple[Any, ...]
    meaning: frozenset
    bits: float
    uses: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class MorphemeInventory:
    """Number of morphemes, the mean bits of one, and all of them, in the order in which they were found."""

    num_morphemes: int
    mean_bits: float
    morphemes: tuple[Morpheme, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MorphemeScores:
    """An inventory against the true one: F1, the share of found that are true, and of true that are found."""

    f1: float
    precision: float
    recall: float


def morpheme_inventory(
    messages: Any, attributes: Any, *, atoms: bool = False, most_atoms: int = 2, longest: int = 4, eos: Any = None
) -> MorphemeInventory:
    """Morphemes, found greedily, the clearest first (Boldt & Mortensen 2025).

    The form and the meaning whose presence in utterances share most bits are taken out of those that have both, and so
    on, until no form goes with any meaning more often than by chance. Forms are runs of
    up to `longest` symbols, or whole messages; meanings are up to `most_atoms` values of attributes. With `atoms`,
    meanings are collections of names, of any number each, as CSAR reads them. Of equal pairs that with more uses is
    taken, then the larger meaning, then the longer form. The same symbol at several places is one form. Raises
    ValueError where there is no message, or not one meaning for each.
    """
    words, rows = words_of(messages, eos=eos).tuples(), atoms_of(attributes)
    if len(words) != len(rows):
        raise ValueError(f"{len(words)} messages and {len(rows)} meanings: there must be one meaning for each")
    means = [frozenset(row if atoms else enumerate(row)) for row in rows]
    found = tuple(_Search(words, means, longest=longest, most_atoms=most_atoms).run())
    mean = float(np.mean([morpheme.bits for morpheme in found])) if found else 0.0
    return MorphemeInventory(num_morphemes=len(found), mean_bits=mean, morphemes=found)


def morpheme_scores(inventory: MorphemeInventory, gold: Any) -> MorphemeScores:
    """An inventory against true pairs of symbols and atoms of meaning, by exact matches."""
    true = {(tuple(form), frozenset(meaning)) for form, meaning in gold}
    found = {(morpheme.form, morpheme.meaning) for morpheme in inventory.morphemes}
    if not true:
        raise ValueError("gold has no morpheme: there is nothing to compare with")
    right = len(true & found)
    precision, recall = right / len(found) if found else 0.0, right / len(true)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return MorphemeScores(f1=f1, precision=precision, recall=recall)


class _Search:
    """Utterances as what is left of them: runs of symbols between those that were taken out, and atoms of meaning."""

    def __init__(self, words: list[Run], means: list[frozenset], *, longest: int, most_atoms: int):
        self.runs = [[word] for word in words]
        self.means = list(means)
        self.longest, self.most_atoms = longest, most_atoms
        self.forms: collections.Counter = collections.Counter()
        self.meanings: collections.Counter = collections.Counter()
        self.both: collections.Counter = collections.Counter()
        for row in range(len(words)):
            self._count(row, 1)

    def run(self) -> Iterator[Morpheme]:
        """Morphemes, the clearest first."""
        while (best := self._best()) is not None:
            form, meaning, bits = best
            uses = self.both[form, meaning]
            yield Morpheme(form=form, meaning=meaning, bits=bits, uses=uses)
            for row, means in enumerate(self.means):
                place = next((i for i, run in enumerate(self.runs[row]) if _find(run, form) >= 0), None)
                if place is not None and meaning <= means:
                    self._take_out(row, place, form, meaning)

    def _take_out(self, row: int, place: int, form: Run, meaning: frozenset) -> None:
        self._count(row, -1)
        run = self.runs[row].pop(place)
        at = _find(run, form)
        self.runs[row][place:place] = [part for part in (run[:at], run[at + len(form) :]) if part]
        self.means[row] = self.means[row] - meaning
        self._count(row, 1)

    def _count(self, row: int, times: int) -> None:
        forms = {
            run[start:end]
            for run in self.runs[row]
            for start in range(len(run))
            for end in range(start + 1, len(run) + 1)
            if end - start <= self.longest or end - start == len(run)
        }
        atoms = sorted(self.means[row], key=repr)
        sizes = range(1, min(self.most_atoms, len(atoms)) + 1)
        meanings = [frozenset(some) for size in sizes for some in itertools.combinations(atoms, size)]
        for counter, keys in (
            (self.forms, forms), (self.meanings, meanings), (self.both, itertools.product(forms, meanings))
        ):  # fmt: skip
            for key in keys:
                counter[key] += times
                if not counter[key]:
                    del counter[key]

    def _best(self) -> tuple[Run, frozenset, float] | None:
        if not self.both:
            return None
        pairs = list(self.both)
        both = np.array([self.both[pair] for pair in pairs], dtype=np.float64)
        of_form = np.array([self.forms[form] for form, _ in pairs], dtype=np.float64)
        of_meaning = np.array([self.meanings[meaning] for _, meaning in pairs], dtype=np.float64)
        bits = _shared(both, of_form, of_meaning, float(len(self.means)))
        bits[both * len(self.means) <= of_form * of_meaning] = 0.0
        if bits.max() <= NOTHING:
            return None
        level = np.flatnonzero(bits >= bits.max() - NOTHING).tolist()
        best = min(level, key=lambda at: (-both[at], -len(pairs[at][1]), -len(pairs[at][0]), repr(pairs[at])))
        return pairs[best][0], pairs[best][1], float(bits[best])


def _find(run: Run, form: Run) -> int:
    """Return where a form begins in a run; -1 where it is not in it."""
    return next((at for at in range(len(run) - len(form) + 1) if run[at : at + len(form)] == form), -1)


def _shared(both: np.ndarray, one: np.ndarray, other: np.ndarray, total: float) -> np.ndarray:
    """Mutual information, in bits, of two yes-or-no columns with these counts."""
    cells = np.stack([both, one - both, other - both, total - one - other + both]) / total
    margins = np.stack([one * other, one * (total - other), (total - one) * other, (total - one) * (total - other)])
    safe = np.where(cells > 0, cells * total**2 / np.maximum(margins, math.ulp(1.0)), 1.0)
    return np.asarray((cells * np.log2(safe)).sum(0))


MEASURE = Measure(
    name="morpheme_inventory", function=morpheme_inventory, unit="morphemes", range=(0.0, math.inf),
    source="Boldt & Mortensen 2025", pairs=True, most_rows=300,
)  # fmt: skip
