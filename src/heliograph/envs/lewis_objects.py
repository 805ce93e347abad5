"""Objects of Lewis games: their attributes, what a player sees of them, and which of them a split holds."""

import dataclasses
import enum
import functools

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.checks import check_choice, check_positive
from heliograph.envs.digit_images import NUM_DIGITS, load_digit_images
from heliograph.envs.lewis_images import MAX_LOOKS, draw_shapes
from heliograph.envs.lewis_splits import RULES, held_out_objects

__all__ = ["Appearance", "Objects", "make_objects"]

SPLITS = ("all", "train", "test")
MAX_OBJECTS = 100_000
MAX_SYMBOLS = 10_000
FEATURES = 16
SHAPE_ATTRIBUTES = ("colour", "shape", "position")
DEFAULT_ATTRIBUTES, DEFAULT_VALUES = 2, 4


class Appearance(enum.Enum):
    """Choice of what a player sees of an object: its attributes, a symbol of its own, a vector, or a picture."""

    ATTRIBUTES = "attributes"
    SYMBOLS = "symbols"
    FEATURES = "features"
    SHAPES = "shapes"
    DIGITS = "digits"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objects:
    """All objects by number, and those of the split.

    `attributes` are from 0 to `num_values` - 1. `looks` holds vectors [M, F] or pictures [M, h, w, c] (bytes), where an
    object is not shown by its attributes or its number.
    """

    appearance: Appearance
    attributes: Int[Tensor, "M Z"]
    num_values: int
    in_split: Int[Tensor, " m"]
    looks: Tensor | None
    names: tuple[str, ...]

    def to(self, device: torch.device | str) -> "Objects":
        """The same on a device."""
        looks = None if self.looks is None else self.looks.to(device)
        on = {"attributes": self.attributes.to(device), "in_split": self.in_split.to(device), "looks": looks}
        return dataclasses.replace(self, **on)

    @property
    def num_attributes(self) -> int:
        """Z."""
        return self.attributes.shape[1]

    @property
    def num_objects(self) -> int:
        """M, in all splits together."""
        return self.attributes.shape[0]

    @property
    def is_picture(self) -> bool:
        """True if objects are shown as pictures."""
        return self.appearance in (Appearance.SHAPES, Appearance.DIGITS)

    @property
    def flat_size(self) -> int:
        """F, the numbers that show an object."""
        if self.looks is not None:
            return self.looks[0].numel()
        by_number = self.appearance is Appearance.SYMBOLS
        return self.num_objects if by_number else self.num_attributes * self.num_values

    @property
    def low(self) -> float:
        """The least of these numbers; the largest is 1."""
        return -1.0 if self.appearance is Appearance.FEATURES else 0.0

    def space(self, *, beside: int = 1) -> spaces.Box:
        """The space of pictures, so many of them side by side."""
        assert self.looks is not None
        height, width, channels = self.looks.shape[1:]
        return spaces.Box(0, 255, (height, beside * width, channels), dtype=np.uint8)

    def flat(self, numbers: Int[Tensor, "*batch"]) -> Tensor:
        """Return what is seen of objects as numbers `[*batch, F]`; pixels are from 0 to 1."""
        if self.appearance is Appearance.ATTRIBUTES:
            return F.one_hot(self.attributes[numbers], self.num_values).float().flatten(-2)
        if self.appearance is Appearance.SYMBOLS:
            return F.one_hot(numbers, self.num_objects).float()
        assert self.looks is not None
        seen = self.looks[numbers]
        return seen.float().flatten(-3) / 255 if self.is_picture else seen

    def pictures(self, numbers: Int[Tensor, "*batch n"]) -> Tensor:
        """Pictures of n objects side by side `[*batch, h, n * w, c]`."""
        assert self.looks is not None
        return self.looks[numbers].movedim(-4, -3).flatten(-3, -2)


