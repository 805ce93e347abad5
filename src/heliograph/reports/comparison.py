"""How well several seeds do, and whether one group of runs beats another, as Agarwal et al. (2021) advise.

Source: "Deep reinforcement learning at the edge of the statistical precipice", arXiv:2108.13264. Intervals are
percentile bootstraps: runs are drawn anew, with replacement, within each group (stratum) on its own.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

__all__ = [
    "CONFIDENCE",
    "Difference",
    "Estimate",
    "Interval",
    "difference",
    "estimate",
    "interquartile_mean",
    "iqm_band",
    "on_common_steps",
    "probability_of_improvement",
]

CONFIDENCE = 0.95
NUM_RESAMPLES = 4000
NUM_CURVE_RESAMPLES = 1000
MAX_POINTS = 120
"""Of a curve that is averaged over seeds."""
BATCH = 500
"""Resamples that are held at once."""

Values = Sequence[float] | Float[np.ndarray, " seeds"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """Ends of a bootstrap interval."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """Record of what the seeds of a group come to; no interval where there is only one seed."""

    num_seeds: int
    mean: float
    median: float
    iqm: float
    interval: Interval | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """The IQM of a first group less that of a second, and the chance that a run of the first is better."""

    iqm: float
    interval: Interval | None
    probability: float
    probability_interval: Interval | None


def interquartile_mean(values: Any, *, axis: int = -1) -> Any:
    """Mean of what is left when a quarter of the values, rounded down, is cut off at each end.

    With fewer than four values nothing is cut off, so it is their mean.
    """
    return stats.trim_mean(values, 0.25, axis=axis)


def estimate(values: Values, *, seed: int = 0) -> Estimate:
    """Mean, median and IQM over seeds, with the interval of the IQM. The order of the values does not matter."""
    ordered = _ordered(values)
    return Estimate(
        num_seeds=len(ordered),
        mean=float(ordered.mean()),
        median=float(np.median(ordered)),
        iqm=float(interquartile_mean(ordered)),
        interval=_interval([ordered], interquartile_mean, seed=seed),
    )


def difference(first: Values, second: Values, *, seed: int = 0) -> Difference:
    """How much better the first group is; both are drawn anew, each on its own. No interval where one has one seed."""
    groups = [_ordered(first), _ordered(second)]
    return Difference(
        iqm=float(_iqm_difference(*groups)),
        interval=_interval(groups, _iqm_difference, seed=seed),
        probability=float(probability_of_improvement(*groups)),
        probability_interval=_interval(groups, probability_of_improvement, seed=seed),
    )


def probability_of_improvement(first: Any, second: Any, *, axis: int = -1) -> Any:
    """P(X > Y) + P(X = Y) / 2 for a value X of the first and Y of the second: Mann and Whitney's U over all pairs."""
    x, y = (np.moveaxis(np.asarray(values), axis, -1) for values in (first, second))
    x, y = x[..., :, None], y[..., None, :]
    return ((x > y) + 0.5 * (x == y)).mean((-2, -1))


def iqm_band(
    values: Float[np.ndarray, "seeds points"], *, seed: int = 0
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, "2 points"] | None]:
    """IQM over seeds at each point of a curve, and its interval (low, high), point by point; None for one seed."""
    ordered = np.sort(np.asarray(values, dtype=float), axis=0)
    middle = interquartile_mean(ordered, axis=0)
    if len(ordered) < 2:
        return middle, None
    found = _bootstrap([ordered], interquartile_mean, seed=seed, axis=0, num_resamples=NUM_CURVE_RESAMPLES)
    return middle, np.stack([found.low, found.high])


def on_common_steps(
    curves: Sequence[tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"]]],
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, "seeds points"]]:
    """Curves (env steps, values) at the same env steps, interpolated, as far as all of them go."""
    first, last = (float(f([g(steps) for steps, _ in curves])) for f, g in ((max, min), (min, max)))
    steps = np.unique(np.concatenate([steps for steps, _ in curves]).astype(float))
    steps = steps[(steps >= first) & (steps <= last)]
    if len(steps) > MAX_POINTS:
        steps = np.linspace(first, last, MAX_POINTS)
    return steps, np.array([np.interp(steps, x, y) for x, y in curves]).reshape(len(curves), len(steps))


def _iqm_difference(first: Any, second: Any, *, axis: int = -1) -> Any:
    return interquartile_mean(first, axis=axis) - interquartile_mean(second, axis=axis)


def _interval(groups: list[np.ndarray], statistic: Callable[..., Any], *, seed: int) -> Interval | None:
    if any(len(group) < 2 for group in groups):
        return None
    found = _bootstrap(groups, statistic, seed=seed, axis=-1, num_resamples=NUM_RESAMPLES)
    return Interval(low=float(found.low), high=float(found.high))


def _bootstrap(
    groups: list[np.ndarray], statistic: Callable[..., Any], *, seed: int, axis: int, num_resamples: int
) -> Any:
    return stats.bootstrap(
        groups,
        statistic,
        vectorized=True,
        method="percentile",
        confidence_level=CONFIDENCE,
        n_resamples=num_resamples,
        batch=BATCH,
        axis=axis,
        rng=np.random.default_rng(seed),
    ).confidence_interval


def _ordered(values: Values) -> np.ndarray:
    """Sorted, so that the same seeds in another order are drawn alike."""
    ordered = np.sort(np.asarray(values, dtype=float))
    if not ordered.size or not np.isfinite(ordered).all():
        raise ValueError(f"values {ordered.tolist()}: must be finite numbers, at least one")
    return ordered
