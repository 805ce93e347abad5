"""Discrimination: a receiver finds the object that the sender saw among others."""

import dataclasses
import enum
from typing import Unpack

import torch
from gymnasium import spaces
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_choice, check_positive
from heliograph.envs.lewis_distractors import CandidateGroups, candidate_groups
from heliograph.envs.lewis_game import LewisGame, LewisSettings, LewisState

__all__ = ["DiscriminationGame", "DiscriminationState"]

FEW = 2
"""Attributes in which similar objects differ at most, unless `differing` says otherwise."""


class Distractors(enum.Enum):
    """How the other candidates are chosen: any, those that differ in few attributes, or in one and the same."""

    RANDOM = "random"
    SIMILAR = "similar"
    ONE_ATTRIBUTE = "one_attribute"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscriminationState(LewisState):
    """Besides, the objects by number that each slot may choose from in each round, and which is the right one."""

    candidates: Int[Tensor, "B R N C"]
    answer: Int[Tensor, "B R N"]


class DiscriminationGame(LewisGame[DiscriminationState]):
    """A sender sees an object and speaks; then each of `listeners` receivers finds it among `candidates` objects.

    All have the same candidates, each receiver in an order of its own; the sender sees none but its own. Candidates
    differ, and agree in all but some attributes, drawn anew: with the `distractors` "random" they may differ in all,
    "similar" in `differing` (2 unless set), "one_attribute" in exactly one. So whoever hears nothing finds the object
    once in `candidates`, whatever it sees. A right answer is worth 1. With `views="other"` candidates are pictures that
    the sender did not see, of the same digits. Objects, splits, rounds and `exchange` are as in `reconstruction`.
    """

    groups: CandidateGroups
    """Which objects may stand together."""

    def __init__(
        self,
        *,
        candidates: int = 4,
        distractors: str = "random",
        differing: int | None = None,
        views: str = "same",
        **settings: Unpack[LewisSettings],
    ):
        check_positive("candidates", candidates)
        if candidates < 2:
            raise ValueError(f"candidates={candidates}: needs at least 2 objects to choose from")
        check_choice("distractors", distractors, valid=[each.value for each in Distractors])
        check_choice("views", views, valid=["same", "other"])
        self.candidates, self.distractors, self.views = candidates, Distractors(distractors), views
        self.differing = differing
        super().__init__(**settings)
        self.groups = self.groups.to(self.device)

    def prepare(self) -> None:
        """Group the objects that may stand together."""
        if self.views == "other" and self.objects.num_objects == len(self.objects.attributes.unique(dim=0)):
            raise ValueError("views='other': these objects look the same to all; take objects='digits', or 'same'")
        self.groups = candidate_groups(self.objects, candidates=self.candidates, differing=self._num_differing())

    def _num_differing(self) -> int:
        number = self.objects.num_attributes
        if self.distractors is not Distractors.SIMILAR:
            if self.differing is not None:
                raise ValueError(f"differing={self.differing}: belongs to distractors='similar'; leave it out")
            return number if self.distractors is Distractors.RANDOM else 1
        wanted = FEW if self.differing is None else self.differing
        check_positive("differing", wanted)
        if wanted >= number:
            raise ValueError(
                f"differing={wanted}: objects have {number} attributes, so all would differ, as with "
                "distractors='random'; take fewer, or more attributes"
            )
        return wanted

    @property
    def answer_space(self) -> spaces.Discrete:
        """The place of a candidate."""
        return spaces.Discrete(self.candidates)

    @property
    def num_offered(self) -> int:
        """The candidates."""
        return self.candidates

    def offered(self, state: DiscriminationState) -> Int[Tensor, "B N C"]:
        """The candidates of the present round."""
        return _in_round(state.candidates, self.round_index(state))

    def best(self, state: DiscriminationState) -> Int[Tensor, "B N 1"]:
        """The place of the object."""
        return _in_round(state.answer, self.round_index(state))[..., None]

    def chances(self) -> tuple[float, float]:
        """One of the candidates, all equally likely by what a receiver sees."""
        return 1 / self.candidates, 1 / self.candidates

    def start(self) -> DiscriminationState:
        """New candidates in new orders, the first of which is the object."""
        shape, stream = (self.num_envs, self.rounds), self.start_generator
        drawn = self.groups.draw(self.num_envs * self.rounds, candidates=self.candidates, generator=stream)
        kinds = drawn.view(*shape, self.candidates)
        objects = self.groups.draw_objects(kinds, generator=stream)
        shown = objects[..., 0]
        if self.views == "other":
            shown = self.groups.draw_objects(kinds[..., 0], generator=stream)
        order = torch.rand(*shape, self.num_agents, self.candidates, generator=stream, device=self.device).argsort(-1)
        offered = objects[:, :, None].expand_as(order).gather(-1, order)
        begin = self.beginning(shown, self.draw_first())
        return DiscriminationState(**begin, candidates=offered, answer=(order == 0).int().argmax(-1))


def _in_round(values: Tensor, index: Int[Tensor, " B"]) -> Tensor:
    """Take from `[B, R, ...]` what belongs to a round of each copy."""
    return values[torch.arange(len(index), device=index.device), index]
