"""What particle tasks are made of: the agents of each role, and the state of a task."""

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.envs.state import EnvState

__all__ = ["NUM_MOVES", "P", "ParticleState", "Particles"]

NUM_MOVES = 5
"""Nothing, left, right, down, up."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParticleState(EnvState):
    """Positions and velocities of all, the landmarks and which of them are goals, what was said, and env steps so far.

    `word` is what each agent said in the last step, by the task's own symbols; of none where a task has no such words.
    """

    place: Float[Tensor, "B N 2"]
    velocity: Float[Tensor, "B N 2"]
    landmark: Float[Tensor, "B M 2"]
    goal: Int[Tensor, "B G"]
    word: Float[Tensor, "B N V"]
    time: Int[Tensor, " B"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Particles:
    """The agents of a role: how many, how many numbers each observes, how it moves, and among how many words it says.

    `force` is by how much a full push of its own raises its speed in a second; `speed` the highest speed, None for
    any. The heavier it is, the less others push it.
    """

    name: str
    number: int = 1
    sees: int
    moves: bool = True
    size: float = 0.05
    force: float = 5.0
    mass: float = 1.0
    speed: float | None = None
    words: int = 0

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents' names."""
        return tuple(f"{self.name}_{number}" for number in range(self.number))

    def action_space(self, *, continuous: bool) -> spaces.Space:
        """A move and a word; nothing to choose where there is neither."""
        moves = NUM_MOVES if self.moves else 0
        if continuous and moves + self.words:
            return spaces.Box(0.0, 1.0, (moves + self.words,))
        return spaces.Discrete(max(moves, 1) * max(self.words, 1))


if TYPE_CHECKING:
    import typing_extensions

    P = typing_extensions.TypeVar("P", bound=ParticleState, default=Any)
else:
    P = TypeVar("P", bound=ParticleState)
"""The state of a particle task, in the types of what works for any."""
