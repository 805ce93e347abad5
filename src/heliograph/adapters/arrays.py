"""What agents of a Python environment see in arrays over all copies, and which of their actions are legal."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces

from heliograph.adapters.actions import ActionMap
from heliograph.adapters.spaces import ObservationMap
from heliograph.types import Role, Tree

AgentID = Hashable
Spaces = tuple[spaces.Space, spaces.Space]
"""An agent's observation space and action space."""
MASK = "action_mask"


class Slot(NamedTuple):
    """The place of an agent: its role, its place there, its number in the team, and whether it observes a mask.

    `sees` and `acts` map what it observes (without the mask) and what it does to the spaces of its role.
    """

    agent: AgentID
    role: Role
    place: int
    number: int
    masked: bool
    sees: ObservationMap
    acts: ActionMap


def without_mask(space: spaces.Space) -> tuple[spaces.Space, bool]:
    """PettingZoo's Dict of `observation` and `action_mask` taken apart, and whether it was one."""
    if not (isinstance(space, spaces.Dict) and MASK in space.spaces):
        return space, False
    rest = {key: part for key, part in space.spaces.items() if key != MASK}
    return (rest["observation"] if list(rest) == ["observation"] else spaces.Dict(rest)), True


def take_mask(observation: Mapping[str, Any]) -> tuple[Any, Any]:
    """An observation taken apart in the same way, and its mask; None where it has none."""
    rest = {key: part for key, part in observation.items() if key != MASK}
    return (rest["observation"] if list(rest) == ["observation"] else rest), observation.get(MASK)


def first_action(space: spaces.Space) -> Any:
    """The first action of a space, in the numbers that networks choose: 0, or the lowest of a Box that is finite."""
    return np.clip(np.zeros(space.shape), space.low, space.high) if isinstance(space, spaces.Box) else 0


def same(one: Any, other: Any) -> bool:
    """Tell whether two observations (or lists, tuples and dicts of such) hold the same numbers."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(np.array_equal(one, other))


def empty(space: spaces.Space, batch: tuple[int, ...]) -> Tree:
    """Zeros for a batch of observations: float32, whole numbers as int64, images as uint8."""
    if isinstance(space, spaces.Dict):
        return {key: empty(part, batch) for key, part in space.spaces.items()}
    dtype = np.dtype(space.dtype)
    kept = np.float32 if dtype.kind == "f" else dtype if dtype == np.uint8 or dtype.kind == "b" else np.int64
    return np.zeros((*batch, *(space.shape or ())), kept)


def clear(arrays: Tree, index: tuple[int, ...], *, value: Any = 0) -> None:
    """Store a value, zeros by default, at an index of every array."""
    if isinstance(arrays, dict):
        for part in arrays.values():
            clear(part, index, value=value)
    else:
        arrays[index] = value


def as_tensors(arrays: Tree, *, device: torch.device) -> Tree:
    """Copies of arrays as tensors on a device."""
    if isinstance(arrays, dict):
        return {key: as_tensors(part, device=device) for key, part in arrays.items()}
    return torch.from_numpy(arrays.copy()).to(device)
