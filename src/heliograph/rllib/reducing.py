"""Numbers that several learners agree on, none of which waits for another without end."""

import datetime
import time

import torch
from torch import Tensor

from heliograph.rllib.failures import LearnerError

__all__ = ["PATIENCE_SECONDS", "LearnerWaitError", "least", "leave", "summed"]

PATIENCE_SECONDS = 60.0
"""How long a learner waits for the others in the middle of an update."""


class LearnerWaitError(LearnerError):
    """A learner that waited in vain for another: that one failed, is stuck, or takes other steps."""


def summed(tensor: Tensor) -> Tensor:
    """The sum over all learners, in place; raises `LearnerWaitError` where another does not come."""
    _reduce(tensor, torch.distributed.ReduceOp.SUM)
    return tensor


def least(value: int, *, device: torch.device) -> int:
    """The smallest of the learners' numbers."""
    found = torch.tensor(value, device=device)
    _reduce(found, torch.distributed.ReduceOp.MIN)
    return int(found)


def leave() -> None:
    """Leave the other learners, who then learn at once that this one does not come back."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _reduce(tensor: Tensor, operation: torch.distributed.ReduceOp.RedOpType) -> None:
    began = time.monotonic()
    try:
        work = torch.distributed.all_reduce(tensor, op=operation, async_op=True)
        if tensor.is_cpu:
            work.wait(datetime.timedelta(seconds=PATIENCE_SECONDS))
        else:  # on GPUs the host does not wait here, and the backend has a limit of its own
            work.wait()
    except RuntimeError as error:
        rank, size = _place()
        seconds = time.monotonic() - began
        if seconds < 0.9 * PATIENCE_SECONDS:
            raise LearnerWaitError(f"learner {rank} of {size} lost another one in an update: {error}") from error
        raise LearnerWaitError(
            f"learner {rank} of {size} waited {seconds:.0f} s for another one in the middle of an update: that one is "
            "stuck, or far slower (look at its machine, or use num_learners=1)"
        ) from error


def _place() -> tuple[int, int]:
    if not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
