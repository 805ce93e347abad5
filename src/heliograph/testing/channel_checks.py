"""Checks of a channel by itself: what it says, what it costs, what losses and wrappers ask of it, what it carries on.

`make_channel` takes no arguments and returns a fresh channel: a class with default settings will do, or
`functools.partial(MyChannel, size=4)`, or `lambda: MyWrapper(DRU())`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.channels.spelling import said_places
from heliograph.testing.contract import component_check, expect
from heliograph.testing.play import equal
from heliograph.testing.small_teams import seeded
from heliograph.types import Choice, Gradient, Message, MessageForm, tensors_of

MakeChannel = Callable[[], Channel]

BATCH = (64, 3)
MANY_ENV_STEPS = 10**6
ROUNDING = 1e-5


def made_channel(make_channel: MakeChannel) -> Channel:
    """A channel, whose weights, if it has any, come from a seed of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make_channel()


def channel_inputs_for(channel: Channel, *, seed: int = 0) -> Tensor:
    """Return what three agents of 64 copies mean to say, with gradients."""
    return torch.randn(*BATCH, channel.input_size, generator=seeded(seed), requires_grad=True)


def said_on(
    channel: Channel, channel_input: Tensor, *, form: MessageForm, choice: Choice = Choice.SAMPLED, seed: int = 1
) -> Message:
    """The message of a round."""
    draw = channel.sample(channel_input, generator=seeded(seed), choice=choice)
    return channel.send(channel_input, draw=draw, form=form)[0]


@component_check
def check_messages(make_channel: MakeChannel) -> None:
    """Payload, symbols and bits have the declared sizes, in both forms, sampled and greedy."""
    channel = made_channel(make_channel)
    expect(isinstance(channel.gradient, Gradient), "gradient to be one of Gradient")
    expect(not channel.num_gate_logits or channel.can_be_silent, "a channel with a gate to have can_be_silent")
    channel_input = channel_inputs_for(channel)
    for form in MessageForm:
        for choice in Choice:
            message = said_on(channel, channel_input, form=form, choice=choice)
            _expect_shape("payload", message.payload, (*BATCH, channel.payload_size))
            _expect_shape("bits", message.bits, BATCH)
            expect(torch.isfinite(message.payload).all(), "a payload of finite numbers")
            _expect_symbols(channel, message)


def _expect_symbols(channel: Channel, message: Message) -> None:
    if channel.vocabulary is None:
        expect(message.symbols is None, "no symbols from a channel without a vocabulary")
        return
    expect(message.symbols is not None, f"symbols from a channel with vocabulary={channel.vocabulary}")
    assert message.symbols is not None
    _expect_shape("symbols", message.symbols, (*BATCH, channel.length))
    expect(message.symbols.dtype is torch.long, f"symbols to be whole numbers, not {message.symbols.dtype}")
    lowest, highest = int(message.symbols.min()), int(message.symbols.max())
    words = f"symbols from 0 to vocabulary - 1 = {channel.vocabulary - 1}, not {lowest} to {highest}"
    expect(lowest >= 0 and highest < channel.vocabulary, words)


@component_check
def check_execution_form(make_channel: MakeChannel) -> None:
    """Require that what is executed is discrete where symbols travel.

    A number has at most as many values as there are symbols.
    """
    channel = made_channel(make_channel)
    if channel.alphabet is None or channel.vocabulary is None:
        return
    for choice in Choice:
        payload = said_on(
            channel, channel_inputs_for(channel), form=MessageForm.EXECUTION, choice=choice
        ).payload.detach()
        most = max(len(numbers.unique()) for numbers in payload.flatten(0, 1).div(ROUNDING).round().T)
        words = f"an execution form of at most vocabulary={channel.vocabulary} values a number, not {most}"
        expect(most <= channel.vocabulary, words)


@component_check
def check_bits(make_channel: MakeChannel) -> None:
    """A message costs `bits_per_message`; silence, which is symbol 0, costs nothing and carries zeros."""
    channel = made_channel(make_channel)
    for form in MessageForm:
        message = said_on(channel, channel_inputs_for(channel), form=form)
        sent = torch.ones(BATCH, dtype=torch.bool)
        if channel.can_be_silent:
            assert message.symbols is not None
            sent = message.symbols[..., 0] > 0
            expect(sent.any() and not sent.all(), "speakers of random channel inputs to be silent at times, not always")
            expect(channel.is_garbled or not message.payload[~sent].any(), "a payload of zeros where one is silent")
        if channel.ends_words:
            _expect_costs_of_words(channel, message)
            continue
        words = f"bits={channel.bits_per_message} of every message that is sent, and 0 of silence"
        expect(torch.equal(message.bits, channel.bits_per_message * sent), words)


