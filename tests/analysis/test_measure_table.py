"""The table of measures: chance levels, intervals, reasons, and nothing that one measure could do to the others."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from heliograph import registry
from heliograph.analysis.bootstrap_intervals import draws
from heliograph.analysis.chance_levels import orders
from heliograph.analysis.hearers import hearer_probabilities
from heliograph.analysis.material import picked
from heliograph.analysis.measure_table import COLUMNS, analyze, listed_measures
from heliograph.analysis.measures.causal_influence import causal_influence
from heliograph.analysis.measures.entropy import entropy
from heliograph.analysis.measures.measure import Better, Chance, Measure, headline, measure_of
from heliograph.analysis.measures.mutual_information import mutual_information
from heliograph.analysis.measures.topographic_similarity import topographic_similarity
from heliograph.analysis.measures.undefined import Undefined
from heliograph.analysis.recording import record
from heliograph.storage.run_folder import read_run
from tests.analysis.languages import MEANINGS, MESSAGES, close

GRID = [[0, 0], [0, 1], [1, 0], [1, 1]]


def row(language: Any, meanings: Any = None, *, measure: Any, **how: Any) -> pd.Series:
    (found,) = analyze(language, meanings, measures=[measure], **how).to_dict("records")
    return found


def test_all_measures_are_in_the_table_in_order_and_each_has_a_value_or_a_reason() -> None:
    table = analyze(MESSAGES, MEANINGS, permutations=9, bootstraps=9)
    assert list(table.columns) == list(COLUMNS)
    listed = [name for name in registry.names("measure") if measure_of(registry.load("measure", name)).listed]
    assert table["measure"].tolist() == listed == [measure.name for measure in listed_measures()]
    assert all(math.isnan(r.value) == isinstance(r.reason, str) for r in table.itertuples())
    assert not table["reason"].dropna().str.contains("Error").any()
    again = analyze(MESSAGES, MEANINGS, permutations=9, bootstraps=9)
    pd.testing.assert_frame_equal(table, again)
    assert not table.equals(analyze(MESSAGES, MEANINGS, permutations=9, bootstraps=9, seed=1))


def test_the_exact_chance_of_a_grid_that_is_its_own_message() -> None:
    """Of 24 orders 8 map the grid onto itself: the symmetries of a square."""
    found = row(GRID, GRID, measure="topographic_similarity")
    assert close(found["value"], 1.0) and close(found["p"], 8 / 24) and abs(found["chance"]) < 1e-12


def test_p_of_many_shuffles_and_of_measures_that_are_better_lower() -> None:
    found = row(MESSAGES * 5, MEANINGS * 5, measure="mutual_information", permutations=49)
    assert close(found["p"], 1 / 50) and found["chance"] < found["chance_quantile"] < found["value"]
    lower = row(MESSAGES * 5, MEANINGS * 5, measure="synonymy", permutations=49)
    assert close(lower["p"], 1 / 50) and lower["chance"] > lower["chance_quantile"] > lower["value"]


def test_chance_levels_are_those_of_the_function_called_anew() -> None:
    def slow(messages: Any, meanings: Any) -> float:
        return mutual_information(messages, meanings)

    how: dict[str, Any] = {"permutations": 30, "bootstraps": 30, "seed": 4}
    one, other = (row(MESSAGES, MEANINGS, measure=m, **how) for m in (slow, "mutual_information"))
    for key in ("value", "chance", "chance_quantile", "p", "low", "high"):
        assert close(one[key], other[key]), key


def test_meanings_are_shuffled_within_what_is_given() -> None:
    group = np.array([0, 1, 0, 1, 0])
    for order in itertools.chain(orders(group, permutations=3, seed=0), orders(group, permutations=99, seed=0)):
        assert (group[order] == group).all() and sorted(order) == [0, 1, 2, 3, 4]
    assert len({tuple(order) for order in orders(group, permutations=12, seed=0)}) == 12  # 3! 2!


def test_a_measure_that_knows_of_no_groups_is_the_mean_within_them() -> None:
    def share_of_first(messages: Any) -> float:
        return sum(tuple(word) == tuple(messages[0]) for word in messages) / len(messages)

    found = row([[1], [1], [2], [2], [3]], measure=share_of_first, given=[0, 0, 1, 1, 1])
    assert close(found["value"], 0.4 * 1.0 + 0.6 * 2 / 3)
    assert close(row([[1], [1], [2], [2], [3]], measure="entropy", given=[0, 0, 1, 1, 1])["value"],
                 0.6 * entropy([2, 2, 3]))  # fmt: skip


def test_intervals_are_drawn_over_episodes_and_seeds() -> None:
    """Rows of an episode come together: where all rows of one are alike, their number does not narrow the interval."""
    rng = np.random.default_rng(0)
    said = np.repeat(rng.integers(4, size=20), 50)
    by_row = row(said, measure="entropy")
    by_episode = row({"messages": said, "episodes": np.repeat(np.arange(20), 50)}, measure="entropy")
    assert by_episode["high"] - by_episode["low"] > 3 * (by_row["high"] - by_row["low"])
    assert by_row["low"] < by_row["value"] < by_row["high"]
    assert math.isnan(row({"messages": said, "episodes": [0] * 1000}, measure="entropy")["low"])
    times = next(draws(np.array([0, 0, 1, 2]), seeds=np.array([0, 0, 0, 1]), bootstraps=1, seed=0))
    assert times[0] == times[1] and times.sum() >= 2
    numbered_anew = {"messages": said[:100], "episodes": [0, 1] * 50, "seeds": [0] * 50 + [1] * 50}
    apart = numbered_anew | {"episodes": [0, 1] * 25 + [2, 3] * 25}
    one, other = (row(columns, measure="entropy") for columns in (numbered_anew, apart))
    assert (one["low"], one["high"]) == (other["low"], other["high"])


def test_coverage_of_intervals_of_independent_episodes() -> None:
    """The share of a fair coin's sides: most 95 % intervals hold the truth."""
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(40):
        found = row(rng.integers(2, size=60), measure=share_of_ones, bootstraps=60, permutations=0, seed=seed)
        inside += found["low"] <= 0.5 <= found["high"]
    assert inside >= 33


