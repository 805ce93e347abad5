"""Alternating training: which policies learn when."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from heliograph.envs.base import check_positive

__all__ = ["Alternating"]


@dataclasses.dataclass(frozen=True)
class Alternating:
    """Policies (or groups of them) that take turns at learning, each for `num_env_steps`; the others stay frozen.

    Give it as `.multi_agent(policies_to_train=Alternating([["speaker"], ["listener"]], num_env_steps=50_000))`. Frozen
    policies stay in the graph: gradients still pass through them. Turns count env steps over the whole run; an update
    belongs to the turn of the last step that it learns from.
    """

    turns: Sequence[Sequence[str] | str]
    num_env_steps: int = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        check_positive("num_env_steps", self.num_env_steps)
        if len(self.turns) < 2:
            raise ValueError(f"turns={self.turns!r}: name at least two turns; one alone is policies_to_train=[...]")

    @property
    def policies(self) -> list[str]:
        """All policies that ever learn."""
        return sorted({name for turn in self.turns for name in self._names(turn)})

    def trains(self, policy: str, *, num_env_steps: int) -> bool:
        """Tell whether a policy learns in an update that comes after so many env steps."""
        turn = self.turns[max(0, num_env_steps - 1) // self.num_env_steps % len(self.turns)]
        return policy in self._names(turn)

    def __call__(self, policy: str, batch: Any = None) -> bool:
        """Return what RLlib asks: whether the policy ever learns."""
        return policy in self.policies

    def _names(self, turn: Sequence[str] | str) -> tuple[str, ...]:
        return (turn,) if isinstance(turn, str) else tuple(turn)
