"""Measures of structure agree with reference values, hold their bounds, and avoid what other tools get wrong."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from heliograph.analysis.measures.bosdis import bosdis
from heliograph.analysis.measures.c_topsim import c_topsim
from heliograph.analysis.measures.concept_best_matching import best_matching, concept_best_matching
from heliograph.analysis.measures.conflict_count import conflict_count
from heliograph.analysis.measures.context_independence import context_independence
from heliograph.analysis.measures.context_independence_bag import context_independence_bag
from heliograph.analysis.measures.distances import edit_distances
from heliograph.analysis.measures.harris_segmentation import branching_entropies, harris_segmentation
from heliograph.analysis.measures.morpheme_inventory import morpheme_inventory, morpheme_scores
from heliograph.analysis.measures.npmi import npmi, npmi_table
from heliograph.analysis.measures.posdis import posdis
from heliograph.analysis.measures.topographic_similarity import similarities, topographic_similarity
from heliograph.analysis.measures.tree_reconstruction_error import tree_reconstruction_error
from heliograph.analysis.measures.undefined import reason_of
from heliograph.analysis.measures.unseen_combinations import unseen_combinations
from heliograph.analysis.measures.w_topsim import w_topsim
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

CORPUS = [[int(c) for c in word] for word in "011 012 013 011 411 213 412 314 115".split()]
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


@pytest.mark.parametrize("number", [200, 400])  # levels of 16 bits, and of more
def test_shuffles_of_vectors_are_those_of_the_function(number: int) -> None:
    rng = np.random.default_rng(0)
    meant = rng.integers(4, size=(number, 2))
    vectors, order = meant + rng.standard_normal((number, 2)), rng.permutation(number)
    for how in ("hamming", "euclidean"):
        made = similarities(vectors, meant + 0.01, meaning_distance=how)
        expected = topographic_similarity(vectors, meant[order] + 0.01, meaning_distance=how)
        assert math.isclose(made.shuffled(order), expected, abs_tol=1e-4)
        assert math.isclose(made.drawn(np.ones(number, dtype=np.int64)), made.value(), abs_tol=1e-4)


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
    """Compared with scipy on a part; the whole takes some bytes for each pair, and no table of numbers."""
    rng = np.random.default_rng(0)
    meant = rng.integers(5, size=(2500, 3))
    said = np.concatenate([meant, rng.integers(5, size=(2500, 2))], 1)
    expected = spearmanr(pdist(meant[:300], "hamming"), pdist(said[:300], "hamming")).statistic
    assert close(topographic_similarity(said[:300], meant[:300], convention="hamming"), expected)
    tracemalloc.start()
    found = topographic_similarity(said, meant)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.3 < found < 0.9 and peak < 10 * 2500**2


# ---- concepts, segments, parts -----------------------------------------------------------------------------------

COMPOSED = [[a, 5 + b] for a in range(5) for b in range(5)]
FIVE = [[a, b] for a in range(5) for b in range(5)]
TWO, THREE = ([[a, b] for a in range(k) for b in range(k)] for k in (2, 3))
OF_PARTS: dict[str, tuple[Any, float]] = {
    "whole messages and meanings": (lambda: context_independence(MESSAGES, MEANINGS), 0.833333333333),
    "a bijection": (lambda: context_independence(range(4), [3, 2, 1, 0]), 1.0),
    "one message for four": (lambda: context_independence([7] * 4, range(4)), 0.25),
    "two synonyms": (lambda: context_independence(range(4), [0, 0, 1, 1]), 0.5),
    "two homonyms": (lambda: context_independence([0, 0, 1, 1], range(4)), 0.5),
    "Lowe's eight": (lambda: context_independence([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 1, 1, 0, 1, 1, 0]), 0.5),
    "a bag of the reference": (lambda: context_independence_bag(MESSAGES, MEANINGS), 0.253670634921),
    "a bag of a perfect code": (lambda: context_independence_bag(COMPOSED, FIVE), 0.25),
    "sums of the reference": (lambda: tree_reconstruction_error(MESSAGES, MEANINGS), 0.151515151515),
    "sums over utterances": (
        lambda: tree_reconstruction_error(MESSAGES, MEANINGS, convention="korbak"), 8 * 0.151515151515151,
    ),
    "holistic 3x3": (lambda: tree_reconstruction_error(range(9), THREE), 4 / 9),
    "holistic 2x2": (lambda: tree_reconstruction_error(range(4), TWO), 0.25),
    "attributes as message": (lambda: tree_reconstruction_error(FIVE, FIVE), 0.0),
    "conflicts of the reference": (lambda: conflict_count(MESSAGES, MEANINGS), 1.0),
    "conflicts of a perfect code": (lambda: conflict_count(COMPOSED, FIVE), 0.0),
    "conflicts of attributes in another order": (lambda: conflict_count([m[::-1] for m in FIVE], FIVE), 0.0),
    "conflicts of four words": (
        lambda: conflict_count(["ax", "ay", "bx", "bx"], [["b", "s"], ["b", "c"], ["r", "s"], ["r", "c"]]), 1.0,
    ),
    "the best dictionary": (lambda: best_matching(["12", "12", "13"], ["ab", "ab", "c"]).score, 5 / 6),
    "a dictionary of a holistic code": (lambda: concept_best_matching(range(4), TWO), 0.5),
    "a dictionary of a perfect code": (lambda: concept_best_matching(COMPOSED, FIVE), 1.0),
    "pointwise, ambiguous": (lambda: npmi_table(MESSAGES, MEANINGS).of((1, 2), (1, 1)), 1 / 3),
    "pointwise, own": (lambda: npmi_table(MESSAGES, MEANINGS).of((1, 2), (1, 2)), 2 / 3),
    "pointwise, never": (lambda: npmi_table(MESSAGES, MEANINGS).of((0, 0), (1, 2)), -1.0),
    "pointwise of a bijection": (lambda: npmi(range(4), range(4)), 1.0),
    "h((4)) over all": (lambda: branching_entropies(CORPUS, convention="harris")[(4,)], 0.389975000481),
    "h((4)) over successors": (lambda: branching_entropies(CORPUS)[(4,)], 0.0),
    "h((1)) over all": (lambda: branching_entropies(CORPUS, convention="harris")[(1,)], 1.923415167801),
    "h((1)) over successors": (lambda: branching_entropies(CORPUS)[(1,)], 2.121928094887),
    "all combinations": (lambda: unseen_combinations(["00", "01", "11"], ["00", "11", "11"]).all_attributes, 2 / 3),
    "by attribute": (lambda: unseen_combinations(["00", "01", "11"], ["00", "11", "11"]).per_attribute, 5 / 6),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_PARTS)
def test_values_of_parts(name: str) -> None:
    measure, expected = OF_PARTS[name]
    assert close(measure(), expected)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
def test_segments_of_the_reference(threshold: float) -> None:
    found = harris_segmentation(CORPUS, threshold=threshold, convention="harris")
    cut = {0, 1, 2, 3, 4, 6} if threshold == 0.5 else {0, 1, 2, 3}
    assert [len(parts) == 2 for parts in found.segments] == [row in cut for row in range(9)]
    assert all(len(parts[0]) == 2 for row, parts in enumerate(found.segments) if row in cut)
    assert found.num_segments == (8 if threshold == 0.5 else 9)
    assert close(found.mean_boundaries, len(cut) / 9)


def test_similarity_of_segments_that_are_attributes() -> None:
    """Words of two symbols each, some of which share one: segments are alike as meanings are, symbols are not."""
    first, second = ["ab", "ac", "de", "df"], ["gh", "ij", "kl", "mn"]
    said = [first[a] + second[b] for a, b in GRID]
    assert close(w_topsim(said, GRID, threshold=0.9), 1.0)
    assert c_topsim(said, GRID) < 0.99
    assert close(c_topsim(RAGGED, RAGGED_MEANINGS), 0.5)
    assert math.isnan(w_topsim(["a", "b"], [0, 1])) and w_topsim(["a", "b"], [0, 1], convention="harris") == 0.0


def test_context_independence_of_a_bag_does_not_depend_on_names_or_order() -> None:
    rotated = [[(a + b) % 5, 5 + (a - b) % 5] for a, b in FIVE]
    found = {round(context_independence_bag(renamed(rotated, seed), FIVE), 12) for seed in range(9)}
    assert len(found) == 1


def test_more_places_than_attributes_have_no_conflict_count() -> None:
    assert "3 places for 2 attributes" in str(reason_of(conflict_count(LANGUAGES["by place"], GRID)))


def test_morphemes_of_a_code_with_own_symbols() -> None:
    said = [[a, 4 + b] for a, b in GRID]
    found = morpheme_inventory(said, GRID)
    assert found.num_morphemes == 8 and all(close(m.bits, 0.811278124459) for m in found.morphemes)
    gold = [((k * 4 + v,), [(k, v)]) for k in range(2) for v in range(4)]
    assert morpheme_scores(found, gold).f1 == 1.0
    assert close(morpheme_scores(found, [*gold, ((9,), [(0, 9)])]).recall, 8 / 9)
    named = morpheme_inventory(["bc", "bt", "rc", "rt"], [["blue", "car"], ["blue", "truck"], ["red", "car"],
                                                       ["red", "truck"]], atoms=True)  # fmt: skip
    assert {(m.form, *m.meaning) for m in named.morphemes} == {
        (("b",), "blue"), (("r",), "red"), (("c",), "car"), (("t",), "truck"),
    }  # fmt: skip


def test_a_holistic_code_has_whole_words() -> None:
    found = morpheme_inventory(range(4), TWO)
    assert [(len(m.form), len(m.meaning)) for m in found.morphemes] == [(1, 2)] * 4


def test_only_untrained_combinations_of_trained_values_count() -> None:
    trained = [[0, 0], [0, 1], [1, 0]]
    found = unseen_combinations([[0, 0], [1, 0], [2, 2]], [[0, 0], [1, 1], [2, 2]], trained=trained)
    assert (found.num_utterances, found.all_attributes, found.per_attribute) == (1, 0.0, 0.5)
    assert math.isnan(unseen_combinations([[0, 0]], [[0, 0]], trained=trained).all_attributes)
    with pytest.raises(ValueError, match="row 1: predicted has 1"):
        unseen_combinations([[0, 0], [0]], [[0, 0], [0, 0]])


def test_emlangkit_has_no_number_for_what_always_or_never_goes_together() -> None:
    assert math.isnan(npmi_table([1, 1], [2, 2], convention="emlangkit").of(1, 2))
    assert npmi_table([1, 1], [2, 2]).of(1, 2) == 1.0
    said = [[0, 0], [0, 5], [0, 5], [0, 0], [0, 1], [0, 1], [0, 1], [0, 2], [0, 3], [0, 3]]
    meant = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 1], [0, 1], [0, 1], [0, 2], [0, 3], [0, 4]]
    assert close(npmi_table(said, meant).of([0, 5], [0, 0]), 0.5693234419266069)


@settings(deadline=None, max_examples=25)
@given(ROWS, st.integers(0, 99))
def test_parts_do_not_depend_on_names_or_order(rows: list[tuple[list[int], int, int]], seed: int) -> None:
    said, meant = [r[0] for r in rows], [[r[1], r[2]] for r in rows]
    order = np.random.default_rng(seed).permutation(len(rows))
    other = reordered(renamed(said, seed), order), reordered(meant, order)
    measures: dict[Any, tuple[float, float]] = {
        context_independence: (0.0, 1.0), context_independence_bag: (0.0, 1.0), concept_best_matching: (0.0, 1.0),
        npmi: (-1.0, 1.0), tree_reconstruction_error: (0.0, math.inf), conflict_count: (0.0, math.inf),
        w_topsim: (-1.0, 1.0),
    }  # fmt: skip
    for measure, (low, high) in measures.items():
        one, two = measure(said, meant), measure(*other)
        assert (math.isnan(one) and math.isnan(two)) or math.isclose(one, two, abs_tol=1e-9)
        assert math.isnan(one) or low - 1e-9 <= one <= high + 1e-9
