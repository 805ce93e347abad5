"""A picture to draw on in pixels, its colours, and messages: bits as squares, symbols as text, vectors as strips.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart. Nothing depends on a display.
"""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Patch, Polygon, Rectangle

from heliograph.checks import Number
from heliograph.protocols.labels import word_label
from heliograph.rendering.drawables import Said, Utterance

__all__ = ["BLUE", "GREEN", "INK", "MUTED", "ORANGE", "PAPER", "RULE", "VERMILION", "YELLOW", "Canvas", "colour_of"]

BLUE, ORANGE, GREEN, VERMILION, YELLOW = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#F0E442"
INK, RULE, MUTED, PAPER = "#1b1f25", "#cfd4da", "#69707a", "#ffffff"
KINDS = (BLUE, ORANGE, "#CC79A7", "#56B4E9", GREEN, YELLOW, VERMILION, "#5b4a8a")
DPI = 100
PIXELS_PER_POINT = DPI / 72
MONO_WIDTH = 0.602
"""Width of a letter of the typewriter face, in heights."""
MOST_NUMBERS = 48
"""Entries of a vector that are drawn one by one; longer ones are averaged to so many."""
STRIP = LinearSegmentedColormap.from_list("strip", [VERMILION, "#ffffff", BLUE])


def colour_of(kind: int) -> str:
    """The colour of those of a kind; grey for -1."""
    return KINDS[kind % len(KINDS)] if kind >= 0 else RULE


