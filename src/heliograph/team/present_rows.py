"""Rows of the agents that are there: networks run on these alone, and what they make is put back in its place."""

import dataclasses
import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.functional import may_read
from heliograph.models.base import Model, Perceived
from heliograph.team.policy import Policy
from heliograph.types import Heard, Inputs, Tree, map_tensors, tensors_of

__all__ = ["PresentRows", "joined_rows", "perceived_rows", "present_rows", "rows_by_step", "worth_packing"]

MOST_PRESENT = 0.85
"""With a larger share of agents there, to leave out the others costs what it saves."""
FEWEST_ABSENT = 32
"""And so few rows cost less than to find them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PresentRows:
    """Features `[R, 1, ...]` of the agents that are there, of all in a `shape` such as (copies, agents).

    `index` tells where each stands in what has that shape, flattened.
    """

    rows: Tree
    index: Int[Tensor, " R"]
    shape: tuple[int, ...]

    def taken(self, whole: Tree) -> Tree:
        """The rows `[R, 1, ...]` of the same agents in `[*shape, ...]`."""
        last = len(self.shape) - 1
        return map_tensors(lambda leaf: leaf.flatten(0, last).index_select(0, self.index).unsqueeze(1), whole)

    def put(self, rows: Tree, *, into: Tree) -> Tree:
        """Put rows of these agents into what is `[*shape, ...]`."""
        last = len(self.shape) - 1

        def placed(leaf: Tensor, base: Tensor) -> Tensor:
            return base.flatten(0, last).index_copy(0, self.index, leaf.squeeze(1)).view_as(base)

        return map_tensors(placed, rows, into)

    def alone(self, rows: Tree) -> Tree:
        """Rows in their places `[*shape, ...]`, among zeros."""
        return self.put(rows, into=map_tensors(lambda leaf: leaf.new_zeros(*self.shape, *leaf.shape[2:]), rows))


@final
class HeardByRows(Heard):
    """Messages that agents hear, of whom only those that are there ask: `total`, `mean` and `count` are theirs alone.

    `messages` and `mask` are those of all.
    """

    def __init__(self, heard: Heard, *, present: PresentRows):
        self._heard, self._present = heard, present
        self.mask, self.round_index, self.draw, self.attention = heard.mask, heard.round_index, heard.draw, None

    @property
    def messages(self) -> Float[Tensor, "*batch A_or_1 K I"]:
        """Message features, one by one."""
        return self._heard.messages

    def total(self) -> Float[Tensor, "R 1 I"]:
        """The sum of the messages that arrive."""
        return self._taken(self._heard.total())

    def mean(self) -> Float[Tensor, "R 1 I"]:
        """The mean of the messages that arrive, zero where none does."""
        return self._taken(self._heard.mean())

    def count(self) -> Int[Tensor, "R 1 1"]:
        """Return how many messages arrive."""
        return self._taken(self._heard.count())

    def _taken(self, whole: Tensor) -> Tensor:
        found: Tensor = self._present.taken(whole)
        return found


def worth_packing(model: Model, observing: Bool[Tensor, "*batch A"]) -> bool:
    """Tell whether so many of a policy's agents are absent that a model runs faster without them.

    Only where numbers may be read: see `may_read`.
    """
    if not (model.row_by_row and may_read(observing)):
        return False
    present, count = int(observing.sum()), observing.numel()
    return count - present >= FEWEST_ABSENT and present <= MOST_PRESENT * count


def present_rows(policy: Policy, inputs: Inputs, observing: Bool[Tensor, "B A"]) -> PresentRows:
    """Encoded observations of the agents that observe in a step."""
    features, index = _encoded(policy, inputs, observing)
    return PresentRows(rows=features, index=index, shape=tuple(observing.shape))


def rows_by_step(policy: Policy, inputs: Inputs, observing: Bool[Tensor, "T B A"]) -> list[PresentRows]:
    """The same of several steps, encoded together."""
    features, index = _encoded(policy, inputs, observing)
    counts = observing.flatten(1).sum(1).tolist()
    shape, found, start = tuple(observing.shape[1:]), [], 0
    for step, count in enumerate(counts):
        part = slice(start, start + count)
        rows = map_tensors(lambda leaf, part=part: leaf[part], features)
        found.append(PresentRows(rows=rows, index=index[part] - step * math.prod(shape), shape=shape))
        start += count
    return found


def _encoded(policy: Policy, inputs: Inputs, observing: Bool[Tensor, "*batch A"]) -> tuple[Tree, Int[Tensor, " R"]]:
    """Features `[R, 1, ...]` of the agents that observe, and where they stand in the flat `[*batch, A]`."""
    index = observing.flatten().nonzero().squeeze(-1)
    axes = observing.dim()

    def taken(leaf: Tensor) -> Tensor:
        return leaf.flatten(0, axes - 1).index_select(0, index).unsqueeze(1)

    whole = (inputs.observation, inputs.last_action, inputs.last_message)
    observation, done, said = map_tensors(taken, whole)
    slots = index % observing.shape[-1]
    rows = Inputs(observation=observation, last_action=done, last_message=said, state=None, slots=slots)
    return policy.encode(rows), index


def joined_rows(found: Sequence[PresentRows | None], *, whole: Sequence[Tree]) -> PresentRows | None:
    """Rows of successive steps together, of a shape with the steps before it; None where no step has any.

    Of steps that have none, all agents are there, with the features `[B, A, ...]` in `whole`.
    """
    shape = next((rows.shape for rows in found if rows is not None), None)
    if shape is None:
        return None
    size, parts, places = math.prod(shape), list[Tree](), list[Tensor]()
    for step, rows in enumerate(found):
        if rows is None:
            parts.append(map_tensors(lambda leaf: leaf.flatten(0, 1).unsqueeze(1), whole[step]))
            places.append(torch.arange(step * size, (step + 1) * size))
        else:
            parts.append(rows.rows)
            places.append(rows.index + step * size)
    together = map_tensors(lambda *leaves: torch.cat(leaves), *parts)
    return PresentRows(rows=together, index=torch.cat(places), shape=(len(found), *shape))


def perceived_rows(model: Model, seen: PresentRows, memory: Tree, inbox: Heard | None) -> tuple[Perceived, PresentRows]:
    """Return what `Model.perceive` does, of those who are there; with rows of the hidden features alone.

    The others keep their memory.
    """
    if inbox is not None:
        inbox = HeardByRows(inbox, present=seen)
    out = model.perceive(seen.rows, seen.taken(memory), inbox)
    kept = seen.put(out.memory, into=memory)
    rows = dataclasses.replace(seen, rows=out.hidden)
    return Perceived(hidden=_hidden(seen, out, kept), memory=kept), rows


def _hidden(seen: PresentRows, out: Perceived, kept: Tree) -> Tree:
    """Hidden features in their places, among zeros; what is remembered too is not put there twice."""
    places = {id(leaf): place for leaf, place in zip(tensors_of(out.memory), tensors_of(kept), strict=True)}
    return map_tensors(lambda leaf: places[id(leaf)] if id(leaf) in places else seen.alone(leaf), out.hidden)
