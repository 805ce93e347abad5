"""What a particle task looks like."""

from collections.abc import Sequence

import torch

from heliograph.envs.particle_kinds import Particles, ParticleState
from heliograph.envs.scene import Actor, Floor, Ground, Place, Scene, Shape, grid_cells

__all__ = ["particle_scene"]

CELLS = 11
"""Side of the picture, which holds what lies within 1 of the centre, or farther where somebody does."""


def particle_scene(
    state: ParticleState, copy: int, *, particles: Sequence[Particles], landmarks: Sequence[str], caption: str
) -> Scene:
    """Return the picture of a copy: agents by their kind, and landmarks with these names, of which goals are stars."""
    points = torch.cat([state.place[copy], state.landmark[copy]])
    span = max(1.0, float(points.abs().max()))
    places: list[Place] = [
        ((x / span + 1) / 2 * (CELLS - 1), (1 - y / span) / 2 * (CELLS - 1)) for x, y in points.tolist()
    ]
    goals = state.goal[copy].tolist()
    named = [(name, kind) for kind, group in enumerate(particles) for name in group.agents]
    agents = tuple(
        Actor(name=name, place=place, label=name[:1].upper() + name.rsplit("_", 1)[1], kind=kind)
        for (name, kind), place in zip(named, places, strict=False)
    )
    things = tuple(
        Actor(
            name=name,
            place=place,
            label=name[0] + name.rsplit(" ", 1)[1],
            kind=len(particles) + number,
            shape=Shape.STAR if number in goals else Shape.SQUARE,
        )
        for number, (name, place) in enumerate(zip(landmarks, places[len(agents) :], strict=True))
    )
    floor = Floor(ground=Ground.FLOOR, cells=grid_cells(CELLS, CELLS))
    return Scene(columns=CELLS, rows=CELLS, agents=agents, things=things, floors=(floor,), caption=caption)
