"""Numbers that all learners of a team agree on, none of whom waits for another without end."""

import dataclasses
import datetime
import time
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph.models.blocks import masked_moments
from heliograph.rllib.failures import LearnerError

__all__ = ["PATIENCE_SECONDS", "Averaged", "LearnerWaitError", "Peers", "leave"]

PATIENCE_SECONDS = 60.0
"""How long a learner waits for the others in the middle of an update."""


class LearnerWaitError(LearnerError):
    """A learner that waited in vain for another: that one failed, is stuck, or takes other steps."""


@dataclasses.dataclass(frozen=True)
class Averaged:
    """Values whose mean over a mask is asked for."""

    values: Float[Tensor, "T B N"]
    over: Bool[Tensor, "T B N"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peers:
    """The learners of a team, of which each has some copies of a batch; one alone asks nobody.

    Every method is a meeting: all learners call it, in the same order. Each raises `LearnerWaitError` where another one
    does not come.
    """

    number: int

    def means(self, terms: dict[str, Averaged], *, count: Tensor | None = None) -> dict[str, Tensor]:
        """Means over masks such that averaging the gradients of all learners gives those of the global means.

        With `count`, sums over the masks for each thing that `count` keeps. All are computed at once.
        """
        masks = torch.stack([term.over for term in terms.values()])
        kept = torch.where(masks, torch.stack([term.values for term in terms.values()]), 0.0)
        counts = self.agreed((masks.flatten(1) if count is None else count.view(1, -1)).sum(1).float())
        found = kept.flatten(1).sum(1) / counts.clamp(min=1 / self.number)
        return dict(zip(terms, found.unbind(0), strict=True))

    def agreed(self, value: Tensor) -> Tensor:
        """The mean of numbers over all learners."""
        return value if self.number == 1 else _reduced(value.clone(), torch.distributed.ReduceOp.SUM) / self.number

    def least(self, value: int, *, device: torch.device) -> int:
        """The smallest of the learners' numbers."""
        if self.number == 1:
            return value
        return int(_reduced(torch.tensor(value, device=device), torch.distributed.ReduceOp.MIN))

    def moments(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean [D], variance [D] and count of the values `[..., D]` of all learners that the mask keeps."""
        mean, variance, count = masked_moments(values, mask)
        if self.number == 1:
            return mean, variance, count
        sums = torch.cat([(mean * count).double(), ((variance + mean.square()) * count).double(), count.view(1)])
        sums = _reduced(sums, torch.distributed.ReduceOp.SUM)
        size, total = mean.numel(), sums[-1].clamp(min=1)
        mean = sums[:size] / total
        return mean.float(), (sums[size:-1] / total - mean.square()).clamp(min=0).float(), sums[-1]

    def average(self, gradients: dict[Any, Tensor], *, of: Mapping[Any, Tensor]) -> None:
        """Give every learner the mean gradient, in one message; a missing gradient counts as zero on all of them."""
        pieces = [gradients.get(key, torch.zeros_like(p)) for key, p in of.items()]
        flat = self.agreed(torch.cat([piece.flatten() for piece in pieces]))
        means = flat.split([piece.numel() for piece in pieces])
        for (key, parameter), piece, mean in zip(of.items(), pieces, means, strict=True):
            if parameter.requires_grad:
                gradients[key] = mean.view_as(piece)


def leave() -> None:
    """Leave the other learners, who then learn at once that this one does not come back."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _reduced(tensor: Tensor, operation: Any) -> Tensor:
    began = time.monotonic()
    try:
        work = torch.distributed.all_reduce(tensor, op=operation, async_op=True)
        if tensor.is_cpu:
            work.wait(datetime.timedelta(seconds=PATIENCE_SECONDS))
        else:  # on GPUs the host does not wait here, and the backend has a limit of its own
            work.wait()
    except RuntimeError as error:
        raise LearnerWaitError(_waited(time.monotonic() - began, error)) from error
    return tensor


def _waited(seconds: float, error: RuntimeError) -> str:
    there = torch.distributed.is_initialized()
    who = f"learner {torch.distributed.get_rank()} of {torch.distributed.get_world_size()}" if there else "a learner"
    if seconds < 0.9 * PATIENCE_SECONDS:
        return f"{who} lost another one in the middle of an update: {error}"
    return (
        f"{who} waited {seconds:.0f} s for another one in the middle of an update: that one is stuck, or far slower; "
        "look at its machine, or use num_learners=1"
    )
