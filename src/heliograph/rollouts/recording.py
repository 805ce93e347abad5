"""The steps of one rollout, collected as they happen: what was seen is kept once, as it was given."""

import dataclasses
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.rollouts.rollout import Keeping, Rollout
from heliograph.team.state import Acted, StepOutput, TeamState
from heliograph.types import Edges, Message, TeamStep, Tree, held, map_tensors, stack

__all__ = ["Frames", "Record"]


BLOCK_SIZE = 32
"""Env steps whose observations are written into one block where nobody knows how many there will be."""


class Frames:
    """Equal structures of tensors, written one after the other into blocks that hold `block_size` of them each.

    What is written may be overwritten by its owner afterwards. Where one block holds all, nothing is copied again.
    """

    def __init__(self, block_size: int):
        self.block_size, self.number = block_size, 0
        self.blocks: list[Tree] = []

    def add(self, frame: Tree) -> None:
        """Write one behind the others."""
        row = self.number % self.block_size
        if row == 0:
            self.blocks.append(map_tensors(lambda leaf: leaf.new_empty(self.block_size, *leaf.shape), frame))
        map_tensors(lambda block, leaf: block[row].copy_(leaf), self.blocks[-1], frame)
        self.number += 1

    def take(self) -> Tree:
        """All of them along a new first axis; none are left, and at no time are all there twice."""
        blocks, self.blocks = self.blocks[::-1], []
        if len(blocks) == 1:
            return map_tensors(lambda block: block[: self.number], blocks[0])
        whole = map_tensors(lambda block: block.new_empty(self.number, *block.shape[1:]), blocks[0])
        for start in range(0, self.number, self.block_size):
            rows = slice(start, min(start + self.block_size, self.number))
            map_tensors(lambda leaf, block, r=rows: leaf[r].copy_(block[: r.stop - r.start]), whole, blocks.pop())
        return whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Kept:
    """Record of what rollouts keep of a team's state; what it remembers would be most of it."""

    last_action: dict[str, Tensor]
    last_message: Tensor | None
    assignment: Tensor | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Done:
    """Record of what rollouts keep of what a team did in a step."""

    actions: dict[str, Tensor]
    action_log_prob: Tensor
    message_log_prob: Tensor
    draws: tuple[Tree, ...]
    messages: tuple[Message, ...]
    edges: Edges
    listening: tuple[dict[str, Tree], ...]
    computed: StepOutput | None


