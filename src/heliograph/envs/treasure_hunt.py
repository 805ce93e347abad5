"""How treasures change hands: who takes which, and who gives one away."""

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.envs.particle_kinds import ParticleState

__all__ = ["NOTHING", "TreasureState", "gives", "shared_out", "takes", "told_apart"]

NOTHING = -1
"""What a hunter holds that holds no treasure."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TreasureState(ParticleState):
    """A particle state whose landmarks are treasures: of which kind each is, and which kind each hunter holds.

    `deposits` are the treasures that banks were given in this episode, before the present step.
    """

    kind: Int[Tensor, "B M"]
    holding: Int[Tensor, "B H"]
    deposits: Int[Tensor, " B"]


def takes(
    touching: Bool[Tensor, "B H M"], *, holding: Int[Tensor, "B H"], kind: Int[Tensor, "B M"]
) -> tuple[Int[Tensor, "B H"], Bool[Tensor, "B M"]]:
    """Return what hunters hold then, and which treasures were taken: each by the first hunter that has its hands free.

    Treasures are gone through in their order.
    """
    hunters, found = torch.arange(holding.shape[1], device=holding.device), []
    for number in range(kind.shape[1]):
        able = touching[:, :, number] & (holding == NOTHING)
        found.append(able.any(1))
        taker = hunters == able.long().argmax(1, keepdim=True)
        holding = torch.where(taker & able, kind[:, number, None], holding)
    return holding, torch.stack(found, 1)


def gives(touching: Bool[Tensor, "B H K"], *, holding: Int[Tensor, "B H"]) -> Bool[Tensor, "B H"]:
    """Return which hunters touch the bank of what they hold."""
    return touching.gather(2, holding.clamp(min=0)[..., None])[..., 0] & (holding != NOTHING)


def shared_out(distance: Float[Tensor, "B H M"]) -> Int[Tensor, "B H"]:
    """A treasure for each hunter, which choose in their order the nearest that is left."""
    chosen, left = [], distance.clone()
    for number in range(distance.shape[1]):
        best = left[:, number].argmin(1)
        chosen.append(best)
        left = left.scatter(2, best[:, None, None].expand(-1, left.shape[1], 1), torch.inf)
    return torch.stack(chosen, 1)


def told_apart(place: Float[Tensor, "B H 2"], *, room: float) -> Float[Tensor, "B H 2"]:
    """Return the ways that lead hunters out of each other's: away from all that are closer than `room`."""
    apart = place[:, :, None] - place[:, None]
    distance = apart.norm(dim=-1, keepdim=True)
    push = torch.where((distance > 0) & (distance < room), (room - distance) / distance.clamp(min=1e-6), 0.0)
    return (apart * push).sum(2)
