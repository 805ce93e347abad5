"""Auxiliary losses, each called once on a small rollout before training, so that one that does not fit is refused.

Only training would call a loss else, long after processes have started. Gradients are recorded, as a loss may ask for
some, and nothing is learnt.
"""

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from heliograph.envs.checking import place_of
from heliograph.experiments.choices import TeamChoices
from heliograph.isolation import isolated
from heliograph.losses.base import LossBatch
from heliograph.memory import is_exhausted
from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team
from heliograph.texts import one_line

__all__ = ["name_of_loss", "try_losses"]


def name_of_loss(loss: Any) -> str:
    """The name of an auxiliary loss: as it was chosen, or that of a class or function."""
    return loss if isinstance(loss, str) else str(getattr(loss, "__name__", type(loss).__name__))


def try_losses(losses: Sequence[tuple[Any, Any]], *, team: Team, rollout: Rollout, choices: TeamChoices) -> None:
    """Call each loss on a rollout of the team; `losses` are pairs of what was chosen, and what was built of it.

    Weights, buffers and the random streams of the process are afterwards what they were.
    Raises ValueError, with the loss, the channel and the remedy, where a loss fails or is no scalar.
    """
    if not losses:
        return
    built = [loss for _, loss in losses if isinstance(loss, nn.Module)]
    with _undone(team, *built), torch.enable_grad():
        batch = LossBatch(rollout=rollout, unrolled=team.unroll(rollout), team=team)
        for chosen, loss in losses:
            _try(name_of_loss(chosen), loss, batch, choices)


def _try(name: str, loss: Any, batch: LossBatch, choices: TeamChoices) -> None:
    made = f"channel={_written(choices.channel)} ({type(batch.team.channel).__name__}), model={_written(choices.model)}"
    try:
        with isolated(f"the first call of loss {name!r}", error=ValueError):
            value = loss(batch)
    except Exception as error:  # whatever the code of a user brings about
        if is_exhausted(error):
            raise
        told = f"{type(error).__name__}: {one_line(error)} ({place_of(error)})"
        raise ValueError(
            f"loss {name!r} cannot be computed with {made}: {told}; mend what fails there, choose a channel that the "
            "loss can use, or leave the loss out"
        ) from error
    shape = list(value.shape) if isinstance(value, Tensor) else None
    if shape == [] and value.is_floating_point():
        return
    what = repr(value) if shape is None else f"a tensor of shape {shape} and dtype {value.dtype}"
    raise ValueError(
        f"loss {name!r} returned {what} with {made}: must be one number, a tensor of shape [] of floats; return a "
        "mean, or leave the loss out"
    )


def _written(chosen: Any) -> str:
    return repr(chosen) if isinstance(chosen, str) else str(getattr(chosen, "__name__", chosen))


@contextlib.contextmanager
def _undone(*modules: nn.Module) -> Iterator[None]:
    """Put weights, buffers and the random streams of Python, NumPy and PyTorch back afterwards."""
    tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
    kept = [(tensor, tensor.detach().clone()) for tensor in tensors if not is_lazy(tensor)]
    streams = random.getstate(), np.random.get_state(legacy=True)
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(streams[0])
            np.random.set_state(streams[1])
            for tensor, before in kept:
                if not torch.equal(tensor, before):
                    tensor.data.copy_(before)
