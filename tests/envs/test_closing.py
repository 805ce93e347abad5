"""Environments are closed: all that were made, whatever one of them does, and what goes wrong is told."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.envs.base import EnvError
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import EnvChoice, bounds_of, facts_for, opened
from heliograph.experiments.settings import settings_from
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import train
from heliograph.storage.run_folder import SUMMARY

AGENTS = ["a_0", "a_1"]
SEEN, ACT = spaces.Box(-1, 1, (2,)), spaces.Discrete(2)
LIVES: dict[str, list[int]] = {"made": [], "closed": []}
TRAINING_COPIES = 4


@pytest.fixture(autouse=True)
def lives() -> Iterator[None]:
    for numbers in LIVES.values():
        numbers.clear()
    yield


class Life:
    """Counts what is made and what is closed; the environment of one number does something when it is closed."""

    def __init__(self, *, fails_at: int | None = None, how: type[BaseException] = ValueError, at: str = "close"):
        self.number = len(LIVES["made"])
        self.how = how if self.number == fails_at else None
        self.at = at
        self._perhaps("__init__")
        LIVES["made"].append(self.number)

    def _perhaps(self, what: str) -> None:
        if self.how is not None and what == self.at:
            raise self.how("no way out")

    def close(self) -> None:
        assert self.number not in LIVES["closed"], "closed twice"
        LIVES["closed"].append(self.number)
        self._perhaps("close")


class Zoo(Life, ParallelEnv):
    metadata = {"name": "zoo"}  # noqa: RUF012 - PettingZoo's own way
    possible_agents = AGENTS

    def observation_space(self, agent: str) -> spaces.Space:
        return SEEN

    def action_space(self, agent: str) -> spaces.Space:
        return ACT

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple:
        self.agents, self.time = list(AGENTS), 0
        return {a: np.zeros(2, np.float32) for a in AGENTS}, {a: {} for a in AGENTS}

    def step(self, actions: dict) -> tuple:
        self.time += 1
        seen = {a: np.zeros(2, np.float32) for a in AGENTS}
        over, never = (dict.fromkeys(AGENTS, flag) for flag in (self.time == 3, False))
        self.agents = [] if self.time == 3 else self.agents
        return seen, dict.fromkeys(AGENTS, 1.0), over, never, {a: {} for a in AGENTS}


class RLlib(Life, MultiAgentEnv):
    def __init__(self, config: Any = None, **fault: Any):
        MultiAgentEnv.__init__(self)
        Life.__init__(self, **(fault or config or {}))
        self.possible_agents = self.agents = AGENTS
        self.observation_spaces, self.action_spaces = dict.fromkeys(AGENTS, SEEN), dict.fromkeys(AGENTS, ACT)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        self.time = 0
        return {a: np.zeros(2, np.float32) for a in AGENTS}, {}

    def step(self, actions: dict) -> tuple:
        self.time += 1
        over = {"__all__": self.time == 3}
        seen = {a: np.zeros(2, np.float32) for a in AGENTS}
        return seen, dict.fromkeys(AGENTS, 1.0), over, {"__all__": False}, {}


MAKES = {"PettingZoo": lambda fault: Zoo(**fault), "RLlib": RLlib}
each_make = pytest.mark.parametrize("make", MAKES)
each_way = pytest.mark.parametrize("how", [ValueError, SystemExit])


def config(env: Any, **env_config: Any) -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment(env, env_config=env_config)
        .communication(model="cnet", model_settings={"size": 8}, channel="dru")
        .env_runners(num_envs_per_env_runner=TRAINING_COPIES)
        .training(train_batch_size_per_learner=32, minibatch_size=16)
        .debugging(seed=0)
    )


def all_closed() -> bool:
    return sorted(LIVES["closed"]) == LIVES["made"]


@each_make
def test_a_training_closes_all_that_it_made(make: str) -> None:
    trainer = LocalTrainer(config(MAKES[make]))
    trainer.train()
    assert len(LIVES["made"]) - len(LIVES["closed"]) == TRAINING_COPIES
    trainer.stop()
    trainer.stop()
    assert all_closed()


@each_make
@each_way
def test_one_that_cannot_be_closed_is_told_before_training(make: str, how: type[BaseException]) -> None:
    what = {ValueError: "ValueError: no way out", SystemExit: r"sys\.exit\('no way out'\) was called"}[how]
    with pytest.raises(EnvError, match=rf"{what}.*in close\(\) of (Zoo|RLlib), copy 0") as told:
        LocalTrainer(config(MAKES[make], fails_at=0, how=how))
    assert "\n" not in str(told.value) and all_closed()


@each_make
@each_way
def test_the_others_are_closed_all_the_same(make: str, how: type[BaseException]) -> None:
    trainer = LocalTrainer(config(MAKES[make]))
    envs = trainer.env_runner.env.envs
    envs[1].how = how
    with pytest.raises(EnvError, match=r"in close\(\) of (Zoo|RLlib), copy 1"):
        trainer.stop()
    assert all_closed()


@pytest.mark.parametrize("adapter", [FromPettingZoo, FromMultiAgentEnv])
@each_way
def test_where_one_cannot_be_made_the_others_are_closed(adapter: Any, how: type[BaseException]) -> None:
    cls = {FromPettingZoo: Zoo, FromMultiAgentEnv: RLlib}[adapter]
    with pytest.raises(how, match="no way out"):
        adapter(lambda: cls(fails_at=2, how=how, at="__init__"), num_envs=4)
    assert LIVES["made"] == [0, 1] and all_closed()


@pytest.mark.parametrize("adapter", [FromPettingZoo, FromMultiAgentEnv])
def test_where_they_cannot_be_adapted_all_are_closed(adapter: Any) -> None:
    cls = {FromPettingZoo: Zoo, FromMultiAgentEnv: RLlib}[adapter]
    with pytest.raises(ValueError, match="meaning_size"):
        adapter(cls, num_envs=3, meaning_size=0)
    other = RLlib if adapter is FromPettingZoo else Zoo
    with pytest.raises(TypeError, match=r"make\(\) must return"):
        adapter(other, num_envs=3)
    assert len(LIVES["made"]) == 6 and all_closed()


def test_what_happened_first_is_told_where_closing_fails_too() -> None:
    choice = EnvChoice(env=lambda **settings: FromPettingZoo(lambda: Zoo(fails_at=0), **settings))
    with pytest.raises(KeyError, match="mine"), opened(choice):
        raise KeyError("mine")
    assert all_closed()


class Late(SpeakerListener):
    """Cannot be closed where it has as many copies as in training; what is made is counted."""

    open = 0

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        Late.open += 1

    def close(self) -> None:
        Late.open -= 1
        if self.num_envs == TRAINING_COPIES:
            raise OSError("the door is stuck")


def test_facts_and_bounds_leave_nothing_open() -> None:
    Late.open = 0
    choice = EnvChoice(env=Late)
    assert facts_for(choice).agents == ("speaker_0", "listener_0") and bounds_of(choice) is not None
    assert Late.open == 0


@pytest.mark.parametrize("num_env_runners", [0, 1])
def test_one_that_cannot_be_closed_in_the_end_costs_no_summary(
    ray_session: None, tmp_path: pathlib.Path, num_env_runners: int
) -> None:
    Late.open = 0
    batch = {"num_envs_per_env_runner": TRAINING_COPIES, "train_batch_size_per_learner": 32, "minibatch_size": 16}
    settings = {
        "env": "tests.envs.test_closing:Late",
        "algorithm_settings": batch,
        "model_settings": {"size": 8},
        "iterations": 1,
        "evaluation_episodes": 8,
        "num_env_runners": num_env_runners,
    }
    told = r"OSError: the door is stuck \(in close\(\) of Late; test_closing\.py, line \d+\)"
    with pytest.raises(EnvError, match=told):
        train(settings_from(settings), out=tmp_path / "run")
    assert (tmp_path / "run" / SUMMARY).exists() and Late.open == 0
