"""Critics that see what all agents know and do: of MAAC by attention, of MADDPG side by side. Only for learning."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from heliograph.functional import one_hot
from heliograph.models.blocks import RunningMoments, masked_moments, mlp

__all__ = ["AttentionCritic", "CriticSeat", "JointCritic", "TeamCritic", "Valued", "soft_update"]

NUM_BATCHES = 100
"""Over how many batches the running moments of inputs are taken."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CriticSeat:
    """Record of what a critic must know of a policy's agents: how many they are, and sizes of what they know and do.

    `num_decisions`: how many different decisions an agent has, 0 where there is no end to them.
    """

    num_agents: int
    known_size: int
    decision_size: int
    num_decisions: int


@dataclasses.dataclass(kw_only=True)
class Valued:
    """Record of what a critic makes of some steps: values by policy, and what keeps its numbers small (to be added)."""

    values: dict[str, Float[Tensor, "*batch _A _Q"]]
    penalty: Float[Tensor, ""]


class TeamCritic(nn.Module, ABC):
    """A critic of all agents, made of what each policy's agents know and decide; agents stand policy after policy."""

    def __init__(self, seats: Mapping[str, CriticSeat]):
        super().__init__()
        self.seats = dict(seats)
        self.num_agents = sum(seat.num_agents for seat in seats.values())

    @abstractmethod
    def forward(
        self,
        known: Mapping[str, Float[Tensor, "*batch _A _S"]],
        decisions: Mapping[str, Float[Tensor, "*batch _A _U"]],
        *,
        valid: Bool[Tensor, "*batch"],
    ) -> Valued:
        """Values of each agent, `valid` telling which steps there really were."""

    def track(self, known: Mapping[str, Tensor], decisions: Mapping[str, Tensor], *, valid: Tensor) -> None:
        """Take in the moments of what is seen, where inputs are normalised by them; by default nothing."""

    @abstractmethod
    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The weights that get gradients from the values of all agents."""


def _numbered(known: Tensor) -> Tensor:
    """The agents of a policy, told apart where they share it."""
    agents = known.shape[-2]
    if agents == 1:
        return known
    numbers = one_hot(torch.arange(agents, device=known.device), agents)
    return torch.cat([known, numbers.expand(*known.shape[:-1], agents)], -1)


@final
class AttentionCritic(TeamCritic):
    """The critic of MAAC (Iqbal and Sha 2019): each agent asks by attention for what the others know and do.

    Q of an agent, of all that it might decide: a network over what it knows, and over what it gets from the others,
    in `heads` ways. A query from what it knows is compared with keys of what each other knows and does; values are
    weighed by that (`attention="uniform"`: all alike). Keys, queries and values are shared by all agents. What comes in
    is normalised by running moments. Agents that share a policy share its networks and are told apart by their numbers.
    """

    def __init__(self, seats: Mapping[str, CriticSeat], *, size: int, heads: int, attention: str):
        super().__init__(seats)
        self.heads, self.attention, self.size = heads, attention, size
        own = {name: seat.known_size + _extra(seat) for name, seat in seats.items()}
        self.moments = nn.ModuleDict(
            {n: RunningMoments(s.known_size + s.decision_size, num_batches=NUM_BATCHES) for n, s in seats.items()}
        )
        self.of_knowledge = nn.ModuleDict({name: nn.Linear(own[name], size) for name in seats})
        self.of_both = nn.ModuleDict({n: nn.Linear(own[n] + seat.decision_size, size) for n, seat in seats.items()})
        self.heads_of = nn.ModuleDict(
            {n: mlp([2 * size, size, s.num_decisions], activation=nn.LeakyReLU) for n, s in seats.items()}
        )
        self.query, self.key = nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)
        self.value = nn.Linear(size, size)

    def forward(self, known: Mapping[str, Tensor], decisions: Mapping[str, Tensor], *, valid: Tensor) -> Valued:
        """The values of all that each agent might decide, and the mean squared logits of attention."""
        own, both = {}, []
        for name, seat in self.seats.items():
            both_parts = self.moments[name].normalise(torch.cat([known[name], decisions[name]], -1))
            seen, done = both_parts.split([seat.known_size, seat.decision_size], -1)
            seen = _numbered(seen)
            own[name] = F.leaky_relu(self.of_knowledge[name](seen))
            both.append(F.leaky_relu(self.of_both[name](torch.cat([seen, done], -1))))
        others, logits = self.heard_from_others(torch.cat(list(own.values()), -2), torch.cat(both, -2))
        parts = others.split([seat.num_agents for seat in self.seats.values()], -2)
        values = {
            name: self.heads_of[name](torch.cat([own[name], part], -1))
            for name, part in zip(self.seats, parts, strict=True)
        }
        return Valued(values=values, penalty=self._magnitude(logits, valid))

    def track(self, known: Mapping[str, Tensor], decisions: Mapping[str, Tensor], *, valid: Tensor) -> None:
        """Move the moments of what each policy's agents know and do."""
        for name, moments in self.moments.items():
            seen = torch.cat([known[name], decisions[name]], -1)
            moments.merge(*masked_moments(seen, valid.unsqueeze(-1).expand(seen.shape[:-1])))

    def heard_from_others(
        self, own: Float[Tensor, "*batch N H"], both: Float[Tensor, "*batch N H"]
    ) -> tuple[Float[Tensor, "*batch N H"], Float[Tensor, "*batch heads N N"]]:
        """Return what each agent gets from the others, and the logits by which it weighs them (its own among them)."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for layer, x in ((self.query, own), (self.key, both), (self.value, both))
        )
        logits = query @ key.transpose(-1, -2)
        itself = torch.eye(self.num_agents, dtype=torch.bool, device=own.device)
        if self.attention == "uniform":
            weights = (~itself).to(own.dtype).expand_as(logits) / (self.num_agents - 1)
        else:
            scaled = logits / math.sqrt(self.size // self.heads)
            weights = torch.softmax(scaled.masked_fill(itself, -torch.inf), -1)
        return (weights @ F.leaky_relu(value)).transpose(-2, -3).flatten(-2), logits

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """Weights of attention, and of what encodes each agent for the others."""
        for part in (self.query, self.key, self.value, self.of_both):
            yield from part.parameters()

    def _magnitude(self, logits: Tensor, valid: Tensor) -> Tensor:
        """Sum over heads and agents of the mean squared logits; uniform attention has none."""
        if self.attention == "uniform":
            return logits.new_zeros(())
        itself = torch.eye(self.num_agents, dtype=torch.bool, device=logits.device)
        squares = logits.square().masked_fill(itself, 0.0).sum((-3, -2, -1)) / (self.num_agents - 1)
        return torch.where(valid, squares, 0.0).sum() / valid.sum().clamp(min=1)


def _extra(seat: CriticSeat) -> int:
    return seat.num_agents if seat.num_agents > 1 else 0


@final
class JointCritic(TeamCritic):
    """The critics of MADDPG (Lowe et al. 2017): for each policy two layers of ReLU over what all know and do.

    Agents that share a policy share its critic, which is told whose value it is. What all have in common is computed
    once, so that the cost grows with the number of agents, and not with its square.
    """

    def __init__(self, seats: Mapping[str, CriticSeat], *, size: int):
        super().__init__(seats)
        inputs = sum(seat.num_agents * (seat.known_size + seat.decision_size) for seat in seats.values())
        self.first = nn.ModuleDict({n: nn.Linear(inputs + _extra(seat), size) for n, seat in seats.items()})
        self.rest = nn.ModuleDict({n: mlp([size, size, 1], activation=nn.ReLU) for n in seats})

    def forward(
        self, known: Mapping[str, Tensor], decisions: Mapping[str, Tensor], *, valid: Tensor,
        instead: Mapping[str, Tensor] | None = None,
    ) -> Valued:  # fmt: skip
        """One value of each agent `[..., A, 1]`; with `instead` of its own decision as if it were another one."""
        parts = [x[name].flatten(-2) for name in self.seats for x in (known, decisions)]
        everything = torch.cat(parts, -1)
        values = {}
        for name, seat in self.seats.items():
            layer = self.first[name]
            own, numbers = layer.weight.split([everything.shape[-1], _extra(seat)], 1)
            inner = F.linear(everything, own, layer.bias).unsqueeze(-2)
            inner = inner + numbers.T if len(numbers.T) else inner
            if instead is not None:
                change = instead[name] - decisions[name]
                inner = inner + torch.einsum("...au,hau->...ah", change, self._columns(own, name))
            values[name] = self.rest[name](F.relu(inner))
        return Valued(values=values, penalty=everything.new_zeros(()))

    def _columns(self, weight: Tensor, name: str) -> Float[Tensor, "H A U"]:
        """The weights of what the agents of a policy decide."""
        start = 0
        for other, seat in self.seats.items():
            start += seat.num_agents * seat.known_size
            size = seat.num_agents * seat.decision_size
            if other == name:
                return weight[:, start : start + size].unflatten(1, (seat.num_agents, seat.decision_size))
            start += size
        raise KeyError(name)

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """None: each policy has a critic of its own."""
        return iter(())


def soft_update(target: nn.Module, source: nn.Module, *, tau: float) -> None:
    """Move weights by `tau` towards those of the same network; take over its buffers, such as running statistics."""
    with torch.no_grad():
        ours: Sequence[Tensor] = list(target.parameters())
        if ours:
            torch._foreach_lerp_(ours, [p.detach() for p in source.parameters()], tau)
        for old, new in zip(target.buffers(), source.buffers(), strict=True):
            old.copy_(new)
