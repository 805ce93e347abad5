"""What every environment gets from the base class: settings, limits, talking, saved state, clear refusals."""

import dataclasses

import numpy as np
import pytest
import torch
from gymnasium import spaces

from heliograph.envs.base import EnvState, Outcome, TeamEnv, View, flat_observation, flat_size
from heliograph.envs.identity import Identity
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.testing.mixed import Mixed
from heliograph.types import Role


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counted(EnvState):
    time: torch.Tensor


class Counter(TeamEnv[Counted]):
    """One agent that counts its steps; it terminates at `end`, the reward is the action."""

    def __init__(self, *, action_space: spaces.Space | None = None, end: int = 5, leaves: int = 99, **base):
        seen = spaces.Box(0.0, 100.0, (1,))
        action = spaces.Box(-1.0, 1.0, (1,)) if action_space is None else action_space
        super().__init__((Role(name="a", agents=("a_0", "a_1"), observation_space=seen, action_space=action),), **base)
        self.end, self.leaves = end, leaves

    def start(self):
        return Counted(time=torch.zeros(self.num_envs, dtype=torch.long))

    def advance(self, state, actions):
        time = state.time + 1
        gone = torch.zeros(self.num_envs, 2, dtype=torch.bool)
        gone[:, 1] = time == self.leaves
        outcome = Outcome(rewards=actions["a"][..., 0], terminated=gone, episode_over=time >= self.end)
        return Counted(time=time), outcome

    def observe(self, state):
        yes = torch.ones(self.num_envs, 2, dtype=torch.bool)
        return View(
            observations={"a": state.time.float()[:, None, None].expand(-1, 2, 1)},
            observing=yes,
            acting=yes,
            speaking=yes,
            meaning=state.time[:, None, None].expand(-1, 2, 1),
        )


def push(env: TeamEnv, value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"a": torch.full((env.num_envs, 2, 1), value)}


