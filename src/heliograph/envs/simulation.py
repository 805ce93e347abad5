"""Scores of scripted teams by simulation, without showing anything to anyone, which saves most of the time."""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.envs.state import S, merge

__all__ = ["Simulated", "simulate"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Simulated:
    """Means over episodes: the return (over agents too), and the share of successes."""

    episode_return: float
    success_rate: float
    episodes: int


def simulate(env: TeamEnv[S], policy: Callable[[S, int], dict[str, Tensor]], *, seed: int = 0) -> Simulated:
    """Play one episode in each copy, without talking; `policy` gives the actions for a state and the step, from 0.

    The environment must have a horizon and report success. It is seeded, and keeps the state that it had.
    """
    assert env.horizon is not None, "episodes must end"
    env.seed(seed)
    playing = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
    state = env.start()
    total = torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
    successes = 0
    for time in range(env.horizon - env.talk_steps):
        moved, outcome = env.advance(state, policy(state, time))
        state = merge(playing, moved, state)
        total += outcome.rewards.double().mean(1) * playing
        successes += int((outcome.info["success"] & outcome.episode_over & playing).sum())
        playing = playing & ~outcome.episode_over
        if not bool(playing.any()):
            break
    copies = env.num_envs
    return Simulated(episode_return=float(total.mean()), success_rate=successes / copies, episodes=copies)
