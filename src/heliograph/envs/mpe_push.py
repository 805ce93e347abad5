"""Keep-away of the particle world: an agent goes to its goal, and an adversary that does not know it pushes it off."""

from collections.abc import Sequence
from typing import Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import distances_between, per_particle, rest_points
from heliograph.envs.particle_task import CLOSE, ParticleSettings, ParticleTask, particle_places

__all__ = ["MPEPush"]

LANDMARKS = 2
COLOURS = 3
GRAY, TINT = 0.25, 0.5
DARK, BRIGHT = 0.1, 0.8
ADVERSARY, AGENT = 0, 1


class MPEPush(ParticleTask[ParticleState]):
    """An agent is to be at one of two landmarks; an adversary that does not know which is to keep it away.

    Two teams: `adversary` and `good`. The agent is paid minus its distance from the goal; the adversary that distance
    less its own from the goal. They push each other off where they touch. The agent sees its velocity, the way to the
    goal, its own colour (that of the goal), the way to each landmark and their colours, and the way to the adversary,
    which sees its velocity and the ways. `meaning` is the goal's number, for the agent. Both may speak through a
    channel, and hear each other if the topology lets them. Success is the agent within 0.1 of the goal at the end.

    Rules: `simple_push_v3` of mpe2, after Lowe et al. 2017.
    """

    teams = ("adversary", "good")

    def __init__(self, **base: Unpack[ParticleSettings]):
        ways = 2 * LANDMARKS + 2
        super().__init__(
            (
                Particles(name="adversary", sees=2 + ways),
                Particles(name="agent", sees=2 + 2 + COLOURS + ways + COLOURS * LANDMARKS),
            ),
            landmarks=LANDMARKS,
            goals=1,
            contact=True,
            **base,
        )
        self.team_of_agent = torch.tensor([0, 1], device=self.device)
        self._colours = F.one_hot(torch.arange(LANDMARKS, device=self.device) + 1, COLOURS).float()

    def oracle(self, state: ParticleState) -> dict[str, Tensor]:
        """Both straight to the goal."""
        errors = particle_places(state.landmark, state.goal) - rest_points(state.place, state.velocity)
        return self.steered({"adversary": errors[:, :AGENT], "agent": errors[:, AGENT:]})

    def pay(self, state: ParticleState) -> Float[Tensor, "N B"]:
        """By how far both are from the goal."""
        away = _away(state)
        return torch.stack([away[AGENT] - away[ADVERSARY], -away[AGENT]])

    def reached(self, state: ParticleState) -> Bool[Tensor, " B"]:
        """Tell whether the agent is at the goal."""
        return _away(state)[AGENT] < CLOSE

    def seen(self, state: ParticleState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """Velocity and ways; for the agent the goal and the colours, too."""
        place, velocity = per_particle(state.place), per_particle(state.velocity)
        to_goal = per_particle(particle_places(state.landmark, state.goal)) - place[AGENT:]
        own = (GRAY + TINT * self._colours)[state.goal].permute(1, 2, 0)
        colours = (DARK + BRIGHT * self._colours).view(1, -1, 1).expand(1, -1, self.num_envs)
        to_landmarks, to_other = self.near("agent", state), self.mates("agent", state)
        ways = [self.near("adversary", state), self.mates("adversary", state)]
        return {
            "adversary": [velocity[:AGENT], *ways],
            "agent": [velocity[AGENT:], to_goal, own, to_landmarks, colours, to_other],
        }

    def known(self, state: ParticleState) -> Int[Tensor, "B N 1"]:
        """The goal, which the agent knows."""
        return torch.cat([torch.full_like(state.goal, -1), state.goal], 1)[..., None]

    def captioned(self, state: ParticleState, copy: int) -> str:
        """The goal, and how far it is."""
        adversary, agent = _away(state)[:, copy].tolist()
        return f"goal {int(state.goal[copy, 0])}: agent {agent:.2f}, adversary {adversary:.2f} away"


def _away(state: ParticleState) -> Float[Tensor, "N B"]:
    """How far each is from the goal."""
    return distances_between(per_particle(state.place), per_particle(particle_places(state.landmark, state.goal)))[:, 0]