def share_of_ones(messages: Any) -> float:
    return float(np.mean(np.asarray(messages)))


def test_what_is_wrong_with_one_measure_is_its_reason_and_no_crash() -> None:
    def broken(messages: Any, meanings: Any) -> float:
        raise KeyError("oops")

    def silent(messages: Any) -> float:
        return math.nan

    def picky(messages: Any) -> float:
        return Undefined("it is picky")

    table = analyze(MESSAGES, MEANINGS, measures=[broken, silent, picky, "entropy"])
    assert table["reason"].tolist()[:3] == ["KeyError: 'oops'", "it returned NaN", "it is picky"]
    assert close(table["value"].iloc[3], 2.5)


def test_what_is_not_given_is_said() -> None:
    table = analyze({"messages": MESSAGES}, permutations=0, bootstraps=0)
    reasons = dict(zip(table["measure"], table["reason"], strict=True))
    assert reasons["posdis"] == reasons["mutual_information"] == "not given: meanings"
    assert not isinstance(reasons["entropy"], str)
    vectors = analyze(np.random.default_rng(0).normal(size=(20, 2)), [0, 1] * 10, measures=["posdis", "entropy"])
    assert vectors["reason"].dropna().tolist() == ["takes symbols: these messages are vectors"]


def test_roles_have_rows_of_their_own() -> None:
    columns = {"messages": [1, 2, 1, 1], "meanings": [0, 1, 0, 1], "roles": ["boss", "boss", "aide", "aide"]}
    table = analyze(columns, measures=["entropy", "mutual_information"])
    assert list(zip(table["role"], table["value"], strict=True)) == [
        ("boss", 1.0), ("boss", 1.0), ("aide", 0.0), ("aide", 0.0),
    ]  # fmt: skip


