"""Environments whose state lives elsewhere, as in objects of another library: it cannot be taken apart."""

from abc import abstractmethod
from typing import final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.envs.state import EnvState
from heliograph.envs.view import Outcome, View

__all__ = ["ELSEWHERE", "ForeignEnv"]

ELSEWHERE = EnvState()
"""The state of an environment whose state lives elsewhere: it holds nothing."""


class ForeignEnv(TeamEnv[EnvState]):
    """Copies of an environment that keeps its state itself and moves in place: fills in `restart`, `move` and `look`.

    `state` is always `ELSEWHERE`, and `oracle` and `scene` are of the present. What can be saved goes through
    `extra_state` and `set_extra_state`; as a rule nothing can (`resumable = False`).
    """

    @abstractmethod
    def restart(self, starting: Bool[Tensor, " B"]) -> None:
        """Begin a new episode in the copies of the mask, leaving the others untouched."""

    @abstractmethod
    def move(self, actions: dict[str, Tensor], moving: Bool[Tensor, " B"]) -> Outcome:
        """Apply the rules to the copies of the mask, leaving the others untouched."""

    @abstractmethod
    def look(self) -> View:
        """Show the present state of all copies."""

    @final
    def start(self) -> EnvState:
        """Begin a new episode in all copies."""
        self.restart(self._everywhere())
        return ELSEWHERE

    @final
    def advance(self, state: EnvState, actions: dict[str, Tensor]) -> tuple[EnvState, Outcome]:
        """Move all copies from where they are."""
        return state, self.move(actions, self._everywhere())

    @final
    def observe(self, state: EnvState) -> View:
        """Show the present state."""
        return self.look()

    @final
    def plan_start(self, state: EnvState) -> None:
        """Refused: episodes start as the other library has it."""
        raise TypeError(f"{type(self).__name__} keeps its state elsewhere: no start can be planned")

    @final
    def selected(self, copies: Int[Tensor, " b"]) -> TeamEnv[EnvState]:
        """Refused: what goes on would be one and the same."""
        raise TypeError(f"{type(self).__name__} keeps its state elsewhere: it cannot go on from some of its copies")

    def _everywhere(self) -> Bool[Tensor, " B"]:
        return torch.ones(self.num_envs, dtype=torch.bool, device=self.device)

    def _restart(self, starting: Tensor) -> None:
        self.restart(starting)
        self._state = ELSEWHERE

    def _advanced(self, actions: dict[str, Tensor], moving: Tensor | None) -> Outcome:
        return self.move(actions, self._everywhere() if moving is None else moving)

    def _form(self) -> EnvState:
        return ELSEWHERE
