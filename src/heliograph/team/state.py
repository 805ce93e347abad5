"""What a team carries from step to step, and what one step of it computes and decides."""

import dataclasses

from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.team.present_rows import PresentRows
from heliograph.types import Edges, Message, Tree

__all__ = ["Acted", "Inbox", "StepOutput", "TeamState"]


@dataclasses.dataclass(kw_only=True)
class Inbox:
    """Messages that wait for their hearers: `mask` tells which are unread.

    `payload` is [B, N, P], the latest of each sender, where edges are symbolic (K equals N) and never change; else
    [B, N, K, P].
    """

    payload: Float[Tensor, "B *slots P"]
    mask: Bool[Tensor, "B N K"]


@dataclasses.dataclass(kw_only=True)
class TeamState:
    """All that a team carries from step to step: memories and last actions by policy and role, messages in flight.

    `last_message` is what each agent said last, one-hot, on channels whose symbols are actions (else None). `age` is
    the number of steps since the copy's episode began, where messages are normalised by it (else None).
    """

    memory: dict[str, Tree]
    last_action: dict[str, Float[Tensor, "B _A _U"]]
    inbox: Inbox
    channel: Tree
    assignment: Int[Tensor, "B N"] | None
    last_message: Float[Tensor, "B N C"] | None = None
    age: Int[Tensor, " B"] | None = None


@dataclasses.dataclass(kw_only=True)
class StepOutput:
    """Record of what one step of a team computed, before anybody acts.

    `before` and `after` are hidden features by policy, before and after listening. The others have an entry for each
    round: `channel_inputs` went into the channel, `draws` is its randomness, `messages` came out and travelled
    (replaced ones where there was an intervention), and `attention` are the weights by policy that models gave to what
    they heard.
    `rows` are `before` again, of the agents that are there alone, for policies whose cores ran on these alone.
    `symbols` are those said in the last round, whatever became of them on the way; None on channels without symbols.
    """

    before: dict[str, Tree]
    after: dict[str, Tree]
    channel_inputs: tuple[Float[Tensor, "B N C"], ...]
    draws: tuple[Tree, ...]
    messages: tuple[Message, ...]
    listening: tuple[dict[str, Tree], ...]
    attention: tuple[dict[str, Tensor], ...]
    symbols: Int[Tensor, "B N L"] | None
    state: TeamState
    rows: dict[str, PresentRows] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(kw_only=True)
class Acted:
    """Everything that a team did in one step, to be recorded.

    It holds actions by role, log-probabilities, draws, messages, next state.

    `computed` is the step that it comes from, kept only where gradients are recorded.
    """

    actions: dict[str, Tensor]
    action_log_prob: Float[Tensor, "B N"]
    message_log_prob: Float[Tensor, "B N"]
    draws: tuple[Tree, ...]
    messages: tuple[Message, ...]
    edges: Edges
    state: TeamState
    listening: tuple[dict[str, Tree], ...] = ()
    computed: StepOutput | None = None
