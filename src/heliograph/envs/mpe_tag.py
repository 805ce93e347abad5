"""Predators and prey of the particle world: adversaries chase faster agents around obstacles."""

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.particle_chase import chase, fled, price_of_leaving, velocities_of_others
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import distances_between, per_particle
from heliograph.envs.particle_task import ParticleSettings, ParticleTask

__all__ = ["MPETag"]

HUNTER_SIZE, PREY_SIZE, OBSTACLE_SIZE = 0.075, 0.05, 0.2
SPREAD = 0.9
CATCH = 10.0


class MPETag(ParticleTask[ParticleState]):
    """Slow adversaries are to touch faster agents; obstacles are in the way of all.

    Two teams: `adversary` and `good`. In each step every adversary is paid 10 for each touch of an agent by any of
    them, an agent -10 for each adversary that touches it, less what it costs to leave: along each axis nothing within
    0.9 of the centre, then up to 1 at 1, and exp(2x - 2), at most 10, beyond. Everybody sees its velocity and place,
    the way to each obstacle and to each other agent, and the velocities of the (other) good ones: nobody knows what
    others do not, and `meaning` is -1. All may speak through a channel, and rivals hear each other if the topology lets
    them.

    Rules: `simple_tag_v3` of mpe2, after Lowe et al. 2017. Left out are its settings of later versions, by which
    episodes end early, agents see their nearest alone, or prey is slow at first.
    """

    teams = ("adversary", "good")
    sees_linearly = True

    def __init__(self, *, adversaries: int = 3, good: int = 1, obstacles: int = 2, **base: Unpack[ParticleSettings]):
        for name, value in (("adversaries", adversaries), ("good", good), ("obstacles", obstacles)):
            check_positive(name, value)
        self.adversaries, self.good = adversaries, good
        ways = 4 + 2 * obstacles + 2 * (adversaries + good - 1)
        super().__init__(
            (
                Particles(
                    name="adversary", number=adversaries, sees=ways + 2 * good, size=HUNTER_SIZE, force=3.0, speed=1.0
                ),
                Particles(name="agent", number=good, sees=ways + 2 * (good - 1), size=PREY_SIZE, force=4.0, speed=1.3),
            ),
            landmarks=obstacles,
            spread_of_landmarks=SPREAD,
            size_of_obstacle=OBSTACLE_SIZE,
            obstacles=obstacles,
            contact=True,
            **base,
        )
        self.team_of_agent = torch.tensor([0] * adversaries + [1] * good, device=self.device)

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        own = {"adversaries": self.adversaries, "good": self.good, "obstacles": self.obstacles}
        return {**super().settings, **own}

    def oracle(self, state: ParticleState) -> dict[str, Tensor]:
        """Each adversary after the agent nearest to it; agents away from them."""
        hunters = self.adversaries
        return self.steered({"adversary": chase(state, hunters=hunters), "agent": fled(state, hunters=hunters)})

    def pay(self, state: ParticleState) -> Float[Tensor, "N B"]:
        """By who touches whom, and by who leaves."""
        place = per_particle(state.place)
        hunters, prey = place[: self.adversaries], place[self.adversaries :]
        touch = (distances_between(hunters, prey) < HUNTER_SIZE + PREY_SIZE).double() * CATCH
        caught = touch.sum(0)
        return torch.cat([caught.sum(0).expand(self.adversaries, -1), -caught - price_of_leaving(prey)])

    def seen(self, state: ParticleState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """Velocity and place, the way to obstacles and others, and the velocities of good ones."""
        place, velocity = per_particle(state.place), per_particle(state.velocity)
        prey = velocity[self.adversaries :]
        moving = {
            "adversary": velocities_of_others(prey, own=False).expand(self.adversaries, -1, -1),
            "agent": velocities_of_others(prey, own=True),
        }
        return {
            role: [
                velocity[self.slots(role)],
                place[self.slots(role)],
                self.near(role, state),
                self.mates(role, state),
                m,
            ]
            for role, m in moving.items()
        }

    def known(self, state: ParticleState) -> Int[Tensor, "B N 1"]:
        """Nothing that others do not know."""
        return torch.full((self.num_envs, self.num_agents, 1), -1, device=self.device)

    def captioned(self, state: ParticleState, copy: int) -> str:
        """Return how many touch."""
        place = per_particle(state.place)[..., copy, None]
        touch = distances_between(place[: self.adversaries], place[self.adversaries :]) < HUNTER_SIZE + PREY_SIZE
        return f"{int(touch.sum())} touches"
