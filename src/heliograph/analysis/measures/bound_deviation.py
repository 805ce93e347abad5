"""How far a naming is from the best trade-off of complexity and accuracy: the information bottleneck."""

import dataclasses
import math
from typing import Any

import numpy as np

from heliograph.analysis.measures.information_bottleneck import Bottleneck
from heliograph.analysis.measures.information_plane import naming_of
from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.probability_tables import in_unit

__all__ = ["MEASURE", "BoundDeviation", "bound_deviation"]

LARGEST_BETA = 2.0**13
NUM_BETAS = 40
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
NUM_REFINED = 25


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoundDeviation:
    """`deviation` from the bound, in bits or nats of accuracy, at the trade-off `beta` that the naming fits best."""

    deviation: float
    beta: float


def bound_deviation(prior: Any, naming: Any, world: Any = None, *, unit: str = "bits") -> BoundDeviation:
    """(F_beta[q] - F*_beta) / beta at the beta that makes the difference least (Zaslavsky et al. 2018).

    F_beta = complexity - beta * accuracy (see `information_plane`), F*_beta the least that any naming has, by
    `information_bottleneck`. The difference is convex in beta: first its argmin, from 1 to 2^13, then the division, and
    not the minimum of the ratio. 0 on the bound. The solver finds a local optimum, never worse than the naming itself,
    so that a deviation may be too small, but not below 0. Raises ValueError where a table holds no probabilities.
    """
    share, words, states = naming_of(prior, naming, world)
    bottleneck = Bottleneck(share, states)
    plane = bottleneck.plane(words)

    def above(beta: float, *, start: np.ndarray | None = None) -> float:
        return max(0.0, plane.objective(beta) - bottleneck.best(beta, start=start).objective(beta))

    betas = np.geomspace(1.0, LARGEST_BETA, NUM_BETAS)
    bottleneck.anneal(betas)
    found = [above(float(beta), start=words) for beta in betas]
    place = int(np.argmin(found))
    low, high = (float(betas[at]) for at in (max(0, place - 1), min(len(betas) - 1, place + 1)))
    beta, least = min([(float(betas[place]), found[place]), _refined(above, low, high)], key=lambda pair: pair[1])
    return BoundDeviation(deviation=in_unit(least / beta, unit), beta=beta)


def _refined(above: Any, low: float, high: float) -> tuple[float, float]:
    """The least of a convex function between two numbers, by golden sections."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = above(left), above(right)
    for _ in range(NUM_REFINED):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = above(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = above(right)
    return (left, at_left) if at_left <= at_right else (right, at_right)


def _example() -> dict[str, Any]:
    return {"prior": [0.5, 0.5], "naming": [[0.9, 0.1], [0.2, 0.8]], "world": [[0.8, 0.2], [0.3, 0.7]]}


MEASURE = Measure(
    name="bound_deviation", function=bound_deviation, unit="bits", range=(0.0, math.inf), better=Better.LOWER,
    applies_to=AppliesTo.BOTH, source="Zaslavsky et al. 2018", example=_example, listed=False,
)  # fmt: skip
