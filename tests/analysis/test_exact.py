"""Exact evaluation plays every start once, and refuses what cannot be enumerated."""

import pytest
import torch

from heliograph.analysis.evaluate import evaluate, play_run
from heliograph.analysis.exact import all_starts, enumerable, exact_return
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.experiment import EnvChoice
from tests.analysis.teams import last_day, riddle_run, scripted_run


def test_visits_are_the_digits_of_a_start() -> None:
    env = SwitchRiddle(prisoners=3, horizon=4, num_copies=3)
    assert env.num_starts == 81
    env.fix_starts(torch.tensor([0, 5, 80]))
    env.reset()
    assert env.visits.tolist() == [[0, 0, 0, 0], [0, 0, 1, 2], [2, 2, 2, 2]]


def test_every_sequence_is_played_once() -> None:
    seen = []
    for env in all_starts(EnvChoice(env="switch_riddle", settings={"prisoners": 4, "horizon": 7})):  # 16,384, two parts
        env.reset()
        seen += map(tuple, env.visits.tolist())
    assert len(seen) == len(set(seen)) == 4**7


def test_returns_are_exact() -> None:
    run = riddle_run()
    assert exact_return(run.team, run.env) == pytest.approx(20 / 27)
    found = evaluate(run, num_episodes=None)
    assert found["num_episodes"] == 729 and found["episode_return_se"] == 0.0
    assert found["normalised_return"] == pytest.approx(1.0)
    blind = riddle_run(last_day)
    assert exact_return(blind.team, blind.env) == pytest.approx(2 * 540 / 729 - 1)
    assert not play_run(run, num_episodes=10).exact


def test_what_cannot_be_enumerated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"speaker_listener.*cannot enumerate"):
        evaluate(scripted_run(), num_episodes=None)
    many = EnvChoice(env="switch_riddle", settings={"prisoners": 5})
    with pytest.raises(ValueError, match="6,103,515,625 starts"):
        next(all_starts(many))
    assert not enumerable(many) and not enumerable(EnvChoice(env="identity"))
    assert enumerable(EnvChoice(env="switch_riddle"), at_most=729)
    assert not enumerable(EnvChoice(env="switch_riddle"), at_most=728)
