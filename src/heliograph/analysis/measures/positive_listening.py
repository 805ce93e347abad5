"""How far a hearer's actions are from what it would do without a message."""

import enum
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.probability_tables import divergence, nats_in, probabilities

__all__ = ["MEASURE", "Distance", "distance_of_actions", "positive_listening"]


class Distance(enum.StrEnum):
    """Distance of two distributions.

    The sum of absolute differences, or the Kullback-Leibler or Jensen-Shannon divergence.
    """

    L1 = "l1"
    KL = "kl"
    JS = "js"


def positive_listening(
    action_probabilities: Any, silent_probabilities: Any, *, message_probabilities: Any = None,
    distance: Distance | str = "l1", unit: str = "bits",
) -> float:  # fmt: skip
    """The mean distance of pi(a | x, m) from pi(a | x, no message) (Lowe et al. 2019; Eccles et al. 2019).

    `action_probabilities` is [n, M, A], for each message, of which `message_probabilities` [n, M] gives the weights
    (None: uniform); or [n, A], for the message that was said. `silent_probabilities` is [n, A]. Say what "no message"
    was: zeros, silence, or the mean over messages (`mixed_actions`), of which zeros may be a message like any other.
    "l1" has no unit (0 to 2); "kl" is KL(with || without), infinite where the hearer does what it never does without;
    "js" is the divergence, at most 1 bit, and not its root, which scipy's `jensenshannon` returns. Above 0 in any
    hearer that reads anything: compare with an untrained one. Raises ValueError where a table holds no probabilities.
    """
    one = probabilities(action_probabilities, what="action_probabilities")
    other = probabilities(silent_probabilities, what="silent_probabilities")
    if one.ndim < 3:
        return float(distance_of_actions(one, other, distance=distance, unit=unit).mean())
    apart = distance_of_actions(one, other[..., None, :], distance=distance, unit=unit)
    weights = None
    if message_probabilities is not None:
        weights = np.broadcast_to(probabilities(message_probabilities, what="message_probabilities"), apart.shape)
        apart = np.where(weights > 0, apart, 0.0)
    return float(np.average(apart, weights=weights))


def distance_of_actions(
    actions: Any, without: Any, *, distance: Distance | str = "l1", unit: str = "bits"
) -> Float[np.ndarray, "..."]:
    """The same in each situation."""
    kind, nats = Distance(distance), nats_in(unit)
    one, other = probabilities(actions, what="actions"), probabilities(without, what="without")
    if one.shape[-1] != other.shape[-1]:
        raise ValueError(f"{one.shape[-1]} actions with a message and {other.shape[-1]} without: must be the same")
    if kind is Distance.L1:
        return np.asarray(np.abs(one - other).sum(-1))
    if kind is Distance.KL:
        return divergence(one, other) / nats
    middle = (one + other) / 2
    return (divergence(one, middle) + divergence(other, middle)) / 2 / nats


def _example() -> dict[str, Any]:
    return {"action_probabilities": [[0.9, 0.1]], "silent_probabilities": [[0.5, 0.5]]}


MEASURE = Measure(
    name="positive_listening", function=positive_listening, range=(0.0, math.inf), better=Better.HIGHER,
    applies_to=AppliesTo.BOTH, source="Lowe et al. 2019; Eccles et al. 2019", example=_example,
)  # fmt: skip