def test_utterances_without_an_entry_are_left_out_of_what_needs_it() -> None:
    columns = {"messages": [1, 2, 1, 2], "actions": [[0], [1], None, [1]]}
    found = row(columns, measure="speaker_consistency")
    assert found["num_utterances"] == 3 and close(found["value"], entropy([1, 2, 2]))


def test_equal_utterances_count_once_where_asked() -> None:
    found = row(MESSAGES, MEANINGS, measure="topographic_similarity", unique=True)
    assert close(found["value"], 0.756837606838) and found["num_utterances"] == 7


def test_pairs_are_of_some_rows_drawn_from_the_seed() -> None:
    rng = np.random.default_rng(0)
    said = rng.integers(3, size=(2500, 2))
    how: dict[str, Any] = {"permutations": 0, "bootstraps": 0, "measure": "topographic_similarity"}
    one, other = (row(said, said, **how, seed=seed) for seed in (0, 1))
    assert one["num_utterances"] == 2000 and close(one["value"], 1.0) and close(other["value"], 1.0)


def test_own_chance_levels_are_taken_over() -> None:
    @dataclasses.dataclass(frozen=True)
    class Found:
        share: float
        chance: float

    def of_two(messages: Any) -> Found:
        return Found(share=0.75, chance=0.5)

    found = row(MESSAGES, measure=Measure(name="of_two", function=of_two, chance=Chance.OWN, better=Better.HIGHER))
    assert (found["value"], found["chance"], found["measure"]) == (0.75, 0.5, "of_two")
    assert row(MESSAGES, MEANINGS, measure="neighbour_purity")["chance"] > 0
    within = row([1, 1, 2, 2, 3, 4], [0, 0, 1, 1, 2, 3], measure="neighbour_purity", given=[0, 0, 0, 0, 1, 1])
    assert close(within["chance"], 4 / 6 * 1 / 3) and close(within["value"], 4 / 6 * 1 / 3)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"messages": []}, "at least one utterance"),
        ({"meanings": [1]}, "there are no messages: columns are meanings"),
        ({"messages": [1, 2], "meanings": [1]}, "2 messages and 1 meanings"),
        ({"messages": [1, 2], "episodes": [1, 2, 3]}, "2 messages and 3 episodes"),
        ({"messages": [[1.5, math.nan]]}, "message 0 is .*must be finite"),
        ({"messages": [1, 2], "meanings": [[1.0], [math.nan]]}, "meaning 1 has NaN"),
    ],
)
def test_what_is_no_language_is_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analyze(columns)


@pytest.mark.parametrize(("said", "meant"), [([[1, 2]], [[0, 1]]), ([[1]] * 5, [[0]] * 5), ([[]] * 3, [[0, 1]] * 3)])
def test_next_to_nothing_is_measured_honestly(said: Any, meant: Any) -> None:
    """One utterance, one meaning, empty words: a number or a reason for each, and no warning."""
    table = analyze(said, meant, permutations=5, bootstraps=5)
    assert all(math.isnan(r.value) == isinstance(r.reason, str) for r in table.itertuples())
    assert not table["reason"].dropna().str.contains("Error").any(), table["reason"].tolist()


def test_plugged_in_measures_are_measured_like_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name, value = "share_of_ones", "tests:share_of_ones"

        @staticmethod
        def load() -> Any:
            return share_of_ones

    monkeypatch.setattr(registry, "_foreign", lambda kind: {"share_of_ones": Point} if kind == "measure" else {})
    table = analyze([0, 1, 1, 1], permutations=0, bootstraps=0)
    assert close(table.set_index("measure").loc["share_of_ones", "value"], 0.75)
    registry.load.cache_clear()


def test_similarity_by_the_table_is_that_of_the_function() -> None:
    found = row(MESSAGES, MEANINGS, measure="topographic_similarity", given=[0, 0, 0, 0, 1, 1, 1, 1])
    assert close(found["value"], topographic_similarity(MESSAGES, MEANINGS, given=[0, 0, 0, 0, 1, 1, 1, 1]))


