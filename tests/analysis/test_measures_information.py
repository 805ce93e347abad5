"""Measures of information agree with reference values, hold their bounds, and avoid what other tools get wrong."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.measures.adjusted_mutual_information import adjusted_mutual_information, expected_information
from heliograph.analysis.measures.ambiguity import ambiguity
from heliograph.analysis.measures.conditional_entropy import conditional_entropy
from heliograph.analysis.measures.efficiency import efficiency
from heliograph.analysis.measures.entropy import entropy
from heliograph.analysis.measures.instantaneous_coordination import instantaneous_coordination
from heliograph.analysis.measures.miller_madow_entropy import miller_madow_entropy
from heliograph.analysis.measures.mutual_information import mutual_information
from heliograph.analysis.measures.ngram_entropy import ngram_entropy
from heliograph.analysis.measures.normalised_mutual_information import MEANS, normalised_mutual_information
from heliograph.analysis.measures.position_attribute_map import position_attribute_map
from heliograph.analysis.measures.position_entropy import position_entropy
from heliograph.analysis.measures.residual_entropy import best_partition, residual_entropy
from heliograph.analysis.measures.speaker_consistency import speaker_consistency
from heliograph.analysis.measures.symbol_entropy import symbol_entropy
from heliograph.analysis.measures.synonymy import synonymy
from heliograph.analysis.measures.undefined import reason_of
from tests.analysis.languages import (
    GRID,
    LANGUAGES,
    MEANINGS,
    MESSAGES,
    WITH_ENDS,
    close,
    renamed,
    reordered,
)

FIRST, SECOND = ([meaning[k] for meaning in MEANINGS] for k in range(2))
VALUES: dict[str, tuple[Any, float]] = {
    "entropy": (lambda: entropy(MESSAGES), 2.5),
    "efficiency over distinct": (lambda: efficiency(MESSAGES), 0.967132018086),
    "efficiency over the code": (
        lambda: efficiency(MESSAGES, convention="code", vocabulary=3, length=2), 0.788662191964,
    ),
    "entropy of symbols": (lambda: symbol_entropy(MESSAGES), 1.505240814944),
    "entropy of the first place": (lambda: position_entropy(MESSAGES).places[0], 1.0),
    "entropy of the second place": (lambda: position_entropy(MESSAGES).places[1], 1.561278124459),
    "one-gram entropy": (lambda: ngram_entropy(WITH_ENDS, size=1), 1.855388542208),
    "two-gram entropy": (lambda: ngram_entropy(WITH_ENDS), 2.155639062230),
    "their difference": (lambda: conditional_entropy(WITH_ENDS), 0.300250520022),
    "Miller and Madow": (lambda: miller_madow_entropy(MESSAGES), 2.950842200278),
    "information": (lambda: mutual_information(MESSAGES, MEANINGS), 2.25),
    "about the first attribute": (lambda: mutual_information(MESSAGES, FIRST), 1.0),
    "about the second attribute": (lambda: mutual_information(MESSAGES, SECOND), 1.311278124459),
    "adjusted": (lambda: adjusted_mutual_information(MESSAGES, MEANINGS), 0.461538461538),
    "of chance": (lambda: expected_information(np.array([2, 1, 1, 1, 1, 2]), np.array([2, 1, 1, 1, 2, 1])),
                  2.035714285714),
    "synonymy": (lambda: synonymy(MESSAGES, MEANINGS), 0.25),
    "ambiguity": (lambda: ambiguity(MESSAGES, MEANINGS), 0.25),
    "residual entropy": (lambda: residual_entropy(MESSAGES, MEANINGS), 0.110281740446),
    "speaker consistency": (lambda: speaker_consistency([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 1, 1, 0, 1, 1, 0]), 0.5),
    "in nats": (
        lambda: speaker_consistency([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 1, 1, 0, 1, 1, 0], convention="lowe"),
        0.346573590280,
    ),
    "coordination": (lambda: instantaneous_coordination([0, 1, 1, 0, 1], [9, 0, 1, 1, 0], shift=1), 1.0),
    "coordination in nats": (
        lambda: instantaneous_coordination([0, 1, 1, 0, 1], [9, 0, 1, 1, 0], shift=1, convention="lowe"), math.log(2),
    ),
}  # fmt: skip
PAIRS = st.lists(
    st.tuples(st.lists(st.integers(0, 2), max_size=3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=24
)


@pytest.mark.parametrize("name", VALUES)
def test_reference_values(name: str) -> None:
    measure, expected = VALUES[name]
    assert close(measure(), expected)


@pytest.mark.parametrize("mean", MEANS)
def test_every_mean_of_the_reference_is_nine_tenths(mean: str) -> None:
    assert close(normalised_mutual_information(MESSAGES, MEANINGS, mean=mean), 0.9)


@pytest.mark.parametrize(
    ("said", "meant", "expected"),
    [
        ([0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], (1.0, 0.6492475, 0.61538462, 0.44444444)),
        ([1, 1, 2, 2, 3, 3], [1, 1, 1, 2, 2, 2], (0.44444444, 0.3104555, 0.29879246, 0.22504228)),
        ([0, 0, 1, 1], [0, 1, 0, 1], (-0.5, -0.5, -0.5, -0.5)),
    ],
)
def test_adjusted_information_is_that_of_scikit_learn(said: Any, meant: Any, expected: tuple[float, ...]) -> None:
    found = [adjusted_mutual_information(said, meant, mean=m) for m in ("min", "geometric", "arithmetic", "max")]
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize(("said", "meant"), [(range(9), [0, 1, 2] * 3), ([0, 1, 2] * 3, range(9)), ([1] * 5, range(5))])
def test_adjusted_information_of_distinct_rows_is_undefined_and_not_noise(said: Any, meant: Any, mean: str) -> None:
    found = adjusted_mutual_information(list(said), list(meant), mean=mean)
    assert math.isnan(found) and "distinct" in str(reason_of(found))


def test_expected_information_of_many_is_exact_and_quick() -> None:
    """Against the plug-in mean over shuffles, where counts are too large to sum naively."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(10, size=(2, 20_000))
    expected = expected_information(np.bincount(one), np.bincount(other))
    shuffled = [mutual_information(one, rng.permutation(other)) for _ in range(50)]
    assert expected == pytest.approx(np.mean(shuffled), rel=0.1)
    assert expected == pytest.approx(81 / (2 * 20_000 * math.log(2)), rel=0.01)


