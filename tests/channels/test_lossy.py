"""Losses: how many messages are lost, and that a lost one is not heard as anything."""

import pytest
import torch

from heliograph.channels.continuous import Continuous
from heliograph.channels.lossy import Lossy
from heliograph.experiments.choices import build_channel
from heliograph.testing.small_teams import steps_of
from heliograph.types import Choice, MessageForm
from tests.channels.arrivals import Queue, built, inboxes, message, stream
from tests.parts import make_sampler, replaced


@pytest.mark.parametrize("drop", [0.0, 0.25, 1.0])
def test_so_many_are_lost(drop: float) -> None:
    channel = Lossy(Continuous(size=1), drop=drop)
    channel_input = torch.zeros(10_000, 2, 1)
    speaking = torch.tensor([[True, False]]).expand(10_000, 2)
    draw = channel.sample(channel_input, generator=stream(), choice=Choice.GREEDY)
    said, state = channel.send(channel_input, draw=draw, form=MessageForm.EXECUTION)
    arrivals, _ = channel.transit(said, speaking=speaking, draw=draw, state=state)
    assert not arrivals.mask[:, 1].any() and (said.bits == 32).all()
    assert 1 - arrivals.mask[:, 0].float().mean() == pytest.approx(drop, abs=4 * 0.0043)
    lost = draw["lost"].float()
    both = (lost[:, 0] * lost[:, 1]).mean()
    assert both == pytest.approx(drop**2, abs=0.02), "messages are lost independently"


def test_by_hand() -> None:
    channel = built("lossy", drop=0.5)
    draw = {"said": torch.zeros(1, 3, 1), "lost": torch.tensor([[True, False, False]])}
    words = message(torch.tensor([[[1.0], [2.0], [3.0]]]))
    arrivals, _ = channel.transit(words, speaking=torch.tensor([[True, True, False]]), draw=draw)
    assert arrivals.mask.tolist() == [[False, True, False]] and torch.equal(arrivals.payload, words.payload)


@pytest.mark.parametrize("env", ["mixed", "predator_prey"])
def test_inboxes_of_teams(env: str) -> None:
    limit = {"env": {"time_limit": 5}} if env == "predator_prey" else {}
    sampler = make_sampler(env, copies=4, channel="lossy+dru", channel_settings={"drop": 0.4}, **limit)
    rollout = sampler.fragment(20)
    unrolled = sampler.team.unroll(rollout)
    hearers = rollout.static_edges.mask.expand(4, -1, -1)
    for step, waiting in zip(unrolled.steps, inboxes(Queue(rollout, drop="lost"), hearers=hearers), strict=True):
        assert {tuple(key) for key in step.state.inbox.mask.nonzero().tolist()} == set(waiting)
    assert torch.allclose(unrolled.action_log_prob, rollout.action_log_prob, atol=1e-5)


@pytest.mark.parametrize("env", ["mixed", "identity"])
def test_a_lost_message_replaces_nothing(env: str) -> None:
    """What was heard before still waits, in inboxes that speakers share and in those of each pair."""
    sampler = make_sampler(env, copies=3, channel="lossy+dru", channel_settings={"drop": 0.0})
    team = sampler.team
    step, state = steps_of(sampler.env, team, number=1)[0]
    nobody = torch.zeros_like(step.observing)
    step = replaced(step, observing=nobody, acting=nobody, speaking=torch.ones_like(step.speaking))
    first = team.step(step, state, generator=stream(1))
    team.channel.drop = 1.0
    second = team.step(step, first.state, generator=stream(2))
    assert not torch.equal(first.messages[0].payload, second.messages[0].payload)
    assert torch.equal(second.state.inbox.payload, first.state.inbox.payload)
    assert torch.equal(second.state.inbox.mask, first.state.inbox.mask) and first.state.inbox.mask.any()


def test_losses_are_drawn_apart_from_what_is_said() -> None:
    """The same stream says the same words, however many are lost."""
    channels = [build_channel("lossy+symbols", {"drop": drop}) for drop in (0.1, 0.9)]
    channel_input = torch.randn(20, 2, 4, generator=stream())
    draws = [channel.sample(channel_input, generator=stream(3), choice=Choice.SAMPLED) for channel in channels]
    assert torch.equal(draws[0]["said"], draws[1]["said"])
    assert (draws[0]["lost"] <= draws[1]["lost"]).all()


@pytest.mark.parametrize("drop", [-0.1, 1.1, float("nan"), "often", True])
def test_bad_settings_are_refused(drop) -> None:
    with pytest.raises(ValueError, match=f"drop={drop!r}"):
        build_channel("lossy+dru", {"drop": drop})
