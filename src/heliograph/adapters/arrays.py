"""What agents of a Python environment see in arrays over all copies, and which of their actions are legal."""

import math
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from heliograph.distributions import num_choices
from heliograph.types import Role, Tree

AgentID = Hashable
Spaces = tuple[spaces.Space, spaces.Space]
"""An agent's observation space and action space."""
MASK = "action_mask"


class Slot(NamedTuple):
    """Where an agent stands: its role, its place there, its number in the team, and whether it observes a mask."""

    agent: AgentID
    role: Role
    place: int
    number: int
    masked: bool


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


def legal_flags(mask: Any, space: spaces.Space) -> np.ndarray | None:
    """Which choices a mask allows, those of all parts of an action side by side; None where it fits no such action.

    A mask is one array, or for MultiDiscrete also a tuple of one for each part, and must allow a choice in each.
    """
    sizes = num_choices(space)
    parts = mask if isinstance(mask, (tuple, list)) and len(sizes) > 1 and np.ndim(mask[0]) else [mask]
    flags = np.concatenate([np.ravel(part) for part in parts]).astype(bool)
    if flags.shape != (sum(sizes),) or not all(map(np.any, np.split(flags, np.cumsum(sizes)[:-1]))):
        return None
    return flags


def forbids_all(mask: Any, space: spaces.Space) -> bool:
    """Whether a mask of the right size allows no action at all: its agent has nothing to choose."""
    if isinstance(space, spaces.Box):
        return False
    parts = mask if isinstance(mask, (tuple, list)) and len(mask) and np.ndim(mask[0]) else [mask]
    flags = np.concatenate([np.ravel(part) for part in parts])
    return len(flags) == sum(num_choices(space)) and not flags.any()


def first_action(space: spaces.Space) -> Any:
    """The first action of a space, in the numbers that networks choose: 0, or the lowest of a Box that is finite."""
    return np.clip(np.zeros(space.shape), space.low, space.high) if isinstance(space, spaces.Box) else 0


def same(one: Any, other: Any) -> bool:
    """Whether two observations (or lists, tuples and dicts of such) hold the same numbers."""
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


def write(arrays: Tree, index: tuple[int, ...], value: Any, space: spaces.Space) -> None:
    """Store one observation; raises ValueError where it does not fit its space or is not finite."""
    if isinstance(space, spaces.Dict):
        missing = [key for key in space.spaces if key not in value]
        if missing:
            raise ValueError(f"it lacks {missing}")
        for key, part in space.spaces.items():
            write(arrays[key], index, value[key], part)
        return
    if isinstance(value, Mapping):
        raise ValueError(f"it is a dict of {list(value)}, its space is {space}: declare a Dict space, or flatten it")
    array = np.asarray(value)
    if array.size == 1 and math.prod(space.shape or ()) == 1:
        array = array.reshape(space.shape or ())
    if array.shape != (space.shape or ()):
        raise ValueError(f"its shape is {array.shape}, not {space.shape or ()}")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError("it must hold finite numbers")
    if isinstance(space, spaces.Discrete) and not 0 <= array < space.n:
        raise ValueError(f"{array} is not in {space}")
    arrays[index] = array


def clear(arrays: Tree, index: tuple[int, ...]) -> None:
    """Store zeros."""
    for part in arrays.values() if isinstance(arrays, dict) else [arrays]:
        clear(part, index) if isinstance(part, dict) else part.__setitem__(index, 0)
