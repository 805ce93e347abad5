"""Speaker and listener: who gets what, new goals in every round, and a shift in time that cannot hide."""

import itertools

import pytest
import torch

from heliograph.envs.speaker_listener import SpeakerListener

NOTHING = 0


def answer(env: SpeakerListener, listener: torch.Tensor | int) -> dict[str, torch.Tensor]:
    listener = torch.as_tensor(listener).expand(env.num_envs)[:, None]
    return {"speaker": torch.zeros(env.num_envs, 1, dtype=torch.long), "listener": listener}


def goal_of(step, env: SpeakerListener) -> torch.Tensor:
    return step.observations["speaker"][:, 0].argmax(-1)


@pytest.mark.parametrize("goals", [2, 3, 5])
def test_both_win_with_the_right_goal_and_lose_with_any_other(goals: int) -> None:
    for guess in range(goals):
        env = SpeakerListener(goals=goals, num_envs=64, seed=guess)
        goal = goal_of(env.reset(), env)
        assert set(goal.tolist()) == set(range(goals))
        speaking = env.step(answer(env, guess))
        assert not speaking.rewards.any()
        answered = env.step(answer(env, guess))
        expected = torch.where(goal == guess, 1.0, -1.0)
        assert torch.equal(answered.rewards, expected[:, None].expand(-1, 2))
        assert torch.equal(answered.info["success"], goal == guess)
        assert answered.terminated.all()


def test_turns_alternate_and_the_listener_does_not_see_the_goal() -> None:
    env = SpeakerListener(num_envs=64, rounds=2)
    step = env.reset()
    for time in range(4):
        speaks, acts = time % 2 == 0, time % 2 == 1
        assert step.speaking.tolist() == [[speaks, False]] * 64
        assert step.acting.tolist() == [[False, acts]] * 64
        assert step.observing.tolist() == [[speaks, acts]] * 64
        assert step.observations["listener"].unique().tolist() == [float(acts)]
        assert torch.equal(step.meaning[:, 0, 0], goal_of(step, env))
        assert (step.meaning[:, 1] == -1).all()
        assert bool(step.episode_over.any()) is False
        step = env.step(answer(env, NOTHING))
    assert step.episode_over.all()


def test_every_round_draws_a_new_goal_independent_of_the_last() -> None:
    env = SpeakerListener(goals=3, rounds=4, num_envs=3000)
    goals = [goal_of(env.reset(), env)]
    for _ in range(3):
        during = env.step(answer(env, NOTHING))
        assert torch.equal(goal_of(during, env), goals[-1])
        goals.append(goal_of(env.step(answer(env, NOTHING)), env))
    for before, after in itertools.pairwise(goals):
        counts = torch.bincount(before * 3 + after, minlength=9) / 3000
        assert (counts - 1 / 9).abs().max() < 0.03


@pytest.mark.parametrize("late", [False, True])
def test_naming_the_goal_of_the_round_before_scores_no_better_than_blind(late: bool) -> None:
    env = SpeakerListener(goals=3, rounds=8, num_envs=2000, seed=3)
    step, known = env.reset(), torch.zeros(2000, dtype=torch.long)
    total = torch.zeros(2000)
    for _ in range(8):
        goal = goal_of(step, env)
        env.step(answer(env, NOTHING))
        step = env.step(answer(env, known if late else goal))
        total += step.rewards[:, 1]
        known = goal
    bounds = env.bounds()
    error = total.std().item() / 2000**0.5
    assert total.mean().item() == pytest.approx(bounds.blind if late else bounds.full_information, abs=4 * error + 1e-6)
    assert bounds.blind == pytest.approx(-8 / 3)


def test_success_needs_every_round() -> None:
    env = SpeakerListener(goals=2, rounds=2)
    goal = goal_of(env.reset(), env)
    env.step(answer(env, NOTHING))
    step = env.step(answer(env, goal))
    env.step(answer(env, NOTHING))
    step = env.step(answer(env, 1 - goal_of(step, env)))
    assert step.episode_over.all()
    assert not step.info["success"].any()
    assert step.rewards.tolist() == [[-1, -1]]


def test_the_dict_form_shows_the_same() -> None:
    flat, nested = SpeakerListener(num_envs=8), SpeakerListener(num_envs=8, observation="dict")
    one, other = flat.reset(), nested.reset()
    assert torch.equal(one.observations["speaker"], other.observations["speaker"]["goal"])
    assert torch.equal(one.observations["listener"], other.observations["listener"]["turn"])


def test_a_silent_team_gets_a_third_below_zero() -> None:
    bounds = SpeakerListener().bounds()
    assert bounds.blind == bounds.random == pytest.approx(-1 / 3)
    assert bounds.full_information == 1.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"goals": 1}, "goals=1"),
        ({"rounds": 0}, "rounds=0"),
        ({"observation": "image"}, "observation='image'.*'flat' or 'dict'"),
    ],
)
def test_bad_settings_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SpeakerListener(**settings)
