"""How far places of a message are from standing for one attribute each."""

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr

from heliograph.analysis.measures.base import joined
from heliograph.analysis.measures.counting import bits_of, bits_of_pairs, counts_of, entropy_bits
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import Better, Chance, Measure
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.measures.words import Words

__all__ = ["MEASURE", "Partition", "best_partition", "residual_entropy"]

MOST_CELLS = 16
"""Cells of a table for each row, up to which all attributes are counted at once."""
MOST_PLACES = 10
"""Time grows with the sets of places."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partition:
    """The residual entropy, and for each place the attribute that it stands for in the best way to divide them up."""

    residual: float
    attribute_of_place: tuple[int, ...]


def residual_entropy(
    messages: Any, attributes: Any, *, given: Any = None, eos: Any = None, unique: bool = False
) -> float:
    """Entropy that places leave open about the attributes that they stand for.

    0 (compositional) to 1; Resnick et al. 2020.

    The minimum, over all ways to give each place to one attribute, of mean_k H(a_k given m[p_k]) / H(a_k). Attributes
    that never vary are skipped, and one may have no place (its ratio is 1). The end of a shorter message counts as a
    symbol. Undefined where no attribute varies, and for messages of more than 10 places. Raises ValueError where there
    is no message, or not one meaning for each.
    """
    said = language_of(messages, attributes=attributes, given=given, eos=eos, unique=unique)
    return mean_within(_residual_entropy, said)


def best_partition(messages: Any, attributes: Any, *, eos: Any = None) -> Partition:
    """The same with the partition behind it; of several equally good ones the first."""
    return _partition(language_of(messages, attributes=attributes, eos=eos))


def _residual_entropy(said: Language) -> float:
    return _partition(said).residual


def _partition(said: Language) -> Partition:
    places = said.words.codes.shape[1]
    if places > MOST_PLACES:
        why = Undefined(f"messages have {places} places: at most {MOST_PLACES} are tried")
        return Partition(residual=why, attribute_of_place=())
    columns = np.ascontiguousarray(said.attributes.T)
    whole = [entropy_bits(column, said.times) for column in columns]
    varying = [k for k, bits in enumerate(whole) if bits > 1e-12]
    if not varying:
        return Partition(residual=Undefined("no attribute varies"), attribute_of_place=())
    cost = np.array([_left_open(*subset, columns[varying], said.times) for subset in _subsets(said.words)])
    cost /= said.times.sum() * np.array(whole)[varying]
    total, chosen = _cheapest(np.maximum(cost, 0.0))
    owners = [next(k for k, part in zip(varying, chosen, strict=True) if part >> j & 1) for j in range(places)]
    return Partition(residual=total / len(varying), attribute_of_place=tuple(owners))


def _left_open(
    rows: Int[np.ndarray, " m"], ids: Int[np.ndarray, " m"], columns: Int[np.ndarray, "K n"],
    times: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " K"]:  # fmt: skip
    """The bits that ids leave open about each attribute, added up over rows."""
    if not len(rows):
        return np.zeros(len(columns))
    some, heavy, num = columns[:, rows], times[rows], int(ids.max()) + 1
    values = int(some.max()) + 1
    of_ids = entr(np.bincount(ids, weights=heavy)).sum()
    if num * values > MOST_CELLS * len(rows):
        total = heavy.sum()
        apart = [bits_of_pairs(ids, column, heavy) - bits_of(counts_of(ids, heavy)) for column in some]
        return total * np.array(apart) if total else np.zeros(len(columns))
    code = (np.arange(len(some))[:, None] * num + ids) * values + some
    table = np.bincount(code.ravel(), weights=np.tile(heavy, len(some)), minlength=len(some) * num * values)
    found: np.ndarray = (entr(table).reshape(len(some), -1).sum(1) - of_ids) / math.log(2)
    return found


@functools.lru_cache(maxsize=4)
def _subsets(words: Words) -> list[tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]]:
    """For each set of places, as bits of its number: rows of which others are alike there, and an id of what stands.

    What stands there once leaves nothing open.
    """
    found = [np.zeros(len(words), dtype=np.int64)]
    for column in (words.codes + 1).T:
        found += [joined(ids, column) for ids in found]
    several = [np.flatnonzero(np.bincount(ids)[ids] > 1) for ids in found]
    return [(rows, joined(ids[rows]) if len(rows) else rows) for ids, rows in zip(found, several, strict=True)]


def _cheapest(cost: np.ndarray) -> tuple[float, tuple[int, ...]]:
    """The cheapest way to share out all places among attributes: its cost, and the set of each."""
    everything = len(cost) - 1
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for attribute in range(cost.shape[1]):
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for taken, (so_far, parts) in best.items():
            free = everything & ~taken
            for part in _parts_of(free) if attribute < cost.shape[1] - 1 else (free,):
                price = so_far + float(cost[part, attribute])
                if price < longer.get(taken | part, (np.inf, ()))[0]:
                    longer[taken | part] = (price, (*parts, part))
        best = longer
    return best[everything]


def _parts_of(places: int) -> list[int]:
    """All subsets of a set of places, the fullest first."""
    found, part = [places], places
    while part:
        part = (part - 1) & places
        found.append(part)
    return found


MEASURE = Measure(
    name="residual_entropy", function=residual_entropy, range=(0.0, 1.0), better=Better.LOWER,
    chance=Chance.SHUFFLED_MEANINGS, source="Resnick et al. 2020", resampling=resampled_by(_residual_entropy),
    most_rows=5000,
)  # fmt: skip
