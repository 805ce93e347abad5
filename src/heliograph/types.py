"""Named structures that every layer shares, and the legend of the letters that tensor shapes are written in.

`T` time, `B` copies of the team, `N` agents in a team, `A` agents of one role or policy, `O` observation features,
`F` encoded features, `H` hidden, `S` memory, `I` message features, `C` what the channel takes, `P` payload features,
`V` vocabulary, `L` symbols in a message, `K` neighbours (edges per hearer), `Z` attributes of a meaning, `U` features
of an action.
"""

import dataclasses
import enum
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union

import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

Tree = Any
"""A tensor, or a (nested) dict, list, tuple or structure of this module that holds tensors and None."""


class Timing(enum.Enum):
    """When the message of round 0 arrives: in the step in which it is sent, or when its hearer next observes."""

    SAME_STEP = "same_step"
    NEXT_STEP = "next_step"


class Execution(enum.Enum):
    """Answer to whether a model can run with one agent alone, or needs a scheduler that sees the whole team."""

    DECENTRALISED = "decentralised"
    SCHEDULED = "scheduled"
    CENTRALISED = "centralised"


class Gradient(enum.Enum):
    """How a channel teaches its speaker: through the message, or by the log-probability of a sampled message."""

    PATHWISE = "pathwise"
    ACTION = "action"
    NONE = "none"


class MessageForm(enum.Enum):
    """The form in which messages travel: as in training (noise, relaxed), or as when deployed (discrete, noiseless)."""

    TRAINING = "training"
    EXECUTION = "execution"


