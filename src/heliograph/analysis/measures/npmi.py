"""Which messages go with which meanings, by normalised pointwise mutual information."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from heliograph.analysis.measures.base import check_convention, key_of, plain_table
from heliograph.analysis.measures.language import Language, language_of, mean_within, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure
from heliograph.analysis.measures.pair_counts import PairCounts, pairs_in

__all__ = ["MEASURE", "NpmiTable", "npmi", "npmi_table"]

CONVENTIONS = {
    "limits": "-1 for what never goes together, 1 for what always does",
    "emlangkit": "NaN for both",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NpmiTable:
    """Normalised pointwise mutual information of each message with each meaning, `values` [messages, meanings]."""

    messages: tuple[Any, ...]
    meanings: tuple[Any, ...]
    values: tuple[tuple[float, ...], ...]

    def of(self, message: Any, meaning: Any) -> float:
        """Return the NPMI of one message and one meaning."""
        return self.values[self.messages.index(key_of(message))][self.meanings.index(key_of(meaning))]


def npmi(messages: Any, meanings: Any, *, given: Any = None, eos: Any = None, unique: bool = False) -> float:
    """How firmly messages go with what they are said of, -1 to 1: the mean over utterances of that of their pair.

    log2(p(m, o) / (p(m) p(o))) / -log2 p(m, o) (Lipinski et al. 2024 use it of single pairs: `npmi_table`); 1 where the
    pair is all there is. Raises ValueError where there is no message, or not one meaning for each.
    """
    said = language_of(messages, meanings=meanings, given=given, eos=eos, unique=unique, whole=True)
    return mean_within(_npmi, said)


def npmi_table(messages: Any, meanings: Any, *, convention: str = "limits") -> NpmiTable:
    """Return the NPMI of every message with every meaning: -1 where they never go together ("emlangkit": NaN there)."""
    check_convention(convention, CONVENTIONS)
    said = language_of(messages, meanings=meanings, whole=True)
    pairs = pairs_in(said)
    shape = int(said.words.ids().max()) + 1, int(said.meant.max()) + 1
    emlangkit = convention == "emlangkit"
    values = np.full(shape, np.nan if emlangkit else -1.0)
    values[pairs.message, pairs.meaning] = np.nan if emlangkit and len(pairs.both) == 1 else _of_pairs(pairs)
    return NpmiTable(
        messages=_names(messages, said.words.ids()), meanings=_names(meanings, said.meant),
        values=tuple(map(tuple, values.tolist())),
    )  # fmt: skip


def _names(rows: Any, ids: np.ndarray) -> tuple[Any, ...]:
    """Return what each id stands for."""
    table = list(plain_table(rows, what="rows"))
    return tuple(key_of(table[place]) for place in np.unique(ids, return_index=True)[1].tolist())


def _of_pairs(pairs: PairCounts) -> Float[np.ndarray, " p"]:
    share = pairs.both / pairs.total
    lift = np.log2(pairs.both * pairs.total / (pairs.of_message * pairs.of_meaning))
    return np.where(share < 1.0, lift / np.maximum(-np.log2(share), 1e-300), 1.0)


def _npmi(said: Language) -> float:
    pairs = pairs_in(said)
    return float((_of_pairs(pairs) * pairs.both).sum() / pairs.total)


MEASURE = Measure(
    name="npmi", function=npmi, range=(-1.0, 1.0), better=Better.HIGHER, chance=Chance.SHUFFLED_MEANINGS,
    applies_to=AppliesTo.WHOLE, source="Lipinski et al. 2024", resampling=resampled_by(_npmi, whole=True),
)  # fmt: skip
