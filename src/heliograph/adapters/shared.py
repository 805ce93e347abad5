"""Tensors in memory that processes share: nothing is copied to hand them over.

Every process that has the file adds the same tensors in the same order, and so finds them in the same places.
"""

import math
import mmap
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from heliograph.types import Tree, map_tensors

__all__ = ["Memory", "leaves", "mapped", "rows", "stackable_form", "write"]

ALIGNED = 64
"""Bytes; a line of a processor's cache."""


class Memory:
    """A file in memory that grows by tensors; `handle` is its descriptor, which is closed by whoever opened it."""

    def __init__(self, handle: int):
        self.handle, self._size = handle, 0

    def add(self, like: Tree, *, num_rows: int) -> Tree:
        """Tensors [num_rows, ...] of the shapes and dtypes of `like`, apart from its first axis."""
        pages = mmap.ALLOCATIONGRANULARITY
        sizes = [num_rows * math.prod(leaf.shape[1:]) * leaf.element_size() for leaf in leaves(like)]
        size = max(1, sum(_rounded(size, ALIGNED) for size in sizes))
        if os.fstat(self.handle).st_size < self._size + size:
            os.ftruncate(self.handle, self._size + size)
        region = mmap.mmap(self.handle, size, offset=self._size)
        self._size += _rounded(size, pages)
        place = 0

        def placed(leaf: Tensor) -> Tensor:
            nonlocal place
            shape = (num_rows, *leaf.shape[1:])
            if not math.prod(shape):
                return leaf.new_empty(shape)
            found = torch.frombuffer(region, dtype=leaf.dtype, count=math.prod(shape), offset=place).view(shape)
            place += _rounded(found.numel() * found.element_size(), ALIGNED)
            return found

        return map_tensors(placed, like)


def leaves(tree: Tree) -> Iterator[Tensor]:
    """All tensors of a structure, in the order of its fields."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from leaves(part)
    elif tree is not None:
        yield from leaves(vars(tree))


def rows(tree: Tree, first: int, number: int) -> Tree:
    """The same memory, of so many copies from one on."""
    return map_tensors(lambda leaf: leaf[first : first + number], tree)


def write(tree: Tree, into: list[Tensor]) -> None:
    """Store the tensors of a structure in others, given in the same order."""
    for source, target in zip(leaves(tree), into, strict=True):
        target.copy_(source)


def mapped(tree: Tree, function: Callable[[Tensor], Tensor]) -> Any:
    """A structure with other tensors. Unlike `map_tensors` it does not call constructors, which costs more."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {key: mapped(part, function) for key, part in tree.items()}
    if tree is None:
        return None
    new = object.__new__(type(tree))
    vars(new).update({name: mapped(part, function) for name, part in vars(tree).items()})
    return new


def stackable_form(tree: Tree) -> Any:
    """Return what two structures must have in common to stand in one, side by side along their first axis."""
    if isinstance(tree, Tensor):
        return f"{tree.dtype} {list(tree.shape[1:])}".removeprefix("torch.")
    if tree is None:
        return None
    parts = tree if isinstance(tree, dict) else vars(tree)
    return {name: stackable_form(part) for name, part in parts.items()}


def _rounded(size: int, unit: int) -> int:
    return -(-size // unit) * unit
