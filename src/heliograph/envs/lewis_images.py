"""Pictures of shapes that Heliograph draws itself: a colour, a shape and a position are told apart by eye."""

import functools

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

__all__ = ["COLOURS", "MAX_LOOKS", "SHAPES", "draw_shapes"]

COLOURS = {
    "red": (230, 25, 75),
    "green": (60, 180, 75),
    "blue": (0, 90, 230),
    "yellow": (255, 225, 25),
    "magenta": (240, 50, 230),
    "white": (255, 255, 255),
}
SHAPES = ("square", "disc", "cross", "triangle", "ring", "bar")
COLUMNS, ROWS, CELL = 3, 2, 8
"""Positions are cells of `CELL` pixels, row by row."""
MAX_LOOKS = 6
"""Colours, shapes and positions that there are."""


def draw_shapes(attributes: Int[Tensor, "M Z"]) -> UInt8[Tensor, "M h w 3"]:
    """One picture for each row of (colour, shape, position), of 16 x 24 pixels on black; those left out are 0."""
    num_objects, given = attributes.shape
    looks = torch.zeros(num_objects, 3, dtype=torch.long)
    looks[:, :given] = attributes
    outlines = torch.stack([_outline(name) for name in SHAPES])
    colours = torch.tensor(list(COLOURS.values()), dtype=torch.uint8)
    cells = torch.zeros(num_objects, COLUMNS * ROWS, CELL, CELL, 3, dtype=torch.uint8)
    drawn = outlines[looks[:, 1], :, :, None] * colours[looks[:, 0], None, None]
    cells[torch.arange(num_objects), looks[:, 2]] = drawn
    rows = cells.unflatten(1, (ROWS, COLUMNS)).permute(0, 1, 3, 2, 4, 5)
    return rows.reshape(num_objects, ROWS * CELL, COLUMNS * CELL, 3)


@functools.cache
def _outline(name: str) -> Bool[Tensor, "h w"]:
    axis = torch.arange(CELL) - (CELL - 1) / 2
    down, right = torch.meshgrid(axis, axis, indexing="ij")
    far, radius = torch.maximum(down.abs(), right.abs()), (down**2 + right**2).sqrt()
    masks = {
        "square": far < 3,
        "disc": radius < 3.2,
        "cross": (down.abs() < 1) | (right.abs() < 1),
        "triangle": (right.abs() <= (down + 3.5) / 2) & (down < 3),
        "ring": (radius < 3.9) & (radius > 2),
        "bar": down.abs() < 1,
    }
    return masks[name]
