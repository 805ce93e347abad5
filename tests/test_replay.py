"""Replay: bounded, aligned, what was heard is heard again; single steps and whole episodes; saved bit by bit."""

from typing import Any

import pytest
import torch

from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.rollouts.replay import Replay
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.storage.state_file import read_state, write_state
from heliograph.team.team import Team
from heliograph.types import tensors_of


def sampling(env: str, channel: str = "none", *, model: str = "feedforward", copies: int = 3, **settings: Any) -> Any:
    made = build_env(EnvChoice(env=env, settings=settings), num_envs=copies, seed=0)
    choices = TeamChoices(model=model, model_settings={"size": 8}, channel=channel)
    team = build_team(choices, facts_of(made), seed=0)
    return team, Sampler(made, team, seed=0)


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def told(rollout: Rollout) -> torch.Tensor:
    return torch.cat([rollout.observations[role].flatten(2) for role in rollout.observations], -1)


def test_single_steps_are_those_of_the_rollout_with_what_came_of_them() -> None:
    _, sampler = sampling("mpe_spread", steps=4)
    rollout, replay = sampler.episodes(), Replay(num_env_steps=100, length=1)
    replay.add(rollout)
    assert replay.number == 12
    kept = replay.sample(1000, generator=stream()).rollout
    steps = {tuple(row.tolist()): (t, b) for t in range(4) for b, row in enumerate(told(rollout)[t])}
    for column in range(0, 1000, 50):
        t, b = steps[tuple(told(kept)[0, column].tolist())]
        assert torch.equal(kept.rewards[0, column], rollout.rewards[t, b])
        assert torch.equal(kept.actions["agent"][0, column], rollout.actions["agent"][t, b])
        assert torch.equal(kept.truncated[0, column], rollout.truncated[t, b])
        after = kept.final_observations["agent"][0, column]
        assert torch.equal(after, rollout.final_observations["agent"][t, b])
        if t < 3:
            assert torch.equal(after, rollout.observations["agent"][t + 1, b])


def test_the_oldest_make_room_and_memory_is_bounded() -> None:
    _, sampler = sampling("mpe_spread", steps=4)
    replay = Replay(num_env_steps=30, length=1)
    rollouts = [sampler.episodes() for _ in range(4)]
    replay.add(rollouts[0])
    size = sum(leaf.numel() for leaf in tensors_of(replay.rollout))
    for rollout in rollouts[1:]:
        replay.add(rollout)
    assert replay.number == replay.capacity == 30
    assert sum(leaf.numel() for leaf in tensors_of(replay.rollout)) == size
    held = {tuple(row.tolist()) for row in told(replay.rollout)[0]}
    newest = {tuple(row.tolist()) for r in rollouts[2:] for t in range(4) for row in told(r)[t]}
    oldest = {tuple(row.tolist()) for t in range(4) for row in told(rollouts[0])[t]}
    assert newest <= held and not held & oldest


def test_episodes_of_different_lengths_are_kept_whole_and_their_ends_are_not_valid() -> None:
    _, sampler = sampling(
        "predator_prey", "dru", model="cnet", size=2, predators=2, steps=6, mode="cooperative", copies=16
    )
    rollout = sampler.episodes()
    replay = Replay(num_env_steps=200, length=8)
    replay.add(rollout)
    kept = replay.rollout
    assert kept.num_steps == 8 and kept.rewards.shape[1] == 25
    assert (
        torch.equal(kept.valid[: rollout.num_steps, :16], rollout.valid) and not kept.valid[rollout.num_steps :].any()
    )
    with pytest.raises(ValueError, match="an episode of"):
        Replay(num_env_steps=200, length=rollout.num_steps - 1).add(rollout)


def test_what_comes_after_a_step_is_known_of_single_steps_too() -> None:
    """In the identity game everybody speaks first and acts then."""
    _, sampler = sampling("identity")
    replay = Replay(num_env_steps=10, length=1)
    replay.add(sampler.episodes())
    drawn = replay.sample(200, generator=stream())
    speaking = drawn.rollout.speaking[0, :, 0]
    assert 0 < int(speaking.sum()) < 200
    assert torch.equal(drawn.ahead.acting[0, speaking], torch.ones_like(drawn.ahead.acting[0, speaking]))
    assert not bool(drawn.ahead.speaking[0, speaking].any())


