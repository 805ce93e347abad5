"""Cooperative navigation of the particle world: as many agents as landmarks cover them all, without collisions."""

import itertools
from collections.abc import Sequence
from typing import Any, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_number, check_positive
from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.particle_physics import distances_between, lengths_squared, per_particle, rest_points
from heliograph.envs.particle_scores import simulated_bounds
from heliograph.envs.particle_task import CLOSE, ParticleSettings, ParticleTask, particle_places
from heliograph.types import Bounds

__all__ = ["MPESpread"]

SIZE = 0.15
REACH_SQUARED = (2 * SIZE) ** 2
SILENT_SYMBOLS = 2
"""What agents observe of each other's words in mpe2, where nobody has any: zeros."""
MOST_ORDERS = 6
"""Agents up to which a script tries every order; more go for the nearest pairs first."""


class MPESpread(ParticleTask[ParticleState]):
    """As many agents as landmarks are to cover all of these, and not to run into each other.

    All are paid minus the sum of the distances of each landmark from the agent nearest to it, times 1 - `local_ratio`
    (0.5), and each -1 times `local_ratio` for every other agent that it touches. Success is an agent within 0.1 of each
    landmark at the end. An agent sees its velocity and place, the way to each landmark and to each other agent, and a
    zero for each word that nobody has in mpe2. Nobody knows what others do not: `meaning` is -1. All may speak through
    a channel.

    Rules: `simple_spread_v3` of mpe2, after Lowe et al. 2017. Left out are its settings of later versions, by which
    episodes end early, agents see their nearest alone, or collisions cost nothing at first.
    """

    sees_linearly = True

    def __init__(self, *, agents: int = 3, local_ratio: float = 0.5, **base: Unpack[ParticleSettings]):
        check_positive("agents", agents)
        check_number("local_ratio", local_ratio, minimum=0, maximum=1)
        self.local_ratio = local_ratio
        sees = 4 + 2 * agents + (2 + SILENT_SYMBOLS) * (agents - 1)
        spreading = Particles(name="agent", number=agents, sees=sees, size=SIZE)
        super().__init__((spreading,), landmarks=agents, contact=True, **base)
        orders = list(itertools.permutations(range(agents))) if agents <= MOST_ORDERS else []
        self._orders = torch.tensor(orders, device=self.device)

    @property
    def settings(self) -> dict[str, Any]:
        """Return what tells this task from others of its kind."""
        return {**super().settings, "agents": self.num_agents, "local_ratio": self.local_ratio}

    def bounds(self) -> Bounds:
        """Simulated: everyone sees everything, so that the blind do as well as the informed."""
        return simulated_bounds(self)

    def oracle(self, state: ParticleState) -> dict[str, Tensor]:
        """Each to a landmark of its own, such that all have the shortest way together."""
        rest = rest_points(state.place, state.velocity)
        return self.steered({"agent": particle_places(state.landmark, self._shared_out(rest, state)) - rest})

    def blind(self, state: ParticleState) -> dict[str, Tensor]:
        """As the informed: each sees enough to work out who goes where."""
        return self.oracle(state)

    def _shared_out(self, rest: Float[Tensor, "B N 2"], state: ParticleState) -> Int[Tensor, "B N"]:
        """A landmark for each agent."""
        ways = torch.cdist(rest, state.landmark)
        if len(self._orders):
            agents = torch.arange(self.num_agents, device=self.device)
            return self._orders[ways[:, agents, self._orders].sum(-1).argmin(1)]
        chosen = torch.zeros(ways.shape[:2], dtype=torch.long, device=self.device)
        for _ in range(self.num_agents):
            nearest = ways.flatten(1).argmin(1)
            agent, landmark = (nearest // self.num_agents)[:, None], (nearest % self.num_agents)[:, None]
            chosen.scatter_(1, agent, landmark)
            row, column = (
                agent[..., None].expand(-1, 1, self.num_agents),
                landmark[..., None].expand(-1, self.num_agents, 1),
            )
            ways = ways.scatter(1, row, torch.inf).scatter(2, column, torch.inf)
        return chosen

    def pay(self, state: ParticleState) -> Float[Tensor, "N B"]:
        """Minus the distances of landmarks from the nearest agents, and minus the agents that one touches."""
        return self.judged(state)[0]

    def judged(self, state: ParticleState) -> tuple[Float[Tensor, "N B"], Bool[Tensor, " B"]]:
        """Pay, and whether an agent is at each landmark; who touches whom is told in float64, distances in float32."""
        place = per_particle(state.place)
        nearest = lengths_squared(per_particle(state.landmark).float()[:, None] - place.float()[None]).amin(1).sqrt()
        pay = nearest.sum(0).mul(self.local_ratio - 1).expand(self.num_agents, -1).contiguous()
        for number in range(self.num_agents - 1):
            touched = (lengths_squared(place[number] - place[number + 1 :]) < REACH_SQUARED).float()
            pay[number].sub_(touched.sum(0), alpha=self.local_ratio)
            pay[number + 1 :].sub_(touched, alpha=self.local_ratio)
        return pay, (nearest < CLOSE).all(0)

    def reached(self, state: ParticleState) -> Bool[Tensor, " B"]:
        """Tell whether an agent is at each landmark."""
        return self.judged(state)[1]

    def seen(self, state: ParticleState) -> dict[str, Sequence[Float[Tensor, "A _k B"]]]:
        """Velocity and place, the way to landmarks and to others, and zeros."""
        others = self.num_agents - 1
        zeros = torch.zeros(self.num_agents, SILENT_SYMBOLS * others, len(state.time), device=self.device)
        own = [per_particle(state.velocity), per_particle(state.place)]
        return {"agent": [*own, self.near("agent", state), self.mates("agent", state), zeros]}

    def known(self, state: ParticleState) -> Int[Tensor, "B N 1"]:
        """Nothing that others do not know."""
        return torch.full((1, 1, 1), -1, device=self.device).expand(self.num_envs, self.num_agents, 1)

    def captioned(self, state: ParticleState, copy: int) -> str:
        """Return how many landmarks are covered."""
        far = distances_between(per_particle(state.landmark), per_particle(state.place))[..., copy]
        return f"{int((far.amin(1) < CLOSE).sum())} of {self.landmarks} landmarks reached"
