"""Where teams compete, no gradient of a rival's losses reaches a speaker, whatever the model and the channel."""

from typing import Any

import pytest
from torch import Tensor

from heliograph import registry
from heliograph.experiments.choices import TeamChoices, build_team, facts_of
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled
from heliograph.types import Timing
from tests.adapters.spied import TEAMS, spied

DEAF = {"feedforward", "full_information", "scripted", "silent"}
MODELS = sorted(set(registry.names("model")) - DEAF)
CHANNELS = {
    "continuous": {"gradient": "pathwise"}, "dru": {"bits": 3}, "vq": {}, "symbols": {"gradient": "gumbel"},
    "noisy+continuous": {"gradient": "pathwise"},
}  # fmt: skip
ROLES = ("eve", "bob", "alice")


def played(model: str, channel: str, teams: Any) -> tuple[Team, Unrolled, Rollout]:
    """Three episodes of eight copies, unrolled again."""
    env = spied(num_envs=8, team_of=teams)
    choices = TeamChoices(model=model, channel=channel, channel_settings=CHANNELS[channel])
    team = build_team(choices, facts_of(env), seed=0)
    rollout = Sampler(env, team, seed=1).fragment(4)
    return team, team.unroll(rollout), rollout


def reaching(team: Team, loss: Tensor) -> dict[str, float]:
    """The sum of the absolute gradients of each policy's weights."""
    team.zero_grad()
    loss.backward(retain_graph=True)
    sizes = {}
    for name in ROLES:
        grads = [p.grad for p in team.policies[name].parameters() if p.grad is not None]
        sizes[name] = float(sum(grad.abs().sum() for grad in grads))
    return sizes


def losses(unrolled: Unrolled) -> Tensor:
    """A loss of each agent, from what it chose: [N]."""
    return -unrolled.action_log_prob.sum((0, 1))


@pytest.mark.parametrize("model", MODELS)
def test_a_speaker_is_taught_by_its_team_alone(model: str) -> None:
    team, unrolled, _ = played(model, "continuous", TEAMS)
    of_eve, of_bob, _ = losses(unrolled)
    assert reaching(team, of_eve)["alice"] == 0.0
    assert reaching(team, of_eve)["eve"] > 0
    assert reaching(team, of_bob)["alice"] > 0
    team, unrolled, _ = played(model, "continuous", None)
    assert reaching(team, losses(unrolled)[0])["alice"] > 0  # as one team Eve's losses teach Alice to be understood


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("timing", ["same_step", "next_step"])
def test_so_it_is_on_every_channel_that_carries_gradients(channel: str, timing: str) -> None:
    model = {"same_step": "graph_attention", "next_step": "cnet"}[timing]
    team, unrolled, _ = played(model, channel, TEAMS)
    assert team.policies["eve"].model.timing is Timing(timing)
    of_eve, of_bob, _ = losses(unrolled)
    assert reaching(team, of_eve)["alice"] == 0.0 and reaching(team, of_bob)["alice"] > 0
