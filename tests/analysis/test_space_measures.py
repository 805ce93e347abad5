"""Measures of spaces, trade-offs and populations agree with values worked by hand, and hold their invariances."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.measures.bound_deviation import bound_deviation
from heliograph.analysis.measures.cross_play import cross_play
from heliograph.analysis.measures.ease_of_learning import ease_of_learning
from heliograph.analysis.measures.gnid import gnid
from heliograph.analysis.measures.information_bottleneck import information_bottleneck
from heliograph.analysis.measures.information_plane import information_plane
from heliograph.analysis.measures.language_drift import language_drift
from heliograph.analysis.measures.language_similarity import language_similarity
from heliograph.analysis.measures.levenshtein import levenshtein
from heliograph.analysis.measures.linear_cka import linear_cka
from heliograph.analysis.measures.neighbour_purity import neighbour_purity
from heliograph.analysis.measures.representational_similarity import representational_similarity
from heliograph.analysis.measures.semantic_consistency import semantic_consistency
from heliograph.analysis.measures.undefined import reason_of

EXACT = {"abs": 1e-9}
A, B = np.array([[1, 0], [0, 1], [1, 1]]), np.array([[2, 0], [0, 1], [1, 0]])
SOFT = [[0.9, 0.1], [0.2, 0.8]]
WORLD = 0.1 + 0.6 * np.eye(4)
SEEDS = st.integers(0, 10_000)
FEW = settings(deadline=None, max_examples=30)


def test_similarity_of_two_small_spaces() -> None:
    for correlation in ("spearman", "pearson"):
        assert representational_similarity(A, B, correlation=correlation) == pytest.approx(0.5, **EXACT)
    assert linear_cka(A, B) == pytest.approx(0.955023018318, **EXACT)


def test_similarity_of_two_larger_spaces() -> None:
    one, other = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], [[1, 0], [0, 1], [1, 1], [2, 1]]
    assert representational_similarity(one, other) == pytest.approx(0.0, **EXACT)
    assert representational_similarity(one, other, correlation="pearson") == pytest.approx(0.118153165, **EXACT)
    assert linear_cka(one, other) == pytest.approx(0.3875619664, **EXACT)
    assert representational_similarity(one, one) == pytest.approx(1.0) == linear_cka(one, one)


@FEW
@given(SEEDS)
def test_similarity_does_not_change_under_rotation_and_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(7, 3)), rng.normal(size=(7, 4))
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    turned = 3.0 * other @ turn
    assert linear_cka(one, turned + 5.0) == pytest.approx(linear_cka(one, other), **EXACT)
    assert representational_similarity(one, turned) == pytest.approx(representational_similarity(one, other), **EXACT)
    assert 0.0 <= linear_cka(one, other) <= 1.0 + 1e-12
    order = rng.permutation(7)
    assert representational_similarity(one[order], other[order]) == pytest.approx(
        representational_similarity(one, other), **EXACT
    )


def test_similarity_depends_on_centring_and_is_undefined_without_direction() -> None:
    shifted, how = A + np.array([10.0, 3.0]), {"correlation": "pearson"}
    assert linear_cka(shifted, B) == pytest.approx(linear_cka(A, B), **EXACT)
    plain = [representational_similarity(table, B, **how) for table in (A, shifted)]
    assert plain[0] != pytest.approx(plain[1], abs=1e-3)
    centred = [representational_similarity(table, B, is_centred=True, **how) for table in (A, shifted)]
    assert centred[0] == pytest.approx(centred[1], **EXACT)
    assert "zeros" in str(reason_of(representational_similarity([[0, 0], [0, 1], [1, 1]], B)))
    assert "equal" in str(reason_of(representational_similarity(np.ones((3, 2)), B)))
    assert "equal" in str(reason_of(linear_cka(np.ones((3, 2)), B)))
    with pytest.raises(ValueError, match="3 rows and other 2"):
        linear_cka(A, B[:2])
    with pytest.raises(ValueError, match="not finite"):
        linear_cka([[math.nan], [0.0]], [[1.0], [2.0]])


def test_random_spaces_of_few_rows_are_alike() -> None:
    """The bias of CKA: it takes more rows than columns for tables that share nothing to look so."""
    rng = np.random.default_rng(0)
    few, many = (linear_cka(rng.normal(size=(n, 40)), rng.normal(size=(n, 40))) for n in (6, 2000))
    assert few > 0.8 and many < 0.1


def test_consistency_of_inputs_with_the_same_message() -> None:
    found = semantic_consistency(["a", "a", "b", "b"], [0.0, 2.0, 10.0, 12.0])
    assert (found.within_share, found.chance, found.num_messages) == pytest.approx((1 / 26, 2 / 3, 2), **EXACT)
    single = semantic_consistency([0, 1, 2], [[0.0], [1.0], [5.0]])
    assert (single.within_share, single.chance) == (0.0, 0.0)
    assert reason_of(semantic_consistency([0, 1], [3.0, 3.0]).within_share)
    with pytest.raises(ValueError, match="2 messages and 3 inputs"):
        semantic_consistency([0, 1], [1.0, 2.0, 3.0])


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_consistency_by_chance_is_the_mean_over_shuffles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    said, inputs = rng.integers(3, size=5), rng.normal(size=(5, 2))
    found = semantic_consistency(said, inputs)
    orders = [semantic_consistency(said, inputs[list(o)]).within_share for o in itertools.permutations(range(5))]
    assert found.chance == pytest.approx(np.mean(orders), **EXACT)
    moved = semantic_consistency(said, 7.0 * inputs - 3.0)
    assert moved.within_share == pytest.approx(found.within_share, **EXACT)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbours_of_a_bijection_mean_the_same_whatever_the_unit(dtype) -> None:
    said = np.repeat([[0.1, 0.7], [1.3, -2.0], [5.0, 5.0]], 4, axis=0).astype(dtype)
    for vectors in (said, dtype(1e6) * said, said / dtype(1e6), said + dtype(3)):
        assert neighbour_purity(vectors, np.repeat([0, 1, 2], 4), neighbours=3).purity == 1.0


def test_complexity_and_accuracy_of_small_namings() -> None:
    merged = information_plane([0.5, 0.25, 0.25], [[1, 0], [0, 1], [0, 1]])
    assert (merged.complexity, merged.accuracy) == pytest.approx((1.0, 1.0), **EXACT)
    soft = information_plane([0.5, 0.5], SOFT)
    assert (soft.complexity, soft.accuracy) == pytest.approx((0.397312609749, 0.397312609749), **EXACT)
    hard = information_plane([0.5, 0.5], np.eye(2))
    assert hard.complexity == pytest.approx(1.0) != pytest.approx(soft.complexity)  # a table, not its argmax


def test_complexity_and_accuracy_of_an_unsure_world() -> None:
    prior = [0.25] * 4
    whole = information_plane(prior, np.eye(4), WORLD)
    assert (whole.complexity, whole.accuracy) == pytest.approx((2.0, 0.6432203506), **EXACT)
    two = information_plane(prior, np.repeat(np.eye(2), 2, axis=0), WORLD)
    assert (two.complexity, two.accuracy) == pytest.approx((1.0, 0.2780719051), **EXACT)
    assert two.distortion == pytest.approx(whole.accuracy - two.accuracy, **EXACT)
    none = information_plane(prior, np.ones((4, 1)), WORLD, unit="nats")
    assert (none.complexity, none.accuracy) == (0.0, 0.0)
    with pytest.raises(ValueError, match="prior tells of 2 meanings and naming of 3"):
        information_plane([0.5, 0.5], np.eye(3))


def test_difference_of_namings() -> None:
    prior = [0.25] * 4
    two = np.repeat(np.eye(2), 2, axis=0)
    assert gnid(prior, two, np.eye(4)) == pytest.approx(0.5, **EXACT)
    assert gnid(prior, two, two[:, ::-1]) == pytest.approx(0.0, **EXACT)
    assert gnid([0.5, 0.5], SOFT, np.eye(2)) == pytest.approx(0.602687390251, **EXACT)
    assert reason_of(gnid(prior, np.ones((4, 1)), np.ones((4, 2)) / 2))


@FEW
@given(SEEDS)
def test_difference_of_namings_is_symmetric_and_blind_to_words(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior, one, two = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(3), size=4), rng.dirichlet(np.ones(5), size=4)
    assert gnid(prior, one, two) == pytest.approx(gnid(prior, two, one), **EXACT)
    assert gnid(prior, one, two) == pytest.approx(gnid(prior, one[:, rng.permutation(3)], two), **EXACT)
    assert 0.0 <= gnid(prior, one, two) <= 1.0 and gnid(prior, one, one) == pytest.approx(0.0, **EXACT)


def test_bound_where_words_tell_the_world_as_it_is() -> None:
    """Accuracy is complexity: nothing is worth saying below beta 1, everything above."""
    prior = [0.5, 0.25, 0.25]
    low, high = information_bottleneck(prior, np.eye(3), [0.9, 1.5])
    assert (low.complexity, low.accuracy) == pytest.approx((0.0, 0.0), **EXACT)
    assert (high.complexity, high.accuracy) == pytest.approx((1.5, 1.5), **EXACT)


def test_bound_of_two_meanings_by_a_search_over_symmetric_namings() -> None:
    """Prior and world are symmetric, and so is the best naming: w = m with probability 1 - e."""
    world, beta = np.array([[0.8, 0.2], [0.2, 0.8]]), 4.0
    found = information_bottleneck([0.5, 0.5], world, [beta])[0]

    def binary(p: float) -> float:
        return 0.0 if p in (0.0, 1.0) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)

    errors = np.linspace(0.0, 0.5, 20_001)
    objective = [(1 - binary(e)) - beta * (1 - binary(0.8 * (1 - e) + 0.2 * e)) for e in errors]
    assert found.objective(beta) == pytest.approx(min(objective), abs=1e-7)
    assert 0.0 < found.complexity < 1.0
    below = information_bottleneck([0.5, 0.5], world, [1 / 0.36 - 0.05])[0]  # (1 - 2 * 0.2)^2 is what words keep
    assert below.complexity == pytest.approx(0.0, abs=1e-6)


def test_namings_on_the_bound_do_not_deviate() -> None:
    prior = [0.5, 0.25, 0.25]
    assert bound_deviation(prior, np.eye(3)).deviation == pytest.approx(0.0, **EXACT)
    assert bound_deviation([0.25] * 4, np.eye(4), WORLD).deviation == pytest.approx(0.0, abs=1e-4)
    assert bound_deviation([0.25] * 4, np.ones((4, 1)), WORLD).deviation == pytest.approx(0.0, **EXACT)


def test_deviation_takes_the_argmin_of_the_difference_and_then_divides() -> None:
    """u = m: F* is 0 up to beta 1, so q of accuracy a and complexity a is on it at beta 1; noise costs complexity."""
    noisy = bound_deviation([0.5, 0.5], [[1.0, 0.0], [1.0, 0.0]])
    assert (noisy.deviation, noisy.beta) == pytest.approx((0.0, 1.0), **EXACT)
    twice = [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    assert bound_deviation([0.5, 0.5], twice).deviation == pytest.approx(0.0, **EXACT)
    world = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    wrong = bound_deviation([0.25] * 4, np.repeat(np.eye(2), 2, axis=0)[[0, 2, 1, 3]], world)
    assert (wrong.deviation, wrong.beta) == pytest.approx((1.0, 1.0), abs=1e-6)
    bits, nats = (bound_deviation([0.25] * 4, np.eye(4), world, unit=unit) for unit in ("bits", "nats"))
    assert bits.deviation > 0.0 and nats.deviation == pytest.approx(bits.deviation * math.log(2), **EXACT)


def test_deviation_is_no_minimum_of_ratios() -> None:
    """At a large beta the ratio may be smaller than where the difference is least: it is not what is asked for."""
    prior, naming = [0.25] * 4, np.repeat(np.eye(2), 2, axis=0)
    found, betas = bound_deviation(prior, naming, WORLD), np.geomspace(1.5, 500.0, 60)
    plane = information_plane(prior, naming, WORLD)
    bound = information_bottleneck(prior, WORLD, list(betas))
    apart = np.array(
        [plane.complexity - b * plane.accuracy - t.objective(b) for b, t in zip(betas, bound, strict=True)]
    )
    best = int(apart.argmin())
    assert found.beta == pytest.approx(betas[best], rel=0.1)
    assert found.deviation == pytest.approx(apart[best] / betas[best], rel=0.1)
    assert (apart / betas).argmin() != best


def test_cross_play_of_two_pairs() -> None:
    found = cross_play([[1.0, 0.2], [0.6, 0.8]])
    assert (found.own, found.cross, found.gap) == pytest.approx((0.9, 0.4, 0.5), **EXACT)
    assert found.asymmetry == pytest.approx(0.202030508910, **EXACT)
    missing = cross_play([[1.0, math.nan], [0.6, 0.8]])
    assert missing.cross == 0.6 and reason_of(missing.asymmetry)
    assert reason_of(cross_play([[1.0]]).cross) and reason_of(cross_play([[1.0]]).gap)
    with pytest.raises(ValueError, match="square"):
        cross_play([[1.0, 0.2]])


@FEW
@given(SEEDS)
def test_cross_play_does_not_depend_on_the_order_of_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, order = rng.random((5, 5)), rng.permutation(5)
    one, other = cross_play(scores), cross_play(scores[np.ix_(order, order)])
    assert (one.own, one.cross, one.gap, one.asymmetry) == pytest.approx(
        (other.own, other.cross, other.gap, other.asymmetry), **EXACT
    )
    assert cross_play(scores + scores.T).asymmetry == pytest.approx(0.0, **EXACT)
    shifted = cross_play(2.0 * scores + 3.0)
    assert shifted.gap == pytest.approx(2.0 * one.gap, **EXACT)


def test_similarity_of_two_languages() -> None:
    one, other = ["123", "2", "11"], ["13", "2", "22"]
    assert language_similarity(one, other) == pytest.approx(5 / 9, **EXACT)
    assert language_similarity(["123", "123", "2", "11"], ["13", "13", "2", "22"], meanings=[0, 0, 1, 2]) == (
        pytest.approx(5 / 9, **EXACT)
    )
    assert language_similarity([[1, 0, 5], [0]], [[1, 0, 7], [0]], eos=0) == 1.0
    with pytest.raises(ValueError, match="3 messages and 2 others"):
        language_similarity(one, other[:2])


def test_similarity_with_and_without_equal_symbols() -> None:
    one, renamed = [[0], [1], [2], [0]], [[7], [8], [9], [7]]
    assert language_similarity(one, renamed) == 0.0
    assert language_similarity(one, renamed, likeness="nmi") == pytest.approx(1.0)


def test_drift_of_one_meaning_in_four() -> None:
    found = language_drift(["a", "b", "c", "d"], [0, 1, 2, 3], ["a", "b", "c", "xyz"])
    assert (found.changed_share, found.edit_distance, found.num_meanings) == (0.25, 0.75, 4)


def test_drift_counts_no_tie_as_a_change() -> None:
    tied = language_drift(["a", "b"], [0, 0], ["b", "b", "c"], [0, 0, 0])
    assert (tied.changed_share, tied.edit_distance) == (0.0, 0.0)
    both = language_drift(["a", "b"], [0, 0], ["b", "a"], [0, 0])
    assert both.changed_share == 0.0
    assert reason_of(language_drift(["a"], [0], ["a"], [1]).changed_share)
    with pytest.raises(ValueError, match="one meaning for each"):
        language_drift(["a"], [0], ["a", "b"])


def test_ease_of_a_curve() -> None:
    found = ease_of_learning([0.0, 0.5, 0.75, 1.0])
    assert (found.total, found.area) == pytest.approx((2.25, 0.583333333333), **EXACT)
    assert ease_of_learning([0.5, 1.0], num_epochs=4).total == 3.5
    assert ease_of_learning([0.0, 1.0, 1.0], steps=[0, 100, 400]).area == pytest.approx(0.875, **EXACT)
    assert reason_of(ease_of_learning([1.0]).area)
    for wrong in ({"steps": [0, 0]}, {"num_epochs": 1}, {"num_epochs": 3, "steps": [0, 1]}):
        with pytest.raises(ValueError, match="must"):
            ease_of_learning([0.5, 1.0], **wrong)


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_edit_distance_is_a_distance(one: list[int], other: list[int]) -> None:
    apart = levenshtein(one, other)
    assert apart == levenshtein(other, one)
    assert abs(len(one) - len(other)) <= apart <= max(len(one), len(other))
    assert (apart == 0) == (one == other)
    assert apart == levenshtein([*one, 9], [*other, 9])
