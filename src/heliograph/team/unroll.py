"""A rollout recomputed under the present weights: hidden features, messages, and scores of what was done."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from heliograph import distributions
from heliograph.renamed import RenamedAttribute
from heliograph.rollouts.rollout import Rollout
from heliograph.team.draws import Draws, HeardDraws, RecordedDraws
from heliograph.team.inbox import RecordedStep, by_step, recorded_steps
from heliograph.team.inputs import final_inputs, recorded_inputs
from heliograph.team.log_probs import action_terms, message_terms
from heliograph.team.participation import Participation, presence_in, taking_part
from heliograph.team.parts import TeamParts
from heliograph.team.present_rows import PresentRows, joined_rows, rows_by_step, worth_packing
from heliograph.team.state import StepOutput, TeamState
from heliograph.team.step import run_core, step
from heliograph.types import Message, Tree, map_tensors, stack

__all__ = ["Scores", "Unrolled", "replayed", "traced", "unroll"]


@dataclasses.dataclass(kw_only=True)
class Scores:
    """How likely recorded actions and messages are under the present weights; entropies in nats."""

    action_log_prob: Float[Tensor, "T B N"]
    action_entropy: Float[Tensor, "T B N"]
    message_log_prob: Float[Tensor, "T B N"]
    message_entropy: Float[Tensor, "T B N"]


@dataclasses.dataclass(kw_only=True)
class Unrolled:
    """The `T` steps of a team that were recomputed, and what is made of them when it is first asked for.

    `last` are hidden features in the step to bootstrap from, `finals` those of final observations after each step where
    episodes were truncated (else empty). `presence` tells in which steps any agent of a policy observes; hidden
    features of other steps are zeros.
    """

    team: TeamParts
    rollout: Rollout
    steps: list[StepOutput]
    last: Mapping[str, Tree]
    finals: list[dict[str, Tree]]
    presence: Mapping[str, Participation]
    last_rows: Mapping[str, PresentRows] = dataclasses.field(default_factory=dict)
    intents = RenamedAttribute("channel_inputs")

    def before_in(self, policy: str, steps: slice) -> Tree:
        """Hidden features of a policy in some of the T + 1 steps, before anyone spoke."""
        return _stacked([*(step.before[policy] for step in self.steps), self.last[policy]], steps)

    def after_in(self, policy: str, steps: slice) -> Tree:
        """Hidden features of a policy in some of the T steps, after listening."""
        return _stacked([step.after[policy] for step in self.steps], steps)

    def rows_in(self, policy: str, steps: slice) -> PresentRows | None:
        """`before_in`, of the agents that are there alone; None where cores ran on all."""
        found = [*(step.rows.get(policy) for step in self.steps), self.last_rows.get(policy)][steps]
        whole = [*(step.before[policy] for step in self.steps), self.last[policy]][steps]
        return joined_rows(found, whole=whole)

    def _acting_rows(self, policy: str, steps: slice) -> PresentRows | None:
        """Rows after listening; None too where a model listens within the step."""
        return None if any(policy in hearers for hearers in self.team.hearers) else self.rows_in(policy, steps)

    @functools.cached_property
    def before(self) -> dict[str, Tree]:
        """Hidden features of each policy before anyone spoke; the last step is to bootstrap from."""
        return {policy: self.before_in(policy, slice(None)) for policy in self.last}

    @functools.cached_property
    def after(self) -> dict[str, Tree]:
        """Hidden features of each policy after listening."""
        return {policy: self.after_in(policy, slice(None)) for policy in self.last}

    @functools.cached_property
    def final(self) -> dict[str, Tree] | None:
        """Hidden features of final observations; None where no episode was truncated."""
        return {p: stack([found[p] for found in self.finals]) for p in self.last} if self.finals else None

    @functools.cached_property
    def channel_inputs(self) -> tuple[Float[Tensor, "T B N C"], ...]:
        """Return what went into the channel, one tensor a round."""
        return tuple(
            torch.stack(of_round) for of_round in zip(*(step.channel_inputs for step in self.steps), strict=True)
        )

    @functools.cached_property
    def messages(self) -> tuple[Message, ...]:
        """Return what came out of it, one message a round."""
        rounds = zip(*(step.messages for step in self.steps), strict=True)
        return tuple(map_tensors(lambda *leaves: torch.stack(leaves), *of_round) for of_round in rounds)

    @functools.cached_property
    def scores(self) -> Scores:
        """Log-probabilities and entropies of what was done and said in the rollout."""
        rollout = self.rollout
        actions = self.action_terms(rollout.actions)
        assignment = None if rollout.assignment is None else rollout.assignment[:-1]
        said = self.channel_inputs if self.team.channel.scored else ()
        messages = message_terms(
            self.team, said, draws=rollout.draws, speaking=rollout.speaking, assignment=assignment,
            with_entropy=True,
        )  # fmt: skip
        return Scores(
            action_log_prob=actions.log_prob,
            action_entropy=actions.entropy,
            message_log_prob=messages.log_prob,
            message_entropy=messages.entropy,
        )

    def action_terms(self, done: Mapping[str, Tensor]) -> distributions.Score:
        """Log-probabilities and entropies `[T, B, N]` of actions by role, 0 where nobody acted."""
        return action_terms(
            self.team, self.rollout, after=self.after_in, rows=self._acting_rows, presence=self.presence, done=done
        )

    @property
    def action_log_prob(self) -> Float[Tensor, "T B N"]:
        """Log-probability of the action of each agent that acted, in nats; 0 elsewhere."""
        return self.scores.action_log_prob

    @property
    def action_entropy(self) -> Float[Tensor, "T B N"]:
        """Entropy of the action distribution of each agent that acted, in nats; 0 elsewhere."""
        return self.scores.action_entropy

    @property
    def message_log_prob(self) -> Float[Tensor, "T B N"]:
        """Log-probability of each agent's messages, in nats, where messages are actions; else 0."""
        return self.scores.message_log_prob

    @property
    def message_entropy(self) -> Float[Tensor, "T B N"]:
        """Entropy of each agent's message distribution, in nats, where messages are actions; else 0."""
        return self.scores.message_entropy


