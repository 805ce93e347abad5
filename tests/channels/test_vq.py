"""Vector quantisation by hand: nearest directions, both gradients, and what is expected."""

import math

import pytest
import torch

from heliograph.channels.vq import VQ
from heliograph.types import Choice, MessageForm


def four_winds(**settings: object) -> VQ:
    """East, north, west and south, of any length."""
    channel = VQ(codes=4, size=2, **settings)
    with torch.no_grad():
        channel.codes.copy_(torch.tensor([[2.0, 0.0], [0.0, 0.5], [-1.0, 0.0], [0.0, -3.0]]))
    return channel


def send(channel: VQ, channel_input: torch.Tensor, form: MessageForm = MessageForm.TRAINING):
    draw = torch.zeros(*channel_input.shape[:-1], channel.length, channel.size)
    return channel.send(channel_input, draw=draw, form=form)[0]


@pytest.mark.parametrize("form", MessageForm)
def test_the_nearest_direction_travels(form: MessageForm) -> None:
    message = send(four_winds(), torch.tensor([[5.0, 4.0], [-0.01, 0.002], [1.0, -100.0]]), form)
    assert message.symbols.flatten().tolist() == [0, 2, 3]
    expected = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]])
    assert torch.allclose(message.payload, expected, atol=1e-6)
    assert message.bits.tolist() == [2.0, 2.0, 2.0]


def test_noise_turns_intents_in_training_only() -> None:
    channel, channel_input = four_winds(noise_std=1.0), torch.tensor([[1.0, 0.0]])
    draw = torch.tensor([[[0.0, 3.0]]])
    said = {form: channel.send(channel_input, draw=draw, form=form)[0].symbols.item() for form in MessageForm}
    assert said == {MessageForm.TRAINING: 1, MessageForm.EXECUTION: 0}
    drawn = channel.sample(torch.zeros(4000, 2), generator=None, choice=Choice.SAMPLED)
    assert drawn.std().item() == pytest.approx(1.0, abs=0.05)
    assert not channel.sample(torch.zeros(3, 2), generator=None, choice=Choice.GREEDY).any()


def test_speaker_and_codes_both_learn_in_training_and_only_along_the_circle() -> None:
    channel, channel_input = four_winds(), torch.tensor([[3.0, 4.0]], requires_grad=True)
    wanted = torch.tensor([[1.0, 0.0]])
    (send(channel, channel_input).payload * wanted).sum().backward()
    # d cos / d input = (1 - 0.6^2) / 5 and -0.6 * 0.8 / 5; the code that travels is north, at right angles to it
    assert torch.allclose(channel_input.grad, torch.tensor([[0.64, -0.48]]) / 5, atol=1e-6)
    assert torch.allclose(channel.codes.grad, torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), atol=1e-5)


def test_odds_and_what_travels_on_average() -> None:
    channel = four_winds(temperature=0.5)
    odds = channel.symbol_log_probs(torch.tensor([7.0, 0.0])).exp().flatten().detach()
    weights = [math.exp(2.0), 1.0, math.exp(-2.0), 1.0]
    assert odds.tolist() == pytest.approx([w / sum(weights) for w in weights], rel=1e-5)
    expected = channel.expected_payload(torch.tensor([7.0, 0.0])).detach()
    assert expected.tolist() == pytest.approx([float(odds[0] - odds[2]), 0.0], abs=1e-6)


def test_words_of_several_codes_and_the_next_code() -> None:
    channel = four_winds(length=2)
    message = send(channel, torch.tensor([[1.0, 0.0, 0.0, -1.0]]))
    assert message.symbols.tolist() == [[0, 3]] and channel.bits_per_message == 4.0
    shifted = channel.shifted(message.payload, torch.tensor([[1, 2]]))
    assert torch.allclose(shifted, torch.tensor([[0.0, 1.0, 0.0, 1.0]]), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"codes": 1}, "codes=1"), ({"size": 1}, "size=1"), ({"noise_std": -1.0}, "noise_std=-1.0"),
     ({"temperature": 0.0}, "temperature=0.0"), ({"length": 0}, "length=0")],
)  # fmt: skip
def test_bad_settings_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VQ(**settings)
