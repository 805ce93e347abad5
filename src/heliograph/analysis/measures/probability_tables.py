"""What measures of probabilities share: tables that are checked once, their entropies and divergences, and units."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

TOLERANCE = 1e-4
"""Probabilities may miss a sum of 1 by so much, as those of a float32 softmax do; then they are divided by it."""
UNITS = {"bits": math.log(2.0), "nats": 1.0}
"""Of information, in nats."""


def probabilities(values: Any, *, what: str, num_axes: int | None = None) -> Float[np.ndarray, "*batch K"]:
    """A table of distributions along the last axis, as float64 that sums to 1.

    Raises ValueError, which names `what`, where numbers are no probabilities, or axes are missing.
    """
    table = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)
    if table.ndim == 0 or table.size == 0 or (num_axes is not None and table.ndim != num_axes):
        wanted = "at least one axis and one number" if num_axes is None else f"{num_axes} axes and a number"
        raise ValueError(f"{what} has shape {table.shape}: must have {wanted}")
    if not np.isfinite(table).all() or (table < -TOLERANCE).any():
        raise ValueError(f"{what} holds {table[~(table >= -TOLERANCE) | ~np.isfinite(table)][0]}: no probability")
    total = table.sum(-1, keepdims=True)
    if (np.abs(total - 1.0) > TOLERANCE).any():
        wrong = total.reshape(-1)[np.abs(total.reshape(-1) - 1.0).argmax()]
        raise ValueError(f"{what} sums to {wrong:.6g} along its last axis: probabilities sum to 1")
    table = table.clip(min=0.0)
    found: np.ndarray = table / table.sum(-1, keepdims=True)
    return found


def nats_of(table: Float[np.ndarray, "*batch K"]) -> Float[np.ndarray, "*batch"]:
    """The entropy along the last axis, in nats."""
    return np.asarray(-(table * np.log(np.where(table > 0, table, 1.0))).sum(-1) + 0.0)


def divergence(one: Float[np.ndarray, "*one K"], other: Float[np.ndarray, "*other K"]) -> Float[np.ndarray, "..."]:
    """KL(one || other) along the last axis, in nats; infinite where the other excludes what the one does not."""
    with np.errstate(divide="ignore"):
        ratio = np.log(np.where(one > 0, one, 1.0)) - np.log(np.where(one > 0, other, 1.0))
    return np.asarray((one * ratio).sum(-1).clip(min=0.0))


def information(joint: Float[np.ndarray, "X Y"]) -> float:
    """The mutual information of a joint distribution, in nats."""
    rows, columns = joint.sum(1), joint.sum(0)
    return max(0.0, float(nats_of(rows) + nats_of(columns) - nats_of(joint.reshape(-1))))


def in_unit(nats: float, unit: str) -> float:
    """A number of nats in "bits" or "nats"."""
    return nats / nats_in(unit)


def nats_in(unit: str) -> float:
    """Return how many nats one of these is; raises ValueError for a unit that is none."""
    if unit not in UNITS:
        raise ValueError(f"unit={unit!r}: must be one of {', '.join(map(repr, UNITS))}")
    return UNITS[unit]