class Choice(enum.Enum):
    """How actions (and the messages of an ACTION channel) are chosen from their distributions."""

    SAMPLED = "sampled"
    GREEDY = "greedy"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Role:
    """Interchangeable agents with equal spaces, in contiguous slots of the team.

    `meaning_names`: what the numbers of a meaning are called, Z of them. `action_names`: what the first discrete
    actions are called. Both are for people, and may be left out; roles that differ in them alone are equal.
    """

    name: str
    agents: tuple[str, ...]
    observation_space: spaces.Space
    action_space: spaces.Space
    meaning_names: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    action_names: tuple[str, ...] = dataclasses.field(default=(), compare=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """Mean episode returns that frame every result of an environment, and where they come from."""

    random: float
    blind: float
    full_information: float
    source: str


@dataclasses.dataclass(kw_only=True)
class Edges:
    """Record of who can hear whom: hearer `n` hears `senders[b, n, k]` where `mask[b, n, k]`.

    `senders` is None for the symbolic form, in which slot `k` is agent `k` (and K equals N).
    """

    senders: Int[Tensor, "*batch N K"] | None
    mask: Bool[Tensor, "*batch N K"]


class StateMaker(ABC):
    """Makes the state of a team of its observations, where the environment gives none of its own."""

    @property
    @abstractmethod
    def size(self) -> int:
        """S, the numbers in a state."""

    @abstractmethod
    def of(self, observations: Mapping[str, Tree]) -> Float[Tensor, "*batch S"]:
        """The state, of observations by role `[..., A, *]`."""


@dataclasses.dataclass(kw_only=True)
class UnmadeState:
    """A state that nobody has asked for yet: the observations it is to be made of, and what makes it."""

    observations: Mapping[str, Tree]
    maker: StateMaker


_T = TypeVar("_T")
if TYPE_CHECKING:
    OnDemand = Annotated[_T, "made when it is asked for"]
else:

    class OnDemand:
        """The type of a field that is read as a tensor of that type, and may hold what makes it."""

        def __class_getitem__(cls, item: Any) -> Any:
            return Union[item, StateMaker, UnmadeState]  # noqa: UP007 - of what is no class


class _StateField:
    """A field that holds a state, or what makes it: then each access makes it anew, of the field `source`."""

    def __init__(self, source: str, *, optional: bool):
        self.source, self.optional, self.name = source, optional, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None and self.optional:
            return None
        if instance is None or self.name not in instance.__dict__:
            raise AttributeError(f"{type(instance).__name__} has no attribute {self.name!r}")
        value = instance.__dict__[self.name]
        if isinstance(value, StateMaker):
            return value.of(getattr(instance, self.source))
        return value.maker.of(value.observations) if isinstance(value, UnmadeState) else value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = value


def state_field(source: str, *, optional: bool = False) -> Any:
    """A field of a structure for a state `[..., S]` that may be made when it is asked for, of its field `source`."""
    return _StateField(source, optional=optional)


def held(structure: Any, name: str) -> Any:
    """A field as it is held: in the place of a state that is made when it is asked for, what makes it."""
    if isinstance(vars(type(structure)).get(name), _StateField) and name in structure.__dict__:
        return structure.__dict__[name]
    return getattr(structure, name)


def own_state(structure: Any, name: str = "state") -> Tensor | None:
    """The state that an environment gave by itself; None where it gave none, so that one is made of observations."""
    value = held(structure, name)
    return value if isinstance(value, Tensor) else None


def changed(structure: Any, **changes: Any) -> Any:
    """As `dataclasses.replace`, which would make a state that nobody has asked for."""
    kept = {field.name: held(structure, field.name) for field in dataclasses.fields(structure) if field.init}
    return dataclasses.replace(structure, **(kept | changes))


@dataclasses.dataclass(kw_only=True)
class TeamStep:
    """Record of what an environment shows after a reset or a step; every field speaks of all `B` copies at once.

    Observations belong to the state after an automatic reset; `final_observations` holds what the finished episodes
    ended with (equal to `observations` in copies that go on; None where no copy ended). Where the environment gives no
    `state` of its own, each access makes one of the observations.
    """

    observations: dict[str, Tree]
    rewards: Float[Tensor, "B N"]
    terminated: Bool[Tensor, "B N"]
    truncated: Bool[Tensor, "B N"]
    episode_over: Bool[Tensor, " B"]
    observing: Bool[Tensor, "B N"]
    acting: Bool[Tensor, "B N"]
    speaking: Bool[Tensor, "B N"]
    meaning: Int[Tensor, "B N Z"]
    state: OnDemand[Float[Tensor, "B S"]] = state_field("observations")
    final_observations: dict[str, Tree] | None = None
    final_state: OnDemand[Float[Tensor, "B S"]] | None = state_field("final_observations", optional=True)
    hearing: Edges | None = None
    action_mask: dict[str, Bool[Tensor, "B _A _n"]] | None = None
    positions: Float[Tensor, "B N D"] | None = None
    adjacency: Edges | None = None
    info: dict[str, Tensor] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(kw_only=True)
class Message:
    """Record of what every agent of every copy sent in one round.

    Features that travel, symbols to read, bits to count.
    """

    payload: Float[Tensor, "*batch N P"]
    symbols: Int[Tensor, "*batch N L"] | None
    bits: Float[Tensor, "*batch N"]


@dataclasses.dataclass(kw_only=True)
class Arrivals:
    """Record of what a channel hands to the hearers in one round.

    `mask` tells whose messages arrive, `bits` what each cost.
    """

    payload: Float[Tensor, "*batch N P"]
    bits: Float[Tensor, "*batch N"]
    mask: Bool[Tensor, "*batch N"]


FEW_PAIRS = 8
"""Up to so many pairs of hearer and sender, products one by one are faster than a small matrix product a copy."""


@dataclasses.dataclass(kw_only=True)
class Heard:
    """Record of what the agents of one policy hear.

    `messages` are message features made by the hearer's message decoder.

    The agent axis of `messages` has size 1 where all hearers are offered the same messages; `mask` tells which arrive.
    `round_index` counts the rounds of a step from 0; `draw` is what the model drew to listen in this one. A model that
    `attends` leaves its weights in `attention`: [B, A, K], or [B, A, K + 1] where one's own message is the last; heads,
    where there are any, are an axis before the last.
    """

    messages: Float[Tensor, "*batch A_or_1 K I"]
    mask: Bool[Tensor, "*batch A K"]
    round_index: int = 0
    draw: Tree = None
    attention: Float[Tensor, "*batch A _K"] | None = None

    def total(self) -> Float[Tensor, "*batch A I"]:
        """The sum of the messages that arrive; linear in the number of edges, never a copy per hearer."""
        weight = self.mask.to(self.messages.dtype)
        num_hearers, num_senders = self.mask.shape[-2:]
        if num_senders == 1:
            return weight * self.messages.squeeze(-2)
        if self.messages.shape[-3] == 1 and num_hearers * num_senders > FEW_PAIRS:
            return weight @ self.messages.squeeze(-3)
        return (weight.unsqueeze(-1) * self.messages).sum(-2)

    def mean(self) -> Float[Tensor, "*batch A I"]:
        """The mean of the messages that arrive, zero where none does."""
        return self.total() / self.mask.sum(-1, keepdim=True).clamp(min=1)

    def count(self) -> Int[Tensor, "*batch A 1"]:
        """Return how many messages arrive."""
        return self.mask.sum(-1, keepdim=True)


@dataclasses.dataclass(kw_only=True)
class Inputs:
    """Record of what one policy's agents perceive by themselves.

    Batched over any leading axes, the agent axis last but one.

    `last_message` is what they said last, as one-hot symbols, on channels whose messages are actions. A `state` that
    the environment did not give by itself is made in each access. Where only agents that are there are shown, `[R, 1,
    ...]`, `slots` tells which of the policy's agents each is (else None: all are, in their order).
    """

    observation: Tree
    last_action: Float[Tensor, "*batch A U"]
    state: OnDemand[Float[Tensor, "*batch S"]] | None = state_field("", optional=True)
    last_message: Float[Tensor, "*batch A C"] | None = None
    slots: Int[Tensor, " R"] | None = None

    @property
    def agent(self) -> Float[Tensor, "*batch A A"]:
        """Index of each of the policy's agents, one-hot: the square of their number, made anew when asked for."""
        if self.slots is not None:
            raise RuntimeError(
                "only agents that are there are shown: a model that is row_by_row reads slots, not agent"
            )
        *lead, num_agents, _ = self.last_action.shape
        return torch.eye(num_agents, device=self.last_action.device).expand(*lead, -1, -1)


def map_tensors(function: Callable[..., Tree], first: Tree, *rest: Tree) -> Tree:
    """Apply `function` to the corresponding tensors of equal structures; None and other leaves stay as they are.

    Raises ValueError where one structure holds tensors that another lacks: they would be lost.
    """
    if isinstance(first, Tensor):
        return function(first, *rest)
    if isinstance(first, dict):
        if any(len(r) != len(first) for r in rest):
            raise ValueError(f"structures with different keys: {list(first)} and {[list(r) for r in rest]}")
        return {key: map_tensors(function, value, *(r[key] for r in rest)) for key, value in first.items()}
    if isinstance(first, (list, tuple)):
        items = [map_tensors(function, *values) for values in zip(first, *rest, strict=True)]
        return tuple(items) if isinstance(first, tuple) else items
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in dataclasses.fields(first) if field.init]
        new = {n: map_tensors(function, held(first, n), *(held(r, n) for r in rest)) for n in names}
        return dataclasses.replace(first, **new)
    if any(isinstance(r, Tensor) or (first is None and r is not None) for r in rest):
        raise ValueError(f"one of two structures holds something where the other holds {first}")
    return first


def tensors_of(tree: Tree) -> list[Tensor]:
    """All tensors of a structure, in the order of its fields."""
    found: list[Tensor] = []
    map_tensors(functools.partial(_kept, found), tree)
    return found


def _kept(found: list[Tensor], leaf: Tensor) -> Tensor:
    found.append(leaf)
    return leaf


def stack(trees: list[Tree], dim: int = 0) -> Tree:
    """Stack equal structures along a new axis (time, as a rule)."""
    return map_tensors(lambda *leaves: torch.stack(leaves, dim), trees[0], *trees[1:])


def where(mask: Bool[Tensor, " B"], yes: Tree, no: Tree) -> Tree:
    """Choose whole copies of equal structures: `yes` where `mask` [B] holds, `no` elsewhere."""
    return map_tensors(lambda a, b: torch.where(mask.view(-1, *[1] * (a.dim() - 1)), a, b), yes, no)
