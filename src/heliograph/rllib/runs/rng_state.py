"""The random streams of a process that belong to nobody: those of Python, NumPy and PyTorch.

Heliograph draws from generators of its own; an environment, a model or a loss of a user may draw from these.
"""

import random
from typing import Any

import numpy as np
import torch

__all__ = ["STREAMS", "get_streams", "mixed_seed", "seed_streams", "set_streams"]

STREAMS = "streams"
"""Their key in the states of env runners and learners."""


def get_streams() -> dict[str, Any]:
    """The state of all three, in tensors and plain values."""
    version, internal, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": (version, torch.tensor(internal, dtype=torch.int64), gauss),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }


def seed_streams(seed: int) -> None:
    """Begin all three anew."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def mixed_seed(*numbers: int) -> int:
    """A seed of 31 bits that depends on all of these numbers, none negative."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0]) >> 1


def set_streams(state: dict[str, Any]) -> None:
    """Continue where `get_streams` was called."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal.tolist()), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
