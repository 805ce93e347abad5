"""Opposed returns in one team are found, and what teams earn by turns is not."""

import warnings
from typing import Any

import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from heliograph.analysis.rivalry import NUM_EPISODES, Watch, opposed
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.envs.traffic_junction import TrafficJunction
from heliograph.experiments.choices import TeamChoices, build_team, facts_of
from heliograph.experiments.settings import settings_from
from heliograph.registry import UnknownNameError
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.rollouts.statistics import Episodes
from heliograph.types import Choice, Role
from tests.adapters.spied import TEAMS, Spied, only_alice, secret

E = NUM_EPISODES


def roles(*sizes: int) -> tuple[Role, ...]:
    space, names = spaces.Discrete(2), "abc"
    return tuple(
        Role(name=n, agents=tuple(f"{n}{i}" for i in range(size)), observation_space=space, action_space=space)
        for n, size in zip(names, sizes, strict=False)
    )


def found(returns: Tensor, *sizes: int) -> Any:
    return opposed(returns, roles(*sizes), present=torch.ones_like(returns, dtype=torch.bool))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_two_roles_of_a_zero_sum_game() -> None:
    one = noise(E, 1)
    pair = found(torch.cat([one, one, -one], 1), 2, 1)
    assert (pair.first, pair.second, round(pair.correlation, 6)) == ("role 'a'", "role 'b'", -1.0)
    assert "role 'a' and role 'b' are one team" in str(pair) and "team_of=" in str(pair)


def test_two_agents_of_a_role_that_win_and_lose() -> None:
    won = torch.where(noise(E, 1) > 0, 1.0, -1.0)
    pair = found(torch.cat([won, -won], 1), 2)
    assert (pair.first, pair.second) == ("agent 'a0'", "agent 'a1'")


@pytest.mark.parametrize(
    ("returns", "sizes"),
    [
        (noise(E, 2).abs().cumsum(1), (1, 1)),  # equal signs
        (torch.cat([noise(E, 1).sigmoid(), 1 - noise(E, 1).sigmoid()], 1), (1, 1)),  # one or the other does the work
        (torch.cat([noise(E, 1).sigmoid() - 1, -noise(E, 1).sigmoid()], 1), (1, 1)),  # or pays for it
        (noise(E, 2), (1, 1)),  # independent
        (torch.cat([noise(E, 1), torch.zeros(E, 1)], 1), (1, 1)),  # nothing is earned by one
        (torch.cat([noise(E, 1), -noise(E, 1) + noise(E, 1, seed=1)], 1), (2,)),  # mates that compete a little
    ],
)
def test_team_mates_are_not_called_rivals(returns: Tensor, sizes: tuple[int, ...]) -> None:
    assert found(returns, *sizes) is None


@given(st.integers(0, 10_000))
def test_a_common_reward_never_opposes(seed: int) -> None:
    assert found(noise(E, 1, seed=seed).expand(E, 3), 2, 1) is None


def test_agents_that_never_meet_are_not_compared() -> None:
    one = noise(E, 1)
    present = torch.zeros(E, 2, dtype=torch.bool)
    present[: E // 2, 0], present[E // 2 :, 1] = True, True
    assert opposed(torch.cat([one, -one], 1), roles(1, 1), present=present) is None


@pytest.mark.parametrize("env", [TrafficJunction, PredatorPrey])
def test_tasks_with_rewards_of_ones_own_are_cooperative(env: Any) -> None:
    made = env(num_envs=E)
    team = build_team(TeamChoices(channel="none"), facts_of(made), seed=0)
    episodes, _ = play_episodes(Sampler(made, team, seed=1), E, choice=Choice.SAMPLED)
    assert opposed(episodes.agent_returns, made.roles, present=episodes.present) is None


def test_it_looks_once_when_there_are_enough_episodes() -> None:
    watch, returns = Watch(roles(1, 1)), torch.cat([noise(E, 1), -noise(E, 1)], 1)
    parts = [
        Episodes(agent_returns=r, present=torch.ones_like(r, dtype=torch.bool), lengths=r[:, 0].long(), success=r[:, 0])
        for r in returns.split(E // 2)
    ]
    assert watch.look(parts[0]) is None
    assert watch.look(parts[1]) is not None
    assert watch.look(parts[0]) is None and watch.look(parts[1]) is None


class Duel(Spied):
    """Eve is paid for what the others are not told, too."""

    def step(self, actions: dict[str, Any]) -> Any:
        seen, rewards, *rest = super().step(actions)
        won = 1.0 if self.time == 2 and actions["eve"] < 2 else -1.0
        return seen, {**rewards, "eve": won, "bob": -won, "alice": -won}, *rest


def trained(*, updates: int, **env: Any) -> Any:
    config = (
        CommPPOConfig()
        .environment(Duel, speaking=only_alice, meaning_fn=secret, **env)
        .communication(model="commnet", model_settings={"size": 8, "core": "mlp"}, channel="continuous")
        .env_runners(num_envs_per_env_runner=64)
        .training(train_batch_size_per_learner=128, minibatch_size=128, num_epochs=1)
    )
    trainer = LocalTrainer(config)
    rows = [trainer.train().env_runner for _ in range(updates)]
    trainer.stop()
    return rows


def test_training_rivals_as_one_team_warns_early_and_once() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trained(updates=4)
    texts = [str(w.message) for w in told if "team_of=" in str(w.message)]
    assert len(texts) == 1 and "are one team, but one tends to lose what the other gains" in texts[0]


@pytest.mark.parametrize(("team_of", "asked"), [(TEAMS, "our"), (None, "team")])
def test_nobody_waits_for_a_team_that_is_not_there(team_of: Any, asked: str) -> None:
    given = {"env": "tests.adapters.spied:spied", "env_settings": {"team_of": team_of}, "channel": "continuous"}
    with pytest.raises(UnknownNameError, match=f"unknown metric in until 'team_return_mean/{asked}'"):
        config_of(settings_from({**given, "until": {f"team_return_mean/{asked}": 1.0}}))


def test_where_teams_are_named_nothing_is_told_and_each_has_a_return() -> None:
    rows = trained(updates=3, team_of=TEAMS)  # warnings are errors
    returns = {team: float(value) for team, value in rows[-1]["team_return_mean"].items()}
    of_agents = {agent: float(value) for agent, value in rows[-1]["agent_episode_returns_mean"].items()}
    assert returns == pytest.approx({"spies": of_agents["eve"], "ours": of_agents["bob"]}, abs=1e-5)
    assert of_agents["bob"] == -of_agents["eve"]
