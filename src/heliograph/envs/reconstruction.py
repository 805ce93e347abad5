"""Reconstruction: a receiver that sees nothing names every attribute of the object that the sender saw."""

from typing import Unpack

from gymnasium import spaces
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_choice
from heliograph.envs.lewis_game import LewisSettings
from heliograph.envs.lewis_naming import NamingGame

__all__ = ["ReconstructionGame"]

REWARDS = ("all", "share")


class ReconstructionGame(NamingGame):
    """A sender sees an object and speaks; then each of `listeners` receivers, which see nothing, names its attributes.

    Objects are all combinations of `values` (4) values of `attributes` (2) attributes, seen as attributes one-hot;
    `objects` "symbols" shows the number of the combination one-hot, "features" a vector of 16 numbers, "shapes" a
    picture (colour, shape, position), "digits" one of scikit-learn's (one attribute). `reward` is "all" (1 where every
    attribute is right) or "share" (of attributes that are right). `split` "train" and "test" are disjoint, by the rule
    `held_out`: "combinations", "values", "latin", and for digits "images". `exchange` lets agents speak and listen in
    turn. All scores are exact.
    """

    def __init__(self, *, reward: str = "all", **settings: Unpack[LewisSettings]):
        check_choice("reward", reward, valid=REWARDS)
        self.reward, self.additive = reward, reward == "share"
        super().__init__(**settings)

    @property
    def answer_space(self) -> spaces.MultiDiscrete:
        """A value for each attribute."""
        return spaces.MultiDiscrete([self.objects.num_values] * self.objects.num_attributes)

    def answer_of(self, objects: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch Z"]:
        """The attributes."""
        return self.objects.attributes[objects]

    def chances(self) -> tuple[float, float]:
        """A guess of uniform values; and the most frequent object, or the most frequent value of each attribute."""
        drawn = self.objects.attributes[self.objects.in_split]
        num_values, num_attributes = self.objects.num_values, self.objects.num_attributes
        if self.reward == "all":
            counts = drawn.unique(dim=0, return_counts=True)[1]
            return num_values**-num_attributes, counts.max().item() / len(drawn)
        most = [drawn[:, z].bincount().max().item() for z in range(num_attributes)]
        return 1 / num_values, sum(most) / num_attributes / len(drawn)
