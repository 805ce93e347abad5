"""Measures of structure agree with reference values, hold their bounds, and avoid what other tools get wrong."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.measures.bosdis import bosdis
from heliograph.analysis.measures.distances import edit_distances
from heliograph.analysis.measures.posdis import posdis
from heliograph.analysis.measures.topographic_similarity import topographic_similarity
from heliograph.analysis.measures.undefined import reason_of
from heliograph.analysis.measures.words import words_of
from tests.analysis.languages import (
    GRID,
    LANGUAGES,
    MEANINGS,
    MESSAGES,
    RAGGED,
    RAGGED_MEANINGS,
    close,
    renamed,
    reordered,
)

OF_LANGUAGES: dict[str, tuple[float | None, ...]] = {
    "by place": (1.0, 0.41557541312502355, 0.42284036758887655, 0.8171301036103101, 0.8164965809277261),
    "bag of symbols": (0.4291632919807064, 1.0, 1.0, 0.7453559924999299, 0.7453559924999299),
    "identity": (1.0, 0.0, 0.0, 1.0, 1.0),
    "constant": (None, None, None, None, None),
    "holistic": (0.0, 0.0, 0.0, None, None),
}
WORDS = st.lists(st.text("abc", max_size=5), min_size=1, max_size=12)
ROWS = st.lists(
    st.tuples(st.lists(st.integers(0, 2), max_size=3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=16
)


@pytest.mark.parametrize("name", OF_LANGUAGES)
def test_reference_languages(name: str) -> None:
    said = LANGUAGES[name]
    found = (
        posdis(said, GRID),
        bosdis(said, GRID),
        bosdis(said, GRID, convention="egg"),
        topographic_similarity(said, GRID, convention="egg"),
        topographic_similarity(said, GRID, convention="hamming"),
    )
    assert all(close(*pair) for pair in zip(found, OF_LANGUAGES[name], strict=True)), found


def test_values_of_the_reference_corpus() -> None:
    assert close(topographic_similarity(MESSAGES, MEANINGS), 0.832057083188)
    assert close(topographic_similarity(MESSAGES, MEANINGS, unique=True), 0.756837606838)
    assert close(posdis(MESSAGES, MEANINGS), 0.839454851252)
    assert close(bosdis(MESSAGES, MEANINGS), 0.233309981553)
    assert close(bosdis(MESSAGES, MEANINGS, convention="egg"), 0.339370186944)


@pytest.mark.parametrize(
    ("convention", "expected"), [("raw", 0.5), ("egg", 0.659912017596), ("rita", 0.335410196625), (None, 0.5)]
)
def test_ragged_messages_tell_conventions_apart(convention: str | None, expected: float) -> None:
    assert close(topographic_similarity(RAGGED, RAGGED_MEANINGS, convention=convention), expected)


@pytest.mark.parametrize(
    ("meanings", "expected"),
    [
        ([[4, 4], [4, 3], [3, 2], [1, 4]], 0.3198010745334156),
        ([[4, 4], [4, 3], [4, 4], [1, 4]], 0.4351941398892445),
        ([[4, 4], [4, 4], [4, 4], [1, 4]], 0.9045340337332908),
    ],
)
def test_small_reference_cases(meanings: list[list[int]], expected: float) -> None:
    said = [[1, 2, 0, 3, 4], [1, 2, 2, 3, 4], [1, 2, 2, 3, 0], [1, 0, 0, 1, 2]]
    assert close(topographic_similarity(said, meanings, convention="egg"), expected)
    one_hot = np.concatenate([np.eye(5)[np.array(meanings)[:, k]] for k in range(2)], 1)
    found = topographic_similarity(said, one_hot, convention="egg", meaning_distance="cosine")
    assert close(found, expected)  # as DeepMind and EGG's zoo have it: the same ranks


def test_undefined_similarity_says_why() -> None:
    assert "all messages lie equally far" in str(reason_of(topographic_similarity(LANGUAGES["holistic"], GRID)))
    assert "all meanings lie equally far" in str(reason_of(topographic_similarity(["a", "ab", "abc"], [1, 1, 1])))
    assert "no two utterances" in str(reason_of(topographic_similarity(["a"], [1])))
    zeros = topographic_similarity(["a", "ab", "b"], [[0, 1], [0, 0], [1, 1]], meaning_distance="cosine")
    assert "row 1 is all zeros" in str(reason_of(zeros))
    assert "nothing varies" in str(reason_of(posdis(["aa", "aa"], [[0, 1], [1, 0]])))


def test_edit_distance_over_the_mean_length_may_exceed_one() -> None:
    """Between nothing and two symbols it is 2, more than between any two longer words."""
    said, meant = ["", "ab", "cd"], [[0, 0], [1, 1], [0, 1]]
    assert close(topographic_similarity(said, meant, convention="egg"), 0.5)
    assert math.isnan(topographic_similarity(said, meant, convention="rita"))


def test_a_place_that_hardly_varies_weighs_as_much_as_any() -> None:
    said = [[int(a == 0), 5] for a, _ in GRID]
    assert close(posdis(said, GRID), 1.0)


def test_one_attribute_has_no_second() -> None:
    assert close(posdis([0, 1, 2, 2], [0, 1, 2, 2]), 1.0) and close(bosdis([0, 1, 2, 2], [0, 1, 2, 2]), 1.0)


def test_all_places_are_looked_at() -> None:
    """The first place tells all of one attribute, the second nothing of any."""
    said = [[a, n] for a in range(2) for n in range(2)]
    assert close(posdis(said, [[0, 0], [0, 1], [1, 1], [1, 0]]), 0.5)


def test_places_behind_the_end_do_not_count() -> None:
    said, meant = [[1, 0, 7], [1, 0, 8], [2, 2, 0], [2, 3, 0]], [[0, 0], [0, 1], [1, 0], [1, 1]]
    cut = [["1"], ["1"], ["2", "2"], ["2", "3"]]
    assert close(posdis(said, meant, eos=0), posdis(cut, meant)) and close(posdis(cut, meant), 1.0)
    assert posdis(cut, meant, convention="egg") < 1.0  # the padded second place tells of the first attribute, too


def test_symbols_that_egg_leaves_out() -> None:
    said, meant = [[0, 5], [1, 0], [1, 1], [7, 7]], [[0, 1], [1, 0], [1, 1], [0, 0]]
    without = [[s for s in word if s not in (0, 7)] for word in said]
    assert close(bosdis(said, meant, convention="egg", vocabulary=7), bosdis(without, meant))
    assert not close(bosdis(said, meant), bosdis(without, meant))


def test_vectors_are_compared_by_distance() -> None:
    rng = np.random.default_rng(0)
    meant = rng.integers(4, size=(60, 2))
    vectors = meant + 0.01 * rng.standard_normal((60, 2))
    found = topographic_similarity(vectors, meant, meaning_distance="euclidean")
    assert 0.95 < found <= 1.0
    assert close(topographic_similarity(1e3 * vectors + 7, meant, meaning_distance="euclidean"), found)
    with pytest.raises(ValueError, match="messages are vectors"):
        topographic_similarity(vectors, meant, convention="egg")
    with pytest.raises(ValueError, match="messages are symbols"):
        topographic_similarity(["a", "b"], [0, 1], convention="cosine")


@settings(deadline=None, max_examples=60)
@given(WORDS)
def test_edit_distances_are_those_of_the_textbook(words: list[str]) -> None:
    found = edit_distances(words_of(words))
    assert found.tolist() == [[edits(one, other) for other in words] for one in words]


def edits(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


@settings(deadline=None, max_examples=40)
@given(ROWS, st.integers(0, 99))
def test_bounds_names_and_order(rows: list[tuple[list[int], int, int]], seed: int) -> None:
    said, meant = [r[0] for r in rows], [[r[1], r[2]] for r in rows]
    order = np.random.default_rng(seed).permutation(len(rows))
    other = reordered(renamed(said, seed), order), reordered(meant, order)
    measures: list[tuple[Any, float]] = [(posdis, 0.0), (bosdis, 0.0), (topographic_similarity, -1.0)]
    for measure, low in measures:
        one, two = measure(said, meant), measure(*other)
        assert (math.isnan(one) and math.isnan(two)) or math.isclose(one, two, abs_tol=1e-9)
        assert math.isnan(one) or low - 1e-9 <= one <= 1 + 1e-9


@pytest.mark.parametrize("measure", [posdis, bosdis, topographic_similarity])
def test_what_is_no_input_is_refused(measure: Any) -> None:
    with pytest.raises(ValueError, match="2 messages and 3 meanings"):
        measure([[1], [2]], [[0], [1], [2]])
    with pytest.raises(ValueError, match="meaning 1 has 1 attributes, the first has 2"):
        measure([[1], [2]], [[0, 1], [1]])
    with pytest.raises(ValueError, match="at least one utterance"):
        measure([], [])


def test_similarity_of_thousands_fits_into_memory() -> None:
    """Compared with scipy on a part; the whole takes a table of distances in small numbers, some 50 MB."""
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    meant = rng.integers(5, size=(1500, 3))
    said = np.concatenate([meant, rng.integers(5, size=(1500, 2))], 1)
    expected = spearmanr(pdist(meant[:300], "hamming"), pdist(said[:300], "hamming")).statistic
    assert close(topographic_similarity(said[:300], meant[:300], convention="hamming"), expected)
    assert 0.3 < topographic_similarity(said, meant) < 0.9
