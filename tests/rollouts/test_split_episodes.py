"""A folded rollout holds the same steps, and gives the same numbers."""

import pytest
import torch

from heliograph.rollouts.split_episodes import folded
from heliograph.types import map_tensors, tensors_of
from tests.parts import make_sampler


@pytest.mark.parametrize("channel", ["symbols-score", "dru"])
def test_the_numbers_stay(channel: str) -> None:
    sampler = make_sampler("speaker_listener", copies=4, channel=channel)
    rollout = sampler.fragment(12)
    narrow = folded(rollout)
    horizon = sampler.env.horizon
    assert (narrow.num_steps, narrow.num_envs) == (horizon, 4 * 12 // horizon)
    one, other = sampler.team.unroll(rollout), sampler.team.unroll(narrow)
    for name in ("action_log_prob", "message_log_prob", "action_entropy", "message_entropy"):
        before = getattr(one, name).unflatten(0, (-1, horizon)).transpose(0, 1).flatten(1, 2)
        assert torch.allclose(before, getattr(other, name), atol=1e-6), name
    for policy, values in one.before.items():
        before = values[:-1].unflatten(0, (-1, horizon)).transpose(0, 1).flatten(1, 2)
        assert torch.allclose(before, other.before[policy][:-1], atol=1e-6), policy


def test_every_field_is_cut_at_the_same_steps() -> None:
    rollout = make_sampler("speaker_listener", copies=3, channel="symbols-score").fragment(12)
    narrow = folded(rollout)
    assert torch.equal(narrow.rewards[:, 3:], rollout.rewards[6:12])
    assert torch.equal(narrow.observing[:, 3:], rollout.observing[6:13])
    for name in ("observations", "actions", "messages", "draws", "meaning"):
        size = 7 if name == "observations" else 6
        whole = tensors_of(map_tensors(lambda x, n=size: x[6 : 6 + n], getattr(rollout, name)))
        part = tensors_of(map_tensors(lambda x: x[:, 3:], getattr(narrow, name)))
        assert all(torch.equal(a, b) for a, b in zip(whole, part, strict=True)), name


@pytest.mark.parametrize(("env", "steps"), [("switch_riddle", 12), ("speaker_listener", 13), ("speaker_listener", 6)])
def test_episodes_that_end_apart_or_unfinished_stay_as_they_are(env: str, steps: int) -> None:
    rollout = make_sampler(env, copies=8, channel="symbols-score").fragment(steps)
    assert folded(rollout) is rollout


def test_a_fragment_that_starts_within_an_episode_keeps_its_state() -> None:
    sampler = make_sampler("speaker_listener", copies=4, channel="symbols-score")
    sampler.fragment(1)
    rollout = sampler.fragment(12)
    assert folded(rollout) is rollout
