"""Vectors are told apart by themselves: units, origin, order and rounding decide nothing, and noise makes no words."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.measures.entropy import entropy
from heliograph.analysis.measures.mutual_information import mutual_information
from heliograph.analysis.vector_codes import codes_of, codes_within

THREE = math.log2(3)
CLOUDS = {"exact": 0.0, "noisy": 0.02}


def says(meant: np.ndarray, *, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """tanh(2 + one-hot): all numbers lie on the same side of zero."""
    spread = noise * np.random.default_rng(seed).standard_normal((len(meant), 3))
    return np.tanh(2 + np.eye(3)[meant]) + spread * 0.03


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


@pytest.mark.parametrize("kind", CLOUDS)
@pytest.mark.parametrize("number", [40, 300, 5000])
def test_numbers_on_one_side_of_zero_tell_all_that_they_tell(kind: str, number: int) -> None:
    meant = np.random.default_rng(1).integers(3, size=number)
    codes = codes_of(says(meant, noise=CLOUDS[kind]))
    assert mutual_information(codes, meant) == pytest.approx(entropy(meant))
    assert kind == "noisy" or same_partition(codes, meant)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([0.0, 0.02, 30.0]), st.integers(0, 50), st.lists(st.floats(-12, 12), min_size=3, max_size=3),
    st.lists(st.integers(-1000, 1000), min_size=3, max_size=3), st.permutations(range(3)), st.booleans(),
)  # fmt: skip
def test_units_origin_and_order_decide_nothing(noise, seed, powers, offsets, columns, negative) -> None:
    """Each column has a unit and an origin of its own, here powers of two, which round nothing."""
    rng = np.random.default_rng(seed)
    meant = rng.integers(3, size=120)
    vectors = np.round(says(meant, noise=noise, seed=seed), 6)
    moved = vectors * 2.0 ** np.round(powers) * (-1.0 if negative else 1.0) + 2.0 ** np.round(powers) * offsets
    order = rng.permutation(120)
    expected = mutual_information(codes_of(vectors), meant)
    assert mutual_information(codes_of(moved[order][:, columns]), meant[order]) == pytest.approx(expected, abs=0.05)
    if noise == 0.0:
        assert same_partition(codes_of(vectors), codes_of(moved))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0])
def test_the_dtype_decides_nothing(dtype: type, offset: float) -> None:
    meant = np.random.default_rng(2).integers(3, size=200)
    codes = codes_of((np.eye(3)[meant] + offset).astype(dtype))
    assert same_partition(codes, meant)


def test_rounding_makes_no_words() -> None:
    """The last digit of float32 depends on where in a batch a number was computed."""
    rng = np.random.default_rng(3)
    meant = rng.integers(3, size=400)
    exact = says(meant).astype(np.float32)
    rounded = np.nextafter(exact, np.where(rng.random(exact.shape) < 0.5, np.float32(2), exact))
    assert same_partition(codes_of(rounded), meant)
    constant = np.nextafter(np.full((400, 3), 0.7, dtype=np.float32), np.where(rng.random((400, 3)) < 0.5, 2, 0.7))
    assert entropy(codes_of(constant.astype(np.float32))) == 0.0


def test_many_words_are_told_apart_where_they_come_back_and_noise_is_cut_into_few_cells() -> None:
    rng = np.random.default_rng(4)
    words, meant = rng.standard_normal((100, 8)), rng.integers(100, size=4000)
    assert same_partition(codes_of(words[meant]), meant)
    noise = codes_of(rng.standard_normal((4000, 8)))
    assert len(set(noise)) == 32 and entropy(noise) > 4
    assert mutual_information(noise, meant % 3) < 0.03


def test_an_outlier_hides_no_words() -> None:
    meant = np.random.default_rng(5).integers(3, size=300)
    vectors = says(meant, noise=0.02)
    vectors[7] = 1e6
    assert mutual_information(codes_of(vectors), meant) > 0.95 * entropy(meant)


def test_vectors_that_are_not_finite_are_a_word_of_their_own() -> None:
    codes = codes_of(np.array([[0.0, 1.0], [np.nan, 1.0], [0.5, np.inf], [0.0, 1.0]]))
    assert codes[0] == codes[3] != codes[1] == codes[2]
    assert entropy(codes_of(np.full((5, 2), np.nan))) == entropy(codes_of(np.zeros((5, 0)))) == 0.0


def test_groups_share_no_code() -> None:
    """One role says about 0 and 1, the other about 1000 and 1000.001: together they would hide one another."""
    meant, role = np.tile([0, 1], 50), np.repeat([0, 1], 50)
    vectors = np.where(role == 0, meant, 1000 + meant / 1000)[:, None]
    codes = codes_within(vectors, role)
    assert same_partition(codes, 2 * role + meant)
