"""Measures agree with the reference values, and hold what any estimate of information must hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph import registry
from heliograph.analysis.measures.entropy import entropy
from heliograph.analysis.measures.mutual_information import mutual_information
from heliograph.analysis.measures.neighbour_purity import neighbour_purity
from heliograph.analysis.measures.normalised_mutual_information import normalised_mutual_information
from heliograph.analysis.measures.permutation_baseline import permutation_baseline
from heliograph.testing import MEASURE_CHECKS

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=60)
GRID = [(a, b) for a in range(4) for b in range(4)]
LANGUAGES = {
    "by place": ([(0 if a < 2 else 2, a % 2, b) for a, b in GRID], 4.0),
    "identity": (GRID, 4.0),
    "constant": ([(1, 1, 1)] * 16, 0.0),
    "holistic": ([(i,) for i in range(16)], 4.0),
}


def test_measures_are_found_by_name() -> None:
    assert set(registry.names("measure")) >= {
        "entropy", "mutual_information", "neighbour_purity", "permutation_baseline",
    }  # fmt: skip
    assert registry.load("measure", "entropy") is entropy


@pytest.mark.parametrize("name", registry.names("measure"))
@pytest.mark.parametrize("check", MEASURE_CHECKS)
def test_conformance(name: str, check: str) -> None:
    MEASURE_CHECKS[check](registry.load("measure", name))


@pytest.mark.parametrize(
    ("messages", "bits"),
    [
        ([[1, 2], [3, 4]], 1.0),
        ([[1, 2, 2, 3, 4], [1, 2, 2, 3, 4], [1, 2, 2, 3, 0], [1, 0, 0, 1, 2]], 1.5),
        ([[1, 2, 0, 3, 4], [1, 2, 2, 3, 4], [1, 2, 2, 3, 0], [1, 0, 0, 1, 2]], 2.0),
        ([1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144], 3.4182958340544896),
        ([[1], [1, 0], [1], [1, 0]], 1.0),
        (np.zeros((5, 2000), dtype=int), 0.0),
    ],
)
def test_entropy_of_reference_messages(messages, bits: float) -> None:
    assert entropy(messages) == pytest.approx(bits, abs=1e-12)
    assert math.copysign(1, entropy(messages)) == 1


@pytest.mark.parametrize("name", LANGUAGES)
def test_information_of_reference_languages(name: str) -> None:
    messages, bits = LANGUAGES[name]
    assert entropy(messages) == pytest.approx(bits)
    assert mutual_information(messages, GRID) == pytest.approx(bits)
    for attribute in (0, 1):
        assert mutual_information(messages, [m[attribute] for m in GRID]) == pytest.approx(bits / 2)


@pytest.mark.parametrize(
    ("said", "meant", "bits", "normalised"),
    [
        ([0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], 0.9182958, (1.0, 0.76117026, 0.73368044, 0.57938016)),
        ([1, 1, 2, 2, 3, 3], [1, 1, 1, 2, 2, 2], 0.6666667, (0.66666667, 0.52954058, 0.51580374, 0.42061984)),
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0, (0.0, 0.0, 0.0, 0.0)),
        ([0, 0, 0, 1, 2], ["a", "a", "b", "b", "c"], None, None),
        ([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 1, 1, 0, 1, 1, 0], 0.5, None),
        ([7, 7], [1, 1], 0.0, (1.0, 1.0, 1.0, 1.0)),
    ],
)
def test_mutual_information_of_reference_labels(said, meant, bits, normalised) -> None:
    if bits is not None:
        assert mutual_information(said, meant) == pytest.approx(bits, abs=1e-7)
    if normalised is not None:
        found = [normalised_mutual_information(said, meant, mean=m) for m in ("min", "geometric", "arithmetic", "max")]
        assert found == pytest.approx(normalised, abs=1e-7)


@settings(deadline=None)
@given(PAIRS)
def test_information_is_bounded_symmetric_and_blind_to_names(pairs) -> None:
    said, meant = [p[0] for p in pairs], [p[1] for p in pairs]
    bits = mutual_information(said, meant)
    assert 0.0 <= bits <= min(entropy(said), entropy(meant)) + 1e-9
    assert bits == pytest.approx(mutual_information(meant, said), abs=1e-9)
    assert bits == pytest.approx(mutual_information([17 - 3 * m for m in said], meant), abs=1e-9)
    assert mutual_information(said, said) == pytest.approx(entropy(said), abs=1e-9)
    assert mutual_information(said, [0] * len(said)) == 0.0
    assert mutual_information(said, meant, given=meant) == pytest.approx(0.0, abs=1e-9)


@given(PAIRS)
def test_conditional_information_is_the_mean_within_groups(pairs) -> None:
    said, meant = [p[0] for p in pairs], [p[1] for p in pairs]
    group = [i % 3 for i in range(len(pairs))]
    parts = [[i for i, g in enumerate(group) if g == chosen] for chosen in set(group)]
    expected = sum(len(p) * mutual_information([said[i] for i in p], [meant[i] for i in p]) for p in parts) / len(pairs)
    assert mutual_information(said, meant, given=group) == pytest.approx(expected, abs=1e-9)


def test_two_roles_with_opposite_codes_are_told_apart() -> None:
    meant, role = [0, 1] * 20, [0] * 20 + [1] * 20
    said = [m ^ r for m, r in zip(meant, role, strict=True)]
    assert mutual_information(said, meant) == pytest.approx(0.0)
    assert mutual_information(said, meant, given=role) == pytest.approx(1.0)
    assert permutation_baseline(said, meant, given=role).p_value < 0.01


def test_baseline_of_a_code_and_of_chance() -> None:
    rng = np.random.default_rng(1)
    meant = rng.integers(4, size=200)
    code = permutation_baseline(meant + 3, meant, num_permutations=199)
    assert code.observed_bits == pytest.approx(entropy(meant))
    assert code.p_value == pytest.approx(1 / 200)
    assert code.mean_bits == pytest.approx(9 / (2 * 200 * math.log(2)), rel=0.25)
    chance = permutation_baseline(rng.integers(4, size=200), meant, num_permutations=199)
    assert chance.p_value > 0.05
    assert chance.mean_bits < chance.quantile_95_bits
    assert permutation_baseline([5] * 9, [1, 2, 3] * 3).p_value == 1.0


def test_baseline_is_decided_by_its_seed() -> None:
    rng = np.random.default_rng(0)
    said, meant = rng.integers(3, size=50), rng.integers(3, size=50)
    assert permutation_baseline(said, meant, seed=3) == permutation_baseline(said, meant, seed=3)
    assert permutation_baseline(said, meant, seed=3) != permutation_baseline(said, meant, seed=4)


def test_p_values_of_independent_messages_are_uniform() -> None:
    rng = np.random.default_rng(0)
    draws = [rng.integers(3, size=(2, 60)) for _ in range(120)]
    p = np.array([permutation_baseline(a, b, num_permutations=39).p_value for a, b in draws])
    assert 0.01 <= (p <= 0.05).mean() <= 0.12
    assert abs(p.mean() - 0.5) < 0.1


def test_purity_of_clusters_and_of_nonsense() -> None:
    rng = np.random.default_rng(0)
    meant = rng.integers(3, size=150)
    clusters = meant[:, None] + 0.01 * rng.standard_normal((150, 2))
    counts = np.bincount(meant)
    found = neighbour_purity(clusters, meant)
    assert found.purity == 1.0
    assert found.shuffled == pytest.approx((counts * (counts - 1)).sum() / (150 * 149))
    nonsense = neighbour_purity(rng.standard_normal((150, 2)), meant)
    assert abs(nonsense.purity - nonsense.shuffled) < 0.06
    same = neighbour_purity(np.ones((150, 1), dtype=int), meant)
    assert same.purity == pytest.approx(same.shuffled)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=30), st.randoms())
def test_purity_does_not_depend_on_the_order_of_rows(pairs, random) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    tables = [np.array(rows) for rows in (pairs, shuffled)]
    one, other = (neighbour_purity(rows[:, :1], rows[:, 1], neighbours=4) for rows in tables)
    assert one.purity == pytest.approx(other.purity)
    assert 0.0 <= one.purity <= 1.0


def test_symbols_are_names_and_not_quantities() -> None:
    """Symbol 1 is no nearer to 2 than to 9; equal ones are nearest."""
    said = np.array([[0], [0], [1], [1], [9], [9]])
    assert neighbour_purity(said, [0, 0, 1, 1, 2, 2], neighbours=1).purity == 1.0
    renamed = np.array([[5], [5], [0], [0], [1], [1]])
    assert neighbour_purity(said, [0, 1, 1, 0, 2, 2], neighbours=3) == neighbour_purity(
        renamed, [0, 1, 1, 0, 2, 2], neighbours=3
    )


@pytest.mark.parametrize("measure", [mutual_information, permutation_baseline, neighbour_purity])
def test_unequal_lengths_are_refused(measure) -> None:
    with pytest.raises(ValueError, match="2 messages and 3 meanings"):
        measure([[1], [2]], [1, 2, 3])


def test_nothing_said_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="at least one utterance"):
        entropy([])
