"""Channels carry what they claim: gradients, ratios, discrete forms, bits, draws that replay."""

import functools
import math

import pytest
import torch

from heliograph import registry
from heliograph.channels.base import Channel
from heliograph.channels.continuous import Continuous
from heliograph.channels.dru import DRU
from heliograph.channels.symbols import Symbols
from heliograph.experiments.choices import build_channel
from heliograph.testing import CHANNEL_CHECKS
from heliograph.types import Choice, Gradient, MessageForm
from tests.parts import CHANNELS, MODELS, make_sampler

each_channel = pytest.mark.parametrize("name", CHANNELS)
TALKING = [name for name in CHANNELS if name != "none"]
PLAYED = ("dru", "symbols-score", "continuous-pathwise", "none")
"""Channels on which the checks of models play every model."""
UNLIMITED = {"limit": None} if "limit" in registry.settings_of(DRU) else {}
BITS = {"continuous": 4 * 32.0, "dru": 2.0, "symbols": 2.0, "none": 0.0, "vq": 4.0}


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(name: str, **settings) -> Channel:
    channel, own = CHANNELS[name]
    torch.manual_seed(0)  # some have weights
    return build_channel(channel, {**own, **settings})


def channel_inputs(channel: Channel, *, batch: tuple[int, ...] = (64, 3)) -> torch.Tensor:
    return torch.randn(*batch, channel.input_size, generator=stream(), requires_grad=True)


def test_the_channels_of_this_package_are_exactly_these() -> None:
    assert registry.names("channel") == [
        "continuous", "delayed", "dru", "garbled", "gated", "limited", "lossy", "noisy", "none", "relabelled",
        "symbols", "vq",
    ]  # fmt: skip
    assert {"dru", "symbols-gumbel", "garbled+continuous-score"} <= set(CHANNELS)


# ---- what is shipped ----------------------------------------------------------------------------------------------


@each_channel
@pytest.mark.parametrize("check", CHANNEL_CHECKS)
def test_conformance(name: str, check: str) -> None:
    CHANNEL_CHECKS[check](functools.partial(build_channel, *CHANNELS[name]))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (m, c)
        for m in MODELS
        for c in CHANNELS
        if c not in PLAYED and (m in ("chatter", "ic3net") or ("+" not in c and m not in ("cnet", "commnet")))
    ],
)
def test_the_first_ratio_is_one(model: str, name: str) -> None:
    """Of pairs that neither the checks of channels nor those of models play."""
    sampler = make_sampler("speaker_listener", model=MODELS[model], channel=name)
    sampler.fragment(3)
    rollout = sampler.fragment(8)
    unrolled = sampler.team.unroll(rollout)
    for term in ("action_log_prob", "message_log_prob"):
        ratio = (getattr(unrolled, term) - getattr(rollout, term)).exp()
        assert (ratio - 1).abs().max() <= 1e-5, term


@each_channel
def test_bits_of_one_message(name: str) -> None:
    plain, channel = name.removeprefix("garbled+").split("-")[0], built(name)
    assert channel.bits_per_message == BITS.get(plain, channel.bits_per_message)


@pytest.mark.parametrize("name", TALKING)
def test_noise_says_every_symbol(name: str) -> None:
    channel = built(name)
    babble = channel.babble(channel_inputs(channel), generator=stream())
    assert channel.vocabulary is None or babble.symbols.unique().tolist() == list(range(channel.vocabulary))


@pytest.mark.parametrize("name", [n for n in TALKING if n.startswith("garbled")])
def test_garbled_messages_are_read_as_said_and_heard_as_noise(name: str) -> None:
    channel, plain = built(name), built(name.removeprefix("garbled+"))
    channel_input = channel_inputs(channel)
    draw = channel.sample(channel_input, generator=stream(), choice=Choice.SAMPLED)
    heard, _ = channel.send(channel_input, draw=draw, form=MessageForm.EXECUTION)
    said, _ = plain.send(channel_input, draw=draw["said"], form=MessageForm.EXECUTION)
    other, _ = channel.send(-channel_input, draw=draw, form=MessageForm.EXECUTION)
    assert torch.equal(heard.payload, other.payload), "what is heard depends on what was meant"
    assert said.symbols is None or torch.equal(heard.symbols, said.symbols)
    if channel.gradient is Gradient.ACTION:
        assert torch.equal(channel.log_prob(channel_input, draw), plain.log_prob(channel_input, draw["said"]))
        assert torch.equal(channel.entropy(channel_input), plain.entropy(channel_input))


