"""Physical deception of the particle world: agents know which landmark is the goal, an adversary reads it off them."""

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import distances_between, per_particle, rest_points
from heliograph.envs.particle_task import CLOSE, ParticleSettings, ParticleTask, particle_places

__all__ = ["MPEAdversary"]


class MPEAdversary(ParticleTask[ParticleState]):
    """Agents are to be at the goal, one of as many landmarks; an adversary that does not know it is to be there, too.

    Two teams: `adversary` and `good`. The adversary is paid minus its distance from the goal; each good agent that
    distance less the distance of the nearest of them. An agent sees the way to each landmark and to each other agent, a
    good one first of all the way to the goal, whose number is its `meaning`. Nobody touches anybody. All may speak
    through a channel, and rivals hear each other, if the topology lets them. Success is a good agent within 0.1 of the
    goal at the end, and the adversary farther away.

    Rules: `simple_adversary_v3` of mpe2, after Lowe et al. 2017. Left out are its settings of later versions, by which
    agents see their nearest alone.
    """

    teams = ("adversary", "good")

    def __init__(self, *, agents: int = 2, **base: Unpack[ParticleSettings]):
        check_positive("agents", agents)
        super().__init__(
            (
                Particles(name="adversary", sees=4 * agents),
                Particles(name="agent", number=agents, sees=2 + 4 * agents),
            ),
            landmarks=agents,
            goals=1,
            **base,
        )
        self.team_of_agent = torch.tensor([0] + [1] * agents, device=self.device)

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        return {**super().settings, "agents": self.num_agents - 1}

    def oracle(self, state: ParticleState) -> dict[str, Tensor]:
        """All straight to the goal, the adversary too."""
        errors = particle_places(state.landmark, state.goal) - rest_points(state.place, state.velocity)
        return self.steered({"adversary": errors[:, :1], "agent": errors[:, 1:]})

    def pay(self, state: ParticleState) -> Float[Tensor, "N B"]:
        """By how far the adversary and the nearest good agent are from the goal."""
        away = _away(state)
        good = away[0] - away[1:].amin(0)
        return torch.cat([-away[:1], good.expand(self.num_agents - 1, -1)])

    def reached(self, state: ParticleState) -> Bool[Tensor, " B"]:
        """Tell whether a good agent is at the goal and the adversary is not."""
        close = _away(state) < CLOSE
        return close[1:].any(0) & ~close[0]

    def seen(self, state: ParticleState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """The way to landmarks and others, and to the goal for those who know it."""
        to_goal = per_particle(particle_places(state.landmark, state.goal)) - per_particle(state.place)[1:]
        ways = {role: [self.near(role, state), self.mates(role, state)] for role in ("adversary", "agent")}
        return {"adversary": ways["adversary"], "agent": [to_goal, *ways["agent"]]}

    def known(self, state: ParticleState) -> Int[Tensor, "B N 1"]:
        """The goal, but not for the adversary."""
        good = state.goal.expand(-1, self.num_agents - 1)
        return torch.cat([torch.full_like(state.goal, -1), good], 1)[..., None]

    def captioned(self, state: ParticleState, copy: int) -> str:
        """The goal, and how far it is."""
        away = _away(state)[:, copy]
        nearest = float(away[1:].min())
        return f"goal {int(state.goal[copy, 0])}: nearest agent {nearest:.2f}, adversary {float(away[0]):.2f} away"


def _away(state: ParticleState) -> Float[Tensor, "N B"]:
    """How far each is from the goal."""
    return distances_between(per_particle(state.place), per_particle(particle_places(state.landmark, state.goal)))[:, 0]
