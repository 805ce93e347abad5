"""One agent of a team by itself: what it sees and hears comes in, what it says and does goes out.

It runs the same networks as in its team. Agents that share a policy are rows of one batch there; here all rows are
those of the one agent, and its own is read off.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from heliograph import distributions
from heliograph.models.base import Perceived
from heliograph.models.structure import side_by_side, taken_apart, total_size
from heliograph.registry import UnknownNameError
from heliograph.team.inputs import last_words
from heliograph.team.parts import TeamParts
from heliograph.team.policy import Spell
from heliograph.types import Choice, Execution, Inputs, MessageForm, Timing, Tree, map_tensors

__all__ = ["AgentMemory", "AgentMessage", "AgentStep", "LoneAgent", "Thought"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgentMemory:
    """Record of what an agent carries from one env step to the next; nothing else of it changes while it acts.

    `memory` of its model (several vectors side by side), `last_action` as features and `last_message` as one-hot
    symbols (None where it is not told), the `channel`'s state, `num_steps` of its episode so far, and the `seed` of its
    draws.
    """

    memory: Float[Tensor, " S"]
    last_action: Float[Tensor, " U"]
    last_message: Float[Tensor, " C"] | None
    channel: Tree
    num_steps: int = 0
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgentMessage:
    """A message in execution form: the numbers that travel, and its symbols where the channel has some."""

    payload: Float[Tensor, " P"]
    symbols: Int[Tensor, " L"] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgentStep:
    """Everything that an agent does in an env step.

    Its action, a message for each round (None: nothing leaves), its memory.
    """

    action: Tensor
    messages: tuple[AgentMessage | None, ...]
    memory: AgentMemory


@dataclasses.dataclass(kw_only=True)
class Thought:
    """Results that a policy computes in a step, all with the axes [1, A].

    `payloads`, `symbols` and `leaves` are by round.
    """

    hidden: Tree
    memory: Tree
    channel: Tree
    payloads: list[Tensor]
    symbols: list[Tensor | None]
    leaves: list[Tensor]


Mailbox = Mapping[str, AgentMessage | Tensor]
"""What was heard, by sender: messages, or their payloads [P]."""


@final
class LoneAgent:
    """One agent by itself; keeps nothing between calls, all that it remembers is in the `AgentMemory` it hands back.

    `heard` holds what the agent is told, by the sender's name. Agents of a team with `timing` NEXT_STEP are told what
    arrived since they observed last; with SAME_STEP, what others say in this step: ask all for `say` first. Where
    messages go in several rounds, `heard` is a sequence with a mailbox for each.
    """

    def __init__(self, team: TeamParts, name: str, *, choice: Choice = Choice.GREEDY):
        agents = team.layout.agents
        if name not in agents:
            raise UnknownNameError(what="agent", name=name, valid=list(agents))
        if not team.layout.constant:
            raise ValueError(f"agent {name!r} has several policies, one of which is drawn for each episode; mix one in")
        self.team, self.name, self.choice = team, name, choice
        self.slot = agents.index(name)
        self.policy = next(p for p, seats in team.layout.seats.items() if self.slot in seats.slots)
        self.place = team.layout.seats[self.policy].slots.index(self.slot)
        self.network = team.policies[self.policy]
        self.model = self.network.model
        if self.model.execution is not Execution.DECENTRALISED:
            kind = type(self.model).__name__
            raise ValueError(f"{kind} is {self.model.execution.value}: {name!r} needs its whole team to act")
        self.action_space = team.layout.seats[self.policy].action_space
        self.observation_space = team.layout.seats[self.policy].observation_space

    @property
    def timing(self) -> Timing:
        """When what is said in round 0 is heard: in the same env step, or in the next that the hearer observes."""
        return self.model.timing

    @property
    def rounds(self) -> int:
        """How often in an env step messages are exchanged; 0 in a team that does not talk."""
        return self.team.rounds

    @property
    def num_agents(self) -> int:
        """A, how many agents share the policy."""
        return len(self.team.layout.seats[self.policy].slots)

    def begin(self, *, seed: int = 0) -> AgentMemory:
        """The memory at the beginning of an episode; `seed` decides its draws, where there are any."""
        device = next(iter(self.team.state_dict().values()), torch.zeros(0)).device
        number = len(self.team.layout.agents)
        channel = self.team.channel.initial_state(1, number, device, rounds=self.rounds)
        said = torch.zeros(self.team.channel.word_size, device=device) if self.team.spells else None
        return AgentMemory(
            memory=torch.zeros(total_size(self.model.memory_size), device=device),
            last_action=torch.zeros(distributions.num_features(self.action_space), device=device),
            last_message=said,
            channel=channel,
            seed=seed,
        )

    @torch.no_grad()
    def say(
        self, observation: Tree, memory: AgentMemory, *, heard: Mailbox | Sequence[Mailbox] = ()
    ) -> AgentMessage | None:
        """Message that the agent says in the round after those in `heard`.

        None where nothing leaves its message encoder.

        Nothing is remembered of it: `act`, with all that was heard, says the same again.
        """
        boxes = _boxes(heard)
        asked = len(boxes) if self.timing is Timing.SAME_STEP else max(0, len(boxes) - 1)
        if asked >= max(1, self.rounds):
            raise ValueError(f"heard has {len(boxes)} rounds: {self.name} speaks in {self.rounds} of a step")
        thought = self._think(observation, boxes, memory, rounds=asked + 1)
        return self._said(thought, asked) if self.network.communicates and self.rounds else None

    @torch.no_grad()
    def act(
        self,
        observation: Tree,
        heard: Mailbox | Sequence[Mailbox],
        memory: AgentMemory,
        *,
        action_mask: Bool[Tensor, " n"] | None = None,
        acting: bool = True,
        speaking: bool = True,
    ) -> AgentStep:
        """Move once: the observation of the agent's own space, what it hears, and what it remembers.

        `acting` and `speaking`: whether the agent is asked for an action, and for messages. Raises ValueError where
        `heard` names nobody of the team, or holds more rounds than there are.
        """
        boxes = _boxes(heard)
        if len(boxes) > max(1, self.rounds):
            raise ValueError(f"heard has {len(boxes)} rounds: {self.name} hears {self.rounds} of a step")
        thought = self._think(observation, boxes, memory, rounds=self.rounds, speaking=speaking)
        inputs = self.model.act(thought.hidden)[0, self.place]
        action = distributions.sample(
            self.action_space, inputs, choice=self.choice, generator=self._generator(memory, 1), mask=action_mask
        )
        return self._step(thought, action, memory, acting=acting, speaking=speaking)

    def wait(self, memory: AgentMemory) -> AgentMemory:
        """The memory after an env step in which the agent observes nothing and is asked for nothing."""
        return dataclasses.replace(memory, num_steps=memory.num_steps + 1)

    def _step(
        self, thought: Thought, action: Tensor, memory: AgentMemory, *, acting: bool, speaking: bool
    ) -> AgentStep:
        done = distributions.features(self.action_space, action.unsqueeze(0)).squeeze(0).float()
        said = memory.last_message
        if thought.symbols and speaking:
            words = last_words(
                None if said is None else said.view(1, 1, -1),
                thought.symbols[-1],
                vocabulary=self.team.channel.vocabulary,
                speaking=torch.ones(1, 1, dtype=torch.bool, device=done.device),
            )
            said = None if words is None else words[0, 0]
        after = AgentMemory(
            memory=thought.memory[0, self.place],
            last_action=done if acting else torch.zeros_like(done),
            last_message=said,
            channel=thought.channel,
            num_steps=memory.num_steps + 1,
            seed=memory.seed,
        )
        messages = tuple(self._said(thought, r) for r in range(len(thought.payloads)))
        return AgentStep(action=action, messages=messages, memory=after)

    def _said(self, thought: Thought, round_index: int) -> AgentMessage | None:
        if not bool(thought.leaves[round_index][0, 0]):
            return None
        symbols = thought.symbols[round_index]
        payload = thought.payloads[round_index][0, 0]
        return AgentMessage(payload=payload, symbols=None if symbols is None else symbols[0, 0])

    def _think(
        self, observation: Tree, boxes: Sequence[Mailbox], memory: AgentMemory, *, rounds: int, speaking: bool = True
    ) -> Thought:
        seen = map_tensors(lambda leaf: torch.as_tensor(leaf), _tensors(observation))
        payloads, masks = self._offered(boxes)
        return self.think(
            seen,
            memory=memory.memory,
            last_action=memory.last_action,
            last_message=memory.last_message,
            age=torch.tensor([memory.num_steps], device=memory.memory.device),
            payloads=payloads,
            masks=masks,
            channel=memory.channel,
            rounds=rounds,
            speaking=speaking,
            generator=self._generator(memory, 0),
        )

    def _generator(self, memory: AgentMemory, stream: int) -> torch.Generator:
        """Draws that are the same whenever the same step is asked for."""
        number = hash((memory.seed, memory.num_steps, stream, self.slot)) & 0x7FFF_FFFF
        return torch.Generator(device=memory.memory.device).manual_seed(number)

    def _offered(self, boxes: Sequence[Mailbox]) -> tuple[list[Tensor], list[Tensor]]:
        """Payloads [N, P] and masks [N] of each round, a slot for every agent of the team."""
        agents, size = self.team.layout.agents, self.team.channel.payload_size
        payloads, masks = [], []
        for r in range(max(len(boxes), self.rounds)):
            payload, mask = torch.zeros(len(agents), size), torch.zeros(len(agents), dtype=torch.bool)
            for sender, message in (boxes[r] if r < len(boxes) else {}).items():
                if sender not in agents or sender == self.name:
                    others = [agent for agent in agents if agent != self.name]
                    raise UnknownNameError(what=f"sender that {self.name} hears", name=sender, valid=others)
                said = message.payload if isinstance(message, AgentMessage) else torch.as_tensor(message).float()
                if said.shape != (size,):
                    raise ValueError(f"message of {sender}: has shape {tuple(said.shape)}, must be ({size},)")
                payload[agents.index(sender)], mask[agents.index(sender)] = said, True
            payloads.append(payload)
            masks.append(mask)
        return payloads, masks

    def think(
        self,
        observation: Tree,
        *,
        memory: Float[Tensor, " S"],
        last_action: Float[Tensor, " U"],
        last_message: Float[Tensor, " C"] | None,
        age: Int[Tensor, " 1"],
        payloads: Sequence[Float[Tensor, "N P"]],
        masks: Sequence[Bool[Tensor, " N"]],
        channel: Tree,
        rounds: int,
        speaking: bool = True,
        generator: torch.Generator | None = None,
    ) -> Thought:
        """Perceive, speak and listen for so many rounds; all tensors, without a look at their values."""
        network, row = self.network, _Rows(self.num_agents)
        inputs = Inputs(
            observation=map_tensors(row, observation),
            last_action=row(last_action),
            state=torch.zeros(1, self.model.spec.state_size, device=memory.device),
            last_message=None if last_message is None else row(last_message),
        )
        talks = network.communicates and not self.team.silent
        early = talks and self.timing is Timing.NEXT_STEP
        inbox = network.hear(*row.offered(payloads[0], masks[0]), age=age) if early else None
        past = taken_apart(row(memory), self.model.memory_size)
        seen: Perceived = self.model.perceive(network.encode(inputs), past, inbox)
        thought = Thought(hidden=seen.hidden, memory=seen.memory, channel=channel, payloads=[], symbols=[], leaves=[])
        for r in range(rounds if talks else 0):
            self._speak(thought, r, speaking=speaking, generator=generator)
            if self.model.listens(r) and r < self.rounds:
                shape = (1, self.num_agents, len(self.team.layout.agents))
                draw = self.model.draw(shape, round_index=r, choice=self.choice, generator=generator)
                heard = network.hear(*row.offered(payloads[r], masks[r]), round_index=r, draw=draw, age=age)
                thought.hidden = self.model.listen(thought.hidden, heard)
        if talks and self.model.remembers:
            thought.memory = network.remember(thought.hidden, thought.memory, observing=None)
        thought.memory = side_by_side(thought.memory, self.model.memory_size)
        return thought

    def _speak(self, thought: Thought, r: int, *, speaking: bool, generator: torch.Generator | None) -> None:
        """One round of messages: this agent's own goes into the channel, at its own slot."""
        channel, number = self.team.channel, len(self.team.layout.agents)
        spelling = self._spelling(generator)
        mine = self.network.channel_input(thought.hidden, round_index=r, spelling=spelling)[:, self.place]
        own = nn.functional.one_hot(torch.tensor(self.slot, device=mine.device), number).bool()
        channel_input = torch.where(own.view(1, -1, 1), mine.unsqueeze(1), torch.zeros_like(mine).unsqueeze(1))
        draw = channel.sample(channel_input, generator=generator, choice=self.choice)
        message, state = channel.send(channel_input, draw=draw, form=MessageForm.EXECUTION, state=thought.channel)
        asked = own.view(1, -1) if speaking and r < self.model.rounds else torch.zeros_like(own).view(1, -1)
        out, thought.channel = channel.transit(message, speaking=asked, draw=draw, state=state, round_index=r)
        slot = slice(self.slot, self.slot + 1)
        thought.payloads.append(out.payload[:, slot])
        thought.symbols.append(None if message.symbols is None else message.symbols[:, slot])
        thought.leaves.append(out.mask[:, slot])

    def _spelling(self, generator: torch.Generator | None) -> Spell | None:
        """Return by which guides words are spelt, equal ones for all rows of the policy."""
        channel = self.team.channel
        if channel.spelling is None:
            return None
        device = next(self.network.parameters(), torch.zeros(0)).device
        guide = channel.ahead((1, 1), device=device, generator=generator, choice=self.choice)
        rows = guide.expand(-1, self.num_agents, -1, -1)
        return Spell(guide=rows, choose=functools.partial(channel.choose, form=MessageForm.EXECUTION))


class _Rows:
    """Puts what belongs to one agent into all rows of its policy, and mail into the form that hearers take."""

    def __init__(self, number: int):
        self.number = number

    def __call__(self, leaf: Tensor) -> Tensor:
        return leaf.expand(1, self.number, *leaf.shape)

    def offered(self, payload: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return payload.view(1, 1, *payload.shape), mask.expand(1, self.number, *mask.shape)


def _boxes(heard: Mailbox | Sequence[Mailbox]) -> Sequence[Mailbox]:
    return [heard] if isinstance(heard, Mapping) else list(heard)


def _tensors(observation: Any) -> Tree:
    if isinstance(observation, Mapping):
        return {key: _tensors(part) for key, part in observation.items()}
    return torch.as_tensor(observation)
