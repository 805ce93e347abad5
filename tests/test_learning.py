"""A team learns to talk in seconds, in plain PyTorch."""

import time

import torch

from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.rollouts.sampler import Sampler, play_episodes


def trained(channel: str, *, iterations: int = 100) -> tuple[float, float]:
    """Mean greedy return on `identity`, and the seconds it took: policy gradient with the channel's own gradient."""
    began = time.process_time()
    env = build_env(EnvChoice(env="identity", settings={"values": 2}), num_envs=128, seed=0)
    choices = TeamChoices(model="feedforward", model_settings={"size": 32}, channel=channel)
    team = build_team(choices, facts_of(env), seed=0)
    sampler = Sampler(env, team, seed=0)
    optimiser = torch.optim.Adam(team.parameters(), lr=0.01)
    for _ in range(iterations):
        rollout = sampler.fragment(2)
        unrolled = team.unroll(rollout)
        gain = rollout.rewards.sum(0, keepdim=True) - 0.5
        score = (unrolled.action_log_prob + unrolled.message_log_prob) * gain
        loss = -score.sum((0, 2)).mean() - 0.01 * (unrolled.action_entropy + unrolled.message_entropy).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    returns = play_episodes(sampler, 500)[0].returns
    return returns.mean().item(), time.process_time() - began


def test_identity_is_learnt_with_dru_in_seconds() -> None:
    mean_return, seconds = trained("dru")
    assert mean_return > 0.95, mean_return
    assert seconds < 15, seconds


def test_the_silent_control_learns_nothing() -> None:
    assert trained("none", iterations=50)[0] < 0.6
