"""Observations of any space as vectors, and the state that is made of those of a whole team."""

from collections.abc import Mapping
from typing import final

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor

from heliograph import distributions
from heliograph.types import Role, StateMaker, Tree

__all__ = ["JoinedObservations", "check_observation_space", "flat_observation", "flat_size", "pixel_scale"]

LARGEST_PIXEL = 2**16 - 1


@final
class JoinedObservations(StateMaker):
    """The state of an environment that gives none of its own: the observations of all agents side by side, as floats.

    Of images it is four times as large as they are, so it is made when it is asked for, of what is at hand then.
    """

    def __init__(self, roles: tuple[Role, ...]):
        self.roles = roles

    @property
    def size(self) -> int:
        """S, the features of all agents."""
        return sum(len(role.agents) * flat_size(role.observation_space) for role in self.roles)

    def of(self, observations: Mapping[str, Tree]) -> Float[Tensor, "*batch S"]:
        """The state, of observations by role `[..., A, *]`."""
        parts = [flat_observation(r.observation_space, observations[r.name]).flatten(-2) for r in self.roles]
        return torch.cat(parts, -1)


def check_observation_space(space: spaces.Space, role: str) -> None:
    """Refuse observation spaces that cannot be put in tensors."""
    if isinstance(space, spaces.Dict):
        for part in space.spaces.values():
            check_observation_space(part, role)
    elif not isinstance(space, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        known = "Box, Discrete, MultiDiscrete, MultiBinary or Dict"
        raise ValueError(f"role {role!r}: observations must be {known}, not {space}")
    elif isinstance(space, spaces.Discrete) and int(space.start) != 0:
        raise ValueError(f"role {role!r}: the observation space {space} must start at 0")


def pixel_scale(space: spaces.Box) -> float:
    """Number that images (and other bytes) are divided by, so that they lie in [-1, 1].

    Their largest bound, 1 without one.
    """
    largest = max(abs(float(space.low.min(initial=0))), abs(float(space.high.max(initial=0))))
    return largest if 0 < largest <= LARGEST_PIXEL else 1.0


def flat_size(space: spaces.Space) -> int:
    """Features of an observation after `flat_observation`."""
    return int(spaces.flatdim(space))


def flat_observation(space: spaces.Space, observation: Tree) -> Float[Tensor, "*batch O"]:
    """An observation as one vector: discrete spaces one-hot, images and bytes scaled, Dict in the order of its keys."""
    if isinstance(space, spaces.Dict):
        return torch.cat([flat_observation(sub, observation[key]) for key, sub in space.spaces.items()], -1)
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        return distributions.features(space, observation)
    if isinstance(space, spaces.MultiBinary):
        return observation.flatten(-len(space.shape)).float()
    if isinstance(space, spaces.Box):
        flat = (observation.flatten(-len(space.shape)) if space.shape else observation.unsqueeze(-1)).float()
        scale = pixel_scale(space) if space.dtype == np.uint8 or len(space.shape) == 3 else 1.0
        return flat if scale == 1 else flat / scale
    known = "Box, Discrete, MultiDiscrete, MultiBinary or Dict"
    raise ValueError(f"observation space {space} is not supported: use {known}")
