"""Statistics over seeds: numbers worked out by hand, and what holds for all numbers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.reports.comparison import (
    difference,
    estimate,
    interquartile_mean,
    iqm_band,
    probability_of_improvement,
)

SCORES = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=12)
ROUNDING = 1e-9


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], 5.0),
        ([0.0, 1.0, 5.0], 2.0),  # fewer than four: nothing is cut off
        ([100.0, 1.0, 2.0, -100.0], 1.5),
        ([0, 0, 1, 2, 3, 4, 5, 50], 2.5),  # two off each end
        ([1, 2, 3, 4, 100], 3.0),  # a quarter of five is one
    ],
)
def test_interquartile_mean_by_hand(values: list[float], expected: float) -> None:
    assert interquartile_mean(values) == pytest.approx(expected)


def test_estimate_by_hand() -> None:
    found = estimate([0.0, 1.0, 1.0, 1.0])
    assert (found.num_seeds, found.mean, found.median, found.iqm) == (4, 0.75, 1.0, 1.0)
    # P(at most one of four draws is no zero) = 13/256 > 0.025, P(all zero) = 1/256: a quantile of 0.025 is IQM 0 or 0.5
    assert found.interval is not None and found.interval.low in (0.0, 0.5) and found.interval.high == 1.0


def test_the_interval_of_two_seeds_is_exact() -> None:
    """Two draws of {0, 1} have the means 0, 0.5 and 1 with chances 1/4, 1/2, 1/4: the 2.5 % quantiles are the ends."""
    interval = estimate([0.0, 1.0]).interval
    assert interval is not None and (interval.low, interval.high) == (0.0, 1.0)


def test_the_bootstrap_of_a_mean_agrees_with_all_resamples() -> None:
    values = [0.0, 1.0, 4.0]
    means = [np.mean(drawn) for drawn in itertools.product(values, repeat=3)]
    interval = estimate(values).interval
    assert interval is not None
    assert interval.low in (np.sort(means)[0], np.sort(means)[1])  # the lowest of 27 has 3.7 %
    assert interval.high in (np.sort(means)[-1], np.sort(means)[-2])


def test_one_seed_has_no_interval() -> None:
    assert estimate([0.5]).interval is None
    found = difference([0.5, 0.6], [0.1])
    assert found.interval is None and found.probability_interval is None
    assert found.iqm == pytest.approx(0.45) and found.probability == 1.0


def test_probability_of_improvement_by_hand() -> None:
    # pairs: 1>0, 1<2, 3>0, 3>2, with a tie added: 2>0, 2=2
    assert probability_of_improvement([1, 3, 2], [0, 2]) == pytest.approx((1 + 0 + 1 + 1 + 1 + 0.5) / 6)
    assert probability_of_improvement([1, 1], [1, 1]) == 0.5


def test_a_difference_by_hand() -> None:
    found = difference([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    assert (found.iqm, found.probability) == (1.0, 1.0)
    assert found.interval is not None and (found.interval.low, found.interval.high) == (1.0, 1.0)


def test_strata_are_drawn_on_their_own() -> None:
    """Of {0, 2} less {0, 2}: four draws, so that -2 and 2 have chances of 1/16, more than the tails of 2.5 %."""
    found = difference([0.0, 2.0], [0.0, 2.0])
    assert found.interval is not None and (found.interval.low, found.interval.high) == (-2.0, 2.0)


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_iqm_lies_between_the_quartiles_and_in_its_interval(values: list[float]) -> None:
    found = estimate(values)
    low, high = np.quantile(values, [0.25, 0.75])
    assert low - ROUNDING <= found.iqm <= high + ROUNDING
    assert found.interval is not None
    assert min(values) - ROUNDING <= found.interval.low <= found.iqm + ROUNDING
    assert found.iqm - ROUNDING <= found.interval.high <= max(values) + ROUNDING


@settings(max_examples=25, deadline=None)
@given(SCORES, st.randoms(use_true_random=False))
def test_order_does_not_matter(values: list[float], random) -> None:
    shuffled = random.sample(values, len(values))
    assert estimate(values) == estimate(shuffled)
    assert difference(values, [0.0, 1.0]) == difference(shuffled, [1.0, 0.0])


@settings(max_examples=25, deadline=None)
@given(SCORES, SCORES)
def test_a_difference_turned_round(first: list[float], second: list[float]) -> None:
    there, back = difference(first, second), difference(second, first)
    assert there.iqm == pytest.approx(-back.iqm)
    assert there.probability + back.probability == pytest.approx(1.0)
    assert there.probability_interval is not None
    assert 0 <= there.probability_interval.low <= there.probability_interval.high <= 1


@settings(max_examples=25, deadline=None)
@given(SCORES)
def test_moving_and_scaling_moves_and_scales(values: list[float]) -> None:
    moved = estimate([2 * value + 3 for value in values])
    plain = estimate(values)
    assert moved.iqm == pytest.approx(2 * plain.iqm + 3, abs=1e-6)
    assert moved.interval is not None and plain.interval is not None
    assert moved.interval.low == pytest.approx(2 * plain.interval.low + 3, abs=1e-6)


def test_a_band_is_the_estimate_at_each_point() -> None:
    values = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 1.0], [5.0, 1.0]])
    middle, band = iqm_band(values)
    assert middle.tolist() == [1.0, 1.0]
    assert band is not None and band.shape == (2, 2)
    assert band[0, 0] <= 1.0 <= band[1, 0] and band[:, 1].tolist() == [1.0, 1.0]
    assert iqm_band(values[:1])[1] is None


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_what_is_no_number_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        estimate(values)