def test_partition_and_map_of_the_reference() -> None:
    assert best_partition(MESSAGES, MEANINGS).attribute_of_place == (0, 1)
    found = position_attribute_map(MESSAGES, MEANINGS)
    assert np.allclose(found.information, [[1, 0.061278124459], [0.061278124459, 1.216917186689]], atol=1e-9)
    assert np.allclose(found.entropies, [1, 1.561278124459], atol=1e-9)


@pytest.mark.parametrize("name", LANGUAGES)
def test_residual_entropy_of_reference_languages(name: str) -> None:
    expected = {"by place": 0.0, "identity": 0.0, "holistic": 0.5, "constant": 1.0}
    found = residual_entropy(LANGUAGES[name], GRID)
    assert name not in expected or close(found, expected[name])
    assert 0.0 <= found <= 1.0


def test_constant_attributes_are_skipped_and_constant_meanings_have_no_residual() -> None:
    assert close(residual_entropy(MESSAGES, [[*m, 7] for m in MEANINGS]), 0.110281740446)
    assert "no attribute varies" in str(reason_of(residual_entropy(MESSAGES, [[7]] * 8)))
    assert "at most 10" in str(reason_of(residual_entropy([[0] * 11, [1] * 11], [0, 1])))


def test_conditional_information_of_two_codes() -> None:
    copies = MESSAGES + [[7 - symbol for symbol in word] for word in MESSAGES]
    role = [0] * 8 + [1] * 8
    assert close(mutual_information(copies, MEANINGS * 2, given=role), 2.25)
    for measure in (synonymy, ambiguity):
        assert close(measure(copies, MEANINGS * 2, given=role), 0.25)
    assert close(normalised_mutual_information(copies, MEANINGS * 2, given=role), 0.9)
    assert close(adjusted_mutual_information(copies, MEANINGS * 2, given=role), 0.461538461538)
    with pytest.raises(ValueError, match="given= of 1"):
        mutual_information(MESSAGES, MEANINGS, given=[0])