def _stacked(values: list[Tree], steps: slice) -> Tree:
    chosen = values[steps]
    return stack(chosen) if chosen else map_tensors(lambda leaf: leaf.unsqueeze(0)[:0], values[0])


class ReplayedStep(NamedTuple):
    """One step of a rollout, recomputed: what was recorded of it, what came out, and the state that goes on."""

    recorded: RecordedStep
    output: StepOutput
    state: TeamState


def replayed(
    team: TeamParts,
    rollout: Rollout,
    features: list[dict[str, Tree | None]],
    draws_of: Callable[[RecordedStep], Draws],
) -> Iterator[ReplayedStep]:
    """Step a team through a rollout, from encoded observations of its steps and the one to bootstrap from."""
    state, somebody_goes_on = rollout.initial, any(found is not None for found in features[-1].values())
    for t, now in enumerate(recorded_steps(rollout)):
        state = dataclasses.replace(state, assignment=now.masks.assignment)
        out = step(team, features[t], state, now.masks, draws_of(now))
        state = out.state
        if t + 1 < rollout.num_steps or somebody_goes_on:
            state = team.cut(state, now.ended, now.masks.edges)
        if team.detaches_after(t + 1):
            state = map_tensors(Tensor.detach, state)
        yield ReplayedStep(now, out, state)


def unroll(
    team: TeamParts, rollout: Rollout, *, presence: Mapping[str, Participation] | None = None, as_heard: bool = False
) -> Unrolled:
    """Recompute a rollout from its draws, with gradients through channel and time; `presence` where it is known.

    With `as_heard` messages are heard as they were then, and not as they would be said under the present weights.
    """
    presence = presence_in(rollout, team.layout) if presence is None else presence
    features, finals_in = recorded_features(team, rollout, presence, packed=True), final_features(team, rollout)
    steps = list(replayed(team, rollout, features, _heard_then(rollout) if as_heard and team.rounds else _said_anew))
    outputs = [step.output for step in steps]
    finals = [
        run_core(team, features, out.state, observing=None).hidden
        for features, out in zip(finals_in, outputs, strict=bool(finals_in))
    ]
    last = run_core(team, features[-1], steps[-1].state, observing=rollout.observing[-1])
    return Unrolled(
        team=team, rollout=rollout, steps=outputs, last=last.hidden, finals=finals, presence=presence,
        last_rows=last.rows,
    )  # fmt: skip


def _said_anew(now: RecordedStep) -> Draws:
    return RecordedDraws(now.draws, now.listening)


def _heard_then(rollout: Rollout) -> Callable[[RecordedStep], Draws]:
    messages = by_step(rollout.messages)
    return lambda now: HeardDraws(now.draws, now.listening, messages=messages[now.time])


def traced(team: TeamParts, rollout: Rollout) -> Unrolled:
    """Return what `unroll` returns, from the trace of a rollout of whole episodes that this team has just sampled."""
    if rollout.trace is None:
        raise ValueError("the rollout has no trace: use unroll")
    nobody = dict.fromkeys(team.layout.policies)
    last = run_core(team, nobody, rollout.trace[-1].state, observing=rollout.observing[-1])
    return Unrolled(
        team=team, rollout=rollout, steps=list(rollout.trace), last=last.hidden, finals=[],
        presence=presence_in(rollout, team.layout),
    )  # fmt: skip


def recorded_features(
    team: TeamParts, rollout: Rollout, presence: Mapping[str, Participation], *, packed: bool = False
) -> list[dict[str, Tree | None]]:
    """Encoded observations of each step and policy; None where nobody of a policy observes.

    With `packed` they are `PresentRows` where leaving out absent agents is worth it.
    """
    found: list[dict[str, Tree | None]] = [dict.fromkeys(team.layout.policies) for _ in range(rollout.num_steps + 1)]
    for policy, here in presence.items():
        if not any(here.steps):
            continue
        inputs = recorded_inputs(team.layout, policy, rollout, steps=here.span)
        network, observing = team.policies[policy], taking_part(rollout)[here.span][..., team.layout.slots(policy)]
        if packed and worth_packing(network.model, observing):
            encoded = rows_by_step(network, inputs, observing)
        else:
            encoded = by_step(network.encode(inputs))
        for t, value in enumerate(encoded, start=here.span.start):
            found[t][policy] = value if here.steps[t] else None
    return found


def final_features(team: TeamParts, rollout: Rollout) -> list[dict[str, Tree | None]]:
    """Encoded final observations of each step and policy; [] where no episode was truncated."""
    inputs = final_inputs(team.layout, rollout, vocabulary=team.channel.vocabulary)
    return by_step({p: team.policies[p].encode(inputs[p]) for p in inputs}) if inputs else []
