"""Folding rollouts: episodes that start and end together in all copies become copies of their own.

Sixteen steps of eight two-step episodes are unrolled as two steps of eight times as many copies: the same numbers with
an eighth of the steps in a row, and minibatches that mix early and late episodes.
"""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from heliograph.rollouts.rollout import Rollout
from heliograph.team.state import TeamState
from heliograph.types import Tree, map_tensors, tensors_of

__all__ = ["folded", "in_stretches"]

PER_STEP_AND_ONE = ("observations", "state", "last_action", "last_message", "observing", "assignment")


def folded(rollout: Rollout) -> Rollout:
    """The same rollout with its joint episodes side by side; itself where copies end at different times.

    Only where every agent of every copy ends at equal intervals, and the channel carries nothing from step to step.
    """
    period = _period(rollout)
    return rollout if period is None else in_stretches(rollout, period)


def in_stretches(rollout: Rollout, length: int) -> Rollout:
    """The same rollout, cut into stretches of `length` steps side by side; all but the first begin with no memory.

    The stretches of all copies from the first step on come first, then those that begin after them, and so on.
    """
    fields = rollout.by_time().items()
    cut = {key: _cut(value, length, overlap=int(key in PER_STEP_AND_ONE)) for key, value in fields}
    return Rollout(**cut, static_edges=rollout.static_edges, initial=_starts(rollout, length))


def _period(rollout: Rollout) -> int | None:
    """After how many steps all agents of all copies end, again and again to the end; None where they do not."""
    steps = rollout.num_steps
    ended = (rollout.terminated | rollout.truncated).all(2) & rollout.episode_over & rollout.valid
    joint = ended.all(1)
    if not bool(joint.any()) or tensors_of(rollout.initial.channel):
        return None
    period = int(joint.int().argmax()) + 1
    expected = torch.arange(1, steps + 1, device=joint.device) % period == 0
    regular = steps % period == 0 and bool((joint == expected).all()) and bool(rollout.valid.all())
    return period if regular and period < steps else None


def _cut(value: Any, period: int, *, overlap: int) -> Tree:
    def cut(leaf: Tensor) -> Tensor:
        parts = leaf.unfold(0, period + overlap, period).movedim(-1, 0)
        return parts.flatten(1, 2)

    return map_tensors(cut, value)


def _starts(rollout: Rollout, period: int) -> TeamState:
    """The state in which each part starts: the first as recorded, the others empty."""
    num_parts = rollout.num_steps // period

    def extend(leaf: Tensor) -> Tensor:
        return torch.cat([leaf, leaf.new_zeros(leaf.shape[0] * (num_parts - 1), *leaf.shape[1:])])

    initial = rollout.initial
    assignment = None if rollout.assignment is None else rollout.assignment[:-1:period].flatten(0, 1)
    return dataclasses.replace(map_tensors(extend, initial), assignment=assignment)
