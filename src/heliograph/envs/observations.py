"""Observations as vectors: which spaces they may have, and what a network without an eye for images reads."""

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor

from heliograph import distributions
from heliograph.types import Tree

__all__ = ["check_observation_space", "flat_observation", "flat_size", "pixel_scale"]

LARGEST_PIXEL = 2**16 - 1


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
    """What images (and other bytes) are divided by, so that they lie in [-1, 1]: their largest bound, 1 without one."""
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