# ---- each channel's own -------------------------------------------------------------------------------------------


def test_dru_by_hand() -> None:
    channel = DRU(bits=2, sigma=2.0, **UNLIMITED)
    channel_input, noise = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.25, -0.5]])
    training, _ = channel.send(channel_input, draw=noise, form=MessageForm.TRAINING)
    assert training.payload.tolist() == [pytest.approx([1 / (1 + math.exp(-1.0)), 1 / (1 + math.exp(2.0))])]
    execution, _ = channel.send(channel_input, draw=noise, form=MessageForm.EXECUTION)
    assert execution.payload.tolist() == [[1.0, 0.0]] == execution.symbols.float().tolist()
    assert execution.bits.tolist() == [2.0]


def test_a_bit_is_on_average_as_likely_as_it_is_1() -> None:
    channel = DRU(bits=2, sigma=2.0, **UNLIMITED)
    expected = channel.expected_payload(torch.tensor([0.5, -1.0]))
    likely = [
        0.5 * (1 + math.erf((channel_input - channel.threshold) / 2 / math.sqrt(2))) for channel_input in (0.5, -1.0)
    ]
    assert expected.tolist() == pytest.approx(likely, abs=1e-6)


def test_dru_threshold_of_the_public_codes() -> None:
    channel_input = torch.tensor([[0.4, 0.6]])
    sent, _ = DRU(threshold=0.5).send(channel_input, draw=torch.zeros(1, 2), form=MessageForm.EXECUTION)
    assert sent.payload.tolist() == [[0.0, 1.0]]


def test_dru_says_the_same_in_training_and_execution_where_intents_dwarf_the_noise() -> None:
    channel = DRU(bits=8, sigma=2.0, **UNLIMITED)
    channel_input = 60.0 * torch.where(torch.rand(500, 8, generator=stream()) < 0.5, 1.0, -1.0)
    draw = channel.sample(channel_input, generator=stream(1), choice=Choice.SAMPLED)
    soft, hard = (channel.send(channel_input, draw=draw, form=form)[0].payload for form in MessageForm)
    assert (soft - hard).abs().max() < 1e-6


def test_continuous_by_hand() -> None:
    channel_input, noise = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, -1.0]])
    channel = Continuous(size=2, noise_std=0.1)
    soft, clear = (channel.send(channel_input, draw=noise, form=form)[0].payload for form in MessageForm)
    assert soft.tolist() == [pytest.approx([0.1, math.tanh(1.0) - 0.1])]
    assert clear.tolist() == [pytest.approx([0.0, math.tanh(1.0)])]


def test_a_channel_without_noise_or_bound_carries_what_it_is_given() -> None:
    channel_input = 5 * torch.randn(6, 3, 4)
    channel = Continuous(size=4, noise_std=0.0, squash="none")
    draw = channel.sample(channel_input, generator=None, choice=Choice.SAMPLED)
    for form in MessageForm:
        assert torch.equal(channel.send(channel_input, draw=draw, form=form)[0].payload, channel_input)
    assert torch.equal(channel.expected_payload(channel_input), channel_input)


def test_continuous_score_is_a_normal() -> None:
    channel = Continuous(size=3, noise_std=0.2, gradient="score")
    channel_input = torch.randn(50, 3, generator=stream())
    draw = channel.sample(channel_input, generator=stream(1), choice=Choice.SAMPLED)
    normal = torch.distributions.Normal(torch.tanh(channel_input), 0.2)
    assert torch.allclose(channel.log_prob(channel_input, draw), normal.log_prob(draw).sum(-1), atol=1e-5)
    assert torch.allclose(channel.entropy(channel_input), normal.entropy().sum(-1), atol=1e-5)
    greedy = channel.sample(channel_input, generator=stream(1), choice=Choice.GREEDY)
    assert torch.equal(greedy, torch.tanh(channel_input))


