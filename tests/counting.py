"""Counts what PyTorch does in a block: how many operations, how many numbers they make, and the largest of them."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Counted(TorchDispatchMode):
    """Within the block, backward passes included: operations, numbers in what they return, and the largest tensor.

    What is merely expanded holds no numbers of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.numbers, self.largest = 0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self.operations += 1
        for leaf in tree_leaves(found):
            if isinstance(leaf, Tensor) and all(leaf.stride()):
                self.numbers += leaf.numel()
                self.largest = max(self.largest, leaf.numel())
        return found
