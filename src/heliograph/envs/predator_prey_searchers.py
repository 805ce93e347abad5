"""Scripted searchers of Predator-Prey, simulated: alone, told once the prey is seen, or with a map that all share."""

import dataclasses
import enum
import functools
import math

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.envs.predator_prey_scores import distances, in_sight

__all__ = ["Found", "SharedKnowledge", "searched"]

ROUNDING = 1e-3
"""Of ties: the first of equal neighbours is taken."""


class SharedKnowledge(enum.Enum):
    """Knowledge that searchers tell each other.

    Nothing, where the prey is (heard one step later), or also all they have seen.

    `AT_ONCE` is everything, and where the prey is, heard in the step in which it is seen.
    """

    NOTHING = "nothing"
    PREY = "prey"
    EVERYTHING = "everything"
    AT_ONCE = "at_once"

    @property
    def shares(self) -> bool:
        """True if all have one map."""
        return self in (SharedKnowledge.EVERYTHING, SharedKnowledge.AT_ONCE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """Mean steps until somebody sees the prey, and until all are there (at most the horizon), with standard errors."""

    seen: float
    steps: float
    seen_se: float
    steps_se: float


@functools.lru_cache(maxsize=32)
def searched(
    size: int,
    predators: int,
    steps: int,
    vision: int,
    *,
    telling: SharedKnowledge,
    num_episodes: int = 2000,
    seed: int = 0,
) -> Found:
    """Each goes where it sees the most new cells, with the fewest ways on if equal, until it knows where the prey is.

    Where all share a map new cells are those that nobody has seen, and predators choose one after another in a step,
    knowing what those before them chose: more than any message can tell in time. It is greedy, so no bound.
    """
    team = _Searchers(size, vision=vision, telling=telling)
    cells = _distinct(num_episodes, number=predators + 1, among=size * size, seed=seed)
    place, prey = cells[:, :-1].clone(), cells[:, -1]
    unseen = torch.ones(num_episodes, 1 if telling.shares else predators, size * size, dtype=torch.bool)
    seen_at, there_at = torch.full((num_episodes,), float(steps)), torch.full((num_episodes,), float(steps))
    told = torch.zeros(num_episodes, dtype=torch.bool)
    unseen = team.look(place, unseen)
    for time in range(steps):
        sees = team.sight[place, prey[:, None]]
        seen_at = torch.where(sees.any(1), seen_at.clamp(max=time), seen_at)
        there_at = torch.where((place == prey[:, None]).all(1), there_at.clamp(max=time), there_at)
        heard = told | sees.any(1) if telling is SharedKnowledge.AT_ONCE else told
        place, unseen = team.moved(place, prey, knows=sees | heard[:, None], unseen=unseen)
        told = told | (sees.any(1) & (telling is not SharedKnowledge.NOTHING))
    root = math.sqrt(num_episodes)
    seen_se, steps_se = (float(found.std()) / root for found in (seen_at, there_at))
    return Found(seen=float(seen_at.mean()), steps=float(there_at.mean()), seen_se=seen_se, steps_se=steps_se)


class _Searchers:
    """Predators that move by rule, for many episodes at once."""

    def __init__(self, size: int, *, vision: int, telling: SharedKnowledge):
        self.distance, self.sight = distances(size), in_sight(size, vision)
        self.shares = telling.shares
        self.next_to = self.distance == 1
        rows = [row.nonzero().flatten().tolist() for row in self.next_to]
        self.options = torch.tensor([row + [-1] * (4 - len(row)) for row in rows])

    def moved(
        self, place: Int[Tensor, "B N"], prey: Int[Tensor, " B"], *, knows: Bool[Tensor, "B N"],
        unseen: Bool[Tensor, "B M cells"],
    ) -> tuple[Int[Tensor, "B N"], Bool[Tensor, "B M cells"]]:  # fmt: skip
        """All predators one step on, one after another, and what is still unseen then, on one map or one for each."""
        cells = []
        for index, cell in enumerate(place.unbind(1)):
            own = 0 if self.shares else index
            onward = torch.where(knows[:, index], self._towards(cell, prey), self._searching(cell, unseen[:, own]))
            unseen = unseen.clone()
            unseen[:, own] &= ~self.sight[onward]
            cells.append(onward)
        return torch.stack(cells, 1), unseen

    def look(self, place: Int[Tensor, "B N"], unseen: Bool[Tensor, "B M cells"]) -> Bool[Tensor, "B M cells"]:
        """Return what is unseen once all have looked around."""
        looked = self.sight[place]
        return unseen & ~(looked.any(1, keepdim=True) if self.shares else looked)

    def _towards(self, cell: Int[Tensor, " B"], target: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        options = self.options[cell]
        far = torch.where(options < 0, len(self.distance), self.distance[options, target[:, None]])
        nearest = options.gather(1, _first_best(-far.float())[:, None]).squeeze(1)
        return torch.where(cell == target, cell, nearest)

    def _searching(self, cell: Int[Tensor, " B"], unseen: Bool[Tensor, "B cells"]) -> Int[Tensor, " B"]:
        options = self.options[cell]
        news = (self.sight[options] & unseen[:, None]).sum(2).masked_fill(options < 0, -1)
        ways_on = (self.next_to[options] & unseen[:, None]).sum(2)
        best = options.gather(1, _first_best(news * 5.0 - ways_on)[:, None]).squeeze(1)
        far = torch.where(unseen, self.distance[cell], 2 * len(self.distance))
        nearest = self._towards(cell, _first_best(-far.float()))
        onward = torch.where(news.amax(1) > 0, best, nearest)
        return torch.where(unseen.any(1), onward, cell)


def _first_best(values: Tensor) -> Int[Tensor, " B"]:
    """Index of the largest value in each row, the first of several."""
    return (values - ROUNDING * torch.arange(values.shape[1])).argmax(1)


def _distinct(rows: int, *, number: int, among: int, seed: int) -> Int[Tensor, "rows number"]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, among, generator=generator).argsort(1)[:, :number]
