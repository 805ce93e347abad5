"""One picture of a copy: its scene to the left, with what agents say beside them, and a row for each to the right."""

import numpy as np
from jaxtyping import UInt8

from heliograph.checks import Number
from heliograph.envs.scene import Actor, Presence, Scene
from heliograph.rendering.canvas import INK, MUTED, RULE, Canvas, colour_of, ink_on
from heliograph.rendering.drawables import Speech
from heliograph.rendering.figure import MARGIN, SIDE, TOP, Stage

__all__ = ["HEIGHT", "WIDTH", "draw"]

WIDTH, HEIGHT = 1000, 620
SILENT = Speech()
ROW, MOST_ROWS = 25.0, 20
COLUMNS = {"agent": 0, "knows": 140, "says": 200, "does": 348}
"""Where the columns of the table begin, in pixels from its left edge."""
SAYS_WIDTH = 138.0
MOST_LETTERS = {"agent": 14, "knows": 8, "does": 8}
PALE = "#a9b0b8"


def draw(scene: Scene, *, speech: Speech = SILENT, heading: str = "") -> UInt8[np.ndarray, "H W 3"]:
    """A scene and what is said in it as an RGB picture of 1000 x 620 pixels; equal input gives equal pictures.

    Raises ValueError where `speech` speaks of another number of agents.
    """
    for name in ("said", "knows", "does"):
        given = getattr(speech, name)
        if given and len(given) != len(scene.agents):
            raise ValueError(f"{name}: tells of {len(given)} agents, the scene has {len(scene.agents)}")
    canvas = Canvas(width=WIDTH, height=HEIGHT)
    canvas.text(heading, MARGIN, 18, size=15, bold=True)
    canvas.text(scene.caption, MARGIN, 37, size=12.5, colour=MUTED)
    Stage(canvas, scene, speech).draw()
    _draw_table(canvas, scene, speech)
    return canvas.pixels()


def _draw_table(canvas: Canvas, scene: Scene, speech: Speech) -> None:
    """A row for each agent, as far as there is room: what it knows, says and does."""
    left, y = MARGIN + SIDE + 28, TOP + 4.0
    for name, offset in COLUMNS.items():
        canvas.text(name, left + offset, y, size=12, colour=MUTED)
    canvas.line([(left, y + 12), (WIDTH - MARGIN, y + 12)], colour=RULE)
    for slot, actor in enumerate(scene.agents[:MOST_ROWS]):
        _draw_row(canvas, actor, speech, slot=slot, left=left, y=y + 28 + slot * ROW)
    more = len(scene.agents) - MOST_ROWS
    if more > 0:
        canvas.text(f"and {more:,} more", left, y + 28 + MOST_ROWS * ROW, size=12, colour=MUTED)


def _draw_row(canvas: Canvas, actor: Actor, speech: Speech, *, slot: int, left: Number, y: Number) -> None:
    here = actor.presence is Presence.ACTIVE
    ink = INK if here else PALE
    if here:
        canvas.disc(left + 8, y, 8, fill=colour_of(actor.kind), edge=INK, width=0.8)
        if len(actor.label) <= 2:
            fill = ink_on(colour_of(actor.kind))
            canvas.text(actor.label, left + 8, y, size=9.5, colour=fill, align="center", bold=True)
    canvas.text(_cut(actor.name, "agent"), left + 24, y, size=12.5, colour=ink)
    if speech.knows:
        canvas.text(_cut(speech.knows[slot], "knows"), left + COLUMNS["knows"], y, size=12.5, colour=ink, mono=True)
    if speech.does:
        canvas.text(_cut(speech.does[slot], "does"), left + COLUMNS["does"], y, size=12.5, colour=ink)
    if speech.said:
        where = left + COLUMNS["says"]
        canvas.utterance(speech.said[slot], where, y, height=15, scale=speech.scale, most=SAYS_WIDTH)


def _cut(words: str, column: str) -> str:
    most = MOST_LETTERS[column]
    return words if len(words) <= most else words[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
