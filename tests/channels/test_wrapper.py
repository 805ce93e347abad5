"""The base of wrappers: whatever one does not change is that of the wrapped channel, and nothing hides inside."""

import inspect

import pytest
import torch

from heliograph import registry
from heliograph.channels.base import Channel
from heliograph.channels.wrapper import Wrapper
from heliograph.experiments.choices import build_channel
from heliograph.types import Choice, Gradient, MessageForm, Tree, tensors_of
from tests.parts import CHANNELS, wraps

PLAIN = [name for name in CHANNELS if "+" not in name]
WRAPPERS = [name for name in registry.names("channel") if wraps(name)]


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Untouched(Wrapper):
    """Changes nothing."""

    def draw_own(
        self, channel_input: torch.Tensor, *, generator: torch.Generator | None, choice: Choice
    ) -> dict[str, Tree]:
        return {}


def said_on(channel: Channel, channel_input: torch.Tensor) -> list[torch.Tensor]:
    """Everything that a channel makes of a channel input."""
    draw = channel.sample(channel_input, generator=stream(), choice=Choice.SAMPLED)
    found: list[Tree] = [channel.babble(channel_input, generator=stream()), channel.expected_bits(channel_input)]
    for form in MessageForm:
        message, state = channel.send(channel_input, draw=draw, form=form)
        speaking = torch.arange(3).expand(5, 3) != 1
        found += [message, channel.transit(message, speaking=speaking, draw=draw, state=state)[0]]
    if channel.scored:
        found += [channel.log_prob(channel_input, draw), channel.entropy(channel_input)]
    if channel.vocabulary is not None:
        shift = torch.ones(5, 3, channel.length, dtype=torch.long)
        found += [channel.symbol_log_probs(channel_input), channel.shifted(message.payload, shift)]
    return tensors_of([*found, channel.expected_payload(channel_input)])


@pytest.mark.parametrize("name", PLAIN)
def test_what_a_wrapper_does_not_change_is_that_of_the_wrapped_channel(name: str) -> None:
    channel = build_channel(*CHANNELS[name])
    wrapped = Untouched(channel)
    shown = ("input_size", "payload_size", "vocabulary", "length", "bits_per_message", "gradient", "scored")
    for attribute in (*shown, "can_be_silent", "word_size", "alphabet", "delay_env_steps"):
        assert getattr(wrapped, attribute) == getattr(channel, attribute), attribute
    channel_input = torch.randn(5, 3, channel.input_size, generator=stream())
    for mine, theirs in zip(said_on(wrapped, channel_input), said_on(channel, channel_input), strict=True):
        assert torch.equal(mine, theirs)
    assert wrapped.initial_state(2, 3, torch.device("cpu")) is None
    assert list(wrapped.state_dict()) == [f"inner.{key}" for key in channel.state_dict()]


def test_what_arrives_is_by_default_all_that_was_said() -> None:
    channel = build_channel("dru", {})
    channel_input, speaking = torch.randn(4, 3, 2, generator=stream()), torch.rand(4, 3, generator=stream()) < 0.5
    draw = channel.sample(channel_input, generator=stream(), choice=Choice.SAMPLED)
    message, _ = channel.send(channel_input, draw=draw, form=MessageForm.TRAINING)
    arrivals, state = channel.transit(message, speaking=speaking, draw=draw)
    assert state is None and torch.equal(arrivals.mask, speaking)
    assert torch.equal(arrivals.payload, message.payload) and torch.equal(arrivals.bits, message.bits)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_is_final_and_its_bases_are_abstract(name: str) -> None:
    bases = [cls for cls in inspect.getmro(registry.load("channel", name))[1:] if issubclass(cls, Channel)]
    assert bases[0] is Wrapper and all(inspect.isabstract(cls) for cls in bases)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_shares_no_setting_with_another_channel(name: str) -> None:
    """A setting goes to every part that knows it, so wrappers use words of their own."""
    mine = set(registry.settings_of(registry.load("channel", name)))
    for other in set(registry.names("channel")) - {name}:
        assert not mine & set(registry.settings_of(registry.load("channel", other))), other


def test_the_state_dict_of_wrapped_channels_is_that_of_the_innermost() -> None:
    channel = build_channel("garbled+gated+symbols", {"gradient": "gumbel"})
    assert list(channel.state_dict()) == ["inner.inner.temperature"]


@pytest.mark.parametrize("inner", ["dru", "symbols", "continuous"])
def test_garbled_over_gated(inner: str) -> None:
    """Hearers get noise, half of it silent; the gates are still scored, and what was said is still recorded."""
    garbled = build_channel(f"garbled+gated+{inner}", {})
    gated = garbled.inner
    assert garbled.scored and garbled.can_be_silent and garbled.input_size == gated.inner.input_size + 2
    channel_input = torch.randn(400, 3, garbled.input_size, generator=stream(), requires_grad=True)
    draw = garbled.sample(channel_input, generator=stream(1), choice=Choice.SAMPLED)
    heard, _ = garbled.send(channel_input, draw=draw, form=MessageForm.TRAINING)
    said, _ = gated.send(channel_input, draw=draw["said"], form=MessageForm.TRAINING)
    assert torch.equal(heard.symbols, said.symbols) and torch.equal(heard.bits, said.bits)
    assert not heard.payload.requires_grad
    assert torch.equal(garbled.log_prob(channel_input, draw), gated.log_prob(channel_input, draw["said"]))
    assert torch.equal(garbled.entropy(channel_input), gated.entropy(channel_input))
    assert garbled.gradient is (Gradient.ACTION if inner == "symbols" else Gradient.PATHWISE)
    open_gate, loud = said.bits > 0, heard.payload.abs().sum(-1) > 0
    assert 0.3 < open_gate.float().mean() < 0.7
    both = torch.corrcoef(torch.stack([open_gate.flatten().float(), loud.flatten().float()]))[0, 1]
    assert abs(both) < 0.1, "what is heard tells whether anything was said"
