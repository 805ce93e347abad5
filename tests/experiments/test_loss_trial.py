"""Losses are called once before training: what does not fit is refused, and nothing else changes."""

import random
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from heliograph.channels.base import Channel, full_bits
from heliograph.experiments.choices import EnvChoice, TeamChoices
from heliograph.experiments.compatibility import rehearse
from heliograph.functional import straight_through
from heliograph.losses.base import AuxiliaryLoss, LossBatch
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.types import Choice, Gradient, Message, MessageForm, Tree

ENV = EnvChoice(env="speaker_listener")


class Bits(Channel):
    """Symbols of whose odds it says nothing."""

    gradient = Gradient.PATHWISE

    def __init__(self) -> None:
        super().__init__(input_size=2, payload_size=2, vocabulary=2, length=2, bits_per_message=2.0)

    def sample(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> Tree:
        return None

    def send(self, channel_input: Tensor, *, draw: Tree, form: MessageForm, state: Tree = None) -> tuple[Message, Tree]:
        hard = (channel_input > 0).long()
        payload = straight_through(hard.float(), torch.sigmoid(channel_input))
        return Message(payload=payload, symbols=hard, bits=full_bits(channel_input, 2.0)), state

    def babble(self, like: Tensor, *, generator: torch.Generator | None) -> Message:
        hard = torch.randint(2, like.shape, generator=generator)
        return Message(payload=hard.float(), symbols=hard, bits=full_bits(like, 2.0))


def config(*losses: Any, channel: Any = Bits) -> CommPPOConfig:
    return CommPPOConfig().environment("speaker_listener").communication(channel=channel, losses=list(losses))


def test_a_loss_that_asks_a_channel_for_what_it_has_not_is_refused_before_training() -> None:
    words = r"loss 'positive_signalling' .*channel=Bits.*Bits does not say how likely its symbols are: fill in symbol_"
    with pytest.raises(ValueError, match=words) as told:
        config("positive_signalling").validate()
    assert "or leave the loss out" in str(told.value)


def fails(batch: LossBatch) -> Tensor:
    return batch.unrolled.messages[1].payload.mean()


def vector(batch: LossBatch) -> Tensor:
    return batch.unrolled.messages[0].payload.mean(-1)


def number(batch: LossBatch) -> float:
    return 0.0


def ends(batch: LossBatch) -> Tensor:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (fails, "loss 'fails' cannot be computed with channel='dru' (DRU), model='cnet': IndexError"),
        (vector, "loss 'vector' returned a tensor of shape [2, 2, 2] and dtype torch.float32"),
        (number, "loss 'number' returned 0.0 with channel='dru'"),
        (ends, "sys.exit(3) was called in the first call of loss 'ends'"),
    ],
)
def test_functions_are_called_too(loss: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        rehearse(ENV, TeamChoices(channel="dru"), [(loss, {})])


class Restless(AuxiliaryLoss):
    """Asks for gradients, draws from every stream of the process, and moves weights and statistics."""

    calls = 0

    def __init__(self, team: Any):
        super().__init__(team)
        self.norm = nn.BatchNorm1d(team.channel.payload_size)

    def forward(self, batch: LossBatch) -> Tensor:
        type(self).calls += 1
        payload = batch.unrolled.messages[0].payload
        (felt,) = torch.autograd.grad(
            payload.sum(), batch.team.policies["speaker"].message_encoder.weight, retain_graph=True
        )
        noise = random.random() + np.random.rand() + torch.rand(())
        with torch.no_grad():
            for weight in batch.team.parameters():
                weight.add_(noise)
        return self.norm(payload.flatten(0, 2)).square().mean() + felt.square().mean()


def test_random_streams_and_weights_stay_as_they_were() -> None:
    plain = rehearse(ENV, TeamChoices(channel="dru"))
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    called = Restless.calls
    team = rehearse(ENV, TeamChoices(channel="dru"), [(Restless, {})])
    assert Restless.calls == called + 1
    assert random.getstate() == before[0] and np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    for one, other in zip(team.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other) and one.grad is None
