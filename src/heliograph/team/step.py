"""One step of a team, from what its agents see to what they know after they have spoken and listened."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.functional import surely_none
from heliograph.models.structure import nothing_of, where_agents
from heliograph.team.draws import Draws
from heliograph.team.inbox import StepMasks, deliver
from heliograph.team.parts import TeamParts
from heliograph.team.policy import Spell
from heliograph.team.present_rows import PresentRows, perceived_rows
from heliograph.team.state import Inbox, StepOutput, TeamState
from heliograph.types import Message, Timing, Tree, tensors_of

__all__ = ["Core", "run_core", "step"]


def step(
    team: TeamParts, features: Mapping[str, Tree | None], state: TeamState, masks: StepMasks, draws: Draws
) -> StepOutput:
    """Run the core, then in each round encode messages, draw, send, deliver and aggregate them.

    `features` are encoded observations `[B, A, F]` by policy, None where nobody of a policy observes.
    """
    listening = draws.listening(team, masks)
    core = run_core(team, features, state, observing=None if masks.everyone else masks.observing)
    here = [p for p in team.layout.policies if features[p] is not None]
    who = {"observing": masks.observing, "assignment": masks.assignment}
    inbox = team.unread(state.inbox, **who, timing=Timing.NEXT_STEP) if team.rounds else state.inbox
    hidden, memory, channel, symbols = core.hidden, core.memory, state.channel, None
    channel_inputs, drawn, messages = list[Tensor](), list[Tree](), list[Message]()
    attention = list[dict[str, Tensor]]()
    for r in range(team.rounds):
        channel_input = encode_messages(
            team, hidden, here, round_index=r, assignment=masks.assignment,
            spelling=draws.spelling(team, masks, round_index=r), speaking=masks.speaking,
        )  # fmt: skip
        draw = draws.message(team, channel_input, round_index=r)
        message, channel = team.channel.send(channel_input, draw=draw, form=draws.form, state=channel)
        symbols, message = message.symbols, draws.delivered(message, round_index=r)
        speaking = masks.speaking & team.talking(r, masks.assignment)
        arrivals, channel = team.channel.transit(message, speaking=speaking, draw=draw, state=channel, round_index=r)
        waiting = inbox if r == 0 else Inbox(payload=inbox.payload, mask=torch.zeros_like(inbox.mask))
        rivals = None if team.one_team else team.team_of_agent
        received = deliver(waiting, arrivals, masks.edges, team_of_agent=rivals)
        received = draws.received(received, arrivals, masks.edges)
        hidden, weights = aggregate_messages(
            team, hidden, here, received, draws=listening[r], round_index=r, age=state.age
        )
        if r == 0:
            inbox = team.unread(received, **who, timing=Timing.SAME_STEP)
            weights = core.attention | weights
        channel_inputs.append(channel_input)
        drawn.append(draw)
        messages.append(message)
        attention.append(weights)
    for policy in team.remembering:
        if policy in here:
            observing = None if masks.everyone else masks.observing[:, team.layout.slots(policy)]
            memory[policy] = team.policies[policy].remember(hidden[policy], memory[policy], observing=observing)
    after = TeamState(
        memory=memory, last_action=state.last_action, inbox=inbox, channel=channel, assignment=state.assignment,
        last_message=state.last_message, age=None if state.age is None else state.age + 1,
    )  # fmt: skip
    return StepOutput(
        before=core.hidden, after=hidden, channel_inputs=tuple(channel_inputs), draws=tuple(drawn),
        messages=tuple(messages), listening=listening, attention=tuple(attention), symbols=symbols, state=after,
        rows=core.rows,
    )  # fmt: skip


class Core(NamedTuple):
    """Record of what the recurrent cores put out: hidden features, memories, and weights of what waited, by policy.

    `rows` are the hidden features of those who are there, of policies whose cores ran on these alone.
    """

    hidden: dict[str, Tree]
    memory: dict[str, Tree]
    attention: dict[str, Tensor]
    rows: dict[str, PresentRows]


def run_core(
    team: TeamParts, features: Mapping[str, Tree | None], state: TeamState, *, observing: Bool[Tensor, "B N"] | None
) -> Core:
    """Run the models' cores on encoded observations; models of NEXT_STEP read their inbox.

    Hidden features are zeros, and memories what they were, where nobody of a policy observes; the memory of an agent
    that does not stays as it was (`observing` None: all observe).
    """
    core = Core({}, {}, {}, {})
    for policy in team.layout.policies:
        network, slots = team.policies[policy], team.layout.slots(policy)
        before = state.memory[policy]
        core.memory[policy] = before
        if features[policy] is None:
            lead = state.inbox.mask.shape[0], len(team.layout.seats[policy].slots)
            core.hidden[policy] = nothing_of(network.model.hidden_size, *lead, device=state.inbox.mask.device)
            continue
        reads = network.communicates and network.model.timing is Timing.NEXT_STEP and not team.silent
        inbox = network.hear(*offered(state.inbox, slots), age=state.age) if reads else None
        seen = features[policy]
        if isinstance(seen, PresentRows):
            out, core.rows[policy] = perceived_rows(network.model, seen, before, inbox)
            core.hidden[policy], core.memory[policy] = out.hidden, out.memory
            continue
        out = network.model.perceive(seen, before, inbox)
        core.hidden[policy], core.memory[policy] = out.hidden, out.memory
        if observing is not None and policy in team.with_memory:
            core.memory[policy] = where_agents(observing[:, slots], out.memory, before)
        if inbox is not None and inbox.attention is not None:
            core.attention[policy] = inbox.attention
    return core


def encode_messages(
    team: TeamParts, hidden: Mapping[str, Tree], here: list[str], *, round_index: int, assignment: Tensor | None,
    spelling: Spell | None = None, speaking: Bool[Tensor, "B N"] | None = None,
) -> Float[Tensor, "B N C"]:  # fmt: skip
    """Return what goes into the channel: of agents that communicate and observe, zeros of the others."""
    found = {}
    for policy, value in hidden.items():
        network = team.policies[policy]
        slots = team.layout.slots(policy)
        speaks = network.communicates and policy in here
        if spelling is not None and speaking is not None:  # words are spelt by those who speak alone
            speaks = speaks and not surely_none(speaking[:, slots])
        if speaks:
            own = None if spelling is None else spelling.of(slots)
            found[policy] = network.channel_input(value, round_index=round_index, spelling=own)
            continue
        first = tensors_of(value)[0]
        found[policy] = first.new_zeros(()).expand(*first.shape[:-1], team.channel.input_size)
    return team.layout.combine(found, lead=1, assignment=assignment)


def aggregate_messages(
    team: TeamParts,
    hidden: Mapping[str, Tree],
    here: list[str],
    inbox: Inbox,
    *,
    draws: Mapping[str, Tree],
    round_index: int,
    age: Int[Tensor, " B"] | None,
) -> tuple[dict[str, Tree], dict[str, Tensor]]:
    """Hidden features after listening in a round, and the weights of the models that attend, by policy."""
    listened, attention = dict(hidden), {}
    for policy in team.hearers[round_index]:
        if policy in here:
            network = team.policies[policy]
            payload, mask = offered(inbox, team.layout.slots(policy))
            heard = network.hear(payload, mask, round_index=round_index, draw=draws[policy], age=age)
            listened[policy] = network.model.listen(hidden[policy], heard)
            if heard.attention is not None:
                attention[policy] = heard.attention
    return listened, attention


def offered(inbox: Inbox, slots: slice | list[int]) -> tuple[Float[Tensor, "B A_or_1 K P"], Bool[Tensor, "B A K"]]:
    """Return what waits for the agents in these slots, and which of it is unread."""
    payload = inbox.payload.unsqueeze(1) if inbox.payload.dim() == 3 else inbox.payload[:, slots]
    return payload, inbox.mask[:, slots]
