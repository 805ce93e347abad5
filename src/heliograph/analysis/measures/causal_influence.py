"""How much a message changes what its hearer does."""

import enum
import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.probability_tables import divergence, nats_in, probabilities

__all__ = ["MEASURE", "Influence", "causal_influence", "influence_by_situation", "mixed_actions"]


class Influence(enum.StrEnum):
    """Messages over which the mean is taken.

    All that could be said (Lowe et al.), or those that were (Jaques et al.).
    """

    LOWE = "lowe"
    JAQUES = "jaques"


def causal_influence(
    action_probabilities: Any,
    message_probabilities: Any = None,
    *,
    said: Any = None,
    convention: Influence | str = "lowe",
    unit: str = "bits",
) -> float:
    """The causal influence of communication: the mean of `influence_by_situation` over situations."""
    found = influence_by_situation(
        action_probabilities, message_probabilities, said=said, convention=convention, unit=unit
    )
    return float(found.mean())


def influence_by_situation(
    action_probabilities: Any,
    message_probabilities: Any = None,
    *,
    said: Any = None,
    convention: Influence | str = "lowe",
    unit: str = "bits",
) -> Float[np.ndarray, " n"]:
    """KL(pi(a | do m) || sum_m p(m) pi(a | do m)) in each situation, in bits (or "nats").

    `action_probabilities` is pi, [n, M, A] or [M, A] for one situation: how likely the hearer acts, with the message
    replaced by each of M in turn and all else as it was. `message_probabilities` is p(m), [n, M] or [M]: how likely the
    speaker says each; None: uniform.
    Tell which it was: a speaker that always says the same has no influence by its own p(m), though its hearer may heed
    every message.

    "lowe": the mean over p(m), sum_m p(m) KL(...) (Lowe et al. 2019), from 0 to the smaller of H(m) and H(a). "jaques":
    the KL of the message that was said (`said` [n], an index), from which p(m) is left out (Jaques et al. 2019); its
    mean over messages drawn from p(m) is the former. Lowe et al.'s released code takes a mean over messages in the
    place of the marginal's sum, and so finds ln M nats more. Raises ValueError where a table holds no probabilities.
    """
    kind, nats = Influence(convention), nats_in(unit)
    table = _situations(action_probabilities)
    weights = _weights(message_probabilities, table)
    apart = divergence(table, _mixed(table, weights)[:, None])
    if kind is Influence.LOWE:
        apart = np.where(weights > 0, apart, 0.0)
        found: np.ndarray = (weights * apart).sum(1) / nats
        return found
    return apart[np.arange(len(table)), _said(said, table)] / nats


def mixed_actions(action_probabilities: Any, message_probabilities: Any = None) -> Float[np.ndarray, "n A"]:
    """Return what the hearer does on average over messages, sum_m p(m) pi(a | do m): a fitted "no message"."""
    table = _situations(action_probabilities)
    return _mixed(table, _weights(message_probabilities, table))


def _mixed(table: Float[np.ndarray, "n M A"], weights: Float[np.ndarray, "n M"]) -> Float[np.ndarray, "n A"]:
    found: np.ndarray = (weights[..., None] * table).sum(1)
    return found


def _situations(actions: Any) -> Float[np.ndarray, "n M A"]:
    table = probabilities(actions, what="action_probabilities")
    if table.ndim not in (2, 3):
        raise ValueError(
            f"action_probabilities has shape {table.shape}: must be [situations, messages, actions], or the last two"
        )
    return table if table.ndim == 3 else table[None]


def _weights(says: Any, table: Float[np.ndarray, "n M A"]) -> Float[np.ndarray, "n M"]:
    number, kinds, _ = table.shape
    if says is None:
        return np.full((number, kinds), 1.0 / kinds)
    weights = probabilities(says, what="message_probabilities")
    if weights.shape not in ((kinds,), (number, kinds)):
        raise ValueError(f"message_probabilities has shape {weights.shape}: must be ({number}, {kinds}) or ({kinds},)")
    return np.broadcast_to(weights, (number, kinds))


def _said(said: Any, table: Float[np.ndarray, "n M A"]) -> Int[np.ndarray, " n"]:
    if said is None:
        raise ValueError(
            'convention="jaques" is about the message that was said: give said=, its index in each situation'
        )
    index = np.asarray(said)
    number, kinds, _ = table.shape
    if index.shape != (number,) or index.dtype.kind not in "iu" or (index < 0).any() or (index >= kinds).any():
        raise ValueError(f"said must hold one index below {kinds} for each of {number} situations")
    return index


def _example() -> dict[str, Any]:
    return {"action_probabilities": [[[0.8, 0.2], [0.4, 0.6]]], "message_probabilities": [[0.25, 0.75]]}


MEASURE = Measure(
    name="causal_influence", function=causal_influence, unit="bits", range=(0.0, math.inf), better=Better.HIGHER,
    applies_to=AppliesTo.BOTH, source="Lowe et al. 2019; Jaques et al. 2019", example=_example,
)  # fmt: skip
