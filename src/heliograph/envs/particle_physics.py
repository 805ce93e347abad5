"""Physics of the particle world: discs in a plane that are pushed, slow down and press each other apart.

Everything is laid out `[particle, axis, copy]`, so that each operation runs along the copies. A step is that of mpe2:
all forces follow from where the particles were, they move with the velocity that they had, and then that changes.
The older world of MAAC's tasks changes velocities first (`at_once`), and has particles of different mass (`yielding`).
Numbers are float64, as there: particles that touch make rounding errors of float32 grow beyond 1e-5 within an episode.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor

__all__ = [
    "REST_PER_FORCE",
    "contact_forces",
    "distances_between",
    "lengths",
    "lengths_squared",
    "moved",
    "obstacle_forces",
    "others_of",
    "pairs_of",
    "per_copy",
    "per_particle",
    "rest_points",
    "yielding",
]  # fmt: skip

SECONDS = 0.1
DAMPING = 0.25
STIFFNESS = 100.0
SOFTNESS = 1e-3
"""How far beyond its rim a disc is felt, about."""
FELT = 0.04
"""How far beyond both rims two discs press each other by less than a force of 1e-17."""
REST_PER_FORCE = SECONDS * SECONDS / DAMPING
"""How much farther a particle comes to rest for each unit of force in one step."""
TINY = 1e-12


def per_particle(values: Shaped[Tensor, "B N D"]) -> Shaped[Tensor, "N D B"]:
    """The same numbers, particle by particle; in memory, too, so that what is computed of them does not go by that."""
    return values.permute(1, 2, 0).contiguous()


def per_copy(values: Shaped[Tensor, "N D B"]) -> Shaped[Tensor, "B N D"]:
    """The same numbers, copy by copy; they stay where they are in memory."""
    return values.permute(2, 0, 1)


def distances_between(from_: Float[Tensor, "N 2 B"], to: Float[Tensor, "M 2 B"]) -> Float[Tensor, "N M B"]:
    """Distances between the centres of all pairs."""
    return lengths(from_[:, None] - to[None])


def pairs_of(number: int, *, device: torch.device) -> Int[Tensor, "2 P"]:
    """All pairs of so many particles."""
    return torch.triu_indices(number, number, 1, device=device)


def others_of(number: int, *, device: torch.device) -> Int[Tensor, "N N1"]:
    """For each of so many particles all others, in order."""
    rows = [[other for other in range(number) if other != one] for one in range(number)]
    return torch.tensor(rows, dtype=torch.long, device=device).view(number, number - 1)


def contact_forces(
    place: Float[Tensor, "N 2 B"],
    pairs: Int[Tensor, "2 P"],
    *,
    reach: Float[Tensor, "P 1"],
    yielding: Float[Tensor, "2 P 1 1"] | None = None,
    onto: Float[Tensor, "N 2 B"] | None = None,
) -> Float[Tensor, "N 2 B"]:
    """Forces of particles on each other: straight apart, growing with how far two discs overlap.

    `reach` is the sum of the sizes of each pair; `yielding` what both sides make of a force (None where all masses are
    1: all of it). They are added to those of `onto`, in place.
    """
    total = torch.zeros_like(place) if onto is None else onto
    apart = torch.empty(pairs.shape[1], 2, place.shape[2], dtype=place.dtype, device=place.device)
    begin = 0
    for number in range(len(place) - 1):  # pairs are in the order of their first, so that nothing is gathered
        stop = begin + len(place) - 1 - number
        torch.sub(place[number], place[number + 1 :], out=apart[begin:stop])
        begin = stop
    press = _press_few if place.is_cpu else _press_all  # on a GPU, to ask which are near would stop everything
    return press(total, apart, pairs, reach=reach, yielding=yielding)


def _press_all(
    total: Float[Tensor, "N 2 B"],
    apart: Float[Tensor, "P 2 B"],
    pairs: Int[Tensor, "2 P"],
    *,
    reach: Float[Tensor, "P 1"],
    yielding: Float[Tensor, "2 P 1 1"] | None,
) -> Float[Tensor, "N 2 B"]:
    """Add what all pairs press."""
    force = _away(apart, reach=reach)
    mine, yours = (force, force) if yielding is None else force * yielding
    return total.index_add_(0, pairs[0], mine).index_add_(0, pairs[1], yours, alpha=-1)


def _press_few(
    total: Float[Tensor, "N 2 B"],
    apart: Float[Tensor, "P 2 B"],
    pairs: Int[Tensor, "2 P"],
    *,
    reach: Float[Tensor, "P 1"],
    yielding: Float[Tensor, "2 P 1 1"] | None,
) -> Float[Tensor, "N 2 B"]:
    """Add what pairs press that are near each other, which are few; all others press by less than rounding errors."""
    pair, copy = (lengths_squared(apart) < (reach + FELT).square()).nonzero(as_tuple=True)
    if len(pair):
        force = _away(apart[pair, :, copy].t(), reach=reach[pair, 0])
        mine, yours = (force, force) if yielding is None else force * yielding[:, pair, 0].mT
        flat = total.view(-1)
        for side, pressed in ((pairs[0, pair], mine), (pairs[1, pair], -yours)):
            at = side * (2 * apart.shape[2]) + copy
            flat.index_add_(0, torch.cat([at, at + apart.shape[2]]), pressed.flatten())
    return total


def yielding(mass: Float[Tensor, "N 1 1"], pairs: Int[Tensor, "2 P"]) -> Float[Tensor, "2 P 1 1"]:
    """Return the gains in speed of either side of each pair by a force of 1, which all are 1 where all masses are.

    A force counts by the ratio of the other's mass to one's own, and moves one by one's mass once more.
    """
    one, other = mass[pairs]
    return torch.stack([other / one / one, one / other / other])


def obstacle_forces(
    place: Float[Tensor, "N 2 B"], obstacle: Float[Tensor, "M 2 B"], *, reach: Float[Tensor, "N 1 1"]
) -> Float[Tensor, "N 2 B"]:
    """Forces of what does not move on each particle, as those of particles are."""
    return _away(place[:, None] - obstacle[None], reach=reach).sum(1)


def _away(apart: Float[Tensor, "*lead 2 B"], *, reach: Float[Tensor, "..."]) -> Float[Tensor, "*lead 2 B"]:
    distance = lengths(apart)
    depth = F.softplus(reach - distance, beta=1 / SOFTNESS)
    return apart * (depth / distance.clamp(min=TINY)).mul_(STIFFNESS).unsqueeze(-2)


def moved(
    place: Float[Tensor, "N 2 B"],
    velocity: Float[Tensor, "N 2 B"],
    force: Float[Tensor, "N 2 B"],
    *,
    max_speed: Float[Tensor, "N 1 1"] | None = None,
    at_once: bool = False,
) -> tuple[Float[Tensor, "N 2 B"], Float[Tensor, "N 2 B"]]:
    """Place and velocity one step later, of particles that a force of 1 makes faster by 1 in a second.

    They move with the velocity that they had; with `at_once`, with that to which they come.
    """
    before = velocity
    velocity = velocity * (1 - DAMPING) + force * SECONDS
    if max_speed is not None:
        speed = lengths(velocity)[:, None]
        velocity = torch.where(speed > max_speed, velocity / speed.clamp(min=TINY) * max_speed, velocity)
    return place + (velocity if at_once else before) * SECONDS, velocity


def rest_points(
    place: Float[Tensor, "B N 2"], velocity: Float[Tensor, "B N 2"], *, at_once: bool = False
) -> Float[Tensor, "B N 2"]:
    """Return where particles come to rest if nothing pushes them any more; `at_once` as of `moved`."""
    return place + velocity * (SECONDS / DAMPING * ((1 - DAMPING) if at_once else 1))


def lengths(vectors: Float[Tensor, "*lead 2 B"]) -> Float[Tensor, "*lead B"]:
    """How long vectors are."""
    return lengths_squared(vectors).sqrt_()


def lengths_squared(vectors: Float[Tensor, "*lead 2 B"]) -> Float[Tensor, "*lead B"]:
    """The squares of how long vectors are."""
    x, y = vectors.unbind(-2)
    return (x * x).addcmul_(y, y)
