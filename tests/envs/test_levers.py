"""Levers: rewards by hand, exact scores by enumeration, and how numbers are drawn."""

import itertools
import math

import pytest
import torch

from heliograph.envs.levers import Levers, LeversState, expected_score
from heliograph.testing import episodes


def reward_of(pulled: tuple[int, ...]) -> float:
    env = Levers(levers=len(pulled), pool=50)
    env.reset()
    step = env.step({"agent": torch.tensor([pulled])})
    assert step.episode_over.all()
    assert (step.rewards == step.rewards[0, 0]).all()
    assert step.info["success"].item() == (len(set(pulled)) == len(pulled))
    return step.rewards[0, 0].item()


@pytest.mark.parametrize(
    ("pulled", "reward"),
    [((0, 1, 2, 3, 4), 1.0), ((4, 4, 4, 4, 4), 0.0), ((0, 0, 1, 2, 3), 0.75), ((2, 2, 3, 3, 3), 0.25), ((1, 0), 1.0)],
)
def test_rewards_by_hand(pulled: tuple[int, ...], reward: float) -> None:
    assert reward_of(pulled) == reward


def test_random_and_blind_scores_are_exact() -> None:
    assert Levers().bounds().random == pytest.approx(0.59040, abs=1e-10)
    by_chance = sum(map(reward_of, itertools.product(range(3), repeat=3))) / 27
    assert expected_score(3) == pytest.approx(by_chance)
    shares = {number: number % 3 for number in range(7)}
    met = list(itertools.combinations(range(7), 3))
    by_number = sum((len({shares[i] for i in trio}) - 1) / 2 for trio in met) / len(met)
    assert expected_score(3, pool=7) == pytest.approx(by_number)
    assert Levers(repeats=True).bounds().blind == pytest.approx(0.5904)
    assert Levers().bounds().blind == pytest.approx(0.59246, abs=5e-6)


@pytest.mark.parametrize("repeats", [True, False])
def test_scripted_teams_score_as_computed(repeats: bool) -> None:
    env = Levers(num_envs=20_000, repeats=repeats, seed=3)
    returns, lengths = episodes(env, number=20_000, policy=lambda step: {"agent": step.meaning[..., 0] % 5})
    assert lengths.max() == 1
    assert abs(returns.mean() - env.bounds().blind) < 3 * returns.std() / math.sqrt(20_000)
    solved, _ = episodes(env, number=20_000, policy=lambda _: env.oracle(env.state))
    assert solved.min() == 1


def test_numbers_are_distinct_and_equally_likely() -> None:
    env = Levers(num_envs=30_000, levers=3, pool=5)
    number = env.reset().observations["agent"]
    assert (number.sort(1).values.diff() > 0).all()
    for slot in range(3):
        assert (torch.bincount(number[:, slot], minlength=5) - 6000).abs().max() < 5 * math.sqrt(6000 * 0.8)
    pairs = torch.bincount(number[:, 0] * 5 + number[:, 1], minlength=25).view(5, 5)
    assert (pairs[~torch.eye(5, dtype=torch.bool)] - 1500).abs().max() < 5 * math.sqrt(1500)
    same = Levers(num_envs=2000, levers=3, pool=5, repeats=True).reset().observations["agent"]
    assert (same.sort(1).values.diff() == 0).any()


def test_the_oracle_is_the_rank() -> None:
    env = Levers()
    state = LeversState(number=torch.tensor([[40, 3, 499, 7, 41]]))
    assert env.oracle(state)["agent"].tolist() == [[2, 0, 4, 1, 3]]


def test_a_talking_step_comes_before_the_pull() -> None:
    env = Levers(talk_steps=1)
    step = env.reset()
    assert step.speaking.all()
    assert not step.acting.any()
    step = env.step({"agent": torch.zeros(1, 5, dtype=torch.long)})
    assert not step.episode_over.any()
    assert step.acting.all()
    assert env.step(env.oracle(env.state)).rewards.tolist() == [[1.0] * 5]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"levers": 1}, "levers=1: needs at least 2"),
        ({"levers": 5, "pool": 4}, "pool=4: must hold at least the 5 agents"),
        ({"pool": 0}, "pool=0: must be a whole number of at least 1"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Levers(**settings)
