"""RLlib's `policy_mapping_fn(agent_id, episode)` as seats and, where it varies by episode, as assignments."""

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.isolation import isolated
from heliograph.registry import UnknownNameError

NUM_PROBES = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodeHandle:
    """The handle that a mapping function gets in the place of RLlib's episode.

    A unique id, as there are no episode objects.
    """

    id_: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoleMapping:
    """The default mapping function: each agent is played by the policy named after its role."""

    roles: dict[str, str]

    def __call__(self, agent: str, episode: Any, **kwargs: Any) -> str:
        """The role of an agent."""
        return self.roles[agent]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnNetwork:
    """The mapping function by which every agent has a policy, and so a network, of its own: its name, or in `names`."""

    names: dict[Any, str] = dataclasses.field(default_factory=dict)

    def __call__(self, agent: Any, episode: Any, **kwargs: Any) -> str:
        """The policy of an agent."""
        return self.names.get(agent, agent)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyMapping:
    """Record of which agents each policy serves; `varies` where that changes from episode to episode.

    The function is given `ids`, those of the environment, by the names of its agents.
    """

    seats: dict[str, tuple[str, ...]]
    varies: bool
    function: Callable[..., str]
    agents: tuple[str, ...]
    ids: dict[str, Any]

    def assigner(self, *, seed: int) -> "Assigner | None":
        """Return what asks the mapping anew for each of `B` episodes; None where it never changes."""
        return Assigner(self, seed=seed) if self.varies else None

    def ask(self, agent: str, episode: EpisodeHandle) -> str:
        """The policy that plays an agent in an episode."""
        name = self.function(self.ids[agent], episode)
        if name not in self.seats or agent not in self.seats[name]:
            raise ValueError(
                f"policy_mapping_fn gave {name!r} for agent {agent!r}, as it never did in {NUM_PROBES} trial episodes; "
                "map each agent to each of its policies with a probability that can be noticed"
            )
        return name


class Assigner:
    """Draws who plays whom in `B` new episodes, policy indices [B, N]; its stream of ids can be saved."""

    def __init__(self, mapping: PolicyMapping, *, seed: int):
        self.mapping = mapping
        self._order = {name: i for i, name in enumerate(mapping.seats)}
        self._source = random.Random(seed)

    def __call__(self, num_episodes: int) -> Int[Tensor, "B N"]:
        """Policy indices of each episode and slot."""
        rows = []
        for _ in range(num_episodes):
            episode = EpisodeHandle(id_=f"{self._source.getrandbits(64):016x}")
            rows.append([self._order[self.mapping.ask(agent, episode)] for agent in self.mapping.agents])
        return torch.tensor(rows)

    def get_state(self) -> Any:
        """The stream that episodes are named from."""
        return self._source.getstate()

    def set_state(self, state: Any) -> None:
        """Continue where `get_state` was called."""
        version, internal, gauss = state
        self._source.setstate((version, tuple(internal), gauss))


def probe(function: Callable[..., Any], *, ids: dict[str, Any], policies: list[str]) -> PolicyMapping:
    """Ask a mapping function about every agent in many trial episodes, and see whether it varies."""
    agents = tuple(ids)
    source = random.Random(0)
    seen: dict[str, set[str]] = {agent: set() for agent in agents}
    with isolated("policy_mapping_fn", error=ValueError):
        for _ in range(NUM_PROBES):
            episode = EpisodeHandle(id_=f"{source.getrandbits(64):016x}")
            for agent in agents:
                name = function(ids[agent], episode)
                if name not in policies:
                    raise UnknownNameError(what=f"policy of agent {agent!r}", name=str(name), valid=policies)
                seen[agent].add(name)
    used = [name for name in policies if any(name in names for names in seen.values())]
    for name in policies:
        if name not in used:
            raise ValueError(f"policy {name!r} serves no agent under policy_mapping_fn: map one to it, or leave it out")
    seats = {name: tuple(agent for agent in agents if name in seen[agent]) for name in used}
    varies = any(len(names) > 1 for names in seen.values())
    return PolicyMapping(seats=seats, varies=varies, function=function, agents=agents, ids=ids)
