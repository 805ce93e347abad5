"""Shared weights of an env runner and a learner, and learning from what was computed to sample."""

import dataclasses
from typing import Any

import pytest
import torch

from heliograph.rllib.a2c import CommA2CConfig
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.qlearning import CommDQNConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.rollout import Rollout, concatenate
from heliograph.rollouts.split_episodes import folded
from heliograph.types import tensors_of


def config(channel: str = "dru", *, copies: int = 16, env: str = "switch_riddle", **training: Any) -> CommDQNConfig:
    """A small configuration."""
    return (
        CommDQNConfig()
        .environment(env)
        .communication(model="cnet", model_settings={"size": 16}, channel=channel)
        .env_runners(num_envs_per_env_runner=copies)
        .training(**{"momentum": 0.05, **training})
        .debugging(seed=0)
    )


def a2c(channel: str, **team: Any) -> CommA2CConfig:
    """Monte Carlo returns of one joint rollout, gradients that stop, and values from hidden features."""
    return (
        CommA2CConfig()
        .environment("traffic_junction", env_config={"steps": 8})
        .communication(model="ic3net", model_settings={"size": 16}, channel=channel, **{"critic_size": 0, **team})
        .env_runners(num_envs_per_env_runner=16, batch_mode="complete_episodes")
        .training(train_batch_size_per_learner=128, detach_gap=3)
        .debugging(seed=0)
    )


SETTINGS = {
    **{channel: config(channel) for channel in ("dru", "symbols", "garbled+dru", "delayed+noisy+dru")},
    "a2c": a2c("continuous"),
    "a2c, gated": a2c("gated+continuous"),
    "a2c, state": a2c("dru", critic="state", critic_size=16),
}
each_setting = pytest.mark.parametrize("name", SETTINGS)


def sampled(trainer: LocalTrainer) -> Rollout:
    """One batch of whole episodes."""
    (rollout,) = trainer.env_runner.sample(num_timesteps=1)
    return rollout


@each_setting
def test_a_trace_gives_the_gradients_of_unrolling(name: str) -> None:
    trainer = LocalTrainer(SETTINGS[name].copy())
    for _ in range(5):
        trainer.train()
    rollout, learner, team = sampled(trainer), trainer.learner, trainer.team
    assert rollout.trace is not None and len(rollout.trace) == rollout.num_steps
    prepared, everyone = learner.prepare(rollout), torch.arange(rollout.num_envs)
    weights = [p for p in team.parameters() if p.requires_grad]
    recomputed, traced = (
        learner.joint_loss(rollout, unrolled, prepared, everyone)["total_loss"]
        for unrolled in (team.unroll(rollout), team.traced(rollout))
    )
    found = [torch.autograd.grad(loss, weights, allow_unused=True) for loss in (recomputed, traced)]
    for weight, ours, theirs in zip(weights, *found, strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or torch.allclose(ours, theirs, atol=1e-5, rtol=1e-4), weight.shape


@each_setting
def test_training_is_the_same_without_traces(name: str) -> None:
    found = []
    for tracing in (True, False):
        torch.manual_seed(5)
        trainer = LocalTrainer(SETTINGS[name].copy())
        assert trainer.env_runner.sampler.tracing
        trainer.env_runner.sampler.tracing = tracing
        losses = [trainer.train().learner["total_loss"] for _ in range(6)]
        found.append(torch.tensor(losses))
    assert torch.allclose(*found, atol=1e-4, rtol=1e-3)


def test_a_runner_has_the_weights_of_the_learner_and_buffers_of_its_own() -> None:
    trainer = LocalTrainer(config())
    ours, theirs = trainer.team, trainer.env_runner.module.team
    assert all(a is b for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    before = [p.clone() for p in theirs.parameters()]
    trainer.train()
    assert any(not torch.equal(a, b) for a, b in zip(before, theirs.parameters(), strict=True))
    norms = [[n for policy in team.policies.values() for n in policy.message_norms()] for team in (ours, theirs)]
    for mine, its in zip(*norms, strict=True):
        assert mine is not its and torch.equal(mine.mean, its.mean)


def test_an_algorithm_in_one_process_shares_its_weights(ray_session: None) -> None:
    algorithm = config().build_algo()
    try:
        runner = algorithm.env_runner
        (found,) = algorithm.learner_group.foreach_learner(lambda learner: list(learner.team_module.team.parameters()))
        pairs = zip(runner.module.team.parameters(), found.get(), strict=True)
        assert runner.sampler.tracing and all(a is b for a, b in pairs)
        algorithm.train()
    finally:
        algorithm.stop()


def test_parts_of_a_rollout_and_what_is_saved_hold_no_gradients() -> None:
    trainer = LocalTrainer(config())
    rollout = sampled(trainer)
    some = torch.arange(4)
    for part in (rollout.select(some), next(rollout.chunks(4)), concatenate([rollout, rollout]), folded(rollout)):
        assert part is rollout or part.trace is None
    told = dataclasses.replace(rollout, trace=None)
    assert not any(leaf.requires_grad for leaf in tensors_of(told))
    state = trainer.env_runner.sampler.get_state()
    assert not any(leaf.requires_grad for leaf in tensors_of(state["team"]))


def test_only_one_pass_over_whole_episodes_of_policies_that_all_learn_is_traced() -> None:
    assert LocalTrainer(config()).env_runner.sampler.tracing
    frozen = LocalTrainer(config().multi_agent(policies_to_train=["prisoner"]))
    assert not frozen.env_runner.sampler.tracing
    fragments = a2c("continuous").env_runners(batch_mode="truncate_episodes")
    assert not LocalTrainer(fragments).env_runner.sampler.tracing
    ppo = CommPPOConfig().environment("switch_riddle").communication(model="cnet", channel="dru").debugging(seed=0)
    assert not LocalTrainer(ppo.env_runners(num_envs_per_env_runner=16)).env_runner.sampler.tracing


def test_episodes_that_are_cut_short_are_unrolled() -> None:
    settings = config(epsilon=0.5).environment("switch_riddle", env_config={"time_limit": 2})
    trainer = LocalTrainer(settings)
    rollout = sampled(trainer)
    assert rollout.final_observations is not None and rollout.trace is None
    trainer.train()
    with pytest.raises(ValueError, match="no trace"):
        trainer.team.traced(rollout)
