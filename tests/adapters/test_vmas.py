"""`FromVMAS` on a batched environment of VMAS's interface, and on VMAS itself where it is installed."""

import functools
import random
import types
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from gymnasium import spaces

from heliograph import testing
from heliograph.adapters.vmas import FromVMAS
from heliograph.testing import random_actions

LIMIT = 4


class Drift:
    """Two bodies see their place and are pushed by their actions; a copy is done where the first is beyond 3."""

    vmas_random_state: ClassVar[list[Any]] = [torch.random.get_rng_state(), None, None]

    def __init__(self, *, num_envs: int, device: str, seed: int, max_steps: int | None = LIMIT, discrete: bool = False):
        self.num_envs, self.device, self.max_steps, self.discrete = num_envs, torch.device(device), max_steps, discrete
        self.agents = [types.SimpleNamespace(name=name) for name in ("talker_0", "mover_0")]
        self.scenario = self
        self.resets: list[Any] = []
        self.place, self.steps = torch.zeros(num_envs, 2), torch.zeros(num_envs)

    def get_agent_action_space(self, agent: Any) -> Any:
        if self.discrete:
            return types.SimpleNamespace(n=3)
        return types.SimpleNamespace(low=np.full(1, -1.0, np.float32), high=np.full(1, 1.0, np.float32))

    def observation(self, agent: Any) -> torch.Tensor:
        return self.place[:, [self.agents.index(agent)]].clone()

    def seed(self, seed: int) -> None:
        self.vmas_random_state[0] = torch.Generator().manual_seed(seed).get_state()

    def reset(self, *, seed: int, return_observations: bool) -> None:
        self.seed(seed)
        self.place, self.steps = self._drawn(self.num_envs), torch.zeros(self.num_envs)
        self.resets.append("all")

    def reset_at(self, index: int, *, return_observations: bool) -> None:
        self.place[index], self.steps[index] = self._drawn(1)[0], 0
        self.resets.append(index)

    def _drawn(self, number: int) -> torch.Tensor:
        stream = torch.Generator()
        stream.set_state(self.vmas_random_state[0])
        drawn = torch.rand(number, 2, generator=stream)
        self.vmas_random_state[0] = stream.get_state()
        return drawn

    def get_from_scenario(self, **_: bool) -> list[Any]:
        return [[self.observation(agent) for agent in self.agents]]

    def step(self, actions: list[torch.Tensor]) -> Any:
        assert [action.shape for action in actions] == [(self.num_envs, 1)] * 2
        self.place = self.place + torch.cat(actions, 1)
        self.steps = self.steps + 1
        seen, rewards = self.get_from_scenario()[0], [self.place[:, 0].clone(), -self.place[:, 1]]
        return seen, rewards, self.place[:, 0] > 3, self.steps >= self.max_steps, [{}, {}]


def pushes(*values: float) -> dict[str, torch.Tensor]:
    column = torch.tensor(values)[:, None, None]
    return {"talker": column, "mover": -column}


@pytest.mark.parametrize("discrete", [False, True])
def test_the_contract_is_kept(discrete: bool) -> None:
    make = functools.partial(FromVMAS, functools.partial(Drift, discrete=discrete))
    for check in (
        "check_spaces",
        "check_fields",
        "check_auto_reset",
        "check_endings",
        "check_time_limit",
        "check_seeding",
    ):
        testing.CHECKS[check](make)


def test_agents_are_in_their_roles_and_paid_their_own() -> None:
    env = FromVMAS(Drift, num_envs=2, speaking=lambda agent: agent == "talker_0")
    assert [(role.name, role.action_space) for role in env.roles] == [
        (name, spaces.Box(-1.0, 1.0, (1,))) for name in ("talker", "mover")
    ]
    step = env.reset()
    before = step.observations["talker"][:, 0, 0], step.observations["mover"][:, 0, 0]
    assert step.speaking.tolist() == [[True, False]] * 2 and step.acting.all()
    step = env.step(pushes(0.5, 1.0))
    assert step.observations["talker"][:, 0, 0].tolist() == pytest.approx(
        (before[0] + torch.tensor([0.5, 1.0])).tolist()
    )
    assert step.rewards[:, 0].tolist() == pytest.approx((before[0] + torch.tensor([0.5, 1.0])).tolist())
    assert step.rewards[:, 1].tolist() == pytest.approx((torch.tensor([0.5, 1.0]) - before[1]).tolist())