def _expect_costs_of_words(channel: Channel, message: Message) -> None:
    """Check words that end: symbol 0 at all places after it, zeros there, and no bits."""
    assert message.symbols is not None
    said = said_places(message.symbols, ends=True)
    expect(not message.symbols[~said].any(), "symbol 0 at all places after the end of a word")
    expect(not said.all(), "words of random channel inputs to be of several lengths")
    if not channel.is_garbled:
        payload = message.payload.unflatten(-1, (channel.length, -1))
        relaxed = channel.gradient is Gradient.PATHWISE and (payload != payload.round()).any()
        expect(relaxed or not payload[~said].any(), "a payload of zeros after the end of a word")
    cost = channel.bits_per_message * said.sum(-1) / channel.length
    expect(torch.allclose(message.bits, cost), "bits in proportion to the symbols that are said, the end among them")


@component_check
def check_draws(make_channel: MakeChannel) -> None:
    """All randomness is in the draw, which comes from the generator alone; sending is a pure function of it."""
    channel = made_channel(make_channel)
    channel_input = channel_inputs_for(channel)
    before = torch.get_rng_state()
    draws = [channel.sample(channel_input, generator=seeded(5), choice=Choice.SAMPLED) for _ in range(2)]
    expect(equal(*draws), "equal draws from generators of the same seed")
    for form in MessageForm:
        sent = [channel.send(channel_input, draw=draw, form=form)[0] for draw in (draws[0], draws[1], draws[0])]
        expect(
            equal(sent[0], sent[1]) and equal(sent[0], sent[2]), "the same message of the same channel input and draw"
        )
    babble = [channel.babble(channel_input, generator=seeded(5)) for _ in range(2)]
    expect(equal(*babble), "equal noise from generators of the same seed")
    expect(torch.equal(before, torch.get_rng_state()), "nothing drawn but from the generator that is given")
    expect(not any(x.requires_grad for x in tensors_of(draws)), "draws without gradients: they are recorded")


@component_check
def check_babble(make_channel: MakeChannel) -> None:
    """Noise looks like any message, and does not hang on what is meant."""
    channel = made_channel(make_channel)
    channel_input = channel_inputs_for(channel)
    said, noise = (
        said_on(channel, channel_input, form=MessageForm.EXECUTION),
        channel.babble(channel_input, generator=seeded(2)),
    )
    _expect_shape("the payload of babble", noise.payload, said.payload.shape)
    _expect_symbols(channel, noise)
    costs = set(noise.bits.unique().tolist()), set(said.bits.unique().tolist())
    expect(costs[0] == costs[1] or channel.ends_words, "noise to cost what messages cost")
    expect(
        equal(noise, channel.babble(-channel_input, generator=seeded(2))),
        "noise that does not depend on the channel input",
    )
    if noise.symbols is not None:
        expect(len(noise.symbols.unique()) > 1, "noise of more than one symbol")


@component_check
def check_gradient(make_channel: MakeChannel) -> None:
    """A PATHWISE channel passes gradients to the channel input, and where messages are actions their odds do."""
    channel = made_channel(make_channel)
    if channel.gradient is Gradient.NONE:
        return
    channel_input = channel_inputs_for(channel)
    draw = channel.sample(channel_input, generator=seeded(1), choice=Choice.SAMPLED)
    payload = channel.send(channel_input, draw=draw, form=MessageForm.TRAINING)[0].payload
    passes = channel.gradient is Gradient.PATHWISE and not channel.is_garbled
    words = "a gradient of the training form to the channel input" if passes else "no gradient through messages"
    expect((_felt(payload.square().sum(), channel_input) > 0) == passes, f"{words}, as gradient={channel.gradient}")
    if not channel.scored:
        for score in (lambda: channel.log_prob(channel_input, draw), lambda: channel.entropy(channel_input)):
            expect(_refuses(score), "NotImplementedError from log_prob and entropy, where nothing is an action")
        return
    log_prob, entropy = channel.log_prob(channel_input, draw), channel.entropy(channel_input)
    _expect_shape("log_prob", log_prob, BATCH)
    _expect_shape("entropy", entropy, BATCH)
    expect(torch.isfinite(log_prob).all() and torch.isfinite(entropy).all(), "finite log-probabilities and entropies")
    expect(_felt(log_prob.sum(), channel_input) > 0, "a gradient of log_prob to the channel input")
    fixed = _felt(entropy.sum(), channel_input) == 0
    expect(fixed == channel.has_fixed_entropy, f"has_fixed_entropy={fixed}, as of its entropy")


@component_check
def check_odds(make_channel: MakeChannel) -> None:
    """A channel with symbols tells how likely each is, with a gradient: losses ask for it."""
    channel = made_channel(make_channel)
    if channel.vocabulary is None:
        return
    channel_input = channel_inputs_for(channel)
    log_probs = channel.symbol_log_probs(channel_input)
    _expect_shape("symbol_log_probs", log_probs, (*BATCH, channel.length, channel.vocabulary))
    total = log_probs.exp().sum(-1)
    expect(torch.allclose(total, torch.ones_like(total), atol=1e-4), "odds of the symbols at a place that sum to 1")
    expect(_felt(log_probs[..., 0].sum(), channel_input) > 0, "a gradient of symbol_log_probs to the channel input")


