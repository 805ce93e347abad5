"""Rover-Tower of MAAC: rovers that see nothing around them, each sent to its goal by the words of one tower."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.base import BaseSettings
from heliograph.envs.own_words import check_words
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import per_particle, rest_points
from heliograph.envs.particle_scores import simulated_bounds
from heliograph.envs.particle_task import ParticleTask, particle_places, towards
from heliograph.types import Bounds, Edges

__all__ = ["RoverState", "RoverTower"]

SYMBOLS = 5
ROVER_SIZE, LANDMARK_SIZE = 0.075, 0.04
FORCE, SPEED = 2.25, 1.0
NEAR = 1.5 * (ROVER_SIZE + LANDMARK_SIZE)
"""The squared distance from its goal within which a rover is paid more."""
BONUS = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoverState(ParticleState):
    """A particle state, and which tower leads each rover; `goal` holds a landmark for each tower."""

    tower_of: Int[Tensor, "B R"]


class RoverTower(ParticleTask[RoverState]):
    """Rovers and towers are paired at random; the tower sees rover and goal, and tells its rover alone where to go.

    A pair is paid minus the squared distance of its rover from the goal, one of `landmarks` (6), and 10 more while that
    is below 0.1725 (a distance of 0.415). A rover sees the number of its tower, its own place and velocity, and no
    landmark; a tower the number of its rover, and where that and the goal are. Towers do not move; nobody is in
    another's way. A tower's `meaning` is the push that helps most: 0 to 4 for none, left, right, down, up. Success is
    every rover so near its goal at the end that it is paid more.

    With `words="channel"` a tower speaks through a channel, and only its rover hears it. With `words="task"` its action
    is one of 5 symbols, which stands in its rover's next observation, as published, or in its place what `heard` says:
    nothing, noise, or the words of other copies. `pairs` is 4 as published, 8 agents; here 4 agents are 2 pairs and 12
    are 6, with 6 landmarks all the same.

    Rules: `multi_speaker_listener` of the code of Iqbal and Sha 2019 (MAAC), step by step. The paper's text says that a
    pair is "negatively rewarded by the distance" and knows neither the square nor the bonus, without which its curves
    could not rise above 0; here is the code's. Moves are numbered as in our other particle tasks (none, left, right,
    down, up; the code: none, right, left, up, down).
    """

    moves_at_once = True

    def __init__(
        self,
        *,
        pairs: int = 4,
        landmarks: int = 6,
        words: str = "channel",
        heard: str = "said",
        steps: int = 25,
        continuous_actions: bool = False,
        **base: Unpack[BaseSettings],
    ):
        check_positive("pairs", pairs)
        check_positive("landmarks", landmarks)
        self.num_pairs, self.words, told = pairs, words, check_words(words, heard)
        symbols = SYMBOLS if told else 0
        super().__init__(
            (
                Particles(
                    name="rover", number=pairs, sees=pairs + symbols + 4, size=ROVER_SIZE, force=FORCE, speed=SPEED
                ),
                Particles(
                    name="tower", number=pairs, sees=pairs + 4, size=ROVER_SIZE, force=0.0, moves=False, words=symbols
                ),
            ),
            landmarks=landmarks,
            goals=pairs,
            steps=steps,
            heard=heard if told else None,
            continuous_actions=continuous_actions,
            **base,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        own = {"pairs": self.num_pairs, "landmarks": self.landmarks, "words": self.words, "heard": str(self.heard)}
        return {**super().settings, **own}

    def may_speak(self) -> tuple[str, ...]:
        """The towers alone."""
        return ("tower",)

    def bounds(self) -> Bounds:
        """Simulated: blind are rovers that go to the middle of the world."""
        return simulated_bounds(self)

    def begun(self, drawn: ParticleState) -> RoverState:
        """Pair rovers and towers."""
        stream, shape = self.start_generator, (self.num_envs, self.num_pairs)
        order = torch.rand(shape, generator=stream, device=self.device).argsort(1)
        return RoverState(**vars(drawn), tower_of=order)

    def oracle(self, state: RoverState) -> dict[str, Tensor]:
        """Each rover straight to its goal."""
        return self._go(state, _goals(state))

    def blind(self, state: RoverState) -> dict[str, Tensor]:
        """To the middle of the world, where the mean squared distance is least."""
        return self._go(state, torch.zeros_like(_goals(state)))

    def _go(self, state: RoverState, target: Float[Tensor, "B R 2"]) -> dict[str, Tensor]:
        rest = rest_points(state.place, state.velocity, at_once=True)[:, : self.num_pairs]
        return self.steered({"rover": target - rest})

    def pay(self, state: RoverState) -> Float[Tensor, "N B"]:
        """By how far each rover is from its goal; the same for its tower."""
        away = self._squared_distances(state)
        of_rover = away.lt(NEAR) * BONUS - away
        return torch.cat([of_rover, of_rover.t().gather(1, _rover_of(state)).t()])

    def reached(self, state: RoverState) -> Bool[Tensor, " B"]:
        """Tell whether all are near their goals."""
        return (self._squared_distances(state) < NEAR).all(0)

    def measured(self, state: RoverState) -> dict[str, Float[Tensor, " B"]]:
        """How far rovers are from their goals, on average."""
        return {"goal_distance": self._squared_distances(state).sqrt().mean(0)}

    def _squared_distances(self, state: RoverState) -> Float[Tensor, "R B"]:
        return (state.place[:, : self.num_pairs] - _goals(state)).square().sum(-1).t()

    def seen(self, state: RoverState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """Numbers of partners; a rover also its own place, velocity and word; a tower where rover and goal are."""
        pairs = self.num_pairs
        rover_of = _rover_of(state)
        rover = per_particle(state.place.gather(1, rover_of[..., None].expand(-1, -1, 2)))
        goal = per_particle(particle_places(state.landmark, state.goal))
        own = [per_particle(state.place)[:pairs], per_particle(state.velocity)[:pairs]]
        word = []
        if self.num_words:
            said = state.word[:, pairs:]
            heard = said.gather(1, state.tower_of[..., None].expand(-1, -1, self.num_words))
            word = [per_particle(heard)]
        numbers = [per_particle(F.one_hot(who, pairs).float()) for who in (state.tower_of, rover_of)]
        return {"rover": [numbers[0], *word, *own], "tower": [numbers[1], rover, goal]}

    def known(self, state: RoverState) -> Int[Tensor, "B N 1"]:
        """Return the push that brings its rover nearer, for a tower."""
        error = _goals(state) - rest_points(state.place, state.velocity, at_once=True)[:, : self.num_pairs]
        push = towards(error, step=NEAR).gather(1, _rover_of(state))
        return torch.cat([torch.full_like(push, -1), push], 1)[..., None]

    def hearing(self, state: RoverState) -> Edges:
        """Each rover hears its tower; nobody else hears anybody."""
        mask = torch.zeros(self.num_envs, self.num_agents, self.num_agents, dtype=torch.bool, device=self.device)
        mask[:, : self.num_pairs, self.num_pairs :] = F.one_hot(state.tower_of, self.num_pairs).bool()
        return Edges(senders=None, mask=mask)

    def captioned(self, state: RoverState, copy: int) -> str:
        """Return who leads whom where."""
        goals, towers = state.goal[copy].tolist(), state.tower_of[copy].tolist()
        told = [f"rover {rover} by tower {tower} to {goals[tower]}" for rover, tower in enumerate(towers)]
        return ", ".join(told)


def _rover_of(state: RoverState) -> Int[Tensor, "B R"]:
    """Return which rover each tower leads."""
    return state.tower_of.argsort(1)


def _goals(state: RoverState) -> Float[Tensor, "B R 2"]:
    """Return where each rover is to go."""
    return particle_places(state.landmark, state.goal.gather(1, state.tower_of))
