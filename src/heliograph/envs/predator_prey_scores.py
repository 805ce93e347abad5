"""Exact scores of Predator-Prey: for teams in which each predator goes its own way, from when each reaches the prey.

A table `reached` [T + 1, prey, start] is the probability that a predator from a cell is on the prey after so many
steps. Predators start on distinct cells other than the prey's, all choices being equally likely, and then move
independently; so everything follows from the table.
"""

import dataclasses
import functools
import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "TeamScores",
    "distances",
    "in_sight",
    "independent_scores",
    "reached_at_once",
    "reached_at_random",
    "reached_by_search",
    "search_path",
    "team_scores",
]  # fmt: skip

STEP_PENALTY = -0.05
PREY_REWARD = 0.05
ACTIONS = 5
PREY_AT_ONCE = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeamScores:
    """Mean return of a predator in each mode; mean steps until all are on the prey, or the horizon if they are not."""

    mixed: float
    cooperative: float
    competitive: float
    steps: float


KNOWN = {
    (20, 10, 80, 1): {
        "random": TeamScores(mixed=-3.837306, cooperative=-3.599396, competitive=-3.707023, steps=80.0),
        "search": TeamScores(mixed=-2.771427, cooperative=5.799469, competitive=-2.496246, steps=72.515524),
        "direct": TeamScores(mixed=-0.616667, cooperative=31.610784, competitive=-0.233453, steps=23.072789),
    }
}
"""What `team_scores` gives for (size, predators, steps, vision), where that takes ten seconds."""


@functools.lru_cache(maxsize=16)
def team_scores(size: int, predators: int, steps: int, vision: int) -> dict[str, TeamScores]:
    """Exact scores of three teams: `random`, `search` (each for itself, told nothing) and `direct` (all know)."""
    known = KNOWN.get((size, predators, steps, vision))
    if known is not None:
        return known
    tables = {
        "random": reached_at_random(size, steps=steps),
        "search": reached_by_search(size, steps=steps, vision=vision),
        "direct": reached_at_once(size, steps=steps),
    }
    return {name: independent_scores(table, predators=predators) for name, table in tables.items()}


def independent_scores(reached: Tensor, *, predators: int) -> TeamScores:
    """Scores of a team whose predators move independently of each other, from a table `reached` (numbers or bools)."""
    cells = reached.shape[-1]
    sums = sum(
        _sums(part, prey, predators=predators)
        for part, prey in zip(reached.split(PREY_AT_ONCE, 1), torch.arange(cells).split(PREY_AT_ONCE), strict=True)
    )
    one, both, nobody, everyone = (sums / cells).unbind()
    off = STEP_PENALTY * (1 - one[1:])
    return TeamScores(
        mixed=float(off.sum()),
        cooperative=float((off + PREY_REWARD * (one + (predators - 1) * both)[1:]).sum()),
        competitive=float((off + PREY_REWARD * (1 - nobody[1:]) / predators).sum()),
        steps=float((1 - everyone[:-1]).sum()),
    )


def _sums(reached: Tensor, prey: Int[Tensor, " part"], *, predators: int) -> Float[Tensor, "4 T1"]:
    """Over some cells of the prey: the chances that a predator is there, two are, none is, and all are."""
    elsewhere = torch.arange(reached.shape[-1]) != prey[:, None]
    starts = reached[:, elsewhere].view(*reached.shape[:2], -1).double()
    others = starts.shape[-1]
    ordered_pairs = max(1, others * (others - 1))
    both = (starts.sum(2) ** 2 - (starts**2).sum(2)) / ordered_pairs
    chances = (starts.mean(2), both, _all_of(1 - starts, predators), _all_of(starts, predators))
    return torch.stack([chance.sum(1) for chance in chances])


def _all_of(chance: Float[Tensor, "T1 part start"], number: int) -> Float[Tensor, "T1 part"]:
    """The mean over sets of `number` starts of the product of their chances (elementary symmetric means)."""
    sums = chance.new_zeros(number + 1, *chance.shape[:2])
    sums[0] = 1.0
    for start in chance.unbind(-1):
        sums[1:] = sums[1:] + sums[:-1] * start
    return sums[-1] / float(math.comb(chance.shape[-1], number))


def reached_at_random(size: int, *, steps: int) -> Float[Tensor, "T1 prey start"]:
    """Each predator draws one of the five actions in every step."""
    on_prey = torch.eye(size * size, dtype=torch.float64).view(-1, size, size)
    tables, last = [on_prey.float()], on_prey
    for _ in range(steps):
        up, down = torch.cat([last[:, :1], last[:, :-1]], 1), torch.cat([last[:, 1:], last[:, -1:]], 1)
        left, right = torch.cat([last[..., :1], last[..., :-1]], 2), torch.cat([last[..., 1:], last[..., -1:]], 2)
        last = torch.maximum((up + down + left + right + last) / ACTIONS, on_prey)
        tables.append(last.float())
    return torch.stack(tables).flatten(2)


def reached_at_once(size: int, *, steps: int) -> Bool[Tensor, "T1 prey start"]:
    """Each predator knows where the prey is and goes there."""
    return _reached_after(distances(size), steps=steps)


def reached_by_search(size: int, *, steps: int, vision: int) -> Bool[Tensor, "T1 prey start"]:
    """Each predator goes where it sees the most new cells until it sees the prey, then there; it is told nothing."""
    distance = distances(size)
    sight = in_sight(size, vision)
    arrival = torch.full_like(distance, steps + 1)
    for start in range(size * size):
        found = torch.zeros(size * size, dtype=torch.bool)
        for time, cell in enumerate(search_path(start, size=size, steps=steps, vision=vision)):
            new = sight[cell] & ~found
            arrival[new, start] = time + distance[new, cell]
            found |= new
    return _reached_after(arrival, steps=steps)


def search_path(start: int, *, size: int, steps: int, vision: int) -> list[int]:
    """The cells of a search from a start: to the neighbour that shows most, with the fewest ways on if equal.

    Where no neighbour shows anything new, one step towards the nearest cell that is not seen yet.
    """
    sight, distance = in_sight(size, vision), distances(size)
    neighbours = [(row == 1).nonzero().flatten().tolist() for row in distance]
    unseen = ~sight[start]
    path = [start]
    for _ in range(steps):
        if not bool(unseen.any()):
            break
        options = neighbours[path[-1]]
        news = (sight[options] & unseen).sum(1).tolist()
        if max(news):
            onward = [sum(bool(unseen[cell]) for cell in neighbours[option]) for option in options]
            best = min(range(len(options)), key=lambda i: (-news[i], onward[i]))
        else:
            target = int(torch.where(unseen, distance[path[-1]], 2 * size).argmin())
            best = int(distance[target, options].argmin())
        path.append(options[best])
        unseen &= ~sight[options[best]]
    return path


def _reached_after(arrival: Int[Tensor, "prey start"], *, steps: int) -> Bool[Tensor, "T1 prey start"]:
    return arrival <= torch.arange(steps + 1)[:, None, None]


def distances(size: int) -> Int[Tensor, "cells cells"]:
    """Steps between two cells."""
    cells = torch.arange(size * size)
    row, column = cells // size, cells % size
    return (row[:, None] - row).abs() + (column[:, None] - column).abs()


def in_sight(size: int, vision: int) -> Bool[Tensor, "cells cells"]:
    """Return which cells are seen from which."""
    cells = torch.arange(size * size)
    row, column = cells // size, cells % size
    return ((row[:, None] - row).abs() <= vision) & ((column[:, None] - column).abs() <= vision)
