"""What ends a run: bounds on columns, in the words of the command line and of Python, and patience."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.experiments.settings import settings_from
from heliograph.experiments.stopping import Goal, Patience, goals_of, plain_goals
from heliograph.registry import UnknownNameError


def test_bounds_in_the_words_of_the_command() -> None:
    found = plain_goals(["a=1", "b>=2", "c<=3", "c>=-1", "d/x<=0.5"], option="--until")
    assert found == {"a": 1.0, "b": {"at_least": 2.0}, "c": {"at_most": 3.0, "at_least": -1.0}, "d/x": {"at_most": 0.5}}
    assert goals_of(found) == [
        Goal(key="a", at_least=1.0),
        Goal(key="b", at_least=2.0),
        Goal(key="c", at_least=-1.0, at_most=3.0),
        Goal(key="d/x", at_most=0.5),
    ]
    for text in ("a", "a>=", ">=1", "a>=x"):
        with pytest.raises(ValueError, match="--until"):
            plain_goals([text], option="--until")


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5))
def test_a_goal_is_reached_between_its_bounds(low: float, high: float, value: float) -> None:
    goal = Goal(key="x", at_least=low, at_most=high)
    assert goal.reached(value) == (low <= value <= high)
    assert not goal.reached(None)


@pytest.mark.parametrize(
    ("until", "words"),
    [
        ({"episode_len_mean": 12.5}, r"'episode_len_mean<=12\.5' or 'episode_len_mean>=12\.5'"),
        ({"loss_imitation": 0.1}, "less may be better"),
        ({"success_rate": {"at_leats": 1}}, "did you mean 'at_least'"),
        ({"success_rate": {}}, "give at_least or at_most"),
        ({"success_rate": {"at_most": "x"}}, "at_most"),
        ({"succes_rate": 1.0}, "did you mean 'success_rate'"),
        ({"evaluation_return_mean": 1.0}, "evaluate_every"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(until: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, UnknownNameError), match=words):
        settings_from({"until": until})


def test_all_columns_may_be_waited_for() -> None:
    for key in ("loss_imitation", "info_distance", "role_return_mean/car", "curriculum_p", "lr/car", "callback_x"):
        settings_from({"until": {key: {"at_most": 1.0}}})


def test_patience_counts_iterations_without_a_better_value() -> None:
    up, down = Patience(2), Patience(2, goals=[Goal(key="x", at_most=0.0)])
    for value, waited in ((1.0, 0), (0.5, 1), (1.5, 0), (1.5, 1), (None, 2)):
        up.see({"episode_return_mean": value})
        assert up.waited == waited and up.ended == (waited == 2)
    for value, waited in ((1.0, 0), (0.5, 0), (0.6, 1), (0.7, 2)):
        down.see({"x": value})
        assert down.waited == waited
    rare = Patience(1, goals=[Goal(key="evaluation_return_mean", at_least=1.0)])
    rare.see({"evaluation_return_mean": 0.5})
    rare.see({"evaluation_return_mean": None})
    assert not rare.ended