def test_words_of_several_symbols() -> None:
    channel = Symbols(vocabulary=5, length=3)
    assert channel.input_size == channel.payload_size == 15 and channel.bits_per_message == 3 * math.log2(5)
    channel_input = torch.randn(40, 2, 15, generator=stream())
    draw = channel.sample(channel_input, generator=stream(1), choice=Choice.SAMPLED)
    message, _ = channel.send(channel_input, draw=draw, form=MessageForm.TRAINING)
    assert draw.shape == (40, 2, 3) and torch.equal(message.symbols, draw)
    assert torch.equal(message.payload.view(40, 2, 3, 5).argmax(-1), draw)
    exact = torch.distributions.Categorical(logits=channel_input.view(40, 2, 3, 5))
    assert torch.allclose(channel.log_prob(channel_input, draw), exact.log_prob(draw).sum(-1), atol=1e-5)
    assert torch.allclose(channel.entropy(channel_input), exact.entropy().sum(-1), atol=1e-5)


def test_symbols_are_drawn_from_their_distribution_in_every_estimator() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(20_000, 3)
    for gradient in ("score", "gumbel", "straight_through"):
        channel = Symbols(vocabulary=3, gradient=gradient)
        draw = channel.sample(logits, generator=stream(), choice=Choice.SAMPLED)
        symbols = channel.send(logits, draw=draw, form=MessageForm.EXECUTION)[0].symbols.flatten()
        shares = torch.bincount(symbols, minlength=3) / len(symbols)
        assert torch.allclose(shares, torch.tensor([0.5, 0.3, 0.2]), atol=0.02), gradient
        greedy = channel.sample(logits, generator=stream(), choice=Choice.GREEDY)
        assert (channel.send(logits, draw=greedy, form=MessageForm.EXECUTION)[0].symbols == 0).all()


def test_training_forms_of_gumbel_and_straight_through() -> None:
    logits = torch.randn(10, 4, generator=stream())
    relaxed, hard = (Symbols(vocabulary=4, gradient=g, temperature=0.7) for g in ("gumbel", "straight_through"))
    draw = relaxed.sample(logits, generator=stream(), choice=Choice.SAMPLED)
    soft = relaxed.send(logits, draw=draw, form=MessageForm.TRAINING)[0].payload
    assert torch.allclose(soft, torch.softmax((logits + draw[..., 0, :]) / 0.7, -1))
    sent = hard.send(logits, draw=draw, form=MessageForm.TRAINING)[0]
    assert torch.allclose(sent.payload.argmax(-1), soft.argmax(-1))
    assert torch.allclose(sent.payload, torch.nn.functional.one_hot(soft.argmax(-1), 4).float(), atol=1e-6)


def test_the_temperature_moves_linearly_and_stops() -> None:
    channel = build_channel(
        "garbled+symbols", {"gradient": "gumbel", "temperature": 2.0, "final_temperature": 0.5, "anneal_env_steps": 100}
    )
    found = []
    for steps in (0, 50, 100, 1000):
        channel.schedule(steps)
        found.append(float(channel.inner.temperature))
    assert found == pytest.approx([2.0, 1.25, 0.5, 0.5])
    assert "inner.temperature" in channel.state_dict()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("dru", {"bits": 0}, "bits=0"),
        ("dru", {"sigma": -1.0}, "sigma=-1.0"),
        ("dru", {"bit": 3}, "'bits'"),
        ("dru", {"input_size": 3}, "input_size"),
        ("none", {"length": 3}, "length"),
        ("symbols", {"vocabulary": 1}, "vocabulary=1"),
        ("symbols", {"length": 0}, "length=0"),
        ("symbols", {"gradient": "reinforce"}, "'straight_through'"),
        ("symbols", {"temperature": 0.0}, "temperature=0.0"),
        ("symbols", {"gradient": "gumbel", "final_temperature": -1.0}, "final_temperature=-1.0"),
        ("continuous", {"size": True}, "size=True"),
        ("continuous", {"noise_std": -0.1}, "noise_std=-0.1"),
        ("continuous", {"squash": "sigmoid"}, "squash='sigmoid'"),
        ("continuous", {"noise_std": 0.0, "gradient": "score"}, "noise_std=0.0"),
        ("continuous", {"gradient": "gumbel"}, "'pathwise' and 'score'"),
    ],
)
def test_bad_settings_are_refused_by_name(name: str, settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_channel(name, settings)
