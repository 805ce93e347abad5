"""Schedules of an environment's settings: what they say, and what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from heliograph.experiments.choices import EnvChoice
from heliograph.experiments.curriculum import Curriculum, check_fits, schedules_of, task_settings
from heliograph.registry import UnknownNameError

METRICS = ("success_rate", "episode_len_mean")
STAGES = {"by": "metric", "metric": "success_rate", "at_least": 0.9, "values": [0.1, 0.2, 0.3]}


def schedules(**given: Any) -> Any:
    return schedules_of(given, metrics=METRICS)


def traffic(changes: Mapping[str, Any]) -> EnvChoice:
    return EnvChoice(env="traffic_junction", settings={"vision": 0, **changes})


def walk(curriculum: Curriculum, name: str, *, steps: int, measured: list[dict[str, Any]]) -> list[Any]:
    """The setting before each iteration, and after the last one."""
    found = [curriculum.settings()[name]]
    for iteration, metrics in enumerate(measured, start=1):
        curriculum.advance(num_env_steps=steps * iteration, metrics=metrics)
        found.append(curriculum.settings()[name])
    return found


def test_points_lie_on_straight_lines_and_stay_after_the_last() -> None:
    (by_steps,) = schedules(p_arrive=[[0, 0.1], [100, 0.1], [300, 0.3]]).values()
    assert by_steps.by == "env_steps"
    assert [by_steps.at(n) for n in (0, 99, 100, 150, 200, 300, 10**9)] == pytest.approx(
        [0.1, 0.1, 0.1, 0.15, 0.2, 0.3, 0.3]
    )


def test_points_hold_where_asked_and_where_values_are_no_numbers() -> None:
    (held,) = schedules(steps={"by": "iteration", "points": [[0, 10], [2, 20]], "between": "hold"}).values()
    assert [held.at(n) for n in (0, 1, 2, 3)] == [10, 10, 20, 20]
    (words,) = schedules(mode={"by": "iteration", "points": [[0, "a"], [1e1, "b"]]}).values()
    assert words.between == "hold" and words.at(9) == "a" and words.at(10) == "b"


def test_iterations_and_env_steps_count_what_was_done_before() -> None:
    nothing: list[dict[str, Any]] = [{}] * 4
    by_iteration = Curriculum(schedules(p_arrive={"by": "iteration", "points": [[0, 0.0], [4, 0.4]]}))
    assert walk(by_iteration, "p_arrive", steps=50, measured=nothing) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    by_steps = Curriculum(schedules(p_arrive={"by": "env_steps", "points": [[0, 0.0], [100, 0.4]]}))
    assert walk(by_steps, "p_arrive", steps=50, measured=nothing) == pytest.approx([0.0, 0.2, 0.4, 0.4, 0.4])


def test_stages_wait_for_their_metric() -> None:
    rates = [0.5, 0.9, None, float("nan"), 0.95, 1.0, 1.0]
    measured = [{"success_rate": rate} for rate in rates]
    found = walk(Curriculum(schedules(p_arrive=STAGES)), "p_arrive", steps=1, measured=measured)
    assert found == [0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3]


def test_stages_may_ask_for_several_iterations_running_and_for_less() -> None:
    given = {**STAGES, "metric": "episode_len_mean", "at_most": 8, "times": 2}
    del given["at_least"]
    lengths = [8, 9, 8, 7, 8, 8]
    found = walk(Curriculum(schedules(x=given)), "x", steps=1, measured=[{"episode_len_mean": n} for n in lengths])
    assert found == [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.3]


def test_a_curriculum_goes_on_where_it_was() -> None:
    given = schedules(p_arrive={**STAGES, "times": 2}, steps=[[0, 10], [100, 20]])
    first, second = Curriculum(given), Curriculum(given)
    for steps in (30, 60, 90):
        first.advance(num_env_steps=steps, metrics={"success_rate": 0.95})
    second.set_state(first.get_state())
    assert second.settings() == first.settings() == {"p_arrive": 0.2, "steps": 19.0}
    for curriculum in (first, second):
        curriculum.advance(num_env_steps=120, metrics={"success_rate": 0.95})
    assert second.settings() == first.settings() == {"p_arrive": 0.3, "steps": 20}


def test_columns_are_numbers() -> None:
    curriculum = Curriculum(schedules(mode={"by": "iteration", "points": [[0, "a"], [1, "b"]]}, p_arrive=STAGES))
    curriculum.advance(num_env_steps=1, metrics={})
    assert curriculum.columns() == {"curriculum_mode": 1.0, "curriculum_p_arrive": 0.1}


def test_the_task_is_what_a_curriculum_ends_at() -> None:
    assert task_settings({"vision": 1}, schedules(p_arrive=STAGES)) == {"vision": 1, "p_arrive": 0.3}
    assert task_settings({"p_arrive": 0.3}, schedules(p_arrive=STAGES)) == {"p_arrive": 0.3}
    assert task_settings({"p_arrive": 0.2}, schedules(p_arrive=None)) == {"p_arrive": 0.2}
    with pytest.raises(ValueError, match=r"p_arrive=0.2: its curriculum ends at 0.3.*curriculum.p_arrive=null"):
        task_settings({"p_arrive": 0.2}, schedules(p_arrive=STAGES))


BAD = [
    (7, "p_arrive=7: must be a schedule"),
    ({"points": [[0, 1]]}, "by=None: must be 'env_steps', 'iteration' or 'metric'"),
    ({"by": "hours", "points": [[0, 1]]}, "by='hours'"),
    ({"by": "iteration", "points": [[0, 1]], "betwen": "hold"}, "did you mean 'between'"),
    ({"by": "iteration", "points": [[1, 0.1]]}, "the first at 0"),
    ({"by": "iteration", "points": []}, "the first at 0"),
    ({"by": "iteration", "points": [[0, 0.1], [0, 0.2]]}, "counts rising"),
    ([[0, 0.1], [2.5, 0.2]], "env_steps, value"),
    ({"by": "iteration", "points": [[0, "a"], [1, "b"]], "between": "linear"}, "use 'hold'"),
    ({**STAGES, "metric": "sucess_rate"}, "did you mean 'success_rate'"),
    ({**STAGES, "values": []}, r"values=\[\]"),
    ({**STAGES, "at_most": 1}, "at_least, at_most: give at_least or at_most"),
    ({**STAGES, "at_least": None}, "neither"),
    ({**STAGES, "at_least": "high"}, "at_least='high'"),
    ({**STAGES, "times": 0}, "times=0"),
]


@pytest.mark.parametrize(("given", "words"), BAD)
def test_schedules_that_are_none_are_refused(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        schedules(p_arrive=given)


def test_settings_that_keep_agents_and_spaces_fit() -> None:
    hold = {"by": "iteration", "points": [[0, 10], [1, 20]], "between": "hold"}
    check_fits(schedules(p_arrive=STAGES, steps=hold), traffic)


UNFIT = [
    ({"p_arive": STAGES}, "did you mean 'p_arrive'"),
    ({"p_arrive": [[0, 0.1], [10, 1.3]]}, "curriculum of p_arrive: p_arrive=1.3: must be"),
    ({"cars": {"by": "iteration", "points": [[0, 3], [10, 5]], "between": "hold"}}, "with cars=3 agents.*cars=5"),
    ({"vision": {"by": "iteration", "points": [[0, 1], [10, 0]], "between": "hold"}}, "with vision=1"),
    ({"steps": {"by": "iteration", "points": [[0, 10], [10, 15]]}}, "between two points.*'hold'"),
    ({"seed": {"by": "iteration", "points": [[0, 10], [10, 20]]}}, "seed=.*is not set here"),
]


@pytest.mark.parametrize(("given", "words"), UNFIT)
def test_settings_that_an_environment_cannot_take_are_refused(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        check_fits(schedules(**given), traffic)
    assert ("p_arive" in given) == isinstance(caught.value, UnknownNameError)
