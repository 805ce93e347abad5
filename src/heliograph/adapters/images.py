"""Which Boxes are images, and how their axes become height x width x channels, the form that networks convolve."""

import dataclasses
import enum

import numpy as np
from gymnasium import spaces

CHANNELS = (1, 3, 4)
"""Numbers of channels that only images have: gray, RGB, RGB and alpha (or four frames)."""
SMALLEST_GRAY = 8
"""Pixels on each side from which on a table of bytes is a picture."""
BYTE = 255


class ImageLayout(enum.Enum):
    """Choice of what the axes of a Box are; the value is how a sentence names them."""

    NONE = "numbers"
    CHANNELS_LAST = "an image, height x width x channels"
    CHANNELS_FIRST = "an image, channels x height x width"
    GRAY = "a gray image, height x width"
    FRAMES_CHANNELS_LAST = "images, frames x height x width x channels"
    FRAMES_CHANNELS_FIRST = "images, frames x channels x height x width"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axes:
    """How an array is brought to height x width x channels: its axes in another order, then a shape."""

    order: tuple[int, ...]
    shape: tuple[int, ...]

    def applied(self, array: np.ndarray) -> np.ndarray:
        """The array in the order of networks."""
        return array.transpose(self.order).reshape(self.shape)

    def undone(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The array in the environment's order, which has that shape."""
        moved = tuple(shape[axis] for axis in self.order)
        return array.reshape(moved).transpose(np.argsort(self.order))


def layout_of(space: spaces.Box) -> ImageLayout:
    """The layout of a Box, by rule.

    Three axes are an image. Where just the first two, or just the last two, are equal, the third axis is that of the
    channels. Otherwise they stand last, unless the last axis has not 1, 3 or 4 and the first has at most half of
    either other one, or 1, 3 or 4 in an image of bytes. Two axes of bytes (whole numbers up to 255, or any number type
    with bounds 0 and 255), 8 or more on both sides, are a gray image; four axes of bytes are frames of images.
    """
    shape, of_bytes = space.shape, _holds_bytes(space)
    if len(shape) == 3:
        first = _channels_first(shape, of_bytes=of_bytes)
        return ImageLayout.CHANNELS_FIRST if first else ImageLayout.CHANNELS_LAST
    if len(shape) == 2 and of_bytes and min(shape) >= SMALLEST_GRAY:
        return ImageLayout.GRAY
    if len(shape) == 4 and of_bytes:
        first = _channels_first(shape[1:], of_bytes=True)
        return ImageLayout.FRAMES_CHANNELS_FIRST if first else ImageLayout.FRAMES_CHANNELS_LAST
    return ImageLayout.NONE


def axes_of(layout: ImageLayout, shape: tuple[int, ...]) -> Axes | None:
    """How that layout becomes height x width x channels; None where nothing is to be done."""
    match layout:
        case ImageLayout.CHANNELS_FIRST:
            order: tuple[int, ...] = (1, 2, 0)
        case ImageLayout.GRAY:
            order = (0, 1)
        case ImageLayout.FRAMES_CHANNELS_LAST:
            order = (1, 2, 0, 3)
        case ImageLayout.FRAMES_CHANNELS_FIRST:
            order = (2, 3, 0, 1)
        case _:
            return None
    height, width, *rest = (shape[axis] for axis in order)
    return Axes(order=order, shape=(height, width, int(np.prod(rest, dtype=int))))


def _holds_bytes(space: spaces.Box) -> bool:
    return np.dtype(space.dtype) == np.uint8 or bool((space.low == 0).all() and (space.high == BYTE).all())


def _channels_first(shape: tuple[int, ...], *, of_bytes: bool) -> bool:
    first, middle, last = shape
    if (first == middle) != (middle == last):
        return middle == last
    if last in CHANNELS:
        return False
    return 2 * first <= min(middle, last) or (of_bytes and first in CHANNELS)
