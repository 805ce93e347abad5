"""What functions of the user tell about a Python environment beside what its agents see: for topologies and critics."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from heliograph.adapters.arrays import AgentID, Slot
from heliograph.envs.checking import EnvError
from heliograph.types import Edges

__all__ = ["Surroundings"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """Functions of a Python environment: `state(env)`, others of the environment and an agent."""

    state: Callable[[Any], Any] | None
    positions: Callable[[Any, Any], Any] | None
    hearing: Callable[[Any, Any], Iterable[Any]] | None
    adjacency: Callable[[Any, Any], Iterable[Any]] | None


class Surroundings:
    """The state [B, S], positions [B, N, D] and edges [B, N, N] of all copies; each is there always or never.

    The number of features is that of the first answer. What was told last of an agent that is not in play stays.
    """

    def __init__(self, slots: Mapping[AgentID, Slot], *, copies: int, asked: Asked):
        self._slots, self._asked, self._copies = slots, asked, copies
        self.wanted = any(vars(asked).values())
        self._numbers: dict[str, np.ndarray] = {}
        shape = (copies, len(slots), len(slots))
        self._edges = {name: np.zeros(shape, bool) for name in ("hearing", "adjacency") if getattr(asked, name)}

    def take(self, copy: int, env: Any, agents: Iterable[AgentID]) -> None:
        """Ask about a copy and those of its agents that are in play."""
        asked, agents = self._asked, list(agents)
        if asked.state is not None:
            self._put("state", (copy,), np.ravel(asked.state(env)), axes=(self._copies,), what="state")
        axes = (self._copies, len(self._slots))
        for agent in agents if asked.positions is not None else ():
            place, what = asked.positions(env, agent), f"positions of agent {agent!r}"  # type: ignore[misc]
            self._put("positions", (copy, self._slots[agent].number), place, axes=axes, what=what)
        for name, edges in self._edges.items():
            for agent in agents:
                edges[copy, self._slots[agent].number] = self._heard(name, getattr(asked, name)(env, agent), agent)

    def forget(self, copy: int) -> None:
        """A new episode begins in a copy: nobody is near anybody until that is told."""
        for edges in self._edges.values():
            edges[copy] = False

    def fields(self, device: torch.device) -> dict[str, Any]:
        """Return what of a `View` is known by these functions."""
        numbers = {name: torch.tensor(values, device=device) for name, values in self._numbers.items()}
        edges = {name: torch.tensor(mask, device=device) for name, mask in self._edges.items()}
        return numbers | {name: Edges(senders=None, mask=mask) for name, mask in edges.items()}

    def _put(self, name: str, index: tuple[int, ...], found: Any, *, axes: tuple[int, ...], what: str) -> None:
        values = np.asarray(found)
        if values.ndim != 1 or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
            raise EnvError(f"{what}: {found!r} was given: must be a vector of finite numbers")
        known = self._numbers.setdefault(name, np.zeros((*axes, len(values)), np.float32))
        if known.shape[-1:] != values.shape:
            raise EnvError(
                f"{what}: {len(values)} numbers were given, but {known.shape[-1]} at first: must stay so many"
            )
        known[index] = values

    def _heard(self, name: str, found: Any, agent: AgentID) -> np.ndarray:
        """Flags of the agents in an answer; an agent's edge to itself says nothing and is left out."""
        row = np.zeros(len(self._slots), bool)
        for other in [] if isinstance(found, str) else found:
            if other not in self._slots:
                raise EnvError(f"{name} of agent {agent!r}: {other!r} is not one of the agents {list(self._slots)}")
            row[self._slots[other].number] = other != agent
        if isinstance(found, str):
            raise EnvError(f"{name} of agent {agent!r}: {found!r} was given: must be a list of agents")
        return row