class Canvas:
    """A picture of `width` x `height` pixels; coordinates are pixels from the upper left corner."""

    def __init__(self, *, width: int, height: int):
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        self.agg = FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    def pixels(self) -> UInt8[np.ndarray, "H W 3"]:
        """The picture as it is now."""
        with rc_context({"font.family": ["DejaVu Sans"], "path.simplify": False}):
            self.agg.draw()
        return np.asarray(self.agg.buffer_rgba())[..., :3].copy()

    def text(
        self, words: str, x: Number, y: Number, *, size: Number, colour: str = INK, align: str = "left",
        mono: bool = False, bold: bool = False, layer: Number = 5,
    ) -> None:  # fmt: skip
        """Words whose middle line is at `y`; `size` is the height of letters in pixels. No markup is read in them."""
        self.axes.text(
            x, y, words, fontsize=size / PIXELS_PER_POINT, color=colour, ha=align, va="center_baseline",
            family="DejaVu Sans Mono" if mono else "DejaVu Sans", weight="bold" if bold else "normal", zorder=layer,
            parse_math=False,
        )  # fmt: skip

    def line(
        self, points: Sequence[tuple[Number, Number]], *, colour: str, width: Number = 1, layer: Number = 1,
        opacity: Number = 1,
    ) -> None:  # fmt: skip
        """A line through points."""
        x, y = zip(*points, strict=True)
        self.axes.plot(x, y, color=colour, linewidth=width, zorder=layer, alpha=opacity, solid_capstyle="round")

    def patch(
        self, patch: Patch, *, fill: str = "none", edge: str = "none", width: Number = 1, layer: Number = 2,
        opacity: Number = 1,
    ) -> None:  # fmt: skip
        """Any shape of matplotlib."""
        patch.set(facecolor=fill, edgecolor=edge, linewidth=width, zorder=layer, alpha=opacity)
        self.axes.add_patch(patch)

    def patches(self, patches: Sequence[Patch], *, fills: Sequence, edge: str, width: Number, layer: Number) -> None:
        """Many shapes at once."""
        self.axes.add_collection(
            PatchCollection(patches, facecolors=fills, edgecolors=edge, linewidths=width, zorder=layer)
        )

    def disc(self, x: Number, y: Number, radius: Number, *, fill: str, edge: str = "none", width: Number = 1,
             layer: Number = 3, opacity: Number = 1) -> None:  # fmt: skip
        """A disc."""
        self.patch(Circle((x, y), radius), fill=fill, edge=edge, width=width, layer=layer, opacity=opacity)

    def star(self, x: Number, y: Number, radius: Number, *, points: int, inner: Number, fill: str, edge: str = "none",
             layer: Number = 3) -> None:  # fmt: skip
        """A star with so many points; `inner` is the radius of its notches, as a share."""
        angle = np.arange(2 * points) * np.pi / points - np.pi / 2
        reach = radius * np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
        corners = np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], 1)
        self.patch(Polygon(corners), fill=fill, edge=edge, layer=layer)

    def bubble(self, x: Number, y: Number, *, width: Number, height: Number, edge: str, layer: Number = 6) -> None:
        """A rounded box for words, `x` and `y` being its upper left corner."""
        box = FancyBboxPatch((x + 2, y + 2), width - 4, height - 4, boxstyle="round,pad=2,rounding_size=4")
        self.patch(box, fill=PAPER, edge=edge, width=1.2, layer=layer, opacity=0.95)

    def utterance(self, said: Utterance, x: Number, y: Number, *, height: Number, scale: Number, most: Number,
                  layer: Number = 7) -> None:  # fmt: skip
        """Return what was said, round after round, from `x` on around the line `y`, within `most` pixels."""
        fit = min(1.0, most / max(utterance_width(said, height=height), 1e-9))
        for part in said:
            width = said_width(part, height=height)
            self._said(part, x, y, height=height * fit, width=width * fit, scale=scale, layer=layer)
            x += (width + gap_after(height)) * fit

    def _said(
        self, said: Said, x: Number, y: Number, *, height: Number, width: Number, scale: Number, layer: Number
    ) -> None:
        if said.vector:
            cells = pooled(said.vector) / scale
            colours, top = [STRIP(0.5 + 0.5 * float(np.clip(v, -1, 1))) for v in cells], y - height / 2
            each = width / len(cells)
            boxes: list[Patch] = [Rectangle((x + n * each, top), each, height) for n in range(len(cells))]
            self.patches(boxes, fills=colours, edge="none", width=0, layer=layer)
            self.patch(Rectangle((x, top), width, height), edge=MUTED, width=0.8, layer=layer)
        elif said.vocabulary == 2:
            side, each = height * 0.8, width / len(said.symbols)
            squares: list[Patch] = [
                Rectangle((x + n * each, y - side / 2), side, side) for n in range(len(said.symbols))
            ]
            self.patches(squares, fills=[INK if s else PAPER for s in said.symbols], edge=INK, width=1.2, layer=layer)
        else:
            words = word_label(said.symbols, vocabulary=said.vocabulary)
            self.text(words, x, y, size=height, mono=True, bold=True, layer=layer)


def gap_after(height: Number) -> Number:
    """Pixels between two rounds."""
    return 0.5 * height


def utterance_width(said: Utterance, *, height: Number) -> Number:
    """How wide all rounds are that are so high, in pixels."""
    return sum(said_width(part, height=height) + gap_after(height) for part in said) - gap_after(height) * bool(said)


def said_width(said: Said, *, height: Number) -> Number:
    """How wide what was said is, in pixels."""
    if said.vector:
        return height * min(5.0, max(1.0, 0.25 * len(pooled(said.vector))))
    if said.vocabulary == 2:
        return height * len(said.symbols)
    return text_width(word_label(said.symbols, vocabulary=said.vocabulary), size=height)


def text_width(words: str, *, size: Number) -> Number:
    """Width of typewriter text, in pixels."""
    return MONO_WIDTH * size * len(words)


def pooled(vector: tuple[Number, ...]) -> np.ndarray:
    """The vector itself, or means of neighbouring entries where it is long."""
    values = np.asarray(vector)
    return values if len(values) <= MOST_NUMBERS else np.array([p.mean() for p in np.array_split(values, MOST_NUMBERS)])


@functools.cache
def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on a colour."""
    red, green, blue = to_rgb(colour)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else PAPER
