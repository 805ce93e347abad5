"""Small teams to check components in: their environments, weights at which everything matters, and what they did."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.envs.identity import Identity
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.experiments.choices import TeamChoices, build_team, facts_of
from heliograph.rollouts.sampler import Sampler
from heliograph.team.team import Team
from heliograph.testing.mixed import Mixed
from heliograph.types import TeamStep, Tree

__all__ = ["ENVS", "all_close", "perturbed", "seeded", "small_sampler", "small_team", "steps_of", "stir"]

ENVS: dict[str, Callable[..., TeamEnv]] = {
    "identity": Identity,
    "speaker_listener": functools.partial(SpeakerListener, rounds=3),
    "switch_riddle": SwitchRiddle,
    "mixed": Mixed,
}
"""Simple games, one in which agents wait for their turn, and one in which everything happens that may."""


def seeded(seed: int = 0) -> torch.Generator:
    """A generator of a seed."""
    return torch.Generator().manual_seed(seed)


def all_close(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are equal up to what rounding in another order makes of them."""
    return torch.allclose(one, other, atol=2e-5, rtol=1e-4)


def small_team(env: TeamEnv, choices: TeamChoices, *, seed: int = 0) -> Team:
    """A team with weights large enough for everything to matter."""
    return stir(build_team(choices, facts_of(env), seed=seed), seed=seed)


def small_sampler(env: str, choices: TeamChoices, *, copies: int = 6, seed: int = 0, **settings: Any) -> Sampler:
    """A sampler of such a team in one of `ENVS`, with settings of the environment."""
    made = ENVS[env](num_envs=copies, seed=seed, **settings)
    return Sampler(made, small_team(made, choices, seed=seed), seed=seed)


def stir(team: Team, *, seed: int = 0) -> Team:
    """Random weights of a size at which agents differ in what they do."""
    generator = seeded(seed)
    for weight in team.parameters():
        weight.data = 0.4 * torch.randn(weight.shape, generator=generator)
    return team


def steps_of(env: TeamEnv, team: Team, *, number: int, seed: int = 0) -> list[tuple[TeamStep, Any]]:
    """Return what a team saw and in which state it was, step by step."""
    generator = seeded(seed)
    step = env.reset()
    state, found = team.initial_state(step), []
    for _ in range(number):
        found.append((step, state))
        acted = team.step(step, state, generator=generator)
        step = env.step(acted.actions)
        state = team.cut(acted.state, step.terminated | step.truncated, acted.edges)
    return found


def perturbed(tree: Tree, *, roles: set[str]) -> Tree:
    """Observations of which those of some roles are replaced by others of the same kind."""
    return {name: _noise(leaf) if name in roles else leaf for name, leaf in tree.items()}


def _noise(tree: Tree) -> Tree:
    if isinstance(tree, dict):
        return {key: _noise(value) for key, value in tree.items()}
    if tree.dtype == torch.uint8:
        return 255 - tree
    return tree + torch.randn(tree.shape)
