"""Noise on the way: how often symbols are mistaken, for which, and who still learns through it."""

import math
from collections.abc import Callable

import pytest
import torch

from heliograph.channels.base import Channel
from heliograph.channels.continuous import Continuous
from heliograph.channels.dru import DRU
from heliograph.channels.noisy import Noisy
from heliograph.channels.symbols import Symbols
from heliograph.experiments.choices import build_channel
from heliograph.types import Choice, MessageForm


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sent(channel: Channel, channel_input: torch.Tensor, *, form: MessageForm = MessageForm.EXECUTION):
    draw = channel.sample(channel_input, generator=stream(), choice=Choice.GREEDY)
    return channel.send(channel_input, draw=draw, form=form)[0]


def test_a_symbol_is_mistaken_for_each_other_one_equally_often() -> None:
    """Of four symbols with flip=0.3 the one that was said is heard in 70 %, each of the others in 10 %."""
    channel = Noisy(Symbols(vocabulary=4, length=2), flip=0.3)
    channel_input = torch.tensor([0.0, 0, 5, 0, 5, 0, 0, 0]).expand(20_000, 1, 8)
    message = sent(channel, channel_input)
    assert (message.symbols == torch.tensor([2, 0])).all(), "what was said is not what is reported"
    shares = message.payload.view(-1, 2, 4).mean(0)
    expected = torch.tensor([[0.1, 0.1, 0.7, 0.1], [0.7, 0.1, 0.1, 0.1]])
    assert torch.allclose(shares, expected, atol=4 * math.sqrt(0.21 / 20_000))
    first, second = (message.payload.view(-1, 2, 4).argmax(-1) != torch.tensor([2, 0])).float().unbind(-1)
    assert (first * second).mean() == pytest.approx(0.09, abs=0.01), "places are mistaken independently"
    assert (message.bits == 4.0).all()


def test_bits_are_flipped_in_either_form() -> None:
    channel = Noisy(DRU(bits=2, sigma=0.0, limit=None), flip=0.2)
    channel_input = torch.tensor([math.log(3), -math.log(3)]).expand(20_000, 1, 2)
    soft, hard = (sent(channel, channel_input, form=form).payload for form in MessageForm)
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert hard[:, 0, 0].mean() == pytest.approx(0.8, abs=0.012) and hard[:, 0, 1].mean() == pytest.approx(
        0.2, abs=0.012
    )
    assert torch.allclose(soft, torch.where(hard > 0.5, 0.75, 0.25)), "a soft bit is flipped as a whole"


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_never_and_always(flip: float) -> None:
    channel = Noisy(Symbols(vocabulary=3), flip=flip)
    channel_input = 9 * torch.nn.functional.one_hot(torch.randint(3, (500, 1), generator=stream()), 3).float()
    message = sent(channel, channel_input)
    assert ((message.payload.argmax(-1, keepdim=True) == message.symbols) == (flip == 0)).all()


def test_vectors_get_gaussian_noise_in_either_form() -> None:
    channel = Noisy(Continuous(size=2, noise_std=0.0), heard_sigma=0.5)
    channel_input = torch.tensor([0.0, 1.0]).expand(20_000, 1, 2)
    for form in MessageForm:
        error = sent(channel, channel_input, form=form).payload - torch.tanh(channel_input)
        assert error.mean().abs() < 0.02 and error.std() == pytest.approx(0.5, abs=0.02)
    by_hand, _ = channel.send(
        torch.zeros(1, 1, 2),
        draw={"said": torch.zeros(1, 1, 2), "noise": torch.tensor([[[1.0, -2.0]]])},
        form=MessageForm.EXECUTION,
    )
    assert by_hand.payload.tolist() == [[[0.5, -1.0]]]


def test_gradients_pass_with_the_sign_that_was_heard() -> None:
    channel = Noisy(DRU(bits=1, sigma=0.0, limit=None), flip=0.5)
    channel_input = torch.zeros(2, 1, 1, requires_grad=True)
    draw = {"said": torch.zeros(2, 1, 1), "shift": torch.tensor([[[0]], [[1]]])}
    message, _ = channel.send(channel_input, draw=draw, form=MessageForm.TRAINING)
    (slope,) = torch.autograd.grad(message.payload.sum(), channel_input)
    assert slope.flatten().tolist() == [0.25, -0.25]


@pytest.mark.parametrize("name", ["noisy+gated+symbols", "noisy+gated+dru", "noisy+gated+continuous"])
def test_silence_stays_silence(name: str) -> None:
    channel = build_channel(name, {} if "continuous" in name else {"flip": 1.0})
    channel_input = torch.randn(500, 2, channel.input_size, generator=stream())
    message = sent(channel, channel_input, form=MessageForm.TRAINING)
    silent = message.bits == 0
    assert silent.any() and (message.payload[silent] == 0).all()
    plain = sent(channel.inner, channel_input, form=MessageForm.TRAINING)
    assert torch.equal(plain.symbols, message.symbols)
    assert (message.payload != plain.payload).any(-1)[~silent].all()


def test_noise_inside_a_gate_and_inside_garbling() -> None:
    channel = build_channel("garbled+gated+noisy+symbols", {"vocabulary": 3, "flip": 1.0})
    assert (channel.vocabulary, channel.alphabet, channel.input_size) == (4, 3, 5)
    channel_input = torch.randn(100, 2, 5, generator=stream())
    draw = channel.sample(channel_input, generator=stream(), choice=Choice.SAMPLED)
    assert set(draw) == {"said", "heard"} and set(draw["said"]) == {"said", "gate"}
    assert set(draw["said"]["said"]) == {"said", "shift"}
    gated, _ = channel.inner.send(channel_input, draw=draw["said"], form=MessageForm.EXECUTION)
    said, opened = draw["said"]["said"]["said"], draw["said"]["gate"].bool()
    assert torch.equal(gated.symbols[opened], said[opened] + 1)
    assert (gated.payload[opened].argmax(-1) != said[opened][..., 0]).all()


def test_what_travels_on_average() -> None:
    channel = Noisy(Symbols(vocabulary=3), flip=0.5)
    channel_input = torch.tensor([[0.6, 0.3, 0.1]]).log()
    assert channel.expected_payload(channel_input)[0].tolist() == pytest.approx([0.4, 0.325, 0.275])
    assert channel.symbol_log_probs(channel_input).exp().flatten().tolist() == pytest.approx([0.6, 0.3, 0.1])


def levels() -> Channel:
    """Symbols that travel as numbers, not as one-hot vectors, and do not say how another would."""
    channel = Symbols(vocabulary=3)
    channel.payload_size = 1
    return channel


@pytest.mark.parametrize(
    ("inner", "settings", "words"),
    [
        (Symbols, {"flip": 1.1}, "flip=1.1: must be a finite number of at least 0 and of at most 1"),
        (DRU, {"flip": -0.1}, "flip=-0.1"),
        (DRU, {"flip": float("nan")}, "flip=nan"),
        (Continuous, {"heard_sigma": -1.0}, "heard_sigma=-1.0"),
        (Symbols, {"heard_sigma": 0.1}, "carries symbols, whose noise is set by flip"),
        (Continuous, {"flip": 0.1}, "carries vectors, whose noise is set by heard_sigma"),
        (levels, {}, "Symbols does not say its symbols as one-hot vectors: it needs `shifted`"),
    ],
)
def test_bad_settings_are_refused(inner: Callable[[], Channel], settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Noisy(inner(), **settings)
