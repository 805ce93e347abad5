"""Speaker and listener of the particle world: one sees which landmark is the goal, the other goes there."""

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.envs.own_words import check_words
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import lengths, per_particle, rest_points
from heliograph.envs.particle_scores import simulated_bounds
from heliograph.envs.particle_task import CLOSE, ParticleSettings, ParticleTask, particle_places
from heliograph.types import Bounds

__all__ = ["MPESpeakerListener"]

LANDMARKS = 3
SYMBOLS = 3
COLOURS = ((0.65, 0.15, 0.15), (0.15, 0.65, 0.15), (0.15, 0.15, 0.65))
SPEAKER, LISTENER = 0, 1


class MPESpeakerListener(ParticleTask[ParticleState]):
    """A speaker that cannot move sees which of 3 landmarks is the goal; a listener must go there.

    Both are paid minus the squared distance of the listener from the goal, in each of the `steps`. Success is the
    listener within 0.1 of the goal at the end. The speaker sees the goal's colour, the listener its own velocity and
    the way to each landmark. `meaning` is the goal's number, for the speaker.

    With `words="channel"` the speaker speaks through a channel and does nothing else. With `words="task"` its action is
    one of 3 symbols, which stands in the listener's next observation, as published, or in its place what
    `heard` says: nothing, noise, or the words of other copies.

    Rules: `simple_speaker_listener_v4` of mpe2, after Mordatch and Abbeel 2018 and Lowe et al. 2017.
    """

    def __init__(self, *, words: str = "channel", heard: str = "said", **base: Unpack[ParticleSettings]):
        self.words, told = words, check_words(words, heard)
        super().__init__(
            (
                Particles(name="speaker", sees=3, moves=False, words=SYMBOLS if told else 0),
                Particles(name="listener", sees=2 + 2 * LANDMARKS + (SYMBOLS if told else 0)),
            ),
            landmarks=LANDMARKS,
            goals=1,
            heard=heard if told else None,
            **base,
        )
        self._colours = torch.tensor(COLOURS, device=self.device)

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        return {**super().settings, "words": self.words, "heard": str(self.heard)}

    def may_speak(self) -> tuple[str, ...]:
        """The speaker alone."""
        return ("speaker",)

    def bounds(self) -> Bounds:
        """Simulated: blind is a listener in the middle of the landmarks."""
        return simulated_bounds(self)

    def oracle(self, state: ParticleState) -> dict[str, Tensor]:
        """Straight to the goal."""
        return self._go(state, _of_goal(state))

    def blind(self, state: ParticleState) -> dict[str, Tensor]:
        """To the middle of the landmarks, where the mean squared distance is least."""
        return self._go(state, state.landmark.mean(1))

    def _go(self, state: ParticleState, target: Float[Tensor, "B 2"]) -> dict[str, Tensor]:
        error = target[:, None] - rest_points(state.place, state.velocity)[:, LISTENER:]
        return self.steered({"listener": error})

    def pay(self, state: ParticleState) -> Float[Tensor, "N B"]:
        """Minus the squared distance, for both."""
        return -_away(state).square().expand(2, -1)

    def reached(self, state: ParticleState) -> Bool[Tensor, " B"]:
        """Tell whether the listener is at the goal."""
        return _away(state) < CLOSE

    def measured(self, state: ParticleState) -> dict[str, Float[Tensor, " B"]]:
        """How far the listener is from the goal."""
        return {"goal_distance": _away(state)}

    def seen(self, state: ParticleState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """The goal's colour; the way to the landmarks, and the word where it is the task's own."""
        word = [per_particle(state.word)[None, SPEAKER]] if self.num_words else []
        return {
            "speaker": [self._colours[state.goal].permute(1, 2, 0)],
            "listener": [per_particle(state.velocity)[LISTENER:], self.near("listener", state), *word],
        }

    def known(self, state: ParticleState) -> Int[Tensor, "B N 1"]:
        """The goal, which the speaker knows."""
        return torch.cat([state.goal, torch.full_like(state.goal, -1)], 1)[..., None]

    def captioned(self, state: ParticleState, copy: int) -> str:
        """The goal, and how far it is."""
        return f"goal {int(state.goal[copy, 0])}, {float(_away(state)[copy]):.2f} away"


def _of_goal(state: ParticleState) -> Float[Tensor, "B 2"]:
    return particle_places(state.landmark, state.goal)[:, 0]


def _away(state: ParticleState) -> Float[Tensor, " B"]:
    """How far the listener is from the goal."""
    return lengths((state.place[:, LISTENER] - _of_goal(state)).t())
