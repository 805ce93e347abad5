"""Images stay bytes: no state is made that nobody reads, and no rollout is ever there twice."""

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View, flat_observation
from heliograph.models import blocks
from heliograph.models.blocks import ImageTorso
from heliograph.models.full_information import FullInformation
from heliograph.observations import JoinedObservations
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.recording import Frames
from heliograph.rollouts.rollout import Rollout, concatenate
from heliograph.rollouts.sampler import Sampler
from heliograph.testing.mixed import Mixed
from heliograph.types import (
    Inputs,
    Role,
    StateMaker,
    TeamStep,
    changed,
    held,
    map_tensors,
    own_state,
    stack,
    tensors_of,
)
from tests.parts import make_sampler, make_team

SIDE, COPIES, STEPS, EPISODE = 32, 8, 6, 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock(EnvState):
    time: Tensor


class Pictures(TeamEnv[Clock]):
    """Two agents see the time, drawn over the last picture, and are paid for acting; `EPISODE` steps."""

    def __init__(self, **base: Unpack[BaseSettings]):
        seen, act = spaces.Box(0, 255, (SIDE, SIDE, 3), "uint8"), spaces.Discrete(2)
        role = Role(name="agent", agents=("agent_0", "agent_1"), observation_space=seen, action_space=act)
        super().__init__((role,), **base)
        self._canvas = torch.zeros(self.num_envs, 2, SIDE, SIDE, 3, dtype=torch.uint8)

    @property
    def horizon(self) -> int:
        return EPISODE

    def start(self) -> Clock:
        return Clock(time=torch.zeros(self.num_envs, dtype=torch.long))

    def advance(self, state: Clock, actions: dict[str, Tensor]) -> tuple[Clock, Outcome]:
        time = state.time + 1
        nothing, over = torch.zeros(self.num_envs, 2), time >= EPISODE
        outcome = Outcome(rewards=nothing + actions["agent"], terminated=nothing.bool(), episode_over=over)
        return Clock(time=time), outcome

    def observe(self, state: Clock) -> View:
        self._canvas.copy_(state.time.view(-1, 1, 1, 1, 1) * 7 % 256)
        yes = torch.ones(self.num_envs, 2, dtype=torch.bool)
        return View(
            observations={"agent": self._canvas}, observing=yes, acting=yes, speaking=yes, meaning=yes.long()[..., None]
        )


