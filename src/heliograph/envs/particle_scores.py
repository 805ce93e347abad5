"""Scores of scripted teams in the particle tasks, by simulation: still ones, random ones, and those who know all."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor

from heliograph.envs.particle_kinds import ParticleState
from heliograph.envs.particle_task import ParticleTask
from heliograph.types import Bounds

__all__ = ["random_pushes", "simulated_bounds", "simulated_scores"]

FEWEST, MOST = 256, 4096
"""Episodes of each script."""
AGENT_STEPS = 614_400
"""Steps of single agents in these episodes, between the fewest and the most."""
Policy = Callable[[ParticleState], dict[str, Tensor]]


def simulated_scores(env: ParticleTask) -> dict[str, dict[str, float]]:
    """Mean return of an episode for each team, by script: `still`, `random`, `informed` and, where known, `blind`.

    All agents follow the script. They say nothing; the informed know everything, and the blind what they see.
    """
    returns = _returns(type(env), tuple(sorted(env.settings.items())))
    members = {team: env.team_of_agent.cpu() == number for number, team in enumerate(env.teams)}
    return {
        script: {team: float(of_agent[mask].mean()) for team, mask in members.items()}
        for script, of_agent in returns.items()
    }


def simulated_bounds(env: ParticleTask) -> Bounds:
    """Bounds of a task in which all are of one team and scripts know what a blind agent does."""
    means = {script: scores[env.teams[0]] for script, scores in simulated_scores(env).items()}
    return Bounds(
        random=means["random"],
        blind=means["blind"],
        full_information=means["informed"],
        source="simulated; blind, full information: the best scripts known",
    )


@functools.lru_cache(maxsize=64)
def _returns(kind: type[ParticleTask], settings: tuple[tuple[str, Any], ...]) -> Mapping[str, Float[Tensor, " N"]]:
    chosen = dict(settings)
    agent_steps = chosen["steps"] * kind(**chosen).num_agents
    env = kind(num_envs=min(MOST, max(FEWEST, AGENT_STEPS // agent_steps)), **chosen)
    scripts: dict[str, Policy] = {
        "still": lambda _: {group.name: env.silent(group) for group in env.particles},
        "random": lambda _: random_pushes(env),
        "informed": env.oracle,
    }
    if env.has_blind:
        scripts["blind"] = env.blind
    return {script: _played(env, policy) for script, policy in scripts.items()}


def _played(env: ParticleTask, policy: Policy) -> Float[Tensor, " N"]:
    env.seed(0)
    state = env.start()
    total = torch.zeros(env.num_agents, dtype=torch.float64, device=env.device)
    for _ in range(env.steps):
        state, outcome = env.advance(state, policy(state))
        total += outcome.rewards.double().mean(0)
    return total.cpu()


def random_pushes(env: ParticleTask) -> dict[str, Tensor]:
    """Draw an action for every agent, pushes and words alike."""
    drawn = {}
    for role in env.roles:
        shape = (env.num_envs, len(role.agents))
        if isinstance(role.action_space, spaces.Discrete):
            choices = int(role.action_space.n)
            drawn[role.name] = torch.randint(choices, shape, generator=env.generator, device=env.device)
        else:
            shape = (*shape, *(role.action_space.shape or ()))
            drawn[role.name] = torch.rand(shape, generator=env.generator, device=env.device)
    return drawn
