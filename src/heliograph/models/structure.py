"""Memories and hidden features of agents: one vector each, or several by name, as a model declares their sizes."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph.types import Tree, map_tensors

__all__ = ["Sizes", "nothing_of", "side_by_side", "taken_apart", "total_size", "where_agents", "zeros_of"]

Sizes = int | Mapping[str, int]
"""The size of one vector, or those of several by name."""


def total_size(sizes: Sizes) -> int:
    """Return how many numbers an agent has in all vectors together."""
    return sizes if isinstance(sizes, int) else sum(sizes.values())


def zeros_of(sizes: Sizes, *lead: int, device: torch.device) -> Tree:
    """Make zeros `[*lead, size]` for each vector."""
    if isinstance(sizes, int):
        return torch.zeros(*lead, sizes, device=device)
    return {name: torch.zeros(*lead, size, device=device) for name, size in sizes.items()}


def nothing_of(sizes: Sizes, *lead: int, device: torch.device) -> Tree:
    """Zeros of the same shapes that take no memory, only to be read."""
    zero = torch.zeros((), device=device)
    if isinstance(sizes, int):
        return zero.expand(*lead, sizes)
    return {name: zero.expand(*lead, size) for name, size in sizes.items()}


def side_by_side(vectors: Tree, sizes: Sizes) -> Float[Tensor, "*batch H"]:
    """Join the vectors of an agent to one, in the order in which their sizes are declared.

    Raises ValueError where there are others than declared.
    """
    if isinstance(sizes, int):
        return vectors
    if not isinstance(vectors, dict) or vectors.keys() != sizes.keys():
        found = list(vectors) if isinstance(vectors, dict) else "a single vector"
        raise ValueError(f"sizes are declared of {list(sizes)}, but there is {found}")
    return torch.cat([vectors[name] for name in sizes], -1)


def taken_apart(joined: Float[Tensor, "*batch H"], sizes: Sizes) -> Tree:
    """Split what `side_by_side` has joined."""
    if isinstance(sizes, int):
        return joined
    return dict(zip(sizes, joined.split(list(sizes.values()), -1), strict=True))


def where_agents(mask: Bool[Tensor, "B A"], yes: Tree, no: Tree) -> Tree:
    """Choose vectors `[B, A, size]` of agents: `yes` where the mask holds, `no` elsewhere."""
    chosen = mask.unsqueeze(-1)
    return map_tensors(lambda a, b: torch.where(chosen, a, b), yes, no)
