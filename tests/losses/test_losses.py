"""Auxiliary losses: a scalar with gradients for those who speak, and the reconstruction loss in particular."""

import math

import pytest
import torch

from heliograph import registry
from heliograph.losses.base import AuxiliaryLoss, LossBatch
from heliograph.losses.positive_signalling import PositiveSignalling, whole_messages
from heliograph.losses.reconstruction import Reconstruction
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.team.team import Team
from heliograph.testing import LOSS_CHECKS
from tests.parts import CHANNELS, make_sampler

TALKING = [name for name in CHANNELS if name != "none" and not name.startswith("garbled")]


def batch_of(team: Team, rollout: Rollout) -> LossBatch:
    return LossBatch(rollout=rollout, unrolled=team.unroll(rollout), team=team)


def felt(loss: torch.Tensor, module: torch.nn.Module) -> float:
    if not loss.requires_grad:
        return 0.0
    found = torch.autograd.grad(loss, list(module.parameters()), retain_graph=True, allow_unused=True)
    return sum(float(g.abs().sum()) for g in found if g is not None)


def trained(loss: AuxiliaryLoss, sampler: Sampler, *, updates: int) -> list[float]:
    """The loss in each update of team and loss by nothing else."""
    optimiser, values = torch.optim.Adam([*sampler.team.parameters(), *loss.parameters()], lr=0.01), []
    for _ in range(updates):
        value = loss(batch_of(sampler.team, sampler.fragment(2)))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(value.item())
    return values


def test_the_losses_of_this_package_are_exactly_these() -> None:
    names = ["imitation", "message_cost", "positive_signalling", "reconstruction", "state_estimation"]
    assert registry.names("loss") == names


@pytest.mark.parametrize("name", registry.names("loss"))
@pytest.mark.parametrize("check", LOSS_CHECKS)
def test_conformance(name: str, check: str) -> None:
    """Those on every channel are among the checks of channels."""
    LOSS_CHECKS[check](registry.load("loss", name))


@pytest.mark.parametrize("name", registry.names("loss"))
@pytest.mark.parametrize("channel", ["symbols-gumbel", "vq", "continuous-score", "delayed+limited+lossy+gated+dru"])
def test_every_loss_is_a_finite_scalar_where_agents_come_and_go(name: str, channel: str) -> None:
    sampler = make_sampler("mixed", channel=channel)
    loss = registry.load("loss", name)(sampler.team)
    sampler.asks_oracle = loss.needs_oracle
    value = loss(batch_of(sampler.team, sampler.fragment(6)))
    assert value.shape == () and torch.isfinite(value)


@pytest.mark.parametrize("channel", TALKING)
def test_reconstruction_teaches_the_speaker_on_every_channel(channel: str) -> None:
    sampler = make_sampler("speaker_listener", channel=channel)
    loss = Reconstruction(sampler.team)
    value = loss(batch_of(sampler.team, sampler.fragment(6)))
    assert felt(value, sampler.team.policies["speaker"]) > 0 and felt(value, loss.decoders["speaker"]) > 0
    assert felt(value, sampler.team.policies["listener"]) == 0


def test_garbled_messages_teach_nobody_by_path() -> None:
    sampler = make_sampler("speaker_listener", channel="garbled+dru")
    value = Reconstruction(sampler.team)(batch_of(sampler.team, sampler.fragment(6)))
    assert felt(value, sampler.team.policies["speaker"]) == 0


def test_reconstruction_by_hand() -> None:
    """With a decoder that says 0 the error is the mean square of what was seen: one of three features is 1."""
    sampler = make_sampler("speaker_listener", channel="dru")
    loss = Reconstruction(sampler.team)
    for weight in loss.parameters():
        torch.nn.init.zeros_(weight)
    value = loss(batch_of(sampler.team, sampler.fragment(6)))
    assert value.item() == pytest.approx(1 / 3)


def test_reconstruction_counts_only_what_was_said_in_the_episode() -> None:
    sampler = make_sampler("switch_riddle", channel="dru", copies=32)
    rollout = sampler.episodes()
    loss = Reconstruction(sampler.team)
    before = loss(batch_of(sampler.team, rollout))
    late = ~rollout.valid
    assert late.any()
    rollout.observations["prisoner"] = rollout.observations["prisoner"].clone()
    rollout.observations["prisoner"][:-1][late] = 77.0
    after = loss(LossBatch(rollout=rollout, unrolled=batch_of(sampler.team, rollout).unrolled, team=sampler.team))
    assert torch.allclose(before, after)


@pytest.mark.parametrize("channel", ["dru", "symbols-score", "symbols-gumbel"])
def test_reconstruction_falls_when_trained(channel: str) -> None:
    sampler = make_sampler("speaker_listener", channel=channel, copies=64)
    loss = Reconstruction(sampler.team, size=32)
    values = trained(loss, sampler, updates=60)
    assert sum(values[-5:]) < 0.5 * sum(values[:5]), values[-5:]


def test_positive_signalling_by_hand() -> None:
    log_probs = torch.tensor([[[0.5, 0.5]], [[1.0, 0.0]]]).clamp(min=1e-12).log()
    loss = PositiveSignalling(make_sampler("speaker_listener", channel="dru").team, marginal=2.0, target_nats=0.1)
    spread = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert float(loss._of(log_probs)) == pytest.approx(-2 * spread + (0.5 * math.log(2) - 0.1) ** 2, abs=1e-6)
    words = whole_messages(torch.tensor([[[0.3, 0.7], [0.9, 0.1]]]).log()).exp()
    assert words[0].tolist() == pytest.approx([0.27, 0.03, 0.63, 0.07])


@pytest.mark.parametrize("channel", ["dru", "symbols-score", "symbols-gumbel"])
def test_positive_signalling_reaches_the_speaker(channel: str) -> None:
    sampler = make_sampler("speaker_listener", channel=channel)
    value = PositiveSignalling(sampler.team)(batch_of(sampler.team, sampler.fragment(6)))
    assert felt(value, sampler.team.policies["speaker"]) > 0


def test_too_many_messages_are_refused() -> None:
    with pytest.raises(ValueError, match="max_messages=2"):
        PositiveSignalling(make_sampler("speaker_listener", channel="dru").team, max_messages=2)
