"""Scores of scripted teams by simulation, without showing anything to anyone, which saves most of the time."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from heliograph.envs.base import TeamEnv

__all__ = ["Simulated", "simulate"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulated:
    """Means over episodes: the return (over agents too), and the share of successes."""

    episode_return: float
    success_rate: float
    episodes: int


def simulate(env: TeamEnv, policy: Callable[[int], dict[str, Tensor]], *, seed: int = 0) -> Simulated:
    """Play one episode in each copy; `policy` gives the actions of a step, which it may read off the environment.

    The environment must have a horizon and report success; it is left in the middle of things.
    """
    assert env.horizon is not None, "episodes must end"
    env.seed(seed)
    playing = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
    env._start(playing)
    total = torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
    successes = 0
    for time in range(env.horizon - env.talk_steps):
        outcome = env._advance(policy(time), playing)
        total += outcome.rewards.double().mean(1) * playing
        successes += int((outcome.info["success"] & outcome.episode_over & playing).sum())
        playing = playing & ~outcome.episode_over
        if not bool(playing.any()):
            break
    copies = env.num_envs
    return Simulated(episode_return=float(total.mean()), success_rate=successes / copies, episodes=copies)
