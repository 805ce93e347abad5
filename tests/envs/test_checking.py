"""Environments that break their contract: the message names the agent, the copy, the step, and what would be right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from pettingzoo import ParallelEnv

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.envs.base import EnvError, TeamEnv
from heliograph.envs.identity import Identity
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.rollouts.rollout import Keeping
from heliograph.rollouts.sampler import Sampler
from heliograph.types import Edges, Role
from tests.parts import make_team

NAN = float("nan")


def env(*, copies: int = 4, rounds: int = 3, **more: Any) -> SpeakerListener:
    return SpeakerListener(num_envs=copies, rounds=rounds, **more)


def spoil(world: TeamEnv, *, at: int, view: Callable | None = None, outcome: Callable | None = None) -> TeamEnv:
    """Change what the hooks return, once `at` steps are over."""
    advance, observe, taken = world.advance, world.observe, {"steps": 0}

    def advanced(state: Any, actions: Any) -> Any:
        state, found = advance(state, actions)
        taken["steps"] += 1
        if outcome is not None and taken["steps"] > at:
            outcome(found)
        return state, found

    def observed(state: Any) -> Any:
        found = observe(state)
        if view is not None and taken["steps"] >= at:
            view(found)
        return found

    world.advance, world.observe = advanced, observed
    return world


def put(name: str, index: tuple, value: Any) -> Callable:
    def change(found: Any) -> None:
        tensor = getattr(found, name).clone()
        tensor[index] = value
        setattr(found, name, tensor)

    return change


def seen(role: str, change: Callable) -> Callable:
    def apply(found: Any) -> None:
        found.observations = {**found.observations, role: change(found.observations[role].clone())}

    return apply


def replace(name: str, value: Callable) -> Callable:
    return lambda found: setattr(found, name, value(getattr(found, name)))


def poisoned(tensor: torch.Tensor) -> torch.Tensor:
    tensor[2, 0, 1] = NAN
    return tensor


VALUES = {
    "observation": ({"view": seen("speaker", poisoned)}, ("'speaker_0'", "copy 2", "step 3", "nan", "must be finite")),
    "reward": ({"outcome": put("rewards", (1, 1), NAN)}, ("'listener_0'", "copy 1", "step 3", "the reward is nan")),
    "infinite reward": ({"outcome": put("rewards", (0, 0), float("inf"))}, ("'speaker_0'", "copy 0", "inf")),
    "state": ({"view": put("state", (3, 0), NAN)}, ("copy 3", "step 3", "state")),
}


@pytest.mark.parametrize("name", VALUES)
def test_bad_numbers_are_found_in_the_rollout(name: str) -> None:
    how, words = VALUES[name]
    world = spoil(env(), at=3, **how)
    with pytest.raises(EnvError) as caught:
        Sampler(world, make_team(world)).fragment(8)
    assert not [word for word in words if word not in str(caught.value)], caught.value


@pytest.mark.parametrize("name", ["observation", "reward", "state"])
def test_they_are_found_too_where_nothing_seen_is_kept(name: str) -> None:
    how, words = VALUES[name]
    world = spoil(env(rounds=5), at=3, **how)
    with pytest.raises(EnvError) as caught:
        Sampler(world, make_team(world)).episodes(keeping=Keeping.SAID)
    assert not [word for word in words if word not in str(caught.value)], caught.value


def test_steps_are_counted_from_the_start_of_the_episode() -> None:
    world = spoil(env(rounds=1), at=5, outcome=put("rewards", (1, 0), NAN))  # episodes take two steps
    sampler = Sampler(world, make_team(world))
    sampler.fragment(3)
    with pytest.raises(EnvError, match="copy 1, step 1 of its episode"):
        sampler.fragment(4)


SHAPES = {
    "rewards [B]": ({"outcome": replace("rewards", lambda x: x[:, 0])}, ("rewards has shape [4]", "[4, 2]")),
    "rewards [B, 1]": ({"outcome": replace("rewards", lambda x: x[:, :1])}, ("rewards has shape [4, 1]", "[4, 2]")),
    "rewards, a list": ({"outcome": replace("rewards", lambda x: x.tolist())}, ("rewards is a list", "tensor")),
    "terminated, numbers": ({"outcome": replace("terminated", lambda x: x.long())}, ("terminated", "torch.bool")),
    "episode_over [B, N]": (
        {"outcome": replace("episode_over", lambda x: x[:, None].expand(-1, 2))},
        ("episode_over has shape [4, 2]", "must be [4]"),
    ),
    "a missing role": ({"view": lambda v: v.observations.pop("listener")}, ("lack ['listener']", "'speaker'")),
    "a wide observation": (
        {"view": seen("speaker", lambda x: torch.cat([x, x], -1))},
        ("role 'speaker'", "[4, 1, 6]", "[4, 1, 3]"),
    ),
    "a missing agent": ({"view": seen("listener", lambda x: x[:, :0])}, ("role 'listener'", "[4, 0, 1]", "[4, 1, 1]")),
    "an array": ({"view": seen("listener", lambda x: x.numpy())}, ("role 'listener'", "is a ndarray", "tensor")),
    "acting [B]": ({"view": replace("acting", lambda x: x[:, 0])}, ("acting has shape [4]", "[4, 2]")),
    "speaking, numbers": ({"view": replace("speaking", lambda x: x.float())}, ("torch.float32", "torch.bool")),
    "a real meaning": ({"view": replace("meaning", lambda x: x * NAN)}, ("meaning", "torch.float32", "torch.int64")),
    "a flat meaning": ({"view": replace("meaning", lambda x: x[..., 0])}, ("meaning has shape [4, 2]", "[4, 2, any]")),
    "a mask of another size": (
        {"view": replace("action_mask", lambda x: {"listener": torch.ones(4, 1, 2, dtype=torch.bool)})},
        ("action_mask of role 'listener'", "[4, 1, 2]", "[4, 1, 3]"),
    ),
    "no legal action": (
        {"view": replace("action_mask", lambda x: {"listener": torch.zeros(4, 1, 3, dtype=torch.bool)})},
        ("'listener_0'", "copy 0", "allows no action"),
    ),
    "a sender that is not there": (
        {"view": replace("hearing", lambda x: Edges(senders=torch.full((4, 2, 1), 2), mask=torch.ones(4, 2, 1) > 0))},
        ("hearing.senders", "slots are 0 to 1"),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("at", [0, 1])
def test_bad_shapes_and_dtypes_are_found_at_once(name: str, at: int) -> None:
    how, words = SHAPES[name]
    world = spoil(env(), at=at, **how)
    with pytest.raises(EnvError) as caught:
        world.reset()
        for _ in range(2):
            world.step(dict.fromkeys(("speaker", "listener"), torch.zeros(4, 1, dtype=torch.long)))
    missing = [word for word in (*words, "reset") if word not in str(caught.value)]
    assert not missing, caught.value


def test_what_breaks_later_is_named_too() -> None:
    world = spoil(env(), at=4, view=seen("speaker", lambda x: torch.cat([x, x], -1)))
    with pytest.raises(EnvError, match=r"role 'speaker' has shape \[4, 1, 6\]"):
        Sampler(world, make_team(world)).fragment(8)


class Digits(Identity):
    """Agents that see a digit, and one that is out of range after two steps."""

    def __init__(self, **settings: Any):
        super().__init__(values=3, **settings)
        role = Role(
            name="agent",
            agents=("agent_0", "agent_1"),
            observation_space=spaces.Discrete(3),
            action_space=spaces.Discrete(3),
        )
        self.roles = (role,)

    def observe(self, state: Any) -> Any:
        view = super().observe(state)
        digits = torch.zeros(self.num_envs, 2, dtype=torch.long)
        digits[1, 1] = 7 if self._moves > 1 else 2
        view.observations = {"agent": digits}
        return view


def test_symbols_outside_their_space_are_named() -> None:
    world = Digits(num_envs=3)
    with pytest.raises(EnvError, match=r"agent 'agent_1', copy 1.*is 7: must lie in Discrete\(3\)"):
        Sampler(world, make_team(world)).fragment(4)


def test_numbers_outside_their_box_are_told_and_taken() -> None:
    """Nothing is scaled by the bounds of a Box, so they are no reason to stop; but who declared it should know."""
    world = FromPettingZoo(lambda: Parallel(lambda o, r: o["a_1"].fill(300), at=1))
    world.reset()
    with pytest.warns(UserWarning, match=r"step 1 after reset.*role 'a' holds 300, outside of Box\(-1"):
        step = world.step({"a": torch.zeros(1, 2, dtype=torch.long)})
    assert step.observations["a"][0, 1].tolist() == [300, 300]


class Parallel(ParallelEnv):
    """Two agents; `spoil(observations, rewards)` may change what is returned at step `at`."""

    metadata = {"name": "parallel"}  # noqa: RUF012 - PettingZoo's own way
    possible_agents = ["a_0", "a_1"]  # noqa: RUF012

    def __init__(self, spoil: Callable | None = None, at: int = 3):
        self.spoil, self.at = spoil, at

    def observation_space(self, agent: str) -> spaces.Space:
        return spaces.Box(-1, 1, (2,))

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple:
        self.agents, self.time = list(self.possible_agents), 0
        return {a: np.zeros(2, np.float32) for a in self.agents}, {a: {} for a in self.agents}

    def step(self, actions: dict) -> tuple:
        self.time += 1
        observations = {a: np.zeros(2, np.float32) for a in self.agents}
        rewards = dict.fromkeys(self.agents, 0.0)
        never = dict.fromkeys(self.agents, False)
        if self.spoil is not None and self.time == self.at:
            self.spoil(observations, rewards)
        return observations, rewards, never, dict(never), {a: {} for a in self.agents}


FOREIGN = {
    "nan": (lambda o, r: o["a_1"].fill(NAN), ("'a_1'", "copy 0", "step 3", "finite")),
    "shape": (lambda o, r: o.update(a_0=np.zeros(3)), ("'a_0'", "step 3", "(3,)", "(2,)")),
    "text": (lambda o, r: o.update(a_0="left"), ("'a_0'", "step 3")),
    "missing": (lambda o, r: o.pop("a_1"), ("'a_1'", "step 3", "no observation")),
    "reward": (lambda o, r: r.update(a_0=NAN), ("'a_0'", "step 3", "nan", "finite")),
    "two rewards": (lambda o, r: r.update(a_0=[1, 2]), ("'a_0'", "one finite number")),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_environments_are_checked_as_well(name: str) -> None:
    change, words = FOREIGN[name]
    world = FromPettingZoo(lambda: Parallel(change), num_envs=2)
    with pytest.raises(EnvError) as caught:
        Sampler(world, make_team(world)).fragment(5)
    assert not [word for word in words if word not in str(caught.value)], caught.value


def test_what_a_foreign_environment_raises_stays_its_own_and_says_where() -> None:
    world = FromPettingZoo(lambda: Parallel(lambda o, r: {}["gone"]), num_envs=2)
    with pytest.raises(KeyError, match="gone") as caught:
        Sampler(world, make_team(world)).fragment(5)
    assert "in step() of Parallel, copy 0, step 3" in caught.value.__notes__[0]
