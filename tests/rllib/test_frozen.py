"""What a frozen policy teaches: hearers whose weights stay teach speakers through the channel, rivals never."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph import registry
from heliograph.experiments.choices import build_channel, resolve
from heliograph.experiments.settings import settings_from
from heliograph.functional import counted_losses
from heliograph.rllib.alternating import Alternating
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of
from heliograph.types import Gradient
from tests.parts import CHANNELS

LEARN_ONCE = {
    "ppo": {"num_epochs": 1, "minibatch_size": None, "vf_loss_coeff": 0.0, "normalise_advantages": False},
    "a2c": {"vf_loss_coeff": 0.0, "normalise_advantages": False},
    "qlearning": {},
}
"""One step on a whole batch, by nothing but what the agents do."""
PATHWISE = [
    key
    for key, (name, own) in CHANNELS.items()
    if build_channel(name, own).gradient is Gradient.PATHWISE and ("+" not in name or "gated" in name)
    if not {"garbled", "delayed"} & set(name.split("+"))
]
FROZEN: dict[str, Any] = {
    "list": ["speaker"],
    "function": lambda policy, batch: policy == "speaker",
    "by turns": Alternating(["speaker", "listener"], num_env_steps=10**6),
}


def trainer(algorithm: str, *, channel: str = "dru", trained: Any = None, **env: Any) -> LocalTrainer:
    """A small team; `trained` are the policies that learn (None: all)."""
    name, own = CHANNELS[channel]
    config = resolve("algorithm", algorithm)().environment("speaker_listener", env_config=env)
    config.communication(model="cnet", model_settings={"size": 16}, channel=name, channel_settings=own)
    config.training(**LEARN_ONCE[algorithm], grad_clip=None).debugging(seed=0)
    if algorithm != "qlearning":
        config.training(train_batch_size_per_learner=256)
    config.env_runners(num_envs_per_env_runner=32)
    return LocalTrainer(config.multi_agent(policies_to_train=trained) if trained is not None else config)


def head_gradient(one: LocalTrainer) -> Tensor:
    """The gradient at the speaker's message head after one update."""
    one.train()
    message_encoder = one.team.policies["speaker"].message_encoder
    assert message_encoder is not None
    return torch.cat([p.grad.flatten() for p in message_encoder.parameters() if p.grad is not None])


@pytest.mark.parametrize("trained", FROZEN.values(), ids=FROZEN)
@pytest.mark.parametrize("algorithm", LEARN_ONCE)
def test_a_frozen_listener_gives_its_speaker_the_gradient_that_a_learning_one_gives(
    algorithm: str, trained: Any
) -> None:
    expected = head_gradient(trainer(algorithm, rounds=2))
    one = trainer(algorithm, trained=trained, rounds=2)
    before = copy.deepcopy(one.learner.module["listener"].state_dict())
    found = head_gradient(one)
    assert found.abs().max() > 0
    if algorithm != "qlearning":  # whose frozen listener normalises what it hears by its running statistics
        torch.testing.assert_close(found, expected)
    assert all(torch.equal(value, before[key]) for key, value in one.learner.module["listener"].state_dict().items())


@pytest.mark.parametrize("channel", PATHWISE)
def test_every_pathwise_channel_carries_it(channel: str) -> None:
    assert head_gradient(trainer("ppo", channel=channel, trained=["speaker"])).abs().max() > 0


@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_a_fresh_speaker_learns_the_code_of_a_frozen_listener(algorithm: str) -> None:
    recipe = registry.load("recipe", "speaker_listener_dru")().settings
    changed = {"seed": 3, "algorithm": algorithm, "load_policies": {"listener": "recipe:speaker_listener_dru"}}
    if algorithm == "a2c":
        batch = {"train_batch_size_per_learner": 512, "num_envs_per_env_runner": 256}
        changed["algorithm_settings"] = {**batch, "lr": 4e-3}
    config = config_of(settings_from({**recipe, **changed})).multi_agent(policies_to_train=["speaker"])
    one = LocalTrainer(config)
    listener = copy.deepcopy(one.team.policies["listener"].state_dict())
    returns = [one.train().env_runner["episode_return_mean"] for _ in range(15 if algorithm == "ppo" else 60)]
    assert returns[0] < 0.2
    assert max(returns[-5:]) > 0.9
    assert all(torch.equal(value, listener[key]) for key, value in one.team.policies["listener"].state_dict().items())


def test_whose_losses_count_by_hand() -> None:
    """Agents 0 to 2 are one team and 3, 4 another; 0 learns and talks, 2 has no ears, 4 learns and is mute."""
    trained = torch.tensor([True, False, False, False, True])
    talks = torch.tensor([True, True, False, True, False])
    counted = counted_losses(trained, talks=talks, team_of_agent=torch.tensor([0, 0, 0, 1, 1]))
    assert counted.tolist() == [True, True, False, False, True]


def test_nobody_is_his_own_teacher_and_all_that_learn_count() -> None:
    talks, alone = torch.ones(2, 3, dtype=torch.bool), torch.tensor([[False, True, False], [False, False, False]])
    counted = counted_losses(alone, talks=talks, team_of_agent=torch.tensor([0, 1, 1]))
    assert counted.tolist() == [[False, True, True], [False, False, False]]
    everyone = torch.ones(3, dtype=torch.bool)
    assert counted_losses(everyone, talks=~everyone, team_of_agent=torch.tensor([0, 1, 2])).all()
