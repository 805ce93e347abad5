"""A team learns to name objects in seconds, and its no-communication control stays at the blind score."""

import torch

from heliograph.envs.reconstruction import ReconstructionGame
from heliograph.experiments.choices import TeamChoices, build_team, facts_of
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.types import MessageForm


def trained(channel: str, *, iterations: int) -> float:
    """Mean greedy return, in execution form, by policy gradient and the channel's own gradient."""
    env = ReconstructionGame(attributes=2, values=3, reward="share", num_envs=256, seed=0)
    choices = TeamChoices(model="feedforward", model_settings={"size": 64}, channel=channel)
    if channel == "dru":
        choices = choices.model_copy(update={"channel_settings": {"bits": 4}})
    team = build_team(choices, facts_of(env), seed=0)
    sampler = Sampler(env, team, seed=0)
    optimiser = torch.optim.Adam(team.parameters(), lr=0.01)
    for _ in range(iterations):
        rollout = sampler.fragment(2)
        unrolled = team.unroll(rollout)
        gain = rollout.rewards.sum(0, keepdim=True)
        gain = gain - gain.mean()
        loss = -(unrolled.action_log_prob * gain).sum((0, 2)).mean() - 0.005 * unrolled.action_entropy.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return play_episodes(sampler, 500, form=MessageForm.EXECUTION)[0].returns.mean().item()


def test_a_team_learns_to_name_most_attributes() -> None:
    assert trained("dru", iterations=100) > 0.7


def test_the_silent_control_stays_at_the_blind_score() -> None:
    assert abs(trained("none", iterations=40) - 1 / 3) < 0.08
