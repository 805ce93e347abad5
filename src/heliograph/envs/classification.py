"""Classification: a receiver that sees nothing names the class of the object that the sender saw."""

from typing import Unpack

from gymnasium import spaces
from jaxtyping import Int
from torch import Tensor

from heliograph.envs.lewis_game import LewisSettings
from heliograph.envs.lewis_naming import NamingGame

__all__ = ["ClassificationGame"]


class ClassificationGame(NamingGame):
    """A sender sees an object and speaks; then each of `listeners` receivers, which see nothing, names its class.

    The class is the value of one attribute, `class_attribute` (from 0 on); the others differ within a class and need
    not be told. No receiver sees an object, of that class or another. A right answer is worth 1. `meaning` holds all
    attributes. Objects, splits, rounds and `exchange` are as in `reconstruction`; with `objects="digits"` the class is
    the digit, and test images are others than those of training.
    """

    def __init__(self, *, class_attribute: int = 0, **settings: Unpack[LewisSettings]):
        self.class_attribute = class_attribute
        super().__init__(**settings)

    def prepare(self) -> None:
        """Check that there is such an attribute."""
        number = self.objects.num_attributes
        if not 0 <= self.class_attribute < number:
            raise ValueError(f"class_attribute={self.class_attribute}: must be from 0 to {number - 1}, an attribute")

    @property
    def answer_space(self) -> spaces.Discrete:
        """A class."""
        return spaces.Discrete(self.objects.num_values)

    def answer_of(self, objects: Int[Tensor, "*batch"]) -> Int[Tensor, "*batch 1"]:
        """The class."""
        return self.objects.attributes[objects][..., self.class_attribute : self.class_attribute + 1]

    def chances(self) -> tuple[float, float]:
        """A guess of a uniform class, and the most frequent class."""
        counts = self.objects.attributes[self.objects.in_split, self.class_attribute].bincount()
        return 1 / self.objects.num_values, counts.max().item() / len(self.objects.in_split)
