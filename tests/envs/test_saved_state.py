"""Saved states: those of today and those that were written when environments kept their state in attributes."""

import pathlib
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph import CommPPOConfig, LocalTrainer, registry
from heliograph.envs.base import TeamEnv
from heliograph.envs.combat import Combat
from heliograph.envs.identity import Identity
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.storage.state_file import read_state
from heliograph.testing import random_actions
from heliograph.types import TeamStep

OLDER = pathlib.Path(__file__).parent / "older"
"""Files that were written before environments had a state, with what came afterwards."""


@pytest.fixture(scope="module")
def older() -> dict[str, Any]:
    return read_state(OLDER / "env_states.safetensors")


def played(env: TeamEnv, step: TeamStep, *, steps: int) -> list[TeamStep]:
    generator, shown = torch.Generator().manual_seed(5), []
    for _ in range(steps):
        step = env.step(random_actions(env, step=step, generator=generator))
        shown.append(step)
    return shown


OLDER_ENVS = sorted(read_state(OLDER / "env_states.safetensors"))
"""The environments that there were then."""


def test_no_older_environment_is_gone() -> None:
    assert set(OLDER_ENVS) <= set(registry.names("env"))


@pytest.mark.parametrize("name", OLDER_ENVS)
def test_an_older_state_goes_on_bit_by_bit(name: str, older: dict[str, Any]) -> None:
    found = older[name]
    env = registry.load("env", name)(num_envs=3, seed=99, **found["settings"])
    env.set_state(found["state"])
    assert_same(played(env, env.view(), steps=12), found)


@pytest.mark.parametrize("name", OLDER_ENVS)
def test_episodes_are_those_of_before(name: str, older: dict[str, Any]) -> None:
    """Random numbers are drawn in the order in which they always were."""
    found = older[name]
    env = registry.load("env", name)(num_envs=3, seed=7, **found["settings"])
    steps = played(env, env.reset(), steps=4)
    assert_same(played(env, steps[-1], steps=12), found)


def assert_same(steps: list[TeamStep], found: dict[str, Tensor]) -> None:
    assert torch.equal(torch.stack([step.rewards for step in steps]), found["rewards"])
    assert torch.equal(torch.stack([step.episode_over for step in steps]), found["over"])
    assert torch.equal(torch.stack([step.meaning for step in steps]), found["meaning"])
    assert torch.equal(torch.stack([step.state.double().sum(1) for step in steps]), found["shown"])


def test_a_run_is_resumed_from_an_older_checkpoint() -> None:
    config = (
        CommPPOConfig()
        .environment("predator_prey", env_config={"size": 3, "predators": 2})
        .communication(model="cnet", model_settings={"size": 4}, channel="dru")
        .env_runners(num_envs_per_env_runner=4, rollout_fragment_length=5, batch_mode="truncate_episodes")
        .training(train_batch_size_per_learner=20, minibatch_size=20, num_epochs=1)
        .debugging(seed=3)
    )
    trainer = LocalTrainer(config)
    trainer.restore(OLDER / "trainer_state.safetensors")
    returns = [trainer.train().env_runner["episode_return_mean"] for _ in range(4)]
    assert returns == pytest.approx([-0.3, -0.325, -0.55, -0.6], abs=1e-5)  # as the run went on then
    trainer.stop()


def test_states_in_states_are_saved_by_their_path() -> None:
    env = Combat(num_envs=2)
    env.reset()
    saved = env.get_state()
    assert set(saved["tensors"]) == {"time", *(f"units.{n}" for n in ("row", "column", "health", "cooldown", "fallen"))}
    assert torch.equal(saved["tensors"]["units.row"], env.state.units.row)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Combat(num_envs=2), r"no 'units\.row'.*another environment"),
        (Identity(num_envs=3), r"saved 'value' has shape \[2, 2\], not \[3, 2\]: num_envs"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(other: TeamEnv, words: str) -> None:
    env = Identity(num_envs=2)
    env.reset()
    with pytest.raises(ValueError, match=words):
        other.set_state(env.get_state())


def test_planned_starts_are_saved() -> None:
    visits = torch.tensor([[2, 1, 0, 0, 0, 1]])
    env, other = SwitchRiddle(), SwitchRiddle(seed=5)
    env.fix_visits(visits)
    other.set_state(pickle.loads(pickle.dumps(env.get_state())))
    other.reset()
    assert torch.equal(other.visits, visits)
    with pytest.raises(RuntimeError, match="reset"):
        SwitchRiddle().visits  # noqa: B018 - read for its error