class Record:
    """Collects the steps of one rollout, the observations apart from the rest: they are most of its memory.

    `num_steps` is how many there will be, if that is known. `lengths` [B] are the env steps of the episodes so far.
    """

    def __init__(
        self, initial: TeamState, *, lengths: Tensor, num_steps: int | None = None, keeping: Keeping = Keeping.SEEN,
        channel: Channel | None = None,
    ):  # fmt: skip
        self.lengths, self.keeping, self.channel = lengths.clone(), keeping, channel
        self.initial = initial
        self.observations = Frames(BLOCK_SIZE if num_steps is None else num_steps + 1)
        self.ends: dict[int, tuple[Tensor | slice, Tree]] = {}
        """Of steps that showed them, the final observations of copies whose episode ended, and which these are."""
        self.said = Frames(BLOCK_SIZE)
        """What was said, apart from the rest where nothing of what was seen is kept: then it is most of the memory."""
        self.seen: list[TeamStep] = []
        self.states: list[_Kept] = []
        self.acted: list[_Done] = []
        self.steps: list[TeamStep] = []
        self.alive: list[Tensor] = []
        self.oracle: list[dict[str, Tensor]] = []

    def see(self, step: TeamStep) -> None:
        """Take in what is shown, before anything moves on: an environment may draw its next picture over the last."""
        if self.keeping is Keeping.SEEN:
            self.observations.add(step.observations)
        self.seen.append(_unseen(step, state=self.keeping is Keeping.SEEN))

    def add(
        self, state: TeamState, acted: Acted, step: TeamStep, alive: Bool[Tensor, " B"] | None,
        oracle: dict[str, Tensor] | None,
    ) -> None:  # fmt: skip
        """Take in what the team had in mind and did about what was shown, and what came of it."""
        if self.keeping is Keeping.SEEN and step.final_observations is not None:
            rows = _ended(step)
            self.ends[self.num_steps] = rows, map_tensors(lambda leaf: leaf[rows], step.final_observations)
        self.states.append(_kept_of(state))
        done = _done_in(acted)
        if self.keeping is Keeping.SAID:
            channel = self.channel
            kept = done.draws if channel is None else [channel.draw_of_arrivals(draw) for draw in done.draws]
            self.said.add((done.messages, tuple(kept)))
            done = dataclasses.replace(done, messages=(), draws=(), listening=())
        self.acted.append(done)
        self.steps.append(_unseen(step, state=self.keeping is Keeping.SEEN))
        if oracle is not None:
            self.oracle.append(oracle)
        self.alive.append(torch.ones_like(step.episode_over) if alive is None else alive)

    @property
    def num_steps(self) -> int:
        """Return how many steps there are so far."""
        return len(self.steps)

    def when(self, time: int, copy: int) -> str:
        """How far a copy is in its episode at a time of this rollout."""
        passed = int(self.lengths[copy])
        for step in self.steps[:time]:
            passed = 0 if bool(step.episode_over[copy]) else passed + 1
        return f"step {passed} of its episode"

    def finish(self, step: TeamStep, state: TeamState, *, static: bool) -> Rollout:
        """The rollout of all steps, and `step` to bootstrap from; the record is empty of observations then."""
        self.see(step)
        seen, states = self.seen, [*self.states, _kept_of(state)]
        observations = self.observations.take() if self.keeping is Keeping.SEEN else {}
        messages, draws = self._said()
        cut = self._cut()
        return Rollout(
            observations=observations,
            state=self._state(seen, "state"),
            last_action=stack([s.last_action for s in states]),
            last_message=None if state.last_message is None else stack([s.last_message for s in states]),
            observing=stack([s.observing for s in seen]),
            acting=stack([s.acting for s in seen[:-1]]),
            speaking=stack([s.speaking for s in seen[:-1]]),
            meaning=stack([s.meaning for s in seen[:-1]]),
            actions=stack([a.actions for a in self.acted]),
            action_log_prob=stack([a.action_log_prob for a in self.acted]),
            message_log_prob=stack([a.message_log_prob for a in self.acted]),
            draws=draws,
            listening=stack([a.listening for a in self.acted]),
            messages=messages,
            rewards=stack([s.rewards for s in self.steps]).float(),
            terminated=stack([s.terminated for s in self.steps]),
            truncated=stack([s.truncated for s in self.steps]),
            episode_over=stack([s.episode_over for s in self.steps]),
            valid=stack(self.alive),
            edges=None if static else stack([_expanded(a.edges, step) for a in self.acted]),
            static_edges=self.acted[0].edges if static else None,
            action_mask=stack([s.action_mask for s in seen[:-1]]),
            assignment=None if state.assignment is None else stack([s.assignment for s in states]),
            final_observations=self._final_observations(observations) if cut else None,
            final_state=self._state(self.steps, "final_state") if cut else None,
            info=stack([s.info for s in self.steps]),
            oracle=stack(self.oracle) if self.oracle else None,
            initial=self.initial,
            trace=None if cut else self._trace(),
        )

    def _said(self) -> tuple[tuple[Message, ...], tuple[Tree, ...]]:
        """Messages and draws of all steps."""
        if self.keeping is Keeping.SAID and self.acted:
            found: tuple[tuple[Message, ...], tuple[Tree, ...]] = self.said.take()
            return found
        return stack([a.messages for a in self.acted]), stack([a.draws for a in self.acted])

    def _state(self, steps: list[TeamStep], name: str) -> Any:
        """The environment's own states of some steps; what makes them where it gives none."""
        found = [held(s, "state" if held(s, name) is None else name) for s in steps]
        return stack(found)

    def _final_observations(self, observations: dict[str, Tree]) -> dict[str, Tree]:
        """Those of the next step, and where an episode ended what it ended with."""
        final = map_tensors(lambda leaf: leaf[1:].clone(), observations)
        for time, (rows, shown) in self.ends.items():
            map_tensors(lambda leaf, last, t=time, r=rows: leaf[t].__setitem__(r, last), final, shown)
        return final

    def _cut(self) -> bool:
        """Tell whether any final observations are needed."""
        return self.keeping is Keeping.SEEN and bool(torch.stack([s.truncated for s in self.steps]).any())

    def _trace(self) -> tuple[StepOutput, ...] | None:
        found = tuple(a.computed for a in self.acted if a.computed is not None)
        return found if len(found) == self.num_steps else None


def _ended(step: TeamStep) -> Tensor | slice:
    """The copies whose episode ended; all on a GPU, where asking costs more."""
    over = step.episode_over
    return over.nonzero().squeeze(1) if over.is_cpu else slice(None)


def _unseen(step: TeamStep, *, state: bool) -> TeamStep:
    """The step without observations, and without what is known of the state if that is not to be kept."""
    rest: TeamStep = object.__new__(TeamStep)
    vars(rest).update(vars(step), observations={}, final_observations=None)
    if not state:
        rest.state, rest.final_state = torch.zeros(len(step.episode_over), 0, device=step.episode_over.device), None
    return rest


def _kept_of(state: TeamState) -> _Kept:
    return _Kept(**{field.name: getattr(state, field.name) for field in dataclasses.fields(_Kept)})


def _done_in(acted: Acted) -> _Done:
    return _Done(**{field.name: getattr(acted, field.name) for field in dataclasses.fields(_Done)})


def _expanded(edges: Edges, step: TeamStep) -> Edges:
    num_envs = step.speaking.shape[0]
    return map_tensors(lambda x: x.expand(num_envs, *x.shape[1:]), edges)