@functools.lru_cache(maxsize=16)
def make_objects(
    *,
    objects: str,
    attributes: int | None,
    values: int | None,
    split: str,
    held_out: str | None,
    held_out_share: float | None,
    objects_seed: int,
) -> Objects:
    """The objects that these settings of a Lewis game describe; raises ValueError by the name of a setting."""
    check_choice("objects", objects, valid=[each.value for each in Appearance])
    check_choice("split", split, valid=SPLITS)
    appearance = Appearance(objects)
    if appearance is Appearance.DIGITS:
        return _digits(attributes, values, split=split, rule=held_out, share=held_out_share, seed=objects_seed)
    num_attributes, num_values = attributes or DEFAULT_ATTRIBUTES, values or DEFAULT_VALUES
    for name, value in (("attributes", attributes), ("values", values)):
        if value is not None:
            check_positive(name, value)
    _check_sizes(appearance, num_attributes, num_values)
    table = torch.cartesian_prod(*[torch.arange(num_values)] * num_attributes).view(-1, num_attributes)
    default = "combinations" if num_attributes > 1 else "values"
    test = _held_out(table, num_values, rule=held_out or default, share=held_out_share, seed=objects_seed, split=split)
    looks = None
    if appearance is Appearance.FEATURES:
        looks = _vectors(table, num_values, seed=objects_seed)
    if appearance is Appearance.SHAPES:
        looks = draw_shapes(table)
    plain = tuple(f"attribute {z}" for z in range(num_attributes))
    return Objects(
        appearance=appearance,
        attributes=table,
        num_values=num_values,
        in_split=_numbers(test, split),
        looks=looks,
        names=SHAPE_ATTRIBUTES[:num_attributes] if appearance is Appearance.SHAPES else plain,
    )


def _check_sizes(appearance: Appearance, num_attributes: int, num_values: int) -> None:
    if num_values < 2:
        raise ValueError(f"values={num_values}: needs at least 2 values, or there is nothing to say")
    most = MAX_SYMBOLS if appearance is Appearance.SYMBOLS else MAX_OBJECTS
    if num_values**num_attributes > most:
        raise ValueError(
            f"attributes={num_attributes}, values={num_values}: {num_values}^{num_attributes} objects; at most {most} "
            f"with objects={appearance.value!r}"
        )
    if appearance is Appearance.SHAPES and (num_attributes > len(SHAPE_ATTRIBUTES) or num_values > MAX_LOOKS):
        raise ValueError(
            f"attributes={num_attributes}, values={num_values}: shapes have a colour, a shape and a position, at most "
            f"{MAX_LOOKS} of each; take attributes=3 or fewer and values={MAX_LOOKS} or fewer"
        )


def _held_out(
    table: Tensor, num_values: int, *, rule: str, share: float | None, seed: int, split: str
) -> Bool[Tensor, " M"]:
    check_choice("held_out", rule, valid=RULES)
    if split == "all":
        return torch.zeros(len(table), dtype=torch.bool)
    return held_out_objects(table, num_values=num_values, rule=rule, share=share, seed=seed)


def _numbers(test: Bool[Tensor, " M"], split: str) -> Int[Tensor, " m"]:
    chosen = torch.ones_like(test) if split == "all" else test if split == "test" else ~test
    return chosen.nonzero().flatten()


def _vectors(table: Tensor, num_values: int, *, seed: int) -> Tensor:
    """The mean of one random vector for the value of each attribute, from -1 to 1."""
    num_attributes = table.shape[1]
    parts = np.random.RandomState(seed).uniform(-1, 1, (num_attributes, num_values, FEATURES))
    found = torch.from_numpy(parts).float()
    return torch.stack([found[z, table[:, z]] for z in range(num_attributes)]).mean(0)


def _digits(
    attributes: int | None, values: int | None, *, split: str, rule: str | None, share: float | None, seed: int
) -> Objects:
    for name, value, own in (("attributes", attributes, 1), ("values", values, NUM_DIGITS)):
        if value not in (None, own):
            raise ValueError(f"{name}={value}: objects='digits' have {own}; leave it out, or take other objects")
    check_choice("held_out", rule or "images", valid=["images", "values"])
    parts = [load_digit_images(split=name) for name in ("train", "test")]
    table = torch.cat([torch.arange(NUM_DIGITS).repeat_interleave(part.count) for part in parts])[:, None]
    test = torch.arange(len(table)) >= len(parts[0].pixels)
    if rule == "values":
        test = _held_out(table, NUM_DIGITS, rule=rule, share=share, seed=seed, split=split)
    elif share is not None:
        raise ValueError(f"held_out_share={share}: belongs to held_out='combinations'; leave it out")
    return Objects(
        appearance=Appearance.DIGITS,
        attributes=table,
        num_values=NUM_DIGITS,
        in_split=_numbers(test, split),
        looks=torch.cat([part.pixels for part in parts])[..., None],
        names=("digit",),
    )
