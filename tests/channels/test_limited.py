"""Limits: never more gets through than may, who goes first is fair, and silence is free."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.channels.limited import Limited
from heliograph.experiments.choices import build_channel
from heliograph.types import Arrivals, Choice, MessageForm
from tests.channels.arrivals import built, message, stream
from tests.parts import Chatter, make_sampler

FLAGS = st.lists(st.booleans(), min_size=5, max_size=5)


def through(channel: Limited, *, speaking: list[bool], bits: list[float], turn: list[float]) -> list[bool]:
    """Which messages of one copy get through."""
    size = len(speaking)
    draw = {"said": torch.zeros(1, size, 1), "turn": torch.tensor([turn])}
    words = message(torch.zeros(1, size, 1), bits=torch.tensor([bits]))
    return channel.transit(words, speaking=torch.tensor([speaking]), draw=draw)[0].mask[0].tolist()


def test_by_hand() -> None:
    """In turn speak agents 3, 1 (silent), 0 (not asked) and 2; two messages, or 100 bits, may pass."""
    situation = {
        "speaking": [False, True, True, True],
        "bits": [64.0, 0.0, 64.0, 64.0],
        "turn": [0.3, 0.2, 0.9, 0.1],
    }
    assert through(built("limited", max_messages=2), **situation) == [False, True, True, True]
    assert through(built("limited", max_messages=1), **situation) == [False, True, False, True]
    assert through(built("limited", max_bits=100.0), **situation) == [False, True, False, True]
    assert through(built("limited", max_messages=2, max_bits=100.0), **situation) == [False, True, False, True]


def test_from_the_first_that_does_not_fit_on_none_arrives() -> None:
    channel = built("limited", max_bits=50.0)
    assert through(channel, speaking=[True] * 3, bits=[40.0, 20.0, 5.0], turn=[0.1, 0.2, 0.3]) == [True, False, False]
    assert through(channel, speaking=[True] * 3, bits=[20.0, 5.0, 40.0], turn=[0.1, 0.2, 0.3]) == [True, True, False]


@settings(deadline=None, max_examples=150)
@given(
    speaking=FLAGS,
    silent=FLAGS,
    order=st.permutations(range(5)),
    max_messages=st.none() | st.integers(1, 6),
    max_bits=st.none() | st.integers(32, 200).map(float),
)
def test_no_more_than_may_and_as_many_as_may(speaking, silent, order, max_messages, max_bits) -> None:
    if max_messages is None and max_bits is None:
        return
    channel = built("limited", max_messages=max_messages, max_bits=max_bits)
    bits = [0.0 if quiet else 32.0 for quiet in silent]
    passed = through(channel, speaking=speaking, bits=bits, turn=[float(place) for place in order])
    assert all(asked or not heard for asked, heard in zip(speaking, passed, strict=True))
    waiting = [n for n in range(5) if speaking[n] and not silent[n]]
    room = int(min(max_messages or 9, (max_bits or 999) // 32))
    first = sorted(waiting, key=lambda n: order[n])[:room]
    assert [n for n in waiting if passed[n]] == sorted(first)
    assert all(passed[n] for n in range(5) if speaking[n] and silent[n])


def test_all_orders_are_equally_likely() -> None:
    channel = built("limited", max_messages=2)
    channel_input = torch.zeros(20_000, 3, 1)
    draw = channel.sample(channel_input, generator=stream(), choice=Choice.GREEDY)
    said, _ = channel.send(channel_input, draw=draw, form=MessageForm.TRAINING)
    mask = channel.transit(said, speaking=torch.ones(20_000, 3, dtype=torch.bool), draw=draw)[0].mask
    assert (mask.sum(-1) == 2).all() and torch.allclose(mask.float().mean(0), torch.full((3,), 2 / 3), atol=0.015)
    pairs = [(mask[:, a] & mask[:, b]).float().mean().item() for a, b in itertools.combinations(range(3), 2)]
    assert pairs == pytest.approx([1 / 3] * 3, abs=0.015)


def test_rounds_of_a_step_share_the_limit_and_the_next_step_has_its_own() -> None:
    channel = built("limited", max_messages=3)
    state = channel.initial_state(1, 2, torch.device("cpu"), rounds=3)
    found = []
    for _, r in itertools.product(range(2), range(3)):
        draw = {"said": torch.zeros(1, 2, 1), "turn": torch.tensor([[0.5, 0.1]])}
        arrivals: Arrivals
        arrivals, state = channel.transit(
            message(torch.zeros(1, 2, 1)), speaking=torch.ones(1, 2, dtype=torch.bool), draw=draw, state=state,
            round_index=r,
        )  # fmt: skip
        found.append(arrivals.mask[0].tolist())
    assert found == [[True, True], [False, True], [False, False]] * 2
    assert built("limited", max_messages=3).initial_state(1, 2, torch.device("cpu")) is None


@pytest.mark.parametrize("model", ["cnet", Chatter])
def test_teams_hear_no_more_than_may_get_through(model) -> None:
    """Six agents speak; two are heard in a step, in all rounds together; unrolled, the same two."""
    sampler = make_sampler("mixed", model=model, channel="limited+dru", channel_settings={"max_messages": 2}, copies=8)
    rollout = sampler.fragment(12)
    state, masks = rollout.initial.channel, []
    for t in range(12):
        heard = torch.zeros(8, dtype=torch.long)
        for r in range(sampler.team.rounds):
            words, draw = rollout.messages[r], rollout.draws[r]
            arrivals, state = sampler.team.channel.transit(
                message(words.payload[t], bits=words.bits[t]), speaking=rollout.speaking[t],
                draw={"said": draw["said"][t], "turn": draw["turn"][t]}, state=state, round_index=r,
            )  # fmt: skip
            heard = heard + arrivals.mask.sum(-1)
        assert torch.equal(heard, (sampler.team.rounds * rollout.speaking[t].sum(-1)).clamp(max=2))
        masks.append(arrivals.mask)
    unrolled = sampler.team.unroll(rollout)
    assert torch.allclose(unrolled.action_log_prob, rollout.action_log_prob, atol=1e-5)


def test_closed_gates_take_no_room() -> None:
    for name in ("limited+gated+dru", "gated+limited+dru"):
        channel = build_channel(name, {"max_messages": 1})
        gates = torch.tensor([[-50.0, 50.0], [50.0, -50.0], [50.0, -50.0]])
        channel_input = torch.cat([torch.ones(40, 3, 2), gates.expand(40, 3, 2)], -1)
        draw = channel.sample(channel_input, generator=stream(), choice=Choice.GREEDY)
        said, state = channel.send(channel_input, draw=draw, form=MessageForm.EXECUTION)
        arrivals, _ = channel.transit(said, speaking=torch.ones(40, 3, dtype=torch.bool), draw=draw, state=state)
        assert arrivals.mask.all(), name
        assert (arrivals.payload[:, 0] == 1).all() and (arrivals.payload[:, 1:] == 0).all()


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({}, "max_messages=None, max_bits=None: channel 'limited' needs one of them"),
        ({"max_messages": 0}, "max_messages=0: must be a whole number of at least 1"),
        ({"max_messages": 1.5}, "max_messages=1.5"),
        ({"max_bits": 0.0}, "max_bits=0.0"),
        ({"max_bits": float("inf")}, "max_bits=inf"),
        ({"max_bits": 2.0}, "max_bits=2.0: nothing would get through, for a single message costs 3 bits"),
    ],
)
def test_bad_settings_are_refused(given_: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_channel("limited+dru", {"bits": 3, **given_})
