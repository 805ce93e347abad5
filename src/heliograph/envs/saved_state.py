"""States of environments as they are saved: tensors by name; and the names that they had in older files, for ever."""

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from heliograph.envs.state import clone, named_tensors, refill

__all__ = ["restored", "saved"]

S = TypeVar("S")


def saved(state: object) -> dict[str, Tensor]:
    """The tensors of a state by name, as copies."""
    return named_tensors(clone(state))


def restored(form: S, tensors: Mapping[str, Tensor]) -> S:
    """The state of the form of another that was saved as these tensors, on the device of that form.

    Before environments had a state, tensors were saved by the names of attributes: `_place` was what the field `place`
    is now, wherever in the state it lies. Raises ValueError where a tensor is missing or has another shape.
    """
    found = {name: _found(name, like, tensors) for name, like in named_tensors(form).items()}
    return refill(form, found)


def _found(name: str, like: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    field = name.rpartition(".")[2]
    present = [key for key in (name, f"_{field}", field) if key in tensors]
    if not present:
        raise ValueError(f"the saved state has no {name!r}, only {sorted(tensors)}: it is of another environment")
    tensor = tensors[present[0]]
    if tensor.shape != like.shape:
        shapes = f"{list(tensor.shape)}, not {list(like.shape)}"
        raise ValueError(f"the saved {name!r} has shape {shapes}: num_envs and all settings must be those of the save")
    return tensor