@pytest.mark.parametrize(
    ("setting", "value"),
    [("num_envs", 0), ("num_envs", -2), ("time_limit", 0), ("time_limit", -1), ("talk_steps", -1)],
)
def test_a_bad_setting_is_refused_with_its_name_and_value(setting: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{setting}={value}"):
        Counter(**{setting: value})


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Discrete(3, start=1), "must start at 0"),
        (spaces.MultiDiscrete([[2, 2], [2, 2]]), "one axis"),
        (spaces.MultiBinary(3), "not supported: use Discrete, MultiDiscrete or Box"),
        (spaces.Dict(x=spaces.Discrete(2)), "not supported"),
    ],
)
def test_an_action_space_that_no_policy_can_act_in_is_refused(space: spaces.Space, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Counter(action_space=space)


def test_a_step_before_a_reset_is_refused() -> None:
    env = Counter()
    with pytest.raises(RuntimeError, match="reset"):
        env.step(push(env))


def test_an_ending_by_the_rules_terminates_and_shows_the_final_observation() -> None:
    env = Counter(num_envs=2, end=3)
    env.reset()
    steps = [env.step(push(env)) for _ in range(4)]
    assert [bool(s.episode_over.all()) for s in steps] == [False, False, True, False]
    assert steps[2].terminated.all()
    assert not steps[2].truncated.any()
    assert steps[2].final_observations["a"].unique().tolist() == [3]
    assert steps[2].final_state.unique().tolist() == [3]
    assert steps[2].observations["a"].unique().tolist() == [0]
    assert steps[1].final_observations is None
    assert steps[3].observations["a"].unique().tolist() == [1]


def test_a_time_limit_truncates_unless_the_rules_end_the_episode_in_that_step() -> None:
    for limit, terminated in ((2, False), (3, True), (7, True)):
        env = Counter(end=3, time_limit=limit)
        env.reset()
        steps = [env.step(push(env)) for _ in range(min(limit, 3))]
        assert not any(s.episode_over.any() for s in steps[:-1])
        assert steps[-1].episode_over.all()
        assert steps[-1].terminated.tolist() == [[terminated] * 2]
        assert steps[-1].truncated.tolist() == [[not terminated] * 2]


def test_an_agent_that_terminates_at_the_time_limit_is_not_truncated() -> None:
    env = Counter(end=9, leaves=2, time_limit=2)
    env.reset()
    env.step(push(env))
    step = env.step(push(env))
    assert step.terminated.tolist() == [[False, True]]
    assert step.truncated.tolist() == [[True, False]]


def test_while_the_team_talks_nothing_moves_and_nobody_acts() -> None:
    env = Counter(end=2, talk_steps=2)
    steps = [env.reset()] + [env.step(push(env)) for _ in range(5)]
    assert [s.state[0, 0].item() for s in steps] == [0, 0, 0, 1, 0, 0]
    assert [bool(s.acting.any()) for s in steps] == [False, False, True, True, False, False]
    assert all(s.speaking.all() and s.observing.all() for s in steps)
    assert [s.rewards.sum().item() for s in steps] == [0, 0, 0, 2, 2, 0]
    assert [bool(s.episode_over.any()) for s in steps] == [False, False, False, False, True, False]


def test_talking_counts_against_the_time_limit() -> None:
    env = Counter(end=5, talk_steps=2, time_limit=3)
    env.reset()
    steps = [env.step(push(env)) for _ in range(3)]
    assert steps[-1].truncated.all()
    assert steps[-1].final_state.unique().tolist() == [1]


def test_box_actions_are_clipped_to_their_space() -> None:
    env = Counter()
    env.reset()
    assert env.step(push(env, 7.0)).rewards.tolist() == [[1, 1]]
    assert env.step(push(env, -7.0)).rewards.tolist() == [[-1, -1]]


def test_copies_that_go_on_are_untouched_by_those_that_restart() -> None:
    env = Counter(num_envs=2, end=3)
    env.reset()
    env.state = Counted(time=env.state.time + torch.tensor([0, 1]))
    env.step(push(env))
    step = env.step(push(env))
    assert step.episode_over.tolist() == [False, True]
    assert step.observations["a"][:, 0, 0].tolist() == [2, 0]
    assert step.final_observations["a"][:, 0, 0].tolist() == [2, 3]


def test_what_cannot_be_saved_says_so() -> None:
    env = Counter()
    env.resumable = False
    with pytest.raises(RuntimeError, match="Counter cannot save its state"):
        env.get_state()


def test_slots_are_contiguous_by_role() -> None:
    env = Mixed()
    assert env.agents == ("scout_0", "scout_1", "driver_0", "driver_1", "driver_2", "drone_0")
    assert [env.agents[env.slots(role.name)] for role in env.roles] == [role.agents for role in env.roles]
    assert env.team_of_agent.tolist() == [0, 0, 0, 0, 0, 1]
    with pytest.raises(KeyError):
        env.slots("pilot")


def test_starts_do_not_depend_on_what_is_drawn_during_episodes() -> None:
    """Interventions stay paired: runs whose actions differ see equal starts while their episodes end together."""
    one, other = (SpeakerListener(rounds=2, num_envs=16, seed=2) for _ in range(2))
    for env, guess in ((one, 0), (other, 1)):
        env.reset()
        for _ in range(4):
            actions = {"speaker": torch.zeros(16, 1, dtype=torch.long), "listener": torch.full((16, 1), guess)}
            env.step(actions)
    assert torch.equal(one.view().observations["speaker"], other.view().observations["speaker"])


def test_no_oracle_and_no_bounds_by_default() -> None:
    env = Counter()
    assert env.bounds() is None
    assert env.horizon is None
    with pytest.raises(NotImplementedError, match="Counter"):
        env.oracle(env.start())


def test_a_flat_observation_has_the_size_of_its_space() -> None:
    space = spaces.Dict(
        image=spaces.Box(0, 255, (2, 2, 3), dtype=np.uint8),
        kind=spaces.Discrete(4),
        pair=spaces.MultiDiscrete([2, 3]),
        flags=spaces.MultiBinary(2),
        level=spaces.Box(0.0, 1.0, ()),
    )
    observation = {
        "image": torch.full((5, 2, 2, 2, 3), 7, dtype=torch.uint8),
        "kind": torch.full((5, 2), 3),
        "pair": torch.ones(5, 2, 2, dtype=torch.long),
        "flags": torch.ones(5, 2, 2, dtype=torch.bool),
        "level": torch.full((5, 2), 0.5),
    }
    flat = flat_observation(space, observation)
    assert flat.shape == (5, 2, flat_size(space))
    assert flat[0, 0].tolist() == [pytest.approx(7 / 255)] * 12 + [0, 0, 0, 1] + [0, 1, 0, 1, 0] + [1, 1] + [0.5]
    with pytest.raises(ValueError, match="not supported"):
        flat_observation(spaces.Text(3), "abc")


def test_the_default_state_is_all_observations_side_by_side() -> None:
    env = Mixed(num_envs=3)
    sizes = [flat_size(role.observation_space) * len(role.agents) for role in env.roles]
    assert env.reset().state.shape == (3, sum(sizes))


def test_view_shows_the_present_state_again() -> None:
    env = Identity(num_envs=3)
    env.reset()
    step = env.step({"agent": torch.zeros(3, 2, dtype=torch.long)})
    again = env.view()
    assert torch.equal(step.state, again.state)
    assert torch.equal(step.acting, again.acting)
    assert not again.rewards.any()