@pytest.mark.parametrize("channel", ["symbols", "dru", "continuous", "vq"])
def test_what_was_heard_then_is_heard_whatever_the_weights_have_become(channel: str) -> None:
    team, sampler = sampling("speaker_listener", channel, model="cnet", copies=8)
    replay = Replay(num_env_steps=64, length=2)
    replay.add(sampler.episodes())
    rollout = replay.sample(32, generator=stream()).rollout
    before = team.unroll(rollout, as_heard=True)
    assert torch.allclose(before.action_log_prob, rollout.action_log_prob, atol=1e-5)
    with torch.no_grad():
        for weight in team.policies["speaker"].parameters():
            weight.add_(torch.randn(weight.shape, generator=stream()))
    then = team.unroll(rollout, as_heard=True)
    torch.testing.assert_close(then.action_log_prob, before.action_log_prob, atol=1e-5, rtol=0)
    for said, heard in zip(rollout.messages, then.messages, strict=True):
        assert torch.equal(said.payload, heard.payload.detach())
    found = torch.autograd.grad(then.action_log_prob.sum(), list(weights(team)), allow_unused=True)
    reaches = any(gradient is not None and bool(gradient.any()) for gradient in found)
    assert reaches == (channel != "symbols")


def weights(team: Team) -> Any:
    return team.policies["speaker"].message_encoder.parameters()


def test_truncated_and_other_episodes_may_follow_each_other() -> None:
    _, sampler = sampling("predator_prey", size=2, predators=1, steps=9, time_limit=3, copies=1)
    replay, cut = Replay(num_env_steps=400, length=1), set()
    for _ in range(12):
        rollout = sampler.episodes()
        cut.add(rollout.final_observations is None)
        replay.add(rollout)
    assert len(cut) == 2, "both kinds are wanted"
    kept = replay.rollout
    going_on = ~(kept.truncated | kept.terminated).any(-1)[0, : replay.number]
    after = kept.final_observations["predator"][0, : replay.number][going_on]
    assert torch.equal(after, kept.observations["predator"][1, : replay.number][going_on])


def test_rewards_are_standardised_over_all_that_is_kept() -> None:
    _, sampler = sampling("mpe_spread", steps=4)
    replay = Replay(num_env_steps=30, length=1)
    for _ in range(3):
        replay.add(sampler.episodes())
        rewards = replay.rollout.rewards[0, : replay.number]
        mean, deviation = replay.moments_of_rewards()
        torch.testing.assert_close(mean, rewards.mean(0))
        torch.testing.assert_close(deviation, rewards.std(0, correction=0))


@pytest.mark.parametrize("rollouts", [0, 1, 4])
def test_a_saved_replay_goes_on_bit_by_bit(rollouts: int, tmp_path: Any) -> None:
    _, sampler = sampling("identity", "symbols", model="cnet", copies=4)
    replay = Replay(num_env_steps=20, length=2)
    for _ in range(rollouts):
        replay.add(sampler.episodes())
    write_state(tmp_path / "state", replay.get_state())
    other = Replay(num_env_steps=20, length=2)
    other.set_state(read_state(tmp_path / "state"))
    again = Replay(num_env_steps=20, length=2)
    again.set_state(other.get_state())  # before anything was added
    new = sampler.episodes()
    drawn = []
    for one in (replay, other, again):
        one.add(new)
        drawn.append(one.sample(64, generator=stream()))
    for later in drawn[1:]:
        for left, right in zip(everything(drawn[0]), everything(later), strict=True):
            assert torch.equal(left, right)


def everything(minibatch: Any) -> list[torch.Tensor]:
    rollout = minibatch.rollout
    return tensors_of({"time": rollout.by_time(), "initial": rollout.initial, "ahead": minibatch.ahead})
