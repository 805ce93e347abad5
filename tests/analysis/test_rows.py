"""Measures take messages and meanings however they come, and say what is wrong with what they cannot take."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.entropy import entropy
from heliograph.analysis.measures.mutual_information import mutual_information
from heliograph.analysis.measures.neighbour_purity import neighbour_purity
from heliograph.analysis.measures.normalised_mutual_information import normalised_mutual_information
from heliograph.analysis.measures.permutation_baseline import permutation_baseline

NAN = float("nan")
WORDS = ["ab", "ac", "ab", "ac"]
TWO_KINDS = {
    "strings": WORDS,
    "array of strings": np.array(WORDS),
    "objects": np.array(WORDS, dtype=object),
    "series of strings": pd.Series(WORDS),
    "strings of pandas with a gap": pd.Series(["a", pd.NA, "a", pd.NA], dtype="string"),
    "numbers of pandas with a gap": pd.Series([1, pd.NA, 1, pd.NA], dtype="Int64"),
    "categories": pd.Series(WORDS, dtype="category"),
    "table": pd.DataFrame({"first": [1, 1, 1, 1], "second": ["b", "c", "b", "c"]}),
    "column of Arrow": pa.array(WORDS),
    "column of words": pa.chunked_array([[[1, 2], [1]], [[1, 2], [1]]]),
    "words of Parquet, as pandas reads them": pd.Series([np.array([1, 2]), np.array([1, 3])] * 2),
    "ragged words": [[1, 2], [1], [1, 2], [1]],
    "ragged words with zeros": [[1], [1, 0], [1], [1, 0]],
    "words of strings": [("a", "b"), ("a",), ("a", "b"), ("a",)],
    "bytes": [b"a", b"b", b"a", b"b"],
    "list of tensors": [torch.tensor([1, 2]), torch.tensor([1, 3])] * 2,
    "ragged tensors": [torch.tensor([1, 2]), torch.tensor([1])] * 2,
    "tensors with gradients": [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([1.0, 3.0])] * 2,
    "single tensors": [torch.tensor(1), torch.tensor(2)] * 2,
    "tensor": torch.tensor([[1, 2], [1, 3]] * 2),
    "tensor of half precision": torch.tensor([[1.0, 2.0], [1.0, 3.0]] * 2, dtype=torch.bfloat16),
    "rows of NaN": [[NAN, 1.0], [NAN, 2.0]] * 2,
    "array with rows of NaN": np.array([[NAN, NAN], [NAN, 2.0]] * 2),
    "other NaN": np.array([np.float64("nan"), 0.0, -np.float64("nan"), 0.0]),
    "tensor with rows of NaN": torch.tensor([[NAN, 1.0], [NAN, 2.0]] * 2),
    "zeros of either sign": [0.0, 1.0, -0.0, 1.0],
    "complex numbers": np.array([1 + 2j, 1 + 3j] * 2),
    "numbers of 64 bits without a sign": np.array([2**64 - 1, 2**63 - 1] * 2, dtype=np.uint64),
    "the ends of int64": np.array([-(2**63), 2**63 - 1] * 2),
    "the ends of int8": np.array([-128, 127] * 2, dtype=np.int8),
    "truth values": [True, False, True, False],
    "nothing and something": [None, "a", None, "a"],
    "a number and its text": [1, "1", 1, "1"],
    "several rounds": [[[1, 2], [3, 4]], [[1, 2], [3, 5]]] * 2,
}


@pytest.mark.parametrize("kind", TWO_KINDS)
def test_two_kinds_are_one_bit(kind: str) -> None:
    rows, meant = TWO_KINDS[kind], ["boss", "aide", "boss", "aide"]
    assert entropy(rows) == mutual_information(rows, meant) == mutual_information(meant, rows) == 1.0
    assert normalised_mutual_information(rows, meant) == 1.0
    assert mutual_information(rows, meant, given=rows) == 0.0
    assert mutual_information(rows, meant, given=["all"] * 4) == 1.0
    assert permutation_baseline(rows, meant, given=meant, num_permutations=3).observed_bits == 0.0


def test_rows_without_parts_are_equal() -> None:
    assert entropy(np.zeros((3, 0))) == entropy([[], [], []]) == entropy(["", "", ""]) == 0.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one utterance"),
        (iter([1, 2]), "must be a sequence"),
        ({1: 2}, "must be a sequence"),
        (np.array(3), "must be a sequence"),
        (torch.tensor(3), "must be a sequence"),
        ([{1: 2}], "must be a number, a word, or a sequence"),
    ],
)
def test_what_are_no_rows_is_refused(rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entropy(rows)


@pytest.mark.parametrize("measure", [mutual_information, normalised_mutual_information, permutation_baseline])
@pytest.mark.parametrize(("given_rows", "number"), [(["boss"] * 3, 3), ([[1, 2]], 1), (pd.Series(["a"] * 5), 5)])
def test_conditions_of_another_length_are_refused(measure: Any, given_rows: Any, number: int) -> None:
    with pytest.raises(ValueError, match=f"4 messages and given= of {number}"):
        measure(WORDS, [1, 2, 1, 2], given=given_rows)


@given(st.lists(st.tuples(st.integers(-2, 2), st.sampled_from([NAN, 0.0, -0.0, 0.5])), min_size=1, max_size=30))
def test_the_form_of_numbers_does_not_matter(pairs: list[tuple[int, float]]) -> None:
    array = np.array(pairs)
    tensor, column = torch.tensor(array), pa.array(map(list, pairs))
    forms = [pairs, array, tensor, list(tensor), pd.DataFrame(array), column]
    ids = [ids_of(form) for form in forms]
    for one, other in itertools.pairwise(ids):
        assert len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


def clouds() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    meant = rng.integers(4, size=200)
    return 2.2 * rng.normal(size=(4, 3))[meant] + rng.normal(size=(200, 3)), meant


def test_neighbours_of_vectors_do_not_depend_on_units_origin_or_dtype() -> None:
    vectors, meant = clouds()
    purity = neighbour_purity(vectors, meant).purity
    assert 0.6 < purity < 0.95
    exact = [1e-6 * vectors, 1e9 * vectors, 1e-200 * vectors, 1e200 * vectors, vectors + 1e4, torch.tensor(vectors)]
    assert [neighbour_purity(form, meant).purity for form in exact] == [purity] * len(exact)
    rounded = [(1 + 1e-3 * vectors).astype(np.float32), (vectors + 1e4).astype(np.float32), vectors.astype(np.float16)]
    assert [neighbour_purity(form, meant).purity for form in rounded] == pytest.approx([purity] * 3, abs=0.005)


@given(st.integers(0, 100), st.floats(1e-6, 1e6), st.floats(-1e4, 1e4), st.booleans())
def test_ties_stay_ties_however_vectors_are_scaled_and_moved(seed: int, scale: float, by: float, single: bool) -> None:
    """Points of a lattice, most of which are equally far from several others."""
    rng = np.random.default_rng(seed)
    points, meant = rng.integers(4, size=(40, 2)), rng.integers(3, size=40)
    moved = (points * 1.0 + round(by)) if single else points * scale + by * scale
    vectors = moved.astype(np.float32 if single else np.float64)
    expected = neighbour_purity(points.astype(float), meant).purity
    assert neighbour_purity(vectors, meant).purity == pytest.approx(expected, abs=1e-9)
    assert neighbour_purity(vectors.tolist(), meant).purity == pytest.approx(expected, abs=1e-9)


def test_words_are_compared_place_by_place() -> None:
    assert neighbour_purity(WORDS, [0, 1, 0, 1], neighbours=1).purity == 1.0
    assert neighbour_purity([[1, 2], [1], [1, 2], [1]], [0, 1, 0, 1], neighbours=1).purity == 1.0
    assert neighbour_purity(pa.array(WORDS), [0, 1, 0, 1], neighbours=1).purity == 1.0


@pytest.mark.parametrize("broken", [NAN, float("inf"), -float("inf")])
@pytest.mark.parametrize("form", [np.array, torch.tensor, list])
def test_vectors_that_are_not_finite_are_refused(broken: float, form: Any) -> None:
    with pytest.raises(ValueError, match=r"message 1 is \[.*\]: vectors must be finite"):
        neighbour_purity(form([[0.0, 1.0], [broken, 1.0], [0.5, 1.0]]), [0, 1, 0])


def test_vectors_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="unequal length"):
        neighbour_purity([[0.5, 1.0], [0.5]], [0, 1])
