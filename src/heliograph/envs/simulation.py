"""Mean returns of scripted teams by simulation, without showing anything to anyone, which saves most of the time."""

from collections.abc import Callable

import torch
from torch import Tensor

from heliograph.envs.base import TeamEnv

__all__ = ["simulated_return"]


def simulated_return(env: TeamEnv, policy: Callable[[int], dict[str, Tensor]], *, seed: int = 0) -> float:
    """Mean over agents and copies of the return of one episode each; `policy` gives the actions of a step.

    The environment must have a horizon; it is left in the middle of things.
    """
    assert env.horizon is not None, "episodes must end"
    env.seed(seed)
    playing = torch.ones(env.num_copies, dtype=torch.bool, device=env.device)
    env._start(playing)
    total = torch.zeros(env.num_copies, dtype=torch.float64, device=env.device)
    for time in range(env.horizon - env.talk_steps):
        outcome = env._advance(policy(time), playing)
        total += outcome.rewards.double().mean(1) * playing
        playing = playing & ~outcome.episode_over
        if not bool(playing.any()):
            break
    return float(total.mean())
