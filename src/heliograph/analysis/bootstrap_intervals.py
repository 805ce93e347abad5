"""How far a measured value may be off: the bootstrap over episodes, and over seeds where there are several."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.measure import Resampling

__all__ = ["bootstrap_interval", "draws"]

LOW, HIGH = 0.025, 0.975


def bootstrap_interval(
    value: float, resampling: Resampling, *, episodes: Int[np.ndarray, " n"], seeds: Int[np.ndarray, " n"],
    bootstraps: int, within: tuple[float, float], seed: int,
) -> tuple[float, float] | None:  # fmt: skip
    """The 95 % interval of a value, from episodes drawn with replacement; None where there are no two of them.

    Quantiles of the drawn values, moved so that their mean is the value, since plug-in estimates of a draw are biased
    against it, and cut to the range `within` which the measure lies. None, too, where most draws give no number.
    """
    if max(int(episodes.max()), int(seeds.max())) < 1 or bootstraps < 1:
        return None
    drawn = draws(episodes, seeds=seeds, bootstraps=bootstraps, seed=seed)
    found = np.array([resampling.drawn(times) for times in drawn])
    known = found[~np.isnan(found)]
    if 2 * len(known) < len(found):
        return None
    low, high = np.clip(value + np.quantile(known, (LOW, HIGH)) - known.mean(), *within)
    return float(low), float(high)


def draws(
    episodes: Int[np.ndarray, " n"], *, seeds: Int[np.ndarray, " n"], bootstraps: int, seed: int
) -> Iterator[Int[np.ndarray, " n"]]:
    """How often each row is drawn: seeds with replacement, then as many episodes of each as it has, likewise."""
    rng = np.random.default_rng(seed)
    num_seeds, num_episodes = int(seeds.max()) + 1, int(episodes.max()) + 1
    in_order = num_episodes == len(episodes) and bool((episodes == np.arange(num_episodes)).all())
    of_seed = [np.unique(episodes[seeds == some]) for some in range(num_seeds)] if num_seeds > 1 else []
    for _ in range(bootstraps):
        if num_seeds == 1:
            times = np.bincount(rng.integers(num_episodes, size=num_episodes), minlength=num_episodes)
        else:
            times = np.zeros(num_episodes, dtype=np.int64)
            for some in rng.integers(num_seeds, size=num_seeds):
                mine = of_seed[some]
                times[mine] += np.bincount(rng.integers(len(mine), size=len(mine)), minlength=len(mine))
        yield times if in_order else times[episodes]
