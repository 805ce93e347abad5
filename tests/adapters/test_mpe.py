import builtins
import functools
from typing import Any

import pytest
import torch
from gymnasium import spaces

from heliograph import testing
from heliograph.adapters.mpe import make_reference, make_speaker_listener

pytest.importorskip("mpe2")
MAKES = [make_speaker_listener, make_reference]
MAX_STEPS = 25


@pytest.mark.parametrize("builtin_symbols", [True, False])
@pytest.mark.parametrize("make", MAKES)
def test_particle_environments_keep_the_contract(make: Any, builtin_symbols: bool) -> None:
    for name, check in testing.CHECKS.items():
        if name != "check_statistics":  # thousands of steps of copies that share nothing
            check(functools.partial(make, builtin_symbols=builtin_symbols))


@pytest.mark.parametrize("make", MAKES)
def test_the_step_limit_truncates(make: Any) -> None:
    env = make(num_envs=2)
    env.reset()
    idle = {r.name: torch.zeros(2, len(r.agents), dtype=torch.long) for r in env.roles}
    steps = [env.step(idle) for _ in range(MAX_STEPS)]
    assert not any(step.episode_over.any() for step in steps[:-1])
    assert steps[-1].episode_over.all() and steps[-1].truncated.all() and not steps[-1].terminated.any()
    assert steps[-1].final_observations is not None


def test_the_speaker_means_the_goal_that_it_sees() -> None:
    step = make_speaker_listener(num_envs=40).reset()
    goal = step.observations["speaker"][:, 0].argmax(-1)  # the colour of landmark i is strongest in channel i
    assert step.meaning[:, 0, 0].equal(goal) and (step.meaning[:, 1] == -1).all()
    assert set(goal.tolist()) == {0, 1, 2}
    assert step.speaking.any(0).tolist() == [True, False]


def test_both_agents_of_reference_mean_the_goal_that_they_see() -> None:
    step = make_reference(num_envs=40).reset()
    goals = step.observations["agent"][..., 8:11].argmax(-1)
    assert step.meaning[..., 0].equal(goals) and not goals[:, 0].equal(goals[:, 1])
    assert step.speaking.all()


@pytest.mark.parametrize("builtin_symbols", [True, False])
def test_builtin_symbols_can_be_muted(builtin_symbols: bool) -> None:
    env = make_speaker_listener(builtin_symbols=builtin_symbols)
    assert env.roles[0].action_space == spaces.Discrete(3 if builtin_symbols else 1)
    env.reset()
    say = torch.tensor([[2 if builtin_symbols else 0]])
    heard = env.step({"speaker": say, "listener": torch.tensor([[0]])}).observations["listener"][0, 0, -3:]
    assert heard.tolist() == ([0, 0, 1] if builtin_symbols else [1, 0, 0])


def test_muted_agents_of_reference_keep_their_moves() -> None:
    loud, mute = make_reference(), make_reference(builtin_symbols=False)
    assert loud.roles[0].action_space == spaces.Discrete(50) and mute.roles[0].action_space == spaces.Discrete(5)
    for env, action in ((loud, 3 + 5 * 7), (mute, 3)):
        env.reset()
        step = env.step({"agent": torch.full((1, 2), action)})
        assert (step.observations["agent"][0, :, 1] < 0).all()  # both moved down
        assert step.observations["agent"][0, 0, 11:].argmax() == (7 if env is loud else 0)


def test_continuous_actions_are_taken_with_builtin_symbols_only() -> None:
    env = make_speaker_listener(env_settings={"continuous_actions": True})
    assert [role.action_space.shape for role in env.roles] == [(3,), (5,)]
    env.reset()
    env.step({"speaker": torch.full((1, 1, 3), 2.0), "listener": torch.zeros(1, 1, 5)})  # clipped to the bounds
    with pytest.raises(ValueError, match="continuous_actions"):
        make_speaker_listener(builtin_symbols=False, env_settings={"continuous_actions": True})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__
    monkeypatch.setattr("importlib.import_module", lambda name: real("no_such_package_at_all"))
    with pytest.raises(ImportError, match=r"heliograph\[envs\]"):
        make_reference()
