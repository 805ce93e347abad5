"""The contract of a model: how an agent turns what it sees and hears into what it says and does.

A model is the network of one policy. All hooks are batched over copies `B` and the `A` agents of the policy; `encode`
is also batched over time. The runtime around it (delivery of messages, memory of agents that wait, unrolling) is
`team.py`, written once.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor, nn

from heliograph import distributions
from heliograph.models.structure import Sizes
from heliograph.renamed import MEMBERS, RenamedAttribute, rename_members, told_round
from heliograph.types import Choice, Execution, Heard, Inputs, Timing, Tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Record of what a model must know of its environment: spaces, how many agents share it, sizes of the other inputs.

    The channel takes `channel_input_size` numbers of a speaker and hands `payload_size` to each hearer.
    `vocabulary` and `word_size` are of a channel with symbols (else 0): how many there are, and the size of a
    `last_message`. Where speakers `can_be_silent`, symbol 0 is silence. The last `num_gate_logits` numbers of what the
    channel takes are logits of its gate (0: it has none). `horizon` is the longest episode in env steps.
    """

    observation_space: spaces.Space
    action_space: spaces.Space
    num_agents: int
    state_size: int
    channel_input_size: int = 0
    payload_size: int = 0
    vocabulary: int = 0
    word_size: int = 0
    can_be_silent: bool = False
    num_gate_logits: int = 0
    horizon: int | None = None

    intent_size = RenamedAttribute("channel_input_size")

    @property
    def action_inputs(self) -> int:
        """D, the numbers that `act` must put out."""
        return distributions.num_inputs(self.action_space)

    @property
    def action_features(self) -> int:
        """U, the size of a last action."""
        return distributions.num_features(self.action_space)


@dataclasses.dataclass(kw_only=True)
class Perceived:
    """Result of what an agent has made of its inputs.

    `hidden` [B, A, H] for this step, `memory` [B, A, S] for the next.

    Either may be a dict of such vectors by name, where the model declares their sizes by name.
    """

    hidden: Tree
    memory: Tree


class Model(nn.Module, ABC):
    """The network of one policy. Set `hidden_size`, `message_size` and `memory_size` in the constructor.

    `hidden_size` and `memory_size` are numbers, or numbers by name: with `{"hidden": 64, "cell": 64}` a memory is a
    dict of two vectors, which begin as zeros, stay as they are while an agent does not observe, and end with its part.

    `timing` is NEXT_STEP where round 0 is heard when the hearer next observes, SAME_STEP where it is heard in the step
    in which it is said; `rounds` of messages are exchanged in a step, the later ones always within it. A model that
    is `row_by_row` treats each agent for itself in `encode` and `perceive`, and reads what waits for it by `total`,
    `mean` and `count` alone, so that both may be called with rows `[R, 1, ...]` of those who are there. One that
    `attends` weighs what it hears, and tells how much in `Heard.attention`. One that `remembers` what it hears within
    the step has `remember`.
    """

    timing = Timing.NEXT_STEP
    execution = Execution.DECENTRALISED
    rounds = 1
    communicates = True
    row_by_row = False
    attends = False
    remembers = False
    trainable = True
    intent_size = RenamedAttribute("message_size")
    hidden_size: Sizes
    message_size: int
    memory_size: Sizes = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        rename_members(cls, MEMBERS["Model"])
        if "speak" in vars(cls):
            cls.speak = told_round(cls.speak)  # type: ignore[method-assign]

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.spec = spec

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Settings that change nothing beside the others, and why; `settings` holds them all, defaults too."""
        return {}

    @abstractmethod
    def encode(self, inputs: Inputs) -> Tree:
        """Features `[..., A, F]` (or a structure of such) of an agent's own inputs; no memory, any leading axes."""

    @abstractmethod
    def perceive(self, features: Tree, memory: Tree, inbox: Heard | None) -> Perceived:
        """Update the memory, from the features of one step.

        `inbox` holds the unread messages of a NEXT_STEP model; it is None for a SAME_STEP one.
        """

    def speak(self, hidden: Tree, *, round_index: int = 0) -> Float[Tensor, "*batch A I"]:
        """Message features of a round (from 0), which the message encoder maps to what the channel takes."""
        return hidden

    def listens(self, round_index: int) -> bool:
        """Tell whether `listen` is called in a round: in those that are heard within the step."""
        return round_index < self.rounds and (round_index > 0 or self.timing is Timing.SAME_STEP)

    def draw(
        self, shape: tuple[int, int, int], *, round_index: int, choice: Choice, generator: torch.Generator | None
    ) -> Tree:
        """Draw all randomness with which the agents listen in a round: recorded, and replayed as `heard.draw`.

        `shape` is [B, A, K], that of `heard.mask`. None where listening is deterministic, as a greedy choice must be.
        """
        return None

    def listen(self, hidden: Tree, heard: Heard) -> Tree:
        """Take in the messages of a round that arrive within the step; random only through `heard.draw`."""
        return hidden

    def remember(self, hidden: Tree, memory: Tree) -> Tree:
        """The memory for the next step, from what came of the last round and the memory that `perceive` left."""
        return memory

    @abstractmethod
    def act(self, hidden: Tree) -> Float[Tensor, "*batch A D"]:
        """Inputs of the action distribution; batched over any leading axes."""

    def build_message_encoder(self, input_size: int) -> nn.Module:
        """Maps message features `[..., I]` to the `input_size` numbers that the channel takes."""
        return nn.Linear(self.message_size, input_size)

    def build_message_decoder(self, payload_size: int) -> nn.Module:
        """Maps a payload `[..., P]` back to message features `[..., I]`."""
        return nn.Linear(payload_size, self.message_size)


rename_members(Model, MEMBERS["Model"])

__all__ = ["Model", "ModelSpec", "Perceived"]
