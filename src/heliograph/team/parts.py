"""What a team consists of: policies, a channel and a topology, with the tables that a step looks things up in."""

import dataclasses
from abc import ABC
from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from heliograph import distributions, functional
from heliograph.channels.base import Channel
from heliograph.models.structure import taken_apart, zeros_of
from heliograph.team.assignment import Layout
from heliograph.team.inbox import empty_inbox, of_senders
from heliograph.team.inputs import forgotten_actions
from heliograph.team.policy import Policy
from heliograph.team.state import Inbox, TeamState
from heliograph.topologies.base import Topology, no_edges
from heliograph.types import Edges, Gradient, TeamStep, Timing, map_tensors

__all__ = ["TeamParts"]


class TeamParts(nn.Module, ABC):
    """The parts of a team and the state that it carries from step to step."""

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
        self.one_team = bool((teams == teams[0]).all())
        communicating = [p for p in layout.policies if policies[p].communicates]
        talks = torch.zeros(len(layout.agents), dtype=torch.bool)
        for policy in communicating:
            talks[list(layout.seats[policy].slots)] = True
        self.register_buffer("talks", talks, persistent=False)
        self.hearers = [[p for p in communicating if policies[p].model.listens(r)] for r in range(self.rounds)]
        """The policies whose models listen within the step, in each round."""
        self.remembering = [p for p in communicating if policies[p].model.remembers]
        """The policies whose models remember what they hear within the step."""
        early = [policies[p].model.timing is Timing.NEXT_STEP for p in layout.policies]
        rounds = [policies[p].model.rounds if p in communicating else 0 for p in layout.policies]
        self.register_buffer("_early", torch.tensor(early), persistent=False)
        self.register_buffer("_rounds_of", torch.tensor(rounds), persistent=False)
        self.register_buffer("_seated", layout.default_assignment(), persistent=False)
        talking = self._rounds_of[self._seated] > torch.arange(self.rounds).unsqueeze(1)
        self.register_buffer("_talking", talking, persistent=False)
        norms = [norm for p in communicating for norm in policies[p].message_norms()]
        self.counts_steps = any(norm.num_steps is not None for norm in norms)
        """Whether a normaliser of messages goes by how long an episode has lasted."""
        self._timings = {policies[p].model.timing for p in layout.policies}
        self.with_memory = [p for p in layout.policies if policies[p].model.memory_size]
        """The policies whose models have a memory."""

    def detaches_after(self, num_steps: int) -> bool:
        """Tell whether no gradient passes on from that many steps of a rollout."""
        return self.detach_gap is not None and num_steps % self.detach_gap == 0

    def edges(self, step: TeamStep) -> Edges:
        """Return who hears whom in this step (no slots at all for a silent team)."""
        if self.silent:
            return no_edges(step.speaking.shape[1], step.speaking.device)
        return self.topology.edges(step)

    def talking(self, round_index: int, assignment: Tensor | None) -> Tensor:
        """Return which agents' models exchange messages in this round."""
        return self._talking[round_index] if assignment is None else self._rounds_of[assignment] > round_index

    def unread(
        self, inbox: Inbox, *, observing: Bool[Tensor, "B N"], assignment: Tensor | None, timing: Timing
    ) -> Inbox:
        """An inbox without what those who observe have read, of the models that read at this time."""
        if timing not in self._timings:
            return inbox
        read = observing
        if len(self._timings) > 1:
            early = self._early[self._seated if assignment is None else assignment]
            read = read & (early if timing is Timing.NEXT_STEP else ~early)
        return Inbox(payload=inbox.payload, mask=inbox.mask & ~read.unsqueeze(-1))

    # ---- the state between steps ------------------------------------------------------------------------------

    def initial_state(self, step: TeamStep, *, assignment: Tensor | None = None) -> TeamState:
        """Empty memories and inboxes for the copies of a first step."""
        num_envs, num_agents = step.speaking.shape
        device, edges, size = step.speaking.device, self.edges(step), self.channel.payload_size
        if assignment is None and not self.layout.constant:
            assignment = self._seated.expand(num_envs, -1).clone()
        shared = edges.senders is None and self.one_team and self.topology.static and step.hearing is None
        inbox = empty_inbox(num_envs, num_agents, slots=edges.mask.shape[-1], size=size, shared=shared, device=device)
        memory = {
            p: zeros_of(self.policies[p].model.memory_size, num_envs, len(seats.slots), device=device)
            for p, seats in self.layout.seats.items()
        }
        last_action = {
            r.name: torch.zeros(num_envs, len(r.agents), distributions.num_features(r.action_space), device=device)
            for r in self.layout.roles
        }
        channel = self.channel.initial_state(num_envs, num_agents, device, rounds=self.rounds)
        said = torch.zeros(num_envs, num_agents, self.channel.word_size, device=device) if self.spells else None
        age = torch.zeros(num_envs, dtype=torch.long, device=device) if self.counts_steps else None
        return TeamState(
            memory=memory, last_action=last_action, inbox=inbox, channel=channel, assignment=assignment,
            last_message=said, age=age,
        )  # fmt: skip

    def adopted(self, state: TeamState) -> TeamState:
        """A state that was saved when all memories were single vectors, with memories as the models have them now."""
        sizes = {p: self.policies[p].model.memory_size for p in self.layout.policies}
        memory = {p: taken_apart(m, sizes[p]) if isinstance(m, Tensor) else m for p, m in state.memory.items()}
        return dataclasses.replace(state, memory=memory)

    def cut(self, state: TeamState, ended: Bool[Tensor, "B N"], edges: Edges) -> TeamState:
        """Forget what belongs to slots whose part has ended: memory, last action, messages to and from them."""
        if functional.surely_none(ended):
            return state
        memory = dict(state.memory)
        for p in self.with_memory:
            over = ended[:, self.layout.slots(p)].unsqueeze(-1)
            memory[p] = map_tensors(lambda leaf, over=over: leaf.masked_fill(over, 0.0), memory[p])
        gone = ended.unsqueeze(-1) | of_senders(ended, edges)
        said = state.last_message
        return TeamState(
            memory=memory,
            last_action=forgotten_actions(state.last_action, roles=self.layout.roles, ended=ended),
            inbox=Inbox(payload=state.inbox.payload, mask=state.inbox.mask & ~gone),
            channel=self.channel.cut(state.channel, ended),
            assignment=state.assignment,
            last_message=None if said is None else said.masked_fill(ended.unsqueeze(-1), 0.0),
            age=None if state.age is None else state.age.masked_fill(ended.all(1), 0),
        )
