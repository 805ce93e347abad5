"""State estimation: who learns from it, what it counts, and that listeners come to know what only speakers see."""

import dataclasses

import pytest
import torch

from heliograph.losses.state_estimation import StateEstimation
from tests.losses.test_losses import batch_of, felt, trained
from tests.parts import make_sampler


def test_it_teaches_listeners_and_through_the_channel_their_speakers() -> None:
    sampler = make_sampler("speaker_listener", channel="dru")
    loss = StateEstimation(sampler.team)
    value = loss(batch_of(sampler.team, sampler.fragment(6)))
    listening = loss.decoders["listener"](batch_of(sampler.team, sampler.fragment(6)).unrolled.after["listener"]).sum()
    assert felt(value, sampler.team.policies["listener"]) > 0
    assert felt(listening, sampler.team.policies["speaker"].message_encoder) > 0


def test_a_sampled_message_teaches_its_speaker_nothing() -> None:
    sampler = make_sampler("speaker_listener", channel="symbols-score")
    batch = batch_of(sampler.team, sampler.fragment(6))
    listening = StateEstimation(sampler.team).decoders["listener"](batch.unrolled.after["listener"]).sum()
    assert felt(listening, sampler.team.policies["speaker"]) == 0


def test_by_hand() -> None:
    """With a decoder that says 0 the error is the mean square of the state, over the turns in which agents observe."""
    sampler = make_sampler("speaker_listener", channel="dru")
    loss = StateEstimation(sampler.team)
    for weight in loss.parameters():
        torch.nn.init.zeros_(weight)
    rollout = sampler.fragment(6)
    squares = rollout.state[:-1].square().mean(-1, keepdim=True)
    observing = rollout.observing[:-1]
    expected = (squares * observing).sum() / observing.sum()
    assert 0 < expected < 1
    assert loss(batch_of(sampler.team, rollout)).item() == pytest.approx(expected.item())


def test_nothing_counts_after_an_episode() -> None:
    sampler = make_sampler("switch_riddle", channel="dru", copies=32)
    rollout = sampler.episodes()
    loss, batch = StateEstimation(sampler.team), batch_of(sampler.team, rollout)
    before, late = loss(batch), ~rollout.valid
    assert late.any()
    rollout.state = rollout.state.clone()
    rollout.state[:-1][late] = 77.0
    assert torch.equal(loss(batch), before)


def test_an_agent_that_never_trains_has_no_decoder() -> None:
    sampler = make_sampler("speaker_listener", channel="dru")
    sampler.team.policies["speaker"].model.trainable = False
    assert list(StateEstimation(sampler.team).decoders) == ["listener"]


def test_an_empty_state_is_refused() -> None:
    team = make_sampler("speaker_listener", channel="dru").team
    for policy in team.policies.values():
        policy.model.spec = dataclasses.replace(policy.model.spec, state_size=0)
    with pytest.raises(ValueError, match="this environment's state is empty"):
        StateEstimation(team)


def test_listeners_come_to_know_what_only_speakers_see() -> None:
    """The goal, which the listener does not see, is decoded from it once it hears."""
    errors = {"none": last_errors("none"), "dru": last_errors("dru")}
    assert errors["dru"] < 0.7 * errors["none"], errors


def last_errors(channel: str) -> float:
    sampler = make_sampler("speaker_listener", channel=channel, copies=64)
    return sum(trained(StateEstimation(sampler.team, size=32), sampler, updates=160)[-10:]) / 10