def test_copies_restart_alone_and_show_their_end_first() -> None:
    env = FromVMAS(Drift, num_envs=2)
    env.reset()
    env.env.place = torch.tensor([[2.5, 0.0], [0.0, 0.0]])
    step = env.step(pushes(1.0, 0.25))
    assert step.terminated.tolist() == [[True, True], [False, False]] and not step.truncated.any()
    assert step.final_observations["talker"][0, 0].tolist() == [3.5]
    assert step.observations["talker"][0, 0].item() < 1 and step.observations["talker"][1, 0].tolist() == [0.25]
    assert env.env.resets == ["all", 0]
    steps = [env.step(pushes(0.0, 0.0)) for _ in range(LIMIT - 1)]
    assert steps[-1].truncated.tolist() == [[False, False], [True, True]] and not steps[-1].terminated.any()


def test_its_stream_is_its_own() -> None:
    def rollout(disturb: bool) -> list[float]:
        env, other = FromVMAS(Drift, num_envs=2, seed=1), FromVMAS(Drift, seed=2)
        shown = [env.reset().state]
        for _ in range(2 * LIMIT):
            if disturb:
                other.reset()
                Drift.vmas_random_state[0] = torch.Generator().manual_seed(random.randrange(100)).get_state()
            shown.append(env.step(pushes(0.0, 0.0)).state)
        return torch.cat(shown).flatten().tolist()

    assert rollout(True) == rollout(False)


def test_meanings_and_success_are_asked_of_all_copies_at_once() -> None:
    def quadrant(env: Any, agent: str) -> torch.Tensor:
        return (env.place[:, 0] > 0.5).long() if agent == "talker_0" else torch.full((env.num_envs,), -1)

    env = FromVMAS(Drift, num_envs=8, meaning_fn=quadrant, success_fn=lambda env: env.place[:, 0] > 3)
    step = env.reset()
    assert step.meaning[:, 0, 0].equal((step.observations["talker"][:, 0, 0] > 0.5).long())
    assert (step.meaning[:, 1] == -1).all()
    env.env.place[0] = 3.0
    assert env.step(pushes(*[0.5] * 8)).info["success"].tolist() == [True] + [False] * 7
    with pytest.raises(ValueError, match=r"meaning_fn gave agent 'talker_0' .*float32.*: needs whole numbers \(8, 1\)"):
        FromVMAS(Drift, num_envs=8, meaning_fn=lambda env, agent: env.place[:, 0]).reset()


@pytest.mark.parametrize(
    ("make", "settings", "error", "told"),
    [
        (lambda **_: 3, {}, TypeError, "must return a vmas Environment"),
        (lambda **_: Drift(num_envs=32, device="cpu", seed=0), {}, ValueError, r"made 32 copies, where 1 .*num_envs"),
        (Drift, {"talk_steps": 2}, ValueError, "talk_steps=2: VMAS moves all copies at once"),
        (Drift, {"num_envs": 0}, ValueError, "num_envs"),
    ],
)
def test_what_cannot_be_adapted_is_named(make: Any, settings: dict, error: type, told: str) -> None:
    with pytest.raises(error, match=told):
        FromVMAS(make, **settings)


@pytest.mark.filterwarnings("ignore::Warning")
def test_a_step_is_that_of_vmas() -> None:
    vmas = pytest.importorskip("vmas")
    make = functools.partial(vmas.make_env, "simple_reference", max_steps=5, continuous_actions=False)
    env, raw, generator = FromVMAS(make, num_envs=3), make(num_envs=3, terminated_truncated=True), torch.Generator()
    step = env.reset()
    seed = int(torch.randint(2**31 - 1, (3,), generator=torch.Generator().manual_seed(0 ^ 0x5EED))[0])
    seen = raw.reset(seed=seed)
    for time in range(1, 6):
        assert step.observations["agent"].equal(torch.stack(seen, 1))
        actions = random_actions(env, step=step, generator=generator)
        step = env.step(actions)
        seen, rewards, _, truncated, _ = raw.step([action[:, None] for action in actions["agent"].unbind(1)])
        assert step.rewards.equal(torch.stack(rewards, 1))
        assert step.truncated.all().item() is bool(truncated.all()) is (time == 5)
    assert step.final_observations["agent"].equal(torch.stack(seen, 1))