def test_hearers_of_a_team_are_asked_pair_by_pair() -> None:
    run = read_run("recipe:speaker_listener_symbols")
    how: dict[str, Any] = {"num_episodes": 20, "permutations": 0, "bootstraps": 0}
    table = analyze(run, measures=["entropy", "causal_influence", "positive_signalling"], **how)
    assert table[["role", "measure"]].to_records(index=False).tolist() == [
        ("speaker", "entropy"),
        ("speaker_0 -> listener_0", "causal_influence"),
        ("speaker_0 -> listener_0", "positive_signalling"),
    ]
    asked = hearer_probabilities(run, sender="speaker_0", hearer="listener_0", num_episodes=20)
    assert table.value.iloc[1] == pytest.approx(causal_influence(asked.actions, asked.weights))
    alone = analyze(run, measures=["causal_influence"], **how)
    assert alone.value.tolist() == table.value.tolist()[1:2]


def test_a_corpus_has_nobody_to_ask() -> None:
    corpus = record(read_run("recipe:speaker_listener_symbols"), num_episodes=5)
    (row,) = analyze(corpus, measures=["causal_influence"], permutations=0, bootstraps=0).to_dict("records")
    assert row["reason"] == "not given: action_probabilities, message_probabilities" and np.isnan(row["value"])


def of_every_measure(messages: Any, meanings: Any, **more: Any) -> dict[str, Any]:
    """What measures of information, structure and form take of some utterances."""
    actions = np.arange(len(meanings)) % 3
    return {"messages": messages, "meanings": meanings, "actions": actions, "predicted": meanings[::-1],
            "hearer_actions": actions[::-1], **more}  # fmt: skip


RESAMPLED = (
    "mutual_information", "normalised_mutual_information", "synonymy", "residual_entropy", "position_attribute_map",
    "instantaneous_coordination", "topographic_similarity", "posdis", "bosdis", "context_independence_bag",
    "tree_reconstruction_error", "conflict_count", "concept_best_matching", "unseen_combinations", "rank_frequency",
    "message_length", "law_of_abbreviation", "excess_length", "back_reference",
)  # fmt: skip


@pytest.mark.parametrize("name", RESAMPLED)
@pytest.mark.parametrize("ragged", [False, True])
def test_shuffles_and_draws_are_what_the_function_says_of_such_utterances(name: str, ragged: bool) -> None:
    rng = np.random.default_rng(3)
    meanings = rng.integers(4, size=(600, 4))
    said = np.where(rng.random((600, 4)) < 0.7, meanings, rng.integers(4, size=(600, 4)))
    lengths = rng.integers(1, 5, size=600) if ragged else np.full(600, 4)
    messages = [tuple(row[:length].tolist()) for row, length in zip(said, lengths, strict=True)]
    measure = measure_of(registry.load("measure", name), name=name)
    given = {need: of_every_measure(messages, meanings)["meanings" if need == "attributes" else need]
             for need in measure.needs}  # fmt: skip
    assert measure.resampling is not None
    made = measure.resampling(**given, given=np.zeros(600, dtype=np.int64))

    def told(rows: np.ndarray, order: np.ndarray) -> float:
        first, *rest = given
        some = {first: picked(given[first], rows)} | {need: picked(given[need], order) for need in rest}
        return headline(measure.function(**some))

    alone, order = np.arange(600), rng.permutation(600)
    if len(measure.needs) > 1:
        assert made.shuffled(order) == pytest.approx(told(alone, order), rel=1e-9, abs=1e-9)
    if name == "topographic_similarity":  # of what is drawn twice, only different things are compared
        return
    times = rng.multinomial(600, np.ones(600) / 600)
    rows = np.repeat(alone, times)
    assert made.drawn(times) == pytest.approx(told(rows, rows), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ["context_independence_bag", "concept_best_matching"])
def test_groups_that_mean_different_things_have_values(name: str) -> None:
    messages, meanings = np.array([[0, 1], [1, 0], [0, 0]] * 4), np.array([[0, 0], [0, 1], [2, 1]] * 4)
    (row,) = analyze(messages, meanings, measures=[name], given=[0, 0, 1] * 4, permutations=3).to_dict("records")
    assert row["reason"] is None and row["value"] > 0
