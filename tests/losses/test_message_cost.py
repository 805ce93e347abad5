"""The price of bits: what is counted, and that gates close where talking does not pay."""

import pytest
import torch

from heliograph.losses.base import LossBatch
from heliograph.losses.message_cost import MessageCost
from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team
from tests.parts import Chatter, make_sampler


def batch_of(team: Team, rollout: Rollout) -> LossBatch:
    return LossBatch(rollout=rollout, unrolled=team.unroll(rollout), team=team)


def cost(batch: LossBatch) -> torch.Tensor:
    return MessageCost(batch.team)(batch)


def test_by_hand() -> None:
    """Six agents, two bits: as many as are asked to speak, halved where every gate is open half of the time."""
    for channel, share in (("dru", 1.0), ("gated+dru", 0.5), ("lossy+dru", 1.0)):
        sampler = make_sampler("mixed", channel=channel)
        for policy in sampler.team.policies.values():
            for weight in policy.message_encoder.parameters():
                torch.nn.init.zeros_(weight)
        rollout = sampler.fragment(8)
        asked = rollout.speaking.sum(-1).float().mean().item()
        assert cost(batch_of(sampler.team, rollout)).item() == pytest.approx(share * 2 * asked), channel


def test_it_is_what_gates_cost_on_average() -> None:
    sampler = make_sampler("speaker_listener", channel="gated+symbols-score", copies=4000)
    batch = batch_of(sampler.team, sampler.fragment(2))
    sampled = (batch.rollout.messages[0].bits * batch.rollout.speaking).sum(-1).mean()
    assert 0.1 < sampled.item() < 0.9 and cost(batch).item() == pytest.approx(sampled.item(), abs=0.03)


def test_rounds_add_up_and_what_follows_an_episode_does_not_count() -> None:
    one, two = (make_sampler("mixed", model=model, channel="dru") for model in ("cnet", Chatter))
    costs = [cost(batch_of(s.team, s.fragment(4))).item() for s in (one, two)]
    assert costs[1] == pytest.approx(2 * costs[0])
    sampler = make_sampler("switch_riddle", channel="dru", copies=32)
    rollout = sampler.episodes()
    late = ~rollout.valid
    assert late.any()
    asked = (rollout.speaking & rollout.valid.unsqueeze(-1)).sum()
    bits = sampler.team.channel.bits_per_message
    assert cost(batch_of(sampler.team, rollout)).item() == pytest.approx(
        bits * asked.item() / rollout.valid.sum().item()
    )


def test_gates_close_where_talking_does_not_pay() -> None:
    sampler = make_sampler("speaker_listener", channel="garbled+gated+dru", copies=32)
    optimiser = torch.optim.Adam(sampler.team.policies["speaker"].parameters(), lr=0.03)
    values = []
    for _ in range(40):
        loss = cost(batch_of(sampler.team, sampler.fragment(2)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[-1] < 0.1 * values[0], (values[0], values[-1])
    listener = list(sampler.team.policies["listener"].parameters())
    loss = cost(batch_of(sampler.team, sampler.fragment(2)))
    found = torch.autograd.grad(loss, listener, allow_unused=True)
    assert all(slope is None or not slope.any() for slope in found)


def test_silent_teams_pay_nothing() -> None:
    sampler = make_sampler("speaker_listener", channel="none")
    assert cost(batch_of(sampler.team, sampler.fragment(4))).item() == 0.0