@component_check
def check_expected(make_channel: MakeChannel) -> None:
    """The average payload and bits have shapes, bounds and gradients: losses ask for them."""
    channel = made_channel(make_channel)
    if channel.gradient is Gradient.NONE:
        return
    channel_input = channel_inputs_for(channel)
    payload, bits = channel.expected_payload(channel_input), channel.expected_bits(channel_input)
    _expect_shape("expected_payload", payload, (*BATCH, channel.payload_size))
    expect(_felt(payload.square().sum(), channel_input) > 0, "a gradient of expected_payload to the channel input")
    _expect_shape("expected_bits", bits, BATCH)
    expect((bits >= 0).all() and (bits <= channel.bits_per_message + ROUNDING).all(), "at most bits_per_message bits")
    if channel.can_say_less:
        expect(
            _felt(bits.sum(), channel_input) > 0,
            "a gradient of expected_bits to the channel input, where one can say less",
        )


@component_check
def check_shifted(make_channel: MakeChannel) -> None:
    """Symbols can be mistaken for one another: `shifted` goes round the alphabet, as noise needs it."""
    channel = made_channel(make_channel)
    if channel.alphabet is None:
        return
    message = said_on(channel, channel_inputs_for(channel), form=MessageForm.EXECUTION)
    sent = (message.bits > 0) & (message.payload.any(-1) | (not channel.can_be_silent))
    said = message.payload[sent].detach()
    place = torch.ones(len(said), channel.length, dtype=torch.long)
    once = channel.shifted(said, place)
    back = channel.shifted(once, (channel.alphabet - 1) * place)
    _expect_shape("shifted", once, said.shape)
    expect(torch.allclose(channel.shifted(said, 0 * place), said, atol=ROUNDING), "shifted by 0 to change nothing")
    expect((once - said).abs().sum(-1).min() > ROUNDING, "shifted by 1 to say another symbol at each place")
    expect(torch.allclose(back, said, atol=ROUNDING), f"shifted by alphabet={channel.alphabet} symbols to come back")


@component_check
def check_state(make_channel: MakeChannel) -> None:
    """State has one row a copy; messages arrive after `delay_env_steps`, and none once their sender's part is over."""
    for ends in (False, True):
        channel, copies, agents = made_channel(make_channel), *BATCH
        state = channel.initial_state(copies, agents, torch.device("cpu"), rounds=1)
        everyone, nobody = torch.ones(BATCH, dtype=torch.bool), torch.zeros(BATCH, dtype=torch.bool)
        expect(all(len(x) == copies for x in tensors_of(state)), "all state to have the axis B first")
        found = []
        for step in range(channel.delay_env_steps + 2):
            channel_input = channel_inputs_for(channel, seed=step)
            draw = channel.sample(channel_input, generator=seeded(step), choice=Choice.SAMPLED)
            message, state = channel.send(channel_input, draw=draw, form=MessageForm.TRAINING, state=state)
            speaking = everyone if step == 0 else nobody
            arrivals, state = channel.transit(message, speaking=speaking, draw=draw, state=state)
            _expect_shape("the payload that arrives", arrivals.payload, (*BATCH, channel.payload_size))
            _expect_shape("the mask of arrivals", arrivals.mask, BATCH)
            _expect_shape("the bits of arrivals", arrivals.bits, BATCH)
            found.append(bool(arrivals.mask.any()))
            state = channel.cut(state, everyone if ends else nobody)
        due = [t == channel.delay_env_steps and not (ends and t) for t in range(len(found))]
        what = "nothing carried into another episode" if ends else f"messages after {channel.delay_env_steps} env steps"
        expect(found == due, f"{what}: arrivals in the steps {due}, not {found}")


@component_check
def check_saved(make_channel: MakeChannel) -> None:
    """Return what `schedule` moves is in the state dict, and with it another channel says the same."""
    channel, other = made_channel(make_channel), made_channel(make_channel)
    steps = channel.anneal_env_steps or MANY_ENV_STEPS
    channel.schedule(steps)
    other.load_state_dict(channel.state_dict())
    channel_input = channel_inputs_for(channel)
    for form in MessageForm:
        same = equal(said_on(channel, channel_input, form=form), said_on(other, channel_input, form=form))
        expect(same, "the same messages with the same state dict: what moves must lie in a buffer")


def _expect_shape(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    expect(value.shape == shape, f"{name} of shape {list(shape)}, not {list(value.shape)}")


def _felt(value: Tensor, channel_input: Tensor) -> float:
    """How much a channel input feels of a gradient."""
    if not value.requires_grad:
        return 0.0
    (found,) = torch.autograd.grad(value, channel_input, retain_graph=True, allow_unused=True)
    return 0.0 if found is None else float(found.abs().sum())


def _refuses(score: Callable[[], Tensor]) -> bool:
    try:
        score()
    except NotImplementedError:
        return True
    return False
