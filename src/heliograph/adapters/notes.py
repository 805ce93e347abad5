"""What an adapter tells of an environment that is legal and yet seldom what its author meant: each once."""

import functools
import warnings
from collections.abc import Mapping

import numpy as np

from heliograph.adapters.arrays import AgentID, Slot

__all__ = ["Notes", "tell_of_seed", "untried"]

MANY_EPISODES = 100


@functools.cache
def _tried() -> set[type]:
    return set()


def untried(kind: type) -> bool:
    """Tell whether this is the first time in this process that a class of environments is tried."""
    before = len(_tried())
    _tried().add(kind)
    return len(_tried()) > before


def tell_of_seed(kind: type) -> None:
    """Warn that the seed of a reset does not decide what environments of a class show."""
    told = f"{kind.__name__} does not heed its seed: two resets with the same one showed different starts"
    why = "runs cannot be repeated, and interventions do not compare equal starts"
    warnings.warn(f"{told}: {why}; draw all randomness from a stream that reset(seed=) seeds", stacklevel=3)


class Notes:
    """Warnings of one adapter, each given once."""

    def __init__(self, slots: Mapping[AgentID, Slot]):
        self._agents = list(slots)
        self._num_episodes = 0
        self._told: set[str] = set()

    def tell_lost(self, env: str, lost: np.ndarray, *, step: int, together: bool) -> None:
        """Agents `[N]` were paid this much after their part had ended."""
        number = int(np.flatnonzero(lost)[0])
        paid = f"{env} paid agent {self._agents[number]!r} {lost[number]:g} in step {step}, after its part had ended"
        remedy = "set paid_after_end=True where what the team earns counts for it too, or pay only agents in play"
        if together:
            remedy = "paid_after_end=True is for agents that terminate, and this one was truncated: terminate it"
        self._tell("pay", f"{paid}: that is neither learnt from nor reported; {remedy}")

    def count(self, num_episodes: int, had_turn: np.ndarray) -> None:
        """So many more episodes were played to their ends, and these agents `[N]` have had a turn by now."""
        before, self._num_episodes = self._num_episodes, self._num_episodes + num_episodes
        never = [agent for agent, had in zip(self._agents, had_turn, strict=True) if not had]
        if before < MANY_EPISODES <= self._num_episodes and never:
            told = f"{never} had no turn in the first {self._num_episodes} episodes: they learn nothing, and nobody "
            self._tell("turns", f"{told}can learn to talk to them; if that is right, take them from possible_agents")

    def _tell(self, kind: str, told: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            warnings.warn(told, stacklevel=3)