def side_by_side(env: TeamEnv, observations: dict[str, Any]) -> Tensor:
    return torch.cat([flat_observation(r.observation_space, observations[r.name]).flatten(-2) for r in env.roles], -1)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers in each state that is made."""
    made: list[int] = []
    make = JoinedObservations.of

    def noted(self: JoinedObservations, observations: Any) -> Tensor:
        state = make(self, observations)
        made.append(state.numel())
        return state

    monkeypatch.setattr(JoinedObservations, "of", noted)
    return made


def test_a_step_makes_its_state_of_its_observations() -> None:
    env = Mixed(num_envs=3, time_limit=2)
    steps = [env.reset()] + [env.step({r.name: _nothing(r, 3) for r in env.roles}) for _ in range(2)]
    for step in steps:
        assert own_state(step) is None and isinstance(held(step, "state"), StateMaker)
        assert torch.equal(step.state, side_by_side(env, step.observations))
        assert held(step, "state").size == step.state.shape[1]
    last = steps[-1]
    assert last.final_observations is not None and last.final_state is not None
    assert torch.equal(last.final_state, side_by_side(env, last.final_observations))
    assert not torch.equal(last.final_state, last.state)
    assert steps[0].final_state is None and TeamStep.final_state is None


def _nothing(role: Role, copies: int) -> Tensor:
    sample = torch.as_tensor(role.action_space.sample())
    return torch.zeros(copies, len(role.agents), *sample.shape, dtype=sample.dtype)


def test_a_state_can_be_set_and_a_replaced_one_stays() -> None:
    step = Mixed(num_envs=3).reset()
    before = step.state
    moved = map_tensors(lambda leaf: leaf + 1 if leaf.is_floating_point() else leaf, step.observations)
    assert torch.equal(dataclasses.replace(step, observations=moved).state, before)
    assert not torch.equal(changed(step, observations=moved).state, before)
    assert own_state(changed(step, observations=moved)) is None
    step.state = torch.full((3, 2), 7.0)
    assert step.state.unique().tolist() == [7] and own_state(step) is step.state


def test_what_has_no_state_says_so(counted: list[int]) -> None:
    step = Mixed(num_envs=3).reset()
    del step.__dict__["state"]
    with pytest.raises(AttributeError, match="TeamStep has no attribute 'state'"):
        step.state  # noqa: B018
    with pytest.raises(TypeError, match="state"):
        TeamStep(**{k: v for k, v in vars(step).items() if k != "state"})


def test_a_rollout_makes_its_state_of_its_observations() -> None:
    rollout, other = (make_sampler("mixed", copies=4, seed=s).fragment(6) for s in (0, 1))
    env = Mixed()
    for part in (
        rollout, rollout.select(torch.tensor([2, 0])), rollout.first(1), next(rollout.chunks(3)),
        pickle.loads(pickle.dumps(rollout)), pickle.loads(pickle.dumps(rollout.select(torch.tensor([1])))),
        concatenate([rollout, other]), rollout.to(torch.device("cpu")), rollout.select(torch.tensor([3])).first(1),
    ):  # fmt: skip
        assert own_state(part) is None
        assert torch.equal(part.state, side_by_side(env, part.observations))
    part = rollout.select(torch.tensor([3, 1]))
    assert torch.equal(part.state, rollout.state[:, [3, 1]])  # asked for before its observations


def test_structures_that_hold_different_things_are_refused() -> None:
    step = Mixed(num_envs=3).reset()
    given = changed(step, state=torch.zeros(3, 2))
    for pair in ([step, given], [given, step]):
        with pytest.raises((ValueError, TypeError)):
            stack([changed(s, observations={}) if s is given else s for s in pair])


def test_a_model_finds_the_state_of_the_minibatch_at_hand() -> None:
    sampler, found = make_sampler("mixed", copies=4, model=FullInformation, channel="none"), []
    team = sampler.team
    for policy in team.policies.values():
        encode = policy.model.encode
        policy.model.encode = lambda inputs, encode=encode: (found.append(inputs.state), encode(inputs))[1]
    rollout = sampler.fragment(3)
    assert all(s.shape == (4, rollout.state.shape[-1]) for s in found)
    found.clear()
    team.unroll(rollout.select(torch.tensor([2])))
    assert found and all(s.shape[1] == 1 and torch.equal(s, rollout.state[: len(s), 2:3]) for s in found if len(s) == 4)
    assert Inputs(observation=None, last_action=torch.zeros(2, 3)).state is None


def ppo(**communication: Any) -> LocalTrainer:
    config = (
        CommPPOConfig()
        .environment(Pictures)
        .env_runners(num_envs_per_env_runner=COPIES)
        .training(train_batch_size_per_learner=COPIES * STEPS, minibatch_size=2 * STEPS, num_epochs=1, target_kl=None)
        .communication(**({"model": "ic3net", "model_settings": {"size": 4}, "channel": "continuous"} | communication))
        .debugging(seed=0)
    )
    return LocalTrainer(config)


def peak_of(work: Callable[[], Any]) -> tuple[int, Any]:
    """The most bytes of tensors that some work has in use at once beyond what there was before, and what it returns."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = work()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    present = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        present += event.nbytes()
        most = max(most, present)
    return most, result


def bytes_of(tree: Any) -> int:
    storages = {leaf.untyped_storage().data_ptr(): leaf.untyped_storage().nbytes() for leaf in tensors_of(tree)}
    return sum(storages.values())


