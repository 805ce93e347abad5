"""DIAL in plain PyTorch: recurrent Q-learning whose gradients flow from agent to agent, on the switch riddle.

This example
------------
trains the system of Foerster et al. 2016 without Ray. Heliograph gives the riddle, the network (`cnet`), the channel
(`dru`) and the unrolling of a team; the learning is written out below: epsilon-greedy behaviour, a target network with
a memory and messages of its own, and one loss over all agents and steps, whose gradient reaches the speaker through
the message that it sent. Only the prisoner in the room may act; for the others the one legal action is to do nothing.

How to run
----------
    python examples/dial_in_plain_pytorch.py --updates 300

Results to expect
-----------------
The mean return of greedy episodes, divided by that of a team that tells as soon as it is true (20/27), with hard bits.
A silent team can reach 0.72; DIAL passes it within 200 updates of 32 episodes and stays near 1.0 (about 30 seconds for
300 updates on one core).
"""

import argparse
import copy

import torch
from torch import Tensor

from heliograph import Rollout, Sampler, Team, TeamChoices, build_team, facts_of, play
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.models.blocks import masked_moments
from heliograph.models.cnet import CNet

EPSILON, LEARNING_RATE, UPDATES_PER_TARGET = 0.05, 5e-4, 100


class QNet(CNet):
    """C-Net whose head puts out Q-values; epsilon-greedy behaviour is a distribution like any other."""

    def act(self, hidden: Tensor) -> Tensor:
        """Log-probabilities of the epsilon-greedy policy."""
        values = self.head(hidden)
        greedy = torch.nn.functional.one_hot(values.argmax(-1), values.shape[-1])
        return torch.log((1 - EPSILON) * greedy + EPSILON / values.shape[-1])


def q_values(team: Team, rollout: Rollout) -> Tensor:
    """Q of every action [T, B, N, U], replayed with the recorded noise: through the channel and through time."""
    return team.policies["prisoner"].model.head(team.unroll(rollout).after["prisoner"])


def td_loss(team: Team, target: Team, rollout: Rollout) -> Tensor:
    """Squared errors of one-step targets, summed over agents and steps, averaged over episodes."""
    action = torch.where(rollout.acting, rollout.actions["prisoner"], 0)
    chosen = q_values(team, rollout).gather(-1, action.unsqueeze(-1)).squeeze(-1)
    with torch.no_grad():
        values = q_values(target, rollout)
        best = torch.where(rollout.acting, values.amax(-1), values[..., 0])
        after = torch.cat([best[1:], torch.zeros_like(best[:1])])
        goal = rollout.rewards + torch.where(rollout.episode_over.unsqueeze(-1), 0.0, after)
    errors = (goal - chosen).square() * rollout.valid.unsqueeze(-1)
    return errors.sum() / rollout.num_envs


def track_messages(team: Team, rollout: Rollout) -> None:
    """Move the statistics by which the network normalises messages."""
    mean, variance, _ = masked_moments(rollout.messages[0].payload, rollout.speaking & rollout.valid.unsqueeze(-1))
    for norm in team.policies["prisoner"].message_norms():
        norm.track(mean, variance)


def main(updates: int = 300, *, seed: int = 0, prisoners: int = 3, evaluate_every: int = 100) -> list[float]:
    """Train, and return the normalised returns of greedy episodes with hard bits."""
    env = SwitchRiddle(prisoners=prisoners, num_envs=32, seed=seed)
    choices = TeamChoices(model=QNet, channel="dru", channel_settings={"bits": 1, "sigma": 2.0})
    team = build_team(choices, facts_of(env), seed=seed)
    target = copy.deepcopy(team)
    sampler = Sampler(env, team, seed=seed)
    judge = Sampler(SwitchRiddle(prisoners=prisoners, num_envs=500, seed=seed + 1), team, seed=seed)
    optimiser = torch.optim.RMSprop(team.parameters(), lr=LEARNING_RATE, momentum=0.05)
    scores = []
    for update in range(1, updates + 1):
        rollout = sampler.episodes()
        loss = td_loss(team, target, rollout)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(team.parameters(), 10.0)
        optimiser.step()
        track_messages(team, rollout)
        if update % UPDATES_PER_TARGET == 0:
            target.load_state_dict(team.state_dict())
        if update % evaluate_every == 0 or update == updates:
            episodes, _ = play(judge, 2000)
            scores.append(episodes.returns.mean().item() / env.bounds().full_information)
            print(f"update {update}: loss {loss.item():.3f}, normalised return {scores[-1]:.3f}")
    return scores


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description="DIAL in plain PyTorch on the switch riddle.")
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prisoners", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.updates, seed=arguments.seed, prisoners=arguments.prisoners)
