"""What the two chases of the particle world share: the price of leaving, and how scripts chase and flee."""

import torch
from jaxtyping import Float
from torch import Tensor

from heliograph.envs.particle_kinds import ParticleState
from heliograph.envs.particle_physics import others_of, rest_points

__all__ = ["chase", "fled", "price_of_leaving", "velocities_of_others"]

WITHIN, EDGE = 0.9, 1.0
STEEPEST = 10.0
ROOM = 0.7
"""How far from the centre along an axis whoever flees by script lets itself be driven."""
FAR = 1.0
"""More than any push can make up for in a step."""


def price_of_leaving(place: Float[Tensor, "N 2 B"]) -> Float[Tensor, "N B"]:
    """Price of being near the edge or beyond it: nothing within 0.9 along an axis, 1 at the edge, at most 10."""
    far = place.abs()
    outside = (2 * far - 2).exp().clamp(max=STEEPEST)
    return torch.where(far < WITHIN, 0.0, torch.where(far < EDGE, (far - WITHIN) * 10, outside)).sum(1)


def velocities_of_others(velocity: Float[Tensor, "P 2 B"], *, own: bool) -> Float[Tensor, "A _k B"]:
    """The velocities of all prey in order, for one prey after another without its own (`own`), or for somebody else."""
    if not own:
        return velocity.flatten(0, 1)[None]
    return velocity[others_of(len(velocity), device=velocity.device)].flatten(1, 2)


def chase(state: ParticleState, *, hunters: int) -> Float[Tensor, "B H 2"]:
    """How far each hunter would come to rest from the prey nearest to it."""
    rest = rest_points(state.place, state.velocity)
    hunter, prey = rest[:, :hunters], rest[:, hunters:]
    nearest = torch.cdist(hunter, prey).argmin(2)
    return prey.gather(1, nearest[..., None].expand(-1, -1, 2)) - hunter


def fled(state: ParticleState, *, hunters: int) -> Float[Tensor, "B P 2"]:
    """Away from the hunters, most of all from the nearest, and back towards the centre where it gets narrow."""
    rest = rest_points(state.place, state.velocity)
    apart = rest[:, hunters:, None] - rest[:, None, :hunters]
    away = (apart / apart.square().sum(-1, keepdim=True).clamp(min=1e-3) ** 1.5).sum(2)
    away = away / away.norm(dim=-1, keepdim=True).clamp(min=1e-9) * FAR
    own = rest[:, hunters:]
    return torch.where(own.abs() > ROOM, -own.sign() * FAR, away)