def test_an_iteration_on_images_needs_little_more_than_their_bytes(
    monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    monkeypatch.setattr(blocks, "MOST_PIXELS", 2 * SIDE * SIDE * 3)
    trainer = ppo()
    counted.clear()
    taken: dict[str, Any] = {}
    sample, update = trainer.env_runner.sample, trainer.learner.update

    def sampled(**kwargs: Any) -> list[Rollout]:
        taken["sampling"], rollouts = peak_of(lambda: sample(**kwargs))
        taken["rollouts"] = rollouts
        return rollouts

    def updated(**kwargs: Any) -> Any:
        taken["learning"], results = peak_of(lambda: update(**kwargs))
        return results

    monkeypatch.setattr(trainer.env_runner, "sample", sampled)
    monkeypatch.setattr(trainer.learner, "update", updated)
    trainer.train()
    (rollout,) = taken["rollouts"]
    seen = (STEPS + 1) * COPIES * 2 * SIDE * SIDE * 3
    assert rollout.observations["agent"].dtype is torch.uint8 and bytes_of(rollout.observations) == seen
    assert bytes_of(rollout) <= 1.05 * seen
    assert taken["sampling"] <= 1.6 * seen  # features of a step included
    assert taken["learning"] <= 1.6 * seen  # a minibatch of two copies, of eight
    assert not counted


@pytest.mark.parametrize(("critic", "model"), [("state", "ic3net"), ("hidden", "full_information")])
def test_a_state_that_is_read_is_made_a_minibatch_at_a_time(critic: str, model: str, counted: list[int]) -> None:
    choices = {"critic_size": 2} if critic == "state" else {"channel": "none"}
    trainer = ppo(critic=critic, model=model, **choices)
    counted.clear()
    trainer.train()
    of_a_copy = 2 * SIDE * SIDE * 3
    assert counted and max(counted) <= 2 * (STEPS + 1) * of_a_copy


def test_pictures_that_are_drawn_over_are_kept_as_they_were_seen() -> None:
    env = Pictures(num_envs=3)
    sampler = Sampler(env, make_team(env, channel="dru"))
    rollout = sampler.fragment(5)
    assert rollout.observations["agent"][:, 0, 0, 0, 0, 0].tolist() == [7 * t for t in range(6)]
    whole = sampler.episodes()
    assert whole.observations["agent"][:-1, 2, 1, 5, 5, 2].tolist() == [7 * t % 256 for t in range(EPISODE)]


@pytest.mark.parametrize("number", [1, 4, 5, 11])
def test_frames_are_stacked_whatever_the_size_of_their_blocks(number: int) -> None:
    steps = [{"a": torch.full((2, 3), t), "b": {"c": torch.full((2,), t / 2)}} for t in range(number)]
    for size in (1, 4, 11):
        frames = Frames(size)
        for step in steps:
            frames.add(step)
        found = frames.take()
        assert all(torch.equal(a, b) for a, b in zip(tensors_of(found), tensors_of(stack(steps)), strict=True))
        assert not frames.blocks


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_images_in_parts_have_the_features_and_gradients_of_all_at_once(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = spaces.Box(0, 255, (12, 8, 3), "uint8") if dtype is torch.uint8 else spaces.Box(0.0, 1.0, (12, 8, 3))
    torso = ImageTorso(space, 5)
    images = torch.randint(0, 256, (3, 2, 12, 8, 3), dtype=torch.uint8)
    images = images if dtype is torch.uint8 else images / 255
    before, found = images.clone(), []
    for most in (2**22, 2 * 12 * 8 * 3 + 1, 1):
        monkeypatch.setattr(blocks, "MOST_PIXELS", most)
        torso.zero_grad()
        features = torso(images)
        features.square().sum().backward()
        found.append([features.detach(), *(p.grad.clone() for p in torso.parameters())])
        with torch.no_grad():
            torch.testing.assert_close(torso(images), features)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])
    assert torch.equal(images, before)
