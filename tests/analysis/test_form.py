"""Measures of form agree with values worked by hand, and do not depend on names, order or padding."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.measures.back_reference import back_reference, back_references
from heliograph.analysis.measures.complexity import complexity, lempel_ziv
from heliograph.analysis.measures.effective_length import effective_length
from heliograph.analysis.measures.excess_length import excess_length, optimal_lengths
from heliograph.analysis.measures.law_of_abbreviation import abbreviation_of, law_of_abbreviation
from heliograph.analysis.measures.measure import measure_of
from heliograph.analysis.measures.message_length import message_length
from heliograph.analysis.measures.rank_frequency import rank_frequency, rank_frequency_of
from heliograph.analysis.measures.undefined import reason_of

EXACT = {"abs": 1e-9}
SHARES, LENGTHS = [0.5, 0.25, 0.125, 0.125], [1, 2, 2, 3]
WORDS = ["a", "bb", "cc", "ddd"]
SAID = [word for word, times in zip(WORDS, (4, 2, 1, 1), strict=True) for _ in range(times)]
MEANT = [meaning for meaning, times in enumerate((4, 2, 1, 1)) for _ in range(times)]
RAGGED = st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=20)


def test_ranks_of_an_exact_zipf_law() -> None:
    found = rank_frequency_of([12, 6, 4, 3])
    assert found.slope == pytest.approx(-1.0, **EXACT)
    assert found.exponent == pytest.approx(1.0, **EXACT)
    assert rank_frequency([7] * 4 + [1] * 12 + [5] * 3 + [2] * 6) == found


def test_ranks_of_equal_and_of_single_messages() -> None:
    flat = rank_frequency_of([5, 5, 5])
    assert (flat.slope, flat.exponent) == pytest.approx((0.0, 0.0), **EXACT)
    single = rank_frequency([[1, 2]] * 5)
    assert math.isnan(single.slope) and "only one message" in str(reason_of(single.slope))
    with pytest.raises(ValueError, match="no counts"):
        rank_frequency_of([0, 0])


@given(st.lists(st.integers(1, 50), min_size=2, max_size=12), st.integers(2, 5))
def test_ranks_depend_on_ratios_of_counts_alone(counts: list[int], factor: int) -> None:
    one, other = rank_frequency_of(counts), rank_frequency_of([factor * n for n in reversed(counts)])
    assert (one.slope, one.exponent) == pytest.approx((other.slope, other.exponent), abs=1e-7)
    assert one.slope <= 1e-12 and one.exponent >= 0.0


def test_lengths_by_token_and_by_type() -> None:
    found = message_length(SAID)
    assert (found.by_token, found.by_type) == pytest.approx((1.625, 2.0), **EXACT)
    padded = np.array([[1, 1, 0, 0, 0, 1], [1, 1, 1, 10, 100500, 5]])
    assert message_length(padded, eos=0).by_token == 4.0
    assert message_length(padded, eos=0, counts_eos=True).by_token == 5.0
    assert message_length(padded).by_token == 6.0
    with pytest.raises(ValueError, match="at least one utterance"):
        message_length([])


@given(RAGGED)
def test_lengths_of_words_do_not_depend_on_what_follows_their_end(rows: list[list[int]]) -> None:
    padded = [[*(s + 1 for s in row), 0, *([3] * (6 - len(row)))] for row in rows]
    found = message_length(padded, eos=0)
    assert found.by_token == pytest.approx(sum(map(len, rows)) / len(rows), **EXACT)
    assert found == message_length([[s + 1 for s in row] for row in rows])


def test_abbreviation_over_all_orders_of_lengths() -> None:
    found = law_of_abbreviation(SAID, MEANT)
    assert found == abbreviation_of(SHARES, LENGTHS)
    assert (found.token_length, found.type_length, found.chance) == pytest.approx((1.625, 2.0, 2.0), **EXACT)
    assert found.p == pytest.approx(1 / 6, **EXACT)
    assert found.correlation == pytest.approx(-0.833333333333, **EXACT)


def test_abbreviation_where_there_are_no_ties() -> None:
    shares = [0.48, 0.24, 0.16, 0.12]
    short, long = abbreviation_of(shares, [1, 2, 3, 4]), abbreviation_of(shares, [4, 3, 2, 1])
    assert (short.token_length, short.p, long.token_length, long.p) == pytest.approx((1.92, 1 / 24, 3.08, 1), **EXACT)


def test_abbreviation_is_measured_in_lengths_and_not_in_numbers_of_messages() -> None:
    """One public tool appends the number of messages for each length, so that every mean is that number."""
    assert law_of_abbreviation(["ab", "ab", "cd"], [0, 0, 1]).token_length == 2.0
    constant = law_of_abbreviation(["ab", "ab", "cd"], [0, 0, 1])
    assert constant.p == 1.0 and reason_of(constant.correlation)


def test_abbreviation_of_many_meanings_is_drawn_from_a_seed() -> None:
    shares = np.arange(9, 0, -1) / 45
    found = [abbreviation_of(shares, np.arange(1, 10), num_permutations=99, seed=s) for s in (0, 0, 1)]
    assert found[0] == found[1] and found[0].p == found[2].p == 1 / 100
    with pytest.raises(ValueError, match="2 messages and 3 meanings"):
        law_of_abbreviation(["a", "b"], [0, 1, 2])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=2, max_size=5))
def test_abbreviation_agrees_with_a_plain_count_of_orders(pairs: list[tuple[int, int]]) -> None:
    total = sum(p[0] for p in pairs)
    shares, lengths = [p[0] / total for p in pairs], [p[1] for p in pairs]
    found = abbreviation_of(shares, lengths)
    sums = [sum(s * n for s, n in zip(shares, order, strict=True)) for order in itertools.permutations(lengths)]
    assert found.p == pytest.approx(np.mean(np.array(sums) <= found.token_length + 1e-12), **EXACT)
    assert found.chance == pytest.approx(np.mean(sums), **EXACT)


def test_lengths_of_the_best_code() -> None:
    assert optimal_lengths(8, vocabulary=3).tolist() == [1, 2, 2, 3, 3, 3, 3, 4]
    assert np.bincount(optimal_lengths(21, vocabulary=5)).tolist() == [0, 1, 4, 16]
    assert optimal_lengths(3, vocabulary=2).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="vocabulary=1"):
        optimal_lengths(2, vocabulary=1)


def test_excess_of_the_best_code_and_of_a_padded_one() -> None:
    best = [[], [1], [2], [1, 1]]
    said = [best[meaning] for meaning in MEANT]
    assert excess_length(said, MEANT, vocabulary=3) == pytest.approx(0.0, **EXACT)
    assert excess_length(said, MEANT, vocabulary=2, counts_eos=False) == pytest.approx(0.0, **EXACT)
    assert excess_length([[*word, 1] for word in said], MEANT, vocabulary=3) == pytest.approx(1.0, **EXACT)
    ended = [[*word, 0, 2, 2][:4] for word in said]
    assert excess_length(ended, MEANT, vocabulary=3, eos=0) == pytest.approx(0.0, **EXACT)


@given(st.integers(1, 30), st.integers(2, 4))
def test_no_code_of_distinct_words_is_shorter_than_the_best(num_meanings: int, vocabulary: int) -> None:
    words = [w for n in range(6) for w in itertools.product(range(1, vocabulary), repeat=n)][:num_meanings]
    meant = [m for m in range(len(words)) for _ in range(1 + m % 3)]
    shuffled = random.Random(num_meanings).sample(words, len(words))
    assert excess_length([shuffled[m] for m in meant], meant, vocabulary=vocabulary) >= -1e-9


def listener(words: np.ndarray) -> list[str]:
    return [{(0, 0): "A", (0, 1): "A", (1, 0): "B", (1, 1): "C"}[tuple(word)] for word in words.tolist()]


@pytest.mark.parametrize("replacing", ["some", "mean"])
def test_effective_length_of_a_listener_that_skips_a_place_at_times(replacing: str) -> None:
    words = [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert effective_length(words, listener, vocabulary=2, replacing=replacing) == pytest.approx(1.5, **EXACT)


def test_effective_length_counts_other_symbols_as_asked() -> None:
    def heeds_two(words: np.ndarray) -> np.ndarray:
        return words[:, 0] == 2

    words = [[0, 1], [2, 1]]
    assert effective_length(words, heeds_two, vocabulary=3, replacing="some") == 1.0
    assert effective_length(words, heeds_two, vocabulary=3, replacing="mean") == pytest.approx(0.75, **EXACT)
    assert effective_length(words, lambda said: np.zeros(len(said)), vocabulary=3) == 0.0
    with pytest.raises(ValueError, match="from 0 to 1"):
        effective_length([[2, 0]], heeds_two, vocabulary=2)
    with pytest.raises(ValueError, match="equal length"):
        effective_length([[1], [0, 1]], heeds_two, vocabulary=2)


def phrases_by_hand(symbols: list[int]) -> int:
    """LZ76 as it is defined: extend a phrase as long as it occurs before its own last symbol."""
    text, start, phrases = "".join(map(chr, symbols)), 0, 0
    while start < len(text):
        end = start + 1
        while end <= len(text) and text[start:end] in text[: end - 1]:
            end += 1
        start, phrases = min(end, len(text)), phrases + 1
    return phrases


def test_phrases_of_the_reference_sequence() -> None:
    """0 . 001 . 10 . 100 . 1000 . 101"""
    assert lempel_ziv("0001101001000101") == 6
    assert complexity(["00011010", "01000101"]).phrases == 6
    assert lempel_ziv("") == 0 and lempel_ziv("0") == 1 and lempel_ziv("0" * 50) == 2


@settings(max_examples=150)
@given(st.lists(st.integers(0, 2), max_size=60))
def test_phrases_agree_with_their_definition(symbols: list[int]) -> None:
    assert lempel_ziv(symbols) == phrases_by_hand(symbols)


def test_complexity_tells_noise_from_repetition() -> None:
    rng = np.random.default_rng(0)
    noise, same = rng.integers(4, size=(500, 4)), np.zeros((500, 4), dtype=int)
    assert complexity(noise).normalised > 0.9
    assert complexity(noise + 7) == complexity(noise)
    found = complexity(same)
    assert found.phrases == 2 and math.isnan(found.normalised) and found.compressed_share < 0.05
    assert complexity(noise[:, ::-1][rng.permutation(500)]).compressed_share < 1.0
    with pytest.raises(ValueError, match="all messages are empty"):
        complexity([[0], [0]], eos=0)


def test_references_to_what_was_meant_before() -> None:
    messages, meanings = [0, 1, 0, 1, 2], [5, 5, 6, 6, 5]
    assert back_references(messages, meanings, horizon=3).tolist() == [100.0, 0.0, 100.0]
    found = back_reference(messages, meanings, horizon=3)
    assert (found.percentage, found.back, found.num_uses) == (100.0, 1, 2)


def test_references_look_as_far_back_as_asked_and_only_to_the_nearest() -> None:
    assert back_references([0, 1, 2, 3], [5, 6, 7, 5], horizon=3).tolist() == [0.0, 0.0, 100.0]
    assert back_references([0, 0, 0, 9], [5, 5, 5, 5], horizon=3).tolist() == pytest.approx([100.0, 0.0, 0.0])
    assert back_references([0, 1, 1], [5, 5, 5], episodes=[0, 1, 1], horizon=2).tolist() == [50.0, 0.0]
    with pytest.raises(ValueError, match="horizon=0"):
        back_reference([0], [1], horizon=0)


def test_references_are_not_rounded() -> None:
    found = back_references([0, 0, 0], [5, 5, 6], horizon=2)
    assert found[0] == pytest.approx(100 / 3, **EXACT) and found[1] == 0.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=25))
def test_references_are_shares_of_uses(pairs: list[tuple[int, int]]) -> None:
    said, meant = [p[0] for p in pairs], [p[1] for p in pairs]
    found = back_references(said, meant, horizon=len(pairs))
    assert ((found >= 0.0) & (found <= 100.0)).all()
    assert back_reference(said, meant, horizon=len(pairs)).percentage == pytest.approx(found.max())
    assert back_references([9 - s for s in said], [f"m{m}" for m in meant], horizon=3).tolist() == pytest.approx(
        back_references(said, meant, horizon=3).tolist()
    )


def test_what_depends_on_the_order_of_rows_is_not_drawn_anew() -> None:
    resampling = measure_of(complexity).resampling([[0], [1]], given=None)
    assert resampling.drawn(np.array([1, 1])) == complexity([[0], [1]]).phrases == resampling.shuffled(np.array([1, 0]))
    assert "repeat themselves" in str(reason_of(resampling.drawn(np.array([2, 0]))))
