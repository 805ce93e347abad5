"""Where bubbles go in a picture: beside their speaker, and on as little else as can be."""

import dataclasses
from collections.abc import Sequence

from heliograph.checks import Number

__all__ = ["Box", "best_place"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in pixels, from its upper left corner."""

    x: Number
    y: Number
    width: Number
    height: Number

    def overlap(self, other: "Box") -> Number:
        """The area that two boxes share."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(across, 0.0) * max(down, 0.0)

    def kept_in(self, page: "Box") -> "Box":
        """The box moved as little as it takes to lie on the page."""
        x = max(min(self.x, page.x + page.width - self.width), page.x)
        y = max(min(self.y, page.y + page.height - self.height), page.y)
        return dataclasses.replace(self, x=x, y=y)


def best_place(spot: tuple[Number, Number], *, radius: Number, width: Number, height: Number, page: Box,
               taken: Sequence[Box]) -> Box:  # fmt: skip
    """The place around a disc that covers least of what is taken; the first of equals, from the upper right on."""
    (x, y), near = spot, 0.6 * radius
    left, right, above, below = x - near - width, x + near, y - near - height, y + near
    corners = [(right, above), (left, above), (right, below), (left, below)]
    sides = [
        (x - width / 2, y - radius - height - 1),
        (x - width / 2, y + radius + 1),
        (x + radius + 1, y - height / 2),
        (x - radius - 1 - width, y - height / 2),
    ]
    boxes = [Box(x=a, y=b, width=width, height=height).kept_in(page) for a, b in corners + sides]
    return min(boxes, key=lambda box: round(sum(box.overlap(other) for other in taken), 3))
