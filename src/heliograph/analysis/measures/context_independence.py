"""Context independence of whole messages."""

from typing import Any

import numpy as np

from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure
from heliograph.analysis.measures.pair_counts import pairs_in

__all__ = ["MEASURE", "context_independence"]

EQUAL = 1e-12


def context_independence(
    messages: Any, meanings: Any, *, given: Any = None, eos: Any = None, unique: bool = False
) -> float:
    """Degree to which each meaning has a message of its own, 0 to 1.

    The mean over meanings c of p(v given c) p(c given v).

    v = argmax_v p(c given v), ties to the highest p(v given c): atomic counts, one message for one meaning (Bogin et
    al. 2018, as Lowe et al. 2019 count). A bijection has 1, one message for 4 meanings 1/4. Meanings that do not occur
    are left out. See `context_independence_bag` for symbols and attributes: its scale is another. Raises ValueError
    where there is no message, or not one meaning for each.
    """
    said = language_of(messages, meanings=meanings, given=given, eos=eos, unique=unique, whole=True)
    return mean_within(_context_independence, said)


def _context_independence(said: Language) -> float:
    pairs = pairs_in(said)
    told, used = pairs.both / pairs.of_message, pairs.both / pairs.of_meaning
    starts = np.flatnonzero(np.append(True, np.diff(pairs.meaning) != 0))
    sizes = np.diff(np.append(starts, len(told)))
    best = told >= np.repeat(np.maximum.reduceat(told, starts), sizes) - EQUAL
    return float(np.maximum.reduceat(np.where(best, told * used, 0.0), starts).mean())


MEASURE = Measure(
    name="context_independence", function=context_independence, range=(0.0, 1.0), better=Better.HIGHER,
    chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, source="Bogin et al. 2018",
    resampling=resampled_by(_context_independence, whole=True),
)  # fmt: skip
