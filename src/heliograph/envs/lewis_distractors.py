"""Sets of objects to choose from that betray nothing: whichever of them is the right one, the set is equally likely.

Candidates agree in all attributes but some, drawn at random, and are otherwise a uniform choice without repetition. The
right one is then any of them with equal probability, so that no receiver that hears nothing does better than chance.
"""

import dataclasses
import itertools

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.envs.lewis_objects import Objects

__all__ = ["CandidateGroups", "candidate_groups"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CandidateGroups:
    """Kinds of objects (those with equal attributes) in groups `[G, S]`, padded, of `size` each.

    `ends` are sums of sizes, `total` the last one: a group is drawn as often as it has members. Kind k has `count[k]`
    objects, which stand in `objects` from `begin[k]` on.
    """

    members: Int[Tensor, "G S"]
    size: Int[Tensor, " G"]
    ends: Int[Tensor, " G"]
    objects: Int[Tensor, " m"]
    begin: Int[Tensor, " K"]
    count: Int[Tensor, " K"]
    total: int

    def to(self, device: torch.device | str) -> "CandidateGroups":
        """The same on a device."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return CandidateGroups(**tensors, total=self.total)

    def draw(self, number: int, *, candidates: int, generator: torch.Generator) -> Int[Tensor, "B C"]:
        """The kinds of so many sets of candidates, all different within a set; the first is to be the right one."""
        device = self.ends.device
        place = torch.randint(self.total, (number,), generator=generator, device=device)
        group = torch.searchsorted(self.ends, place, right=True)
        return self.members[group[:, None], _distinct(self.size[group], candidates, generator)]

    def draw_objects(self, kinds: Int[Tensor, "*batch"], *, generator: torch.Generator) -> Int[Tensor, "*batch"]:
        """An object of each kind, by number."""
        chance = torch.rand(kinds.shape, generator=generator, device=kinds.device)
        count = self.count[kinds]
        return self.objects[self.begin[kinds] + torch.minimum((chance * count).long(), count - 1)]


def _distinct(size: Int[Tensor, " B"], number: int, generator: torch.Generator) -> Int[Tensor, "B n"]:
    """So many different numbers below each size, in random order: each is drawn among those that are left."""
    found = size.new_empty(len(size), 0)
    for taken in range(number):
        left = size - taken
        chance = torch.rand(size.shape, generator=generator, device=size.device)
        place = torch.minimum((chance * left).long(), left - 1)
        for before in found.sort(1).values.unbind(1):
            place = place + (place >= before)
        found = torch.cat([found, place[:, None]], 1)
    return found


def candidate_groups(objects: Objects, *, candidates: int, differing: int) -> CandidateGroups:
    """Groups of kinds of the split that may differ in so many attributes and agree in all others.

    There is one group for each choice of these attributes and each combination of the others. Groups with fewer kinds
    than `candidates` are left out. Raises ValueError where all are.
    """
    drawn = objects.attributes[objects.in_split]
    kinds, kind_of = drawn.unique(dim=0, return_inverse=True)
    groups = [
        members
        for free in itertools.combinations(range(kinds.shape[1]), differing)
        for members in _alike(kinds, [z for z in range(kinds.shape[1]) if z not in free])
    ]
    largest = max(map(len, groups))
    groups = [members for members in groups if len(members) >= candidates]
    if not groups:
        raise ValueError(
            f"candidates={candidates}: at most {largest} objects of this split agree in all but {differing} of their "
            "attributes; take fewer candidates, more values, or other distractors"
        )
    size = torch.tensor([len(members) for members in groups])
    count = kind_of.bincount()
    return CandidateGroups(
        members=torch.nn.utils.rnn.pad_sequence(groups, batch_first=True),
        size=size,
        ends=size.cumsum(0),
        objects=objects.in_split[kind_of.argsort(stable=True)],
        begin=count.cumsum(0) - count,
        count=count,
        total=int(size.sum()),
    )


def _alike(kinds: Int[Tensor, "K Z"], fixed: list[int]) -> tuple[Tensor, ...]:
    """Kinds by number, apart by their values of some attributes."""
    if not fixed:
        return (torch.arange(len(kinds)),)
    counts, group_of = kinds[:, fixed].unique(dim=0, return_inverse=True)
    return group_of.argsort(stable=True).split(group_of.bincount(minlength=len(counts)).tolist())
