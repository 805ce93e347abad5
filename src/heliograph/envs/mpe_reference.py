"""Reference game of the particle world: each of two agents sees the other's goal, and must be told its own."""

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_number
from heliograph.envs.own_words import check_words
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import lengths, per_particle, rest_points
from heliograph.envs.particle_scores import simulated_bounds
from heliograph.envs.particle_task import CLOSE, ParticleSettings, ParticleTask, particle_places
from heliograph.types import Bounds

__all__ = ["MPEReference"]

LANDMARKS = 3
SYMBOLS = 10
COLOURS = ((0.75, 0.25, 0.25), (0.25, 0.75, 0.25), (0.25, 0.25, 0.75))


class MPEReference(ParticleTask[ParticleState]):
    """Each of two agents sees which of 3 landmarks is the other's goal; both move and may speak.

    What an agent is paid for by itself is minus the distance of the *other* from its goal; `local_ratio` (0.5) weighs
    that against the mean of both. Success is both within 0.1 of their goals at the end. An agent sees its velocity, the
    way to each landmark and the colour of the other's goal, whose number is its `meaning`.

    With `words="channel"` the agents speak through a channel. With `words="task"` an action is a move and one of 10
    symbols (move + 5 x symbol), which stands in the other's next observation, as published, or in its place what
    `heard` says: nothing, noise, or the words of other copies.

    Rules: `simple_reference_v3` of mpe2, after Mordatch and Abbeel 2018 and Lowe et al. 2017.
    """

    def __init__(
        self, *, local_ratio: float = 0.5, words: str = "channel", heard: str = "said", **base: Unpack[ParticleSettings]
    ):
        check_number("local_ratio", local_ratio, minimum=0, maximum=1)
        self.local_ratio, self.words, told = local_ratio, words, check_words(words, heard)
        symbols = SYMBOLS if told else 0
        agents = Particles(name="agent", number=2, sees=2 + 2 * LANDMARKS + 3 + symbols, words=symbols)
        super().__init__((agents,), landmarks=LANDMARKS, goals=2, heard=heard if told else None, **base)
        self._colours = torch.tensor(COLOURS, device=self.device)

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        return {**super().settings, "local_ratio": self.local_ratio, "words": self.words, "heard": str(self.heard)}

    def bounds(self) -> Bounds:
        """Simulated: blind are agents in the middle of the landmarks."""
        return simulated_bounds(self)

    def oracle(self, state: ParticleState) -> dict[str, Tensor]:
        """Each straight to its goal."""
        return self.steered({"agent": _own_goals(state) - rest_points(state.place, state.velocity)})

    def blind(self, state: ParticleState) -> dict[str, Tensor]:
        """To the middle of the landmarks."""
        middle = state.landmark.mean(1, keepdim=True)
        return self.steered({"agent": middle - rest_points(state.place, state.velocity)})

    def pay(self, state: ParticleState) -> Float[Tensor, "N B"]:
        """How far the other is from its goal, and the mean of both."""
        own = -_away(state).flip(0)
        return own * self.local_ratio + own.mean(0) * (1 - self.local_ratio)

    def reached(self, state: ParticleState) -> Bool[Tensor, " B"]:
        """Tell whether both are at their goals."""
        return (_away(state) < CLOSE).all(0)

    def measured(self, state: ParticleState) -> dict[str, Float[Tensor, " B"]]:
        """How far the agents are from their goals, on average."""
        return {"goal_distance": _away(state).mean(0)}

    def seen(self, state: ParticleState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """The way to the landmarks, the other's goal, and what the other said by the task's own words."""
        word = [per_particle(state.word).flip(0)] if self.num_words else []
        colour = self._colours[state.goal].permute(1, 2, 0)
        return {"agent": [per_particle(state.velocity), self.near("agent", state), colour, *word]}

    def known(self, state: ParticleState) -> Int[Tensor, "B N 1"]:
        """The other's goal."""
        return state.goal[..., None]

    def captioned(self, state: ParticleState, copy: int) -> str:
        """Return who is to go where, and how far that is."""
        to = state.goal[copy].flip(0).tolist()
        away = _away(state)[:, copy].tolist()
        return ", ".join(f"{name} to {goal} ({far:.2f})" for name, goal, far in zip(self.agents, to, away, strict=True))


def _own_goals(state: ParticleState) -> Float[Tensor, "B 2 2"]:
    """Return where each agent is to go, which the other knows."""
    return particle_places(state.landmark, state.goal).flip(1)


def _away(state: ParticleState) -> Float[Tensor, "N B"]:
    """How far each agent is from its goal."""
    return lengths(per_particle(state.place - _own_goals(state)))
