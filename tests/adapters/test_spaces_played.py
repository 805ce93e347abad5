"""Environments with unusual spaces, masks and bounds, played and learnt through every adapter."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from gymnasium import spaces
from pettingzoo import ParallelEnv
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.policy.policy import PolicySpec

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.stacked import StackedEnv
from heliograph.envs.base import EnvState, Outcome, TeamEnv, View
from heliograph.envs.checking import EnvError
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.sampler import Sampler
from heliograph.types import Role
from tests.parts import make_team

FORAGING = spaces.Tuple(
    [spaces.Discrete(4, start=1), spaces.Box(0, 9, (2,), np.int64), spaces.Box(0, 255, (9, 8), np.uint8)]
)
ACTIONS: dict[str, spaces.Space] = {
    "bits": spaces.MultiBinary(3),
    "tuple": spaces.Tuple([spaces.Discrete(3, start=-1), spaces.MultiDiscrete([[2, 2], [2, 3]])]),
    "dict": spaces.Dict(
        go=spaces.Discrete(3), say=spaces.Text(2, charset="ab"), both=spaces.Tuple([spaces.Discrete(2)])
    ),
    "one of": spaces.OneOf([spaces.Discrete(2), spaces.MultiBinary(2)]),
    "whole numbers": spaces.Box(-2, 2, (2,), np.int8),
    "numbers": spaces.Dict(a=spaces.Box(0.1, 0.3, (2,), np.float64), b=spaces.Tuple([spaces.Box(5, 9, ())])),
}


class Rules:
    """Two agents act at once, for four steps; all their actions must be in their spaces, and are kept."""

    steps = 4

    def __init__(self, seen: spaces.Space, act: spaces.Space, mask: Any = None, *, first: int = 0):
        self.seen, self.act, self.mask, self.first = seen, act, mask, first
        self.played: list[Any] = []

    def start(self) -> tuple[dict, dict]:
        self.time = 0
        return self.shown()

    def move(self, actions: Mapping[str, Any]) -> bool:
        self.time += 1
        for action in actions.values():
            assert self.act.contains(action), (self.act, action)
            self.played.append(action)
        return self.time == self.steps

    def shown(self) -> tuple[dict, dict]:
        told = {"action_mask": self.mask} if self.mask is not None and self.time >= self.first else {}
        return {a: self.seen.sample() for a in ("a_0", "a_1")}, {a: dict(told) for a in ("a_0", "a_1")}


class InParallel(ParallelEnv):
    """The rules as PettingZoo has them."""

    metadata: ClassVar[dict[str, Any]] = {"name": "rules"}
    possible_agents: ClassVar[list[str]] = ["a_0", "a_1"]

    def __init__(self, rules: Rules):
        self.rules = rules

    def observation_space(self, agent: str) -> spaces.Space:
        return self.rules.seen

    def action_space(self, agent: str) -> spaces.Space:
        return self.rules.act

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        self.agents = list(self.possible_agents)
        self.rules.seen.seed(seed)
        return self.rules.start()

    def step(self, actions: dict) -> tuple[dict, dict, dict, dict, dict]:
        over = self.rules.move(actions)
        seen, infos = self.rules.shown()
        self.agents = [] if over else self.agents
        return seen, dict.fromkeys(seen, 1.0), dict.fromkeys(seen, over), dict.fromkeys(seen, False), infos


class OfRLlib(MultiAgentEnv):
    """The rules as RLlib has them."""

    def __init__(self, rules: Rules):
        super().__init__()
        self.rules = rules
        self.possible_agents = self.agents = ["a_0", "a_1"]
        self.observation_spaces = dict.fromkeys(self.agents, rules.seen)
        self.action_spaces = dict.fromkeys(self.agents, rules.act)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        self.rules.seen.seed(seed)
        return self.rules.start()

    def step(self, action_dict: dict) -> tuple[dict, dict, dict, dict, dict]:
        over = self.rules.move(action_dict)
        seen, infos = self.rules.shown()
        return seen, dict.fromkeys(seen, 1.0), {"__all__": over}, {"__all__": False}, infos


def adapted(form: str, rules: Callable[[], Rules], **settings: Any) -> StackedEnv:
    make, adapter = {"pettingzoo": (InParallel, FromPettingZoo), "rllib": (OfRLlib, FromMultiAgentEnv)}[form]
    return adapter(lambda: make(rules()), num_envs=2, **settings)


def played(env: StackedEnv, *, steps: int = 6) -> list[Any]:
    """What agents did; and what was replayed is what was sampled."""
    env.seed(3)
    team = make_team(env, channel="dru")
    rollout = Sampler(env, team, seed=0).fragment(steps)
    unrolled = team.unroll(rollout)
    assert (unrolled.action_log_prob - rollout.action_log_prob).abs().max() < 1e-4
    return [action for inner in env.envs for action in inner.rules.played]


@pytest.mark.parametrize("form", ["pettingzoo", "rllib"])
@pytest.mark.parametrize("kind", ACTIONS)
def test_actions_of_every_kind_are_played_on_observations_of_several_parts(kind: str, form: str) -> None:
    env = adapted(form, lambda: Rules(FORAGING, ACTIONS[kind]))
    assert len(played(env)) == 2 * 2 * 6
    (role,) = env.roles
    assert role.observation_space["2"].shape == (9, 8, 1)
    assert "gray image" in env.described_spaces()["a"] and "chooses" in env.described_spaces()["a"]


MASKS: list[tuple[spaces.Space, Any, set[str]]] = [
    (ACTIONS["bits"], np.array([2, 1, 0], np.int8), {"[0 1 0]", "[1 1 0]"}),
    (ACTIONS["bits"], np.array([1, 0, 1, 0, 0, 1]), {"[0 0 1]"}),
    (spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]), ([0, 1], [1, 0]), {"(1, 0)"}),
    (spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2)), {"a": [0, 1]}, {"{'a': 1, 'b': 0}", "{'a': 1, 'b': 1}"}),
    (spaces.Discrete(3, start=5), [0, 1, 0], {"6"}),
]


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(("act", "mask", "legal"), MASKS)
def test_masks_limit_actions_of_every_kind(act: spaces.Space, mask: Any, legal: set[str], beside: bool) -> None:
    """Beside the observation, and in infos, where they are found without a setting."""
    seen: spaces.Space = spaces.Box(0, 1, (2,))

    class Beside(Rules):
        def shown(self) -> tuple[dict, dict]:
            found, _ = super().shown()
            return {a: {**one, "action_mask": mask} for a, one in found.items()}, {}

    if not beside:
        env = adapted("pettingzoo", lambda: Rules(seen, act, mask))
    else:
        space = spaces.Dict(x=seen, y=spaces.Discrete(2), action_mask=spaces.MultiBinary(2))
        env = adapted("pettingzoo", lambda: Beside(space, act))
        assert list(env.roles[0].observation_space.spaces) == ["x", "y"]
    assert {str(action) for action in played(env)} == legal


def test_whether_masks_are_read_is_decided_at_the_first_reset() -> None:
    rules = functools.partial(Rules, spaces.Box(0, 1, (2,)), spaces.Discrete(3), [0, 1, 0])
    assert set(played(adapted("rllib", rules))) == {1}
    with pytest.raises(EnvError, match=r"step 2: has an action_mask in its info, and none had one at the first reset"):
        played(adapted("rllib", functools.partial(rules, first=2)))
    assert len(set(played(adapted("rllib", rules, masks_in_infos=False)))) > 1
    with pytest.raises(EnvError, match="the info of no agent holds an action_mask"):
        played(adapted("rllib", functools.partial(rules, first=2), masks_in_infos=True))


def test_spaces_that_cannot_be_taken_are_refused_with_role_and_remedy() -> None:
    with pytest.raises(ValueError, match=r"role 'a': observation space Sequence.*wrap the environment"):
        adapted("pettingzoo", lambda: Rules(spaces.Sequence(spaces.Discrete(2)), spaces.Discrete(2)))
    with pytest.raises(ValueError, match=r"role 'a': action space Tuple.*mixes choices and real numbers"):
        mixed = spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (1,))])
        adapted("pettingzoo", lambda: Rules(spaces.Discrete(2), mixed))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turned(EnvState):
    time: torch.Tensor


class Dial(TeamEnv[Turned]):
    """One agent turns a dial four times: each pays what it is near to `best`, up to 1, and nothing 300 off."""

    def __init__(self, *, low: float = 1000.0, high: float = 2000.0, best: float = 1500.0, **base: Any):
        act, seen = spaces.Box(low, high, (1,)), spaces.Box(0.0, 1.0, (1,))
        super().__init__((Role(name="a", agents=("a_0",), observation_space=seen, action_space=act),), **base)
        self.best, self.turned = best, []

    def start(self) -> Turned:
        return Turned(time=torch.zeros(self.num_envs, dtype=torch.long))

    def advance(self, state: Turned, actions: dict[str, torch.Tensor]) -> tuple[Turned, Outcome]:
        turned = actions["a"][:, 0]
        self.turned.append(turned)
        time = state.time + 1
        over = time >= 4
        reward = (1 - (turned - self.best).abs() / 300).clamp(min=0)
        return Turned(time=time), Outcome(rewards=reward, terminated=over[:, None], episode_over=over)

    def observe(self, state: Turned) -> View:
        yes = torch.ones(self.num_envs, 1, dtype=torch.bool)
        nothing = torch.full((self.num_envs, 1, 1), -1)
        return View(
            observations={"a": torch.zeros(self.num_envs, 1, 1)},
            observing=yes,
            acting=yes,
            speaking=~yes,
            meaning=nothing,
        )


def test_ppo_finds_the_best_of_a_box_far_from_zero() -> None:
    settings = (
        CommPPOConfig()
        .environment(Dial, env_config={"best": 1700.0})
        .communication(model="feedforward", model_settings={"size": 16}, channel="none")
        .env_runners(num_envs_per_env_runner=256)
        .training(train_batch_size_per_learner=1024, minibatch_size=1024, num_epochs=2, lr=2e-2)
        .debugging(seed=0)
    )
    trainer = LocalTrainer(settings)
    found = [trainer.train().env_runner["episode_return_mean"] for _ in range(8)]
    first = torch.cat(trainer.env_runner.env.turned[:4])
    assert (torch.histc(first, bins=4, min=1000, max=2000) / len(first)).min() > 0.1
    assert found[0] < 2 < found[-1]


def trained_once(given: spaces.Space) -> float:
    act = ACTIONS["tuple"]
    policy = PolicySpec(observation_space=given, action_space=act)
    settings = (
        CommPPOConfig()
        .environment(lambda config: OfRLlib(Rules(FORAGING, act)))
        .communication(model="feedforward", model_settings={"size": 8}, channel="dru")
        .multi_agent(policies={"a": policy}, policy_mapping_fn=lambda agent, episode: "a")
        .env_runners(num_envs_per_env_runner=2)
        .training(train_batch_size_per_learner=16, minibatch_size=16, num_epochs=1)
        .debugging(seed=0)
    )
    return LocalTrainer(settings).train().learner["first_ratio_error"]


def test_a_policy_may_be_given_the_spaces_of_its_environment_and_no_others() -> None:
    """Of the environment as it is, though the team's are mapped."""
    assert trained_once(FORAGING) < 1e-5
    with pytest.raises(ValueError, match=r"observation_space=.*no effect: the environment's are used"):
        trained_once(spaces.Tuple([spaces.Discrete(4)]))
