"""Whether speakers are understood by listeners that they were not trained with."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "CrossPlay", "cross_play"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossPlay:
    """`cross`, the mean score of strangers, `own`, that of partners, their `gap`, own - cross, and the `asymmetry`.

    Asymmetry is ||S - S'|| / ||S + S'||: of interest only where agents both speak and listen.
    """

    cross: float
    own: float
    gap: float
    asymmetry: float


def cross_play(scores: Any) -> CrossPlay:
    """Statistics of S[i, j], the score of speaker i with listener j (Hu et al. 2020; Chaabouni et al. 2022).

    Partners lie on the diagonal, so `scores` is square. A pair that did not play is NaN and left out of means, and then
    asymmetry is undefined; so is `cross` of a single pair. Raises ValueError for a matrix that is not square, or holds
    infinite numbers.
    """
    table = np.asarray(scores.detach().cpu() if hasattr(scores, "detach") else scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not table.size:
        raise ValueError(f"scores has shape {table.shape}: must be square, speakers by listeners, partners in order")
    if np.isinf(table).any():
        raise ValueError("scores holds infinite numbers")
    partners = np.eye(len(table), dtype=bool)
    own, cross = _mean(table[partners]), _mean(table[~partners])
    return CrossPlay(cross=cross, own=own, gap=_gap(own, cross), asymmetry=_asymmetry(table))


def _mean(values: Float[np.ndarray, " n"]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else Undefined("no such pair played")


def _gap(own: float, cross: float) -> float:
    return own - cross if own == own and cross == cross else Undefined("partners or strangers did not play")


def _asymmetry(table: Float[np.ndarray, "n n"]) -> float:
    if np.isnan(table).any():
        return Undefined("some pairs did not play")
    whole = float(np.linalg.norm(table + table.T))
    return float(np.linalg.norm(table - table.T)) / whole if whole else Undefined("all scores are opposite, or 0")


MEASURE = Measure(
    name="cross_play", function=cross_play, better=Better.HIGHER, applies_to=AppliesTo.BOTH,
    source="Hu et al. 2020; Chaabouni et al. 2022", example=lambda: {"scores": [[1.0, 0.2], [0.6, 0.8]]}, listed=False,
)  # fmt: skip
