"""Where messages fall into segments, by Harris' articulation scheme."""

import collections
import dataclasses
import itertools
import math
from typing import Any

from heliograph.analysis.measures.base import check_convention
from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.words import Words, words_of

__all__ = ["MEASURE", "Segmentation", "branching_entropies", "harris_segmentation"]

CONVENTIONS = {
    "successors": "branching entropy over what follows a context",
    "harris": "over all occurrences of it, also the last in a message (published code, emlangkit)",
}
Context = tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segmentation:
    """The mean number of boundaries in a message, how many distinct segments there are, and the segments of each."""

    mean_boundaries: float
    num_segments: int
    segments: tuple[tuple[tuple[Any, ...], ...], ...]


def harris_segmentation(
    messages: Any, *, threshold: float = 0.5, convention: str = "successors", eos: Any = None
) -> Segmentation:
    """Segments of messages: a boundary follows a context where its branching entropy rises by more than `threshold`.

    h(s) is the entropy, in bits, of the symbol after s; there is a boundary behind s[i:k+1] where h(s[i:k+1]) -
    h(s[i:k]) > threshold, for contexts that do not reach the end of the message (Ueda et al. 2023; thresholds of 0.5 to
    1 are in use). "successors" divides by occurrences with a successor, as the paper has it, "harris" by all, as
    published code and emlangkit do. Raises ValueError where there is no message.
    """
    check_convention(convention, CONVENTIONS)
    words = words_of(messages, eos=eos)
    rows = [tuple(row[:length]) for row, length in zip(words.codes.tolist(), words.lengths.tolist(), strict=True)]
    entropies = _branching(rows, over_all=convention == "harris")
    cuts = {row: _cuts(row, entropies, threshold) for row in set(rows)}
    parts = {row: _segments(row, cuts[row], words) for row in cuts}
    return Segmentation(
        mean_boundaries=sum(len(cuts[row]) for row in rows) / len(rows),
        num_segments=len({segment for row in parts.values() for segment in row}),
        segments=tuple(parts[row] for row in rows),
    )


def branching_entropies(
    messages: Any, *, convention: str = "successors", eos: Any = None
) -> dict[tuple[Any, ...], float]:
    """The branching entropy of every run of symbols that occurs, in bits; that of the empty one is of all symbols."""
    check_convention(convention, CONVENTIONS)
    words = words_of(messages, eos=eos)
    rows = [tuple(row[:length]) for row, length in zip(words.codes.tolist(), words.lengths.tolist(), strict=True)]
    found = _branching(rows, over_all=convention == "harris")
    return {tuple(words.names[code] for code in context): bits for context, bits in found.items()}


def _branching(rows: list[Context], *, over_all: bool) -> dict[Context, float]:
    runs: collections.Counter[Context] = collections.Counter()
    for row, times in collections.Counter(rows).items():
        for start in range(len(row)):
            for end in range(start + 1, len(row) + 1):
                runs[row[start:end]] += times
    after: dict[Context, list[int]] = collections.defaultdict(list)
    for run, times in runs.items():
        after[run[:-1]].append(times)
    bits = {
        context: _bits(found, runs[context] if over_all and context else sum(found)) for context, found in after.items()
    }
    return dict.fromkeys(runs, 0.0) | bits


def _bits(counts: list[int], total: int) -> float:
    return -sum(count / total * math.log2(count / total) for count in counts)


def _cuts(row: Context, entropies: dict[Context, float], threshold: float) -> list[int]:
    found = {
        end
        for start in range(len(row))
        for end in range(start + 2, len(row))
        if entropies[row[start:end]] - entropies[row[start : end - 1]] > threshold
    }
    return sorted(found)


def _segments(row: Context, cuts: list[int], words: Words) -> tuple[tuple[Any, ...], ...]:
    ends = [0, *cuts, len(row)]
    names = [words.names[code] for code in row]
    return tuple(tuple(names[start:end]) for start, end in itertools.pairwise(ends) if end > start)


MEASURE = Measure(
    name="harris_segmentation", function=harris_segmentation, unit="boundaries", range=(0.0, math.inf),
    source="Ueda et al. 2023", pairs=True, most_rows=2000,
)  # fmt: skip