def test_messages_end_at_their_first_eos_and_it_is_no_symbol() -> None:
    assert close(symbol_entropy(WITH_ENDS, eos=0), symbol_entropy([[1, 2], [1, 3], [2, 2], [1, 2]]))
    assert close(symbol_entropy(WITH_ENDS), 1.855388542208)  # 0 is a symbol like any other unless told
    assert close(entropy([[1, 0, 5], [1, 0, 6]], eos=0), 0.0)
    assert close(position_entropy([[1, 0, 5], [1, 2, 0]], eos=0).mean, 0.0)


def test_the_exact_conditional_entropy_knows_that_ends_have_no_successor() -> None:
    assert close(conditional_entropy(["ab", "ab"], convention="exact"), 0.0)
    assert close(conditional_entropy(["ab", "ab"]), -1.0)
    assert "no message has 2 symbols" in str(reason_of(conditional_entropy(["a", "b"])))
    assert ngram_entropy(["ab", "cd"]) == 1.0  # "bc" is said by nobody


def test_one_message_has_no_efficiency() -> None:
    assert math.isnan(efficiency([[1, 2]] * 4)) and reason_of(efficiency(["a"])) is not None
    assert math.isnan(efficiency(["a", "a"], convention="code"))
    with pytest.raises(ValueError, match="'distinct', over log2"):
        efficiency(MESSAGES, convention="normalised")


def test_pairs_of_message_and_next_action_stay_within_their_episode() -> None:
    messages, actions, episodes = [0, 1, 0, 1], [9, 0, 9, 0], [0, 0, 1, 1]
    assert instantaneous_coordination(messages, actions, shift=1, episodes=episodes) == 0.0
    assert instantaneous_coordination(messages, actions, shift=1) > 0.0
    assert math.isnan(instantaneous_coordination([1], [1], shift=1))
    with pytest.raises(ValueError, match="2 messages and 3 actions"):
        instantaneous_coordination([1, 2], [1, 2, 3])


@settings(deadline=None, max_examples=40)
@given(PAIRS, st.integers(0, 99))
def test_bounds_names_and_order(rows: list[tuple[list[int], int, int]], seed: int) -> None:
    said, meant = [r[0] for r in rows], [[r[1], r[2]] for r in rows]
    order = np.random.default_rng(seed).permutation(len(rows))
    other = reordered(renamed(said, seed), order), reordered(meant, order)
    for measure in (mutual_information, normalised_mutual_information, adjusted_mutual_information, synonymy, ambiguity,
                    residual_entropy, lambda a, b: position_attribute_map(a, b).mean_largest):  # fmt: skip
        one, two = measure(said, meant), measure(*other)
        assert (math.isnan(one) and math.isnan(two)) or math.isclose(one, two, abs_tol=1e-9)
    for measure in (entropy, symbol_entropy, ngram_entropy, conditional_entropy, efficiency, miller_madow_entropy):
        one, two = measure(said), measure(other[0])
        assert (math.isnan(one) and math.isnan(two)) or math.isclose(one, two, abs_tol=1e-9)
    told = mutual_information(said, meant)
    assert math.isclose(told + synonymy(said, meant), entropy(said), abs_tol=1e-9)
    assert math.isclose(told + ambiguity(said, meant), entropy(meant), abs_tol=1e-9)
    assert not adjusted_mutual_information(said, meant) > 1 + 1e-9
    assert not residual_entropy(said, meant) > 1 + 1e-9 and miller_madow_entropy(said) >= entropy(said) - 1e-12


@pytest.mark.parametrize("unique", [False, True])
def test_repeated_utterances_count_unless_asked_otherwise(unique: bool) -> None:
    """Entropies of what was said seven times more often."""
    said, meant = ["a"] * 7 + ["b"], [0] * 7 + [1]
    assert close(mutual_information(said, meant, unique=unique), 1.0 if unique else entropy(said))
