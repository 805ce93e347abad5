"""The runtime of a team: delivery of messages, memories, sampling, and unrolling with gradients. Written once.

`step` moves a team once and samples; `unroll` recomputes a rollout from its recorded draws, with gradients from
listener to speaker and through time. Both run the same `_advance`, so they agree to rounding.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from heliograph import distributions, functional
from heliograph.channels.base import Channel
from heliograph.models.delivery import Frame, Recorded, by_step, deliver, empty_inbox, of_senders, recorded
from heliograph.models.layout import Layout
from heliograph.models.policy import Policy
from heliograph.models.presence import all_observe, presence_in, present_now
from heliograph.models.recall import Past, final_inputs, forgotten_actions, inputs_of, recorded_inputs, remembered
from heliograph.models.scoring import explored_words, message_terms, scores_of
from heliograph.rollout import Acted, Advanced, Inbox, Rollout, TeamState
from heliograph.topologies.base import Topology, no_edges
from heliograph.types import (
    Arrivals,
    Choice,
    Edges,
    Gradient,
    Heard,
    Message,
    MessageForm,
    TeamStep,
    Timing,
    Tree,
    held,
    map_tensors,
)
from heliograph.unrolled import Presence, Unrolled

Intervention = Callable[[Message, TeamStep, Edges], Message]
"""Replaces the messages of a step before they are delivered: given what was said, the step and who would hear it."""


class Team(nn.Module):
    """Policies, a channel and a topology, run together; see the module docstring."""

    def __init__(
        self,
        layout: Layout,
        *,
        policies: Mapping[str, Policy],
        channel: Channel,
        topology: Topology,
        team_of_agent: Tensor | None = None,
    ):
        super().__init__()
        self.layout, self.topology = layout, topology
        self.policies = nn.ModuleDict(dict(policies))
        self.channel = channel
        self.detach_gap: int | None = None
        """Steps of a rollout after which `unroll` lets no gradient pass (None: it passes through all)."""
        self.silent = channel.gradient is Gradient.NONE or not any(p.communicates for p in policies.values())
        self.spells = not self.silent and channel.scored and channel.vocabulary is not None
        self.rounds = 0 if self.silent else max(p.model.rounds for p in policies.values() if p.communicates)
        teams = torch.zeros(len(layout.agents), dtype=torch.long) if team_of_agent is None else team_of_agent
        self.register_buffer("team_of_agent", teams.cpu().clone(), persistent=False)
        self._one_team = bool((teams == teams[0]).all())
        communicating = [p for p in layout.policies if policies[p].communicates]
        talks = torch.zeros(len(layout.agents), dtype=torch.bool)
        for policy in communicating:
            talks[list(layout.seats[policy].slots)] = True
        self.register_buffer("talks", talks, persistent=False)
        self._hearers = [[p for p in communicating if policies[p].model.listens(r)] for r in range(self.rounds)]
        early = [policies[p].model.timing is Timing.NEXT_STEP for p in layout.policies]
        rounds = [policies[p].model.rounds if p in communicating else 0 for p in layout.policies]
        self.register_buffer("_early", torch.tensor(early), persistent=False)
        self.register_buffer("_rounds_of", torch.tensor(rounds), persistent=False)
        self.register_buffer("_seated", layout.default_assignment(), persistent=False)
        talking = self._rounds_of[self._seated] > torch.arange(self.rounds).unsqueeze(1)
        self.register_buffer("_talking", talking, persistent=False)
        self._timed = [
            norm for p in communicating for norm in policies[p].message_norms() if norm.num_steps is not None
        ]
        self._timings = {policies[p].model.timing for p in layout.policies}
        self._keeping = [p for p in communicating if policies[p].model.remembers]
        self._with_memory = [p for p in layout.policies if policies[p].model.memory_size]

    def detaches_after(self, num_steps: int) -> bool:
        """Whether no gradient passes on from that many steps of a rollout."""
        return self.detach_gap is not None and num_steps % self.detach_gap == 0

    # ---- carrying state ---------------------------------------------------------------------------------------

    def edges(self, step: TeamStep) -> Edges:
        """Who hears whom in this step (no slots at all for a silent team)."""
        if self.silent:
            return no_edges(step.speaking.shape[1], step.speaking.device)
        return self.topology.edges(step)

    def initial_state(self, step: TeamStep, *, assignment: Tensor | None = None) -> TeamState:
        """Empty memories and inboxes for the copies of a first step."""
        num_copies, num_agents = step.speaking.shape
        device, edges, size = step.speaking.device, self.edges(step), self.channel.payload_size
        if assignment is None and not self.layout.constant:
            assignment = self._seated.expand(num_copies, -1).clone()
        shared = edges.senders is None and self._one_team and self.topology.static and step.hearing is None
        inbox = empty_inbox(num_copies, num_agents, slots=edges.mask.shape[-1], size=size, shared=shared, device=device)
        memory = {
            p: torch.zeros(num_copies, len(seats.slots), self.policies[p].model.memory_size, device=device)
            for p, seats in self.layout.seats.items()
        }
        last_action = {
            r.name: torch.zeros(num_copies, len(r.agents), distributions.num_features(r.action_space), device=device)
            for r in self.layout.roles
        }
        channel = self.channel.initial_state(num_copies, num_agents, device, rounds=self.rounds)
        said = torch.zeros(num_copies, num_agents, self.channel.word_size, device=device) if self.spells else None
        return TeamState(
            memory=memory, last_action=last_action, inbox=inbox, channel=channel, assignment=assignment,
            last_message=said, age=torch.zeros(num_copies, dtype=torch.long, device=device) if self._timed else None,
        )  # fmt: skip

    def cut(self, state: TeamState, ended: Bool[Tensor, "B N"], edges: Edges) -> TeamState:
        """Forget what belongs to slots whose part has ended: memory, last action, messages to and from them."""
        if functional.surely_none(ended):
            return state
        memory = dict(state.memory)
        for p in self._with_memory:
            memory[p] = memory[p].masked_fill(ended[:, self.layout.slots(p)].unsqueeze(-1), 0.0)
        last_action = forgotten_actions(state.last_action, roles=self.layout.roles, ended=ended)
        gone = ended.unsqueeze(-1) | of_senders(ended, edges)
        inbox = Inbox(payload=state.inbox.payload, mask=state.inbox.mask & ~gone)
        said = None if state.last_message is None else state.last_message.masked_fill(ended.unsqueeze(-1), 0.0)
        channel = self.channel.cut(state.channel, ended)
        age = None if state.age is None else state.age.masked_fill(ended.all(1), 0)
        return dataclasses.replace(
            state, memory=memory, last_action=last_action, inbox=inbox, last_message=said, channel=channel, age=age
        )

    # ---- acting -----------------------------------------------------------------------------------------------

    @final
    def step(
        self,
        step: TeamStep,
        state: TeamState,
        *,
        generator: torch.Generator | None = None,
        choice: Choice = Choice.SAMPLED,
        form: MessageForm = MessageForm.TRAINING,
        intervention: Intervention | None = None,
        epsilon: float | None = None,
    ) -> Acted:
        """Move once: perceive, talk, act. Draws come from `generator`; `choice` and `form` are chosen apart.

        With `epsilon` the outputs are values, and what is sampled is epsilon-greedy, actions and messages apart.
        Gradients of what is computed (not of what is drawn) are recorded where they are enabled.
        """
        edges = self.edges(step)
        frame = Frame(
            observing=step.observing, speaking=step.speaking, edges=edges, assignment=state.assignment,
            everyone=all_observe(step.observing)[0],
        )  # fmt: skip
        explored = epsilon if choice is Choice.SAMPLED else None
        said: list[Message] = []

        def converse(intent: Tensor, round_index: int, memory: Tree) -> tuple[Tree, Message, Tree]:
            with torch.no_grad():
                odds = intent if explored is None else explored_words(self, intent, epsilon=explored)
                draw = self.channel.sample(odds, generator=generator, choice=choice)
            message, memory = self.channel.send(intent, draw=draw, form=form, state=memory)
            said.append(message)
            return draw, (message if intervention is None else intervention(message, step, edges)), memory

        listening = self._draw(frame, choice=choice, generator=generator)
        out = self._advance(self._features(step, state), state, frame, converse, listening)
        with torch.no_grad():
            acted = self._act(out, step, edges, choice=choice, generator=generator, epsilon=explored)
            symbols = said[-1].symbols if said else None
            acted.state = remembered(self.layout, acted, step, symbols=symbols, vocabulary=self.channel.vocabulary)
        acted.listening = listening
        acted.advanced = out if torch.is_grad_enabled() else None
        return acted

    def _features(self, step: TeamStep, state: TeamState) -> dict[str, Tree | None]:
        """Encoded observations of the policies that have any; None for the others."""
        past = Past(last_action=state.last_action, last_message=state.last_message)
        found: dict[str, Tree | None] = dict.fromkeys(self.layout.policies)
        for policy, here in present_now(step.observing, self.layout).items():
            if here:
                inputs = inputs_of(
                    self.layout, policy, observations=step.observations, past=past, state=held(step, "state"), lead=1
                )
                found[policy] = self.policies[policy].encode(inputs)
        return found

    def _draw(self, frame: Frame, *, choice: Choice, generator: torch.Generator | None) -> tuple[dict[str, Tree], ...]:
        """What the models draw to listen, by policy in each round."""
        num_copies, num_slots = len(frame.observing), frame.edges.mask.shape[-1]
        found: list[dict[str, Tree]] = [{} for _ in self._hearers]
        for r, hearers in enumerate(self._hearers):
            for p in hearers:
                shape = (num_copies, len(self.layout.seats[p].slots), num_slots)
                found[r][p] = self.policies[p].model.draw(shape, round_index=r, choice=choice, generator=generator)
        return tuple(found)

    def _act(
        self, out: Advanced, step: TeamStep, edges: Edges, *, choice: Choice, generator: torch.Generator | None,
        epsilon: float | None,
    ) -> Acted:  # fmt: skip
        actions, log_probs = {}, {}
        for policy, seats in self.layout.seats.items():
            inputs = self.policies[policy].model.act(out.after[policy])
            mask = self.layout.action_mask(policy, step.action_mask, lead=1)
            if epsilon is not None:
                inputs = distributions.epsilon_greedy(inputs, epsilon=epsilon, mask=mask)
            actions[policy] = distributions.sample(
                seats.action_space, inputs, choice=choice, generator=generator, mask=mask
            )
            log_probs[policy] = distributions.log_prob(seats.action_space, inputs, actions[policy], mask=mask)
        assignment = out.state.assignment
        by_role = self.layout.by_role(actions, lead=1, assignment=assignment)
        said = message_terms(
            self, out.intents, draws=out.draws, speaking=step.speaking, assignment=assignment, with_entropy=False
        )
        return Acted(
            actions=by_role,
            action_log_prob=self.layout.combine(log_probs, lead=1, assignment=assignment) * step.acting,
            message_log_prob=said.log_prob,
            draws=out.draws,
            messages=out.messages,
            edges=edges,
            state=out.state,
        )

    # ---- learning ---------------------------------------------------------------------------------------------

    @final
    def unroll(self, rollout: Rollout, *, presence: Mapping[str, Presence] | None = None) -> Unrolled:
        """Recompute a rollout from its draws, with gradients through channel and time; `presence` where it is known."""
        presence = presence_in(rollout, self.layout) if presence is None else presence
        features, finals_in = self._recorded_features(rollout, presence), self._final_features(rollout)
        state, steps, finals = dataclasses.replace(rollout.initial), [], []
        for t, now in enumerate(recorded(rollout)):
            state.assignment = now.frame.assignment
            out = self._advance(features[t], state, now.frame, self._replay(now), now.listening)
            steps.append(out)
            if finals_in:
                finals.append(self._perceive(finals_in[t], out.state)[0])
            state = out.state
            if t + 1 < rollout.num_steps or any(found is not None for found in features[-1].values()):
                state = self.cut(state, now.ended, now.frame.edges)
            if self.detaches_after(t + 1):
                state = map_tensors(Tensor.detach, state)
        last = self._perceive(features[-1], state, rollout.observing[-1])[0]
        return Unrolled(
            steps=steps, last=last, finals=finals, presence=presence, score=functools.partial(scores_of, self, rollout)
        )

    @final
    def traced(self, rollout: Rollout) -> Unrolled:
        """What `unroll` returns, from the trace of a rollout of whole episodes that this team has just sampled."""
        if rollout.trace is None:
            raise ValueError("the rollout has no trace: use unroll")
        nobody = dict.fromkeys(self.layout.policies)
        last, _ = self._perceive(nobody, rollout.trace[-1].state, rollout.observing[-1])
        return Unrolled(
            steps=list(rollout.trace), last=last, finals=[], presence=presence_in(rollout, self.layout),
            score=functools.partial(scores_of, self, rollout),
        )  # fmt: skip

    def _recorded_features(self, rollout: Rollout, presence: Mapping[str, Presence]) -> list[dict[str, Tree | None]]:
        """Encoded observations of each step and policy; None where nobody of a policy observes."""
        found: list[dict[str, Tree | None]] = [
            dict.fromkeys(self.layout.policies) for _ in range(rollout.num_steps + 1)
        ]
        for policy, here in presence.items():
            if not any(here.steps):
                continue
            inputs = recorded_inputs(self.layout, policy, rollout, steps=here.span)
            encoded = by_step(self.policies[policy].encode(inputs))
            for t, value in enumerate(encoded, start=here.span.start):
                found[t][policy] = value if here.steps[t] else None
        return found

    def _final_features(self, rollout: Rollout) -> list[dict[str, Tree | None]]:
        inputs = final_inputs(self.layout, rollout, vocabulary=self.channel.vocabulary)
        return by_step({p: self.policies[p].encode(inputs[p]) for p in inputs}) if inputs else []

    def _replay(self, now: Recorded) -> Callable[[Tensor, int, Tree], tuple[Tree, Message, Tree]]:
        def converse(intent: Tensor, round_index: int, memory: Tree) -> tuple[Tree, Message, Tree]:
            draw = now.draws[round_index]
            message, memory = self.channel.send(intent, draw=draw, form=MessageForm.TRAINING, state=memory)
            return draw, message, memory

        return converse

    def talking(self, round_index: int, assignment: Tensor | None) -> Tensor:
        """Which agents' models exchange messages in this round."""
        return self._talking[round_index] if assignment is None else self._rounds_of[assignment] > round_index

    def _after_reading(self, inbox: Inbox, frame: Frame, timing: Timing) -> Inbox:
        """Without what those have read who do so at this time."""
        if timing not in self._timings:
            return inbox
        read = frame.observing
        if len(self._timings) > 1:
            early = self._early[self._seated if frame.assignment is None else frame.assignment]
            read = read & (early if timing is Timing.NEXT_STEP else ~early)
        return Inbox(payload=inbox.payload, mask=inbox.mask & ~read.unsqueeze(-1))

    # ---- one step, for both -----------------------------------------------------------------------------------

    def _advance(
        self, features: Mapping[str, Tree | None], state: TeamState, frame: Frame,
        converse: Callable[[Tensor, int, Tree], tuple[Tree, Message, Tree]], listening: tuple[dict[str, Tree], ...],
    ) -> Advanced:  # fmt: skip
        before, memory = self._perceive(features, state, None if frame.everyone else frame.observing)
        here = [p for p in self.layout.policies if features[p] is not None]
        inbox, channel, hidden = state.inbox, state.channel, dict(before)
        if self.rounds:
            inbox = self._after_reading(inbox, frame, Timing.NEXT_STEP)
        intents, draws, messages = [], [], []
        for r in range(self.rounds):
            intent = self._intents(hidden, here, frame.assignment)
            draw, message, channel = converse(intent, r, channel)
            said = frame.speaking & self.talking(r, frame.assignment)
            arrivals, channel = self.channel.transit(message, speaking=said, draw=draw, state=channel, round_index=r)
            if r == 0:
                inbox = self._deliver(inbox, arrivals, frame)
                hidden, inbox = self._listen(hidden, here, inbox, frame, listening[r], round_index=r)
            else:
                empty = Inbox(payload=inbox.payload, mask=torch.zeros_like(inbox.mask))
                heard = self._deliver(empty, arrivals, frame)
                hidden, _ = self._listen(hidden, here, heard, frame, listening[r], round_index=r)
            intents.append(intent)
            draws.append(draw)
            messages.append(message)
        for policy in self._keeping:
            if policy in here:
                seen = None if frame.everyone else frame.observing[:, self.layout.slots(policy)]
                memory[policy] = self.policies[policy].remember(hidden[policy], memory[policy], observing=seen)
        age = None if state.age is None else state.age + 1
        state = dataclasses.replace(state, memory=memory, inbox=inbox, channel=channel, age=age)
        return Advanced(
            before=before, after=hidden, intents=tuple(intents), draws=tuple(draws), messages=tuple(messages),
            state=state,
        )  # fmt: skip

    def _deliver(self, inbox: Inbox, arrivals: Arrivals, frame: Frame) -> Inbox:
        team = None if self._one_team else self.team_of_agent
        return deliver(inbox, arrivals, frame.edges, team_of_agent=team)

    def _perceive(
        self, features: Mapping[str, Tree | None], state: TeamState, observing: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        hidden, memory = {}, {}
        for norm in self._timed:
            norm.age = state.age
        for policy in self.layout.policies:
            network, slots = self.policies[policy], self.layout.slots(policy)
            before = state.memory[policy]
            if features[policy] is None:
                hidden[policy], memory[policy] = before.new_zeros(*before.shape[:-1], network.model.hidden_size), before
                continue
            reads = network.communicates and network.model.timing is Timing.NEXT_STEP
            inbox = self._heard(policy, state.inbox) if reads and not self.silent else None
            out = network.model.perceive(features[policy], before, inbox)
            hidden[policy] = out.hidden
            memory[policy] = out.memory
            if observing is not None and policy in self._with_memory:
                memory[policy] = torch.where(observing[:, slots].unsqueeze(-1), out.memory, before)
        return hidden, memory

    def _listen(
        self, hidden: dict[str, Tensor], here: list[str], inbox: Inbox, frame: Frame, draws: dict[str, Tree], *,
        round_index: int,
    ) -> tuple[dict[str, Tensor], Inbox]:  # fmt: skip
        listened = dict(hidden)
        for policy in self._hearers[round_index]:
            if policy in here:
                heard = self._heard(policy, inbox, round_index=round_index, draw=draws[policy])
                listened[policy] = self.policies[policy].model.listen(hidden[policy], heard)
        return listened, self._after_reading(inbox, frame, Timing.SAME_STEP)

    def _heard(self, policy: str, inbox: Inbox, *, round_index: int = 0, draw: Tree = None) -> Heard:
        slots = self.layout.slots(policy)
        payload = inbox.payload.unsqueeze(1) if inbox.payload.dim() == 3 else inbox.payload[:, slots]
        return self.policies[policy].hear(payload, inbox.mask[:, slots], round_index=round_index, draw=draw)

    def _intents(self, hidden: Mapping[str, Tensor], here: list[str], assignment: Tensor | None) -> Tensor:
        found = {}
        for policy, value in hidden.items():
            network = self.policies[policy]
            says = network.communicates and policy in here
            size = (*value.shape[:-1], self.channel.intent_size)
            found[policy] = network.intent(value) if says else value.new_zeros(size)
        return self.layout.combine(found, lead=1, assignment=assignment)
