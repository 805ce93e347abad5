"""Exact evaluation plays every start once, and refuses what cannot be enumerated."""

from typing import Any

import pytest
import torch

from heliograph.analysis import exact
from heliograph.analysis.evaluate import evaluate, play_run
from heliograph.analysis.exact import all_starts, enumerable, exact_return, mean_over_starts
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.rollouts.sampler import Sampler, play_episodes
from tests.analysis.teams import last_day, riddle_n4, riddle_run, scripted_run


def test_visits_are_the_digits_of_a_start() -> None:
    env = SwitchRiddle(prisoners=3, horizon=4, num_envs=3)
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


def test_parity_errs_for_four_prisoners_only_where_two_have_been() -> None:
    run = riddle_run(riddle_n4, prisoners=4)
    two_only = 6 * (2**10 - 2) / 4**10
    assert exact_return(run.team, run.env) == pytest.approx(102315 / 131072 - two_only, abs=1e-6)
    assert 102315 / 131072 - two_only == 203097 / 262144


SHAPES: list[dict[str, Any]] = [{}, {"prisoners": 2, "horizon": 1}, {"prisoners": 4, "horizon": 6}, {"talk_steps": 2}]


@pytest.mark.parametrize("channel", ["dru", "symbols", "none"])
@pytest.mark.parametrize("settings", SHAPES)
def test_branches_give_the_return_of_all_sequences(
    channel: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "CHUNK", 100)
    choice = EnvChoice(env="switch_riddle", settings=settings)
    env = build_env(choice, num_envs=1)
    model = {"model": "cnet", "model_settings": {"size": 16, "message_norm": "none"}}
    for seed in range(5):
        team = build_team(TeamChoices(channel=channel, **model), facts_of(env), seed=seed).eval()
        for policy in team.policies.values():  # so that some tell, on different days
            policy.model.head.weight.data.mul_(100)
        plain = mean_over_starts(
            choice, lambda env, team=team: play_episodes(Sampler(env, team), env.num_envs)[0].returns
        )
        assert exact_return(team, choice) == pytest.approx(plain, abs=1e-6)
        if plain:
            return
    raise AssertionError("nobody told anything: the test shows nothing")


def test_what_cannot_be_enumerated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"speaker_listener.*cannot enumerate"):
        evaluate(scripted_run(), num_episodes=None)
    many = EnvChoice(env="switch_riddle", settings={"prisoners": 5})
    with pytest.raises(ValueError, match="6,103,515,625 starts"):
        next(all_starts(many))
    assert not enumerable(many) and not enumerable(EnvChoice(env="identity"))
    assert enumerable(EnvChoice(env="switch_riddle"), at_most=729)
    assert not enumerable(EnvChoice(env="switch_riddle"), at_most=728)
