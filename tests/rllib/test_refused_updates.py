"""Updates that would teach nothing, or something else than what was done, are errors."""

from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph.envs.base import Outcome
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.models.cnet import CNet
from heliograph.rllib.a2c import CommA2CConfig
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.qlearning import CommDQNConfig
from heliograph.rllib.replaying import MOST_RATIO_ERROR
from heliograph.rllib.runs.local import LocalTrainer


def config(algorithm: type[CommunicationConfig] = CommPPOConfig, **chosen: Any) -> Any:
    """A small team in batches of 64 env steps."""
    found = algorithm().environment(chosen.pop("env", "speaker_listener"))
    found.communication(**{"model": "cnet", "model_settings": {"size": 16}, **chosen})
    if algorithm is CommPPOConfig:
        found.training(minibatch_size=32)
    if algorithm is not CommDQNConfig:
        found.training(train_batch_size_per_learner=64)
    return found.env_runners(num_envs_per_env_runner=16).debugging(seed=0)


def weights(trainer: LocalTrainer) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in trainer.team.state_dict().items()}


class Gradless(SpeakerListener):
    """Switches gradients off and leaves them so."""

    def advance(self, state: Any, actions: dict[str, Tensor]) -> tuple[Any, Outcome]:
        torch.set_grad_enabled(False)
        return super().advance(state, actions)


@pytest.mark.filterwarnings("ignore:step.. of .*Gradless changed gradients:UserWarning")
@pytest.mark.parametrize("algorithm", [CommPPOConfig, CommA2CConfig])
def test_an_environment_that_leaves_gradients_off_changes_nothing(algorithm: type[CommunicationConfig]) -> None:
    found = []
    for env in (SpeakerListener, Gradless):
        trainer = LocalTrainer(config(algorithm, env=env))
        before = weights(trainer)
        norms = [trainer.train().learner["gradient_norm"] for _ in range(3)]
        assert min(norms) > 0
        found.append(weights(trainer))
        assert any(not torch.equal(value, before[key]) for key, value in found[-1].items())
    assert all(torch.equal(value, found[1][key]) for key, value in found[0].items())


class Detached(CNet):
    """A network that no gradient leaves."""

    def act(self, hidden: Tensor) -> Tensor:
        return super().act(hidden.detach()).detach()


def test_a_gradient_of_exactly_zero_is_an_error() -> None:
    trainer = LocalTrainer(config(CommDQNConfig, model=Detached, channel="dru"))
    with pytest.raises(ValueError, match=r"exactly 0.*these are to be trained: speaker, listener"):
        trainer.train()


def test_a_policy_that_neither_acts_nor_is_heard_cannot_be_trained_alone() -> None:
    settings = config(CommDQNConfig, channel="none").multi_agent(policies_to_train=["speaker"])
    with pytest.raises(ValueError, match="neither act nor are heard"):
        LocalTrainer(settings).train()


def test_a_batch_in_which_no_outcome_is_known_yet_is_none() -> None:
    settings = config(CommA2CConfig).environment("speaker_listener", env_config={"rounds": 2})
    settings.env_runners(rollout_fragment_length=1).training(train_batch_size_per_learner=16)
    trainer = LocalTrainer(settings)
    norms = [trainer.train().learner["gradient_norm"] for _ in range(2)]
    assert norms[0] == 0.0


class Moody(CNet):
    """Acts otherwise whenever it is asked."""

    asked = 0

    def act(self, hidden: Tensor) -> Tensor:
        self.asked += 1
        return super().act(hidden) + 0.5 * self.asked * torch.arange(self.spec.action_inputs)


@pytest.mark.parametrize("algorithm", [CommPPOConfig, CommA2CConfig])
def test_what_is_replayed_otherwise_than_it_was_sampled_is_refused(algorithm: type[CommunicationConfig]) -> None:
    trainer = LocalTrainer(config(algorithm, model=Moody))
    before = weights(trainer)
    with pytest.raises(ValueError, match=r"policy 'listener' finds the action of agent 'listener_0' in step 1 "):
        trainer.train()
    assert all(torch.equal(value, before[key]) for key, value in weights(trainer).items()), "no step was made"


class Mumbling(CNet):
    """Says something else whenever it is asked."""

    asked = 0

    def speak(self, hidden: Tensor, *, round_index: int = 0) -> Tensor:
        self.asked += 1
        return super().speak(hidden, round_index=round_index) + self.asked * torch.linspace(-1, 1, self.message_size)


def test_messages_that_are_replayed_otherwise_are_named_as_messages() -> None:
    trainer = LocalTrainer(config(model=Mumbling, channel="symbols"))
    with pytest.raises(ValueError, match=r"policy 'speaker' finds the message of agent 'speaker_0' in step 0 "):
        trainer.train()


def test_rounding_is_far_below_the_limit() -> None:
    errors = [LocalTrainer(config(channel=x)).train().learner["first_ratio_error"] for x in ("dru", "symbols")]
    assert max(errors) < MOST_RATIO_ERROR / 100
