"""Gates: what is not sent is zeros and costs nothing; the choice is an action, the message keeps its own gradient."""

import math

import pytest
import torch

from heliograph.channels.continuous import Continuous
from heliograph.channels.dru import DRU
from heliograph.channels.gated import Gated
from heliograph.channels.symbols import Symbols
from heliograph.envs.identity import Identity
from heliograph.experiments.choices import TeamChoices, build_team, facts_of
from heliograph.models.ic3net import IC3Net
from heliograph.rollouts.sampler import Sampler
from heliograph.team.act import encoded
from heliograph.team.step import offered
from heliograph.types import Choice, Gradient, MessageForm

OPEN, CLOSED = [-50.0, 50.0], [50.0, -50.0]


def channel_inputs(*gates: list[float]) -> torch.Tensor:
    """One copy, a speaker each, who all mean to say (1, -1)."""
    return torch.tensor([[[1.0, -1.0, *gate] for gate in gates]])


def test_a_closed_gate_lets_nothing_through() -> None:
    channel = Gated(Continuous(size=2, noise_std=0.0))
    assert (channel.input_size, channel.payload_size, channel.vocabulary, channel.length) == (4, 2, 2, 1)
    draw = channel.sample(channel_inputs(OPEN, CLOSED), generator=None, choice=Choice.SAMPLED)
    message, _ = channel.send(channel_inputs(OPEN, CLOSED), draw=draw, form=MessageForm.TRAINING)
    assert message.payload[0, 0].tolist() == pytest.approx([math.tanh(1), -math.tanh(1)])
    assert message.payload[0, 1].tolist() == [0, 0]
    assert message.symbols.tolist() == [[[1], [0]]] and message.bits.tolist() == [[64.0, 0.0]]


def test_symbols_of_the_wrapped_channel_come_after_silence() -> None:
    channel = Gated(DRU(bits=2))
    assert (channel.vocabulary, channel.length, channel.word_size) == (3, 2, 6)
    draw = channel.sample(channel_inputs(OPEN, CLOSED), generator=None, choice=Choice.GREEDY)
    message, _ = channel.send(channel_inputs(OPEN, CLOSED), draw=draw, form=MessageForm.EXECUTION)
    assert message.symbols.tolist() == [[[2, 1], [0, 0]]]
    chances = channel.symbol_log_probs(channel_inputs([0.0, 0.0])).exp()
    assert chances.shape == (1, 1, 2, 3) and torch.allclose(chances.sum(-1), torch.ones(1, 1, 2))
    assert chances[..., 0].tolist() == [[[0.5, 0.5]]]


def test_the_gate_is_scored_and_the_message_keeps_its_gradient() -> None:
    channel = Gated(Continuous(size=2))
    assert channel.gradient is Gradient.PATHWISE and channel.scored
    channel_input = channel_inputs([0.0, math.log(3)]).requires_grad_()
    draw = channel.sample(channel_input, generator=torch.Generator().manual_seed(0), choice=Choice.GREEDY)
    assert channel.log_prob(channel_input, draw).item() == pytest.approx(math.log(0.75))
    assert channel.entropy(channel_input).item() == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    message, _ = channel.send(channel_input, draw=draw, form=MessageForm.TRAINING)
    (through,) = torch.autograd.grad(message.payload.sum(), channel_input, retain_graph=True)
    assert bool((through[..., :2] > 0).all()) and through[..., 2:].abs().sum() == 0
    (scored,) = torch.autograd.grad(channel.log_prob(channel_input, draw).sum(), channel_input)
    assert scored[..., :2].abs().sum() == 0 and scored[0, 0, 2:].tolist() == pytest.approx([-0.25, 0.25])


def test_words_that_are_actions_are_scored_where_they_are_sent() -> None:
    channel = Gated(Symbols(vocabulary=2))
    channel_input = torch.zeros(1, 2, 4)
    draw = {"said": torch.zeros(1, 2, 1, dtype=torch.long), "gate": torch.tensor([[1, 0]])}
    assert channel.log_prob(channel_input, draw).tolist() == [pytest.approx([2 * math.log(0.5), math.log(0.5)])]
    assert channel.entropy(channel_input)[0].tolist() == pytest.approx([1.5 * math.log(2)] * 2)


def test_ic3net_hears_nothing_where_its_own_gate_was_closed() -> None:
    env = Identity(num_envs=64)
    choices = TeamChoices(
        model=IC3Net, model_settings={"size": 8}, channel="gated+continuous", channel_settings={"size": 8}
    )
    sampler = Sampler(env, build_team(choices, facts_of(env), seed=0), seed=0)
    sampler.fragment(3)
    step, state = sampler._now
    model = sampler.team.policies["agent"].model
    gates = state.last_message[..., 1]
    assert set(gates.unique().tolist()) == {0.0, 1.0}
    features = encoded(sampler.team, step, state)["agent"]
    assert torch.equal(features["took_part"][..., 0], gates)
    heard = sampler.team.policies["agent"].hear(*offered(state.inbox, sampler.team.layout.slots("agent")))
    loud = type(heard)(messages=heard.messages + 1, mask=torch.ones_like(heard.mask))
    one, two = (model.perceive(features, state.memory["agent"], h).hidden for h in (heard, loud))
    changed = (one != two).any(-1)
    assert not bool(changed[gates == 0].any()) and bool(changed[gates == 1].all())


def test_what_travels_on_average() -> None:
    channel = Gated(Symbols(vocabulary=2))
    channel_input = torch.tensor([[[0.0, math.log(3), 0.0, 0.0]]])
    assert channel.expected_payload(channel_input).flatten().tolist() == pytest.approx([0.125, 0.375])
