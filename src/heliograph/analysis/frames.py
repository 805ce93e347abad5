"""One picture of a copy: its scene to the left, with what agents say beside them, and a row for each to the right."""

import collections
import dataclasses
import math

import numpy as np
from jaxtyping import UInt8
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle

from heliograph.analysis.canvas import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    RULE,
    VERMILION,
    YELLOW,
    Canvas,
    colour_of,
    ink_on,
    text_width,
    utterance_width,
)
from heliograph.analysis.speech import Said, Speech
from heliograph.envs.scene import Actor, Ground, Mark, Place, Scene, Shape

__all__ = ["HEIGHT", "WIDTH", "draw"]

WIDTH, HEIGHT = 1000, 620
SILENT = Speech()
TOP, MARGIN, SIDE = 48, 14, 544
"""Pixels above the scene, around it, and of its longer side."""
GROUNDS = {Ground.FLOOR: "#f7f8fa", Ground.ROAD: "#e3e6ea", Ground.ROOM: "#fdf3d8", Ground.WALL: "#8b929b"}
MOST_LINES = 24
"""Lines of who hears whom; more would hide what they connect."""
MOST_LINKS = 400
LARGEST_ACTOR = 34.0
SMALLEST_LETTERS = 8.0
ROW, MOST_ROWS = 26.0, 20
COLUMNS = {"agent": 0, "knows": 140, "says": 200, "does": 348}
"""Where the columns of the table begin, in pixels from its left edge."""
SAYS_WIDTH = 138.0
MOST_LETTERS = {"agent": 14, "knows": 8, "does": 8}


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
    _Stage(canvas, scene, speech).draw()
    _draw_table(canvas, scene, speech)
    return canvas.pixels()


class _Stage:
    """The part of a picture that shows the scene."""

    def __init__(self, canvas: Canvas, scene: Scene, speech: Speech):
        self.canvas, self.scene, self.speech = canvas, scene, speech
        self.cell = SIDE / max(scene.columns, scene.rows)
        self.left = MARGIN + (SIDE - self.cell * scene.columns) / 2
        self.top = TOP + (SIDE - self.cell * scene.rows) / 2
        self.sharing = collections.Counter(a.place for a in (*scene.agents, *scene.things) if a.place and a.alive)
        self.spots = self._spots()

    def draw(self) -> None:
        self._draw_floors()
        self._draw_links()
        for actor in self.scene.agents:
            self._draw_sight(actor)
            self._draw_path(actor)
        self._draw_hearing()
        if self.scene.lamp is not None:
            self._draw_lamp(self.scene.lamp)
        for place, actor in enumerate((*self.scene.things, *self.scene.agents)):
            self._draw_actor(actor, self.spots[place - len(self.scene.things)])
        if self.cell >= SMALLEST_LETTERS:
            for slot, said in enumerate(self.speech.said):
                if said and self.spots[slot] is not None:
                    self._draw_said(slot)

    def _at(self, place: Place) -> tuple[float, float]:
        return self.left + (place[0] + 0.5) * self.cell, self.top + (place[1] + 0.5) * self.cell

    def _spots(self) -> list[tuple[float, float] | None]:
        """Where agents, then things, are drawn: beside one another where they share a place."""
        found: list[tuple[float, float] | None] = []
        counted: collections.Counter[Place] = collections.Counter()
        for actor in (*self.scene.agents, *self.scene.things):
            if actor.place is None:
                found.append(None)
                continue
            x, y = self._at(actor.place)
            number, others = counted[actor.place], self.sharing[actor.place]
            if actor.alive:
                counted[actor.place] += 1
            if others > 1 and actor.alive:
                angle = 2 * math.pi * number / others - 3 * math.pi / 4
                reach = 0.26 * self.cell
                x, y = x + reach * math.cos(angle), y + reach * math.sin(angle)
            found.append((x, y))
        return found

    def _radius(self, actor: Actor) -> float:
        crowd = self.sharing[actor.place] if actor.place else 1
        share = 0.36 if crowd <= 1 else 0.22 if crowd <= 4 else 0.15
        return max(1.5, min(LARGEST_ACTOR, share * self.cell))

    def _draw_floors(self) -> None:
        for floor in self.scene.floors:
            boxes: list[Patch] = [
                Rectangle((self.left + c * self.cell, self.top + r * self.cell), self.cell, self.cell)
                for c, r in floor.cells
            ]
            room = floor.ground is Ground.ROOM
            edge = GROUNDS[floor.ground] if room else PAPER if floor.ground is Ground.ROAD else RULE
            fills = [GROUNDS[floor.ground]] * len(boxes)
            self.canvas.patches(boxes, fills=fills, edge=edge, width=0.8, layer=0.5)

    def _draw_links(self) -> None:
        if len(self.scene.links) > MOST_LINKS:
            return
        for a, b in self.scene.links:
            ends = self.spots[a], self.spots[b]
            if ends[0] is not None and ends[1] is not None:
                self.canvas.line([ends[0], ends[1]], colour=RULE, width=0.8, layer=1)

    def _draw_sight(self, actor: Actor) -> None:
        if actor.sight is None or actor.place is None or not actor.alive:
            return
        size = self.scene.columns, self.scene.rows
        low = [max(-0.5, p - actor.sight - 0.5) for p in actor.place]
        high = [min(s - 0.5, p + actor.sight + 0.5) for p, s in zip(actor.place, size, strict=True)]
        (x, y), (right, bottom) = self._at((low[0], low[1])), self._at((high[0], high[1]))
        box = Rectangle((x, y), right - x, bottom - y)
        self.canvas.patch(box, fill=colour_of(actor.kind), layer=0.8, opacity=0.13)

    def _draw_path(self, actor: Actor) -> None:
        if actor.place is None or not actor.path:
            return
        points = [self._at(place) for place in (actor.place, *actor.path)]
        self.canvas.line(points, colour=colour_of(actor.kind), width=min(4, self.cell / 7), layer=1.2, opacity=0.4)

    def _draw_hearing(self) -> None:
        """Thin arrows from speakers to those who can hear them, where there are few."""
        pairs = [p for p in self.speech.hears if all(self.spots[n] is not None for n in p)]
        pairs = [(s, h) for s, h in pairs if self.scene.agents[h].alive]
        if len(pairs) > MOST_LINES:
            return
        for speaker, hearer in pairs:
            start, end = self.spots[speaker], self.spots[hearer]
            room = (self._radius(self.scene.agents[n]) / 1.39 + 1 for n in (speaker, hearer))
            arrow = FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=9, shrinkA=next(room), shrinkB=next(room),
                connectionstyle="arc3,rad=0.08",
            )  # fmt: skip
            self.canvas.patch(arrow, fill=MUTED, edge=MUTED, width=0.9, layer=1.5, opacity=0.75)

    def _draw_lamp(self, place: Place) -> None:
        """The last message as it stays to be seen: bright where any of its symbols or numbers is not zero."""
        (x, y), radius = self._at(place), min(26.0, 0.3 * self.cell)
        before = self.speech.before
        lit = any(any(part.symbols) or any(part.vector) for part in before)
        if lit:
            self.canvas.star(x, y, 1.7 * radius, points=12, inner=0.72, fill="#f8e9a0", layer=1)
        self.canvas.disc(x, y, radius, fill=YELLOW if lit else PAPER, edge=INK, width=1.4)
        height = min(0.9 * radius, 16.0)
        width = utterance_width(before, height=height)
        self.canvas.utterance(before, x - width / 2, y, height=height, scale=self.speech.scale, most=1.8 * radius)

    def _draw_actor(self, actor: Actor, spot: tuple[float, float] | None) -> None:
        if spot is None:
            return
        (x, y), radius = spot, self._radius(actor)
        fill = colour_of(actor.kind)
        if not actor.alive:
            self._draw_gone(actor, x, y, radius)
            return
        if actor.mark is Mark.TROUBLE:
            self.canvas.star(x, y, 1.65 * radius, points=9, inner=0.66, fill=VERMILION, edge=INK, layer=2.5)
        if actor.mark is Mark.DONE:
            self.canvas.disc(x, y, 1.3 * radius, fill=PAPER, edge=GREEN, width=min(3.0, 0.2 * radius), layer=2.5)
        self._draw_body(actor, x, y, radius, fill)
        size = min(0.95 * radius, 1.9 * radius / (MONO_LETTER * max(1, len(actor.label))))
        if size >= SMALLEST_LETTERS:
            self.canvas.text(actor.label, x, y, size=size, colour=ink_on(fill), align="center", bold=True)
        if actor.health is not None:
            self._draw_health(actor.health, x, y, radius)

    def _draw_body(self, actor: Actor, x: float, y: float, radius: float, fill: str) -> None:
        if actor.shape is Shape.DISC:
            self.canvas.disc(x, y, radius, fill=fill, edge=INK, width=1 if radius > 6 else 0.4)
        elif actor.shape is Shape.STAR:
            self.canvas.star(x, y, 1.15 * radius, points=5, inner=0.45, fill=fill, edge=INK)
        else:
            box = Rectangle((x - 0.9 * radius, y - 0.9 * radius), 1.8 * radius, 1.8 * radius)
            self.canvas.patch(box, fill=fill, edge=INK, layer=3)

    def _draw_gone(self, actor: Actor, x: float, y: float, radius: float) -> None:
        """Pale; crossed out where it had health to lose."""
        pale = dataclasses.replace(actor, kind=-1)
        self._draw_body(pale, x, y, 0.8 * radius, "#eceef1")
        if actor.health is not None:
            for way in (1, -1):
                reach = 0.6 * radius
                ends = [(x - reach, y - way * reach), (x + reach, y + way * reach)]
                self.canvas.line(ends, colour=MUTED, width=1.6, layer=4)
        elif radius >= SMALLEST_LETTERS:
            size = min(0.8 * radius, 16.0)
            self.canvas.text(actor.label, x, y, size=size, colour=MUTED, align="center")

    def _draw_health(self, health: float, x: float, y: float, radius: float) -> None:
        width, height, top = 2 * radius, max(2.5, 0.3 * radius), y + 1.02 * radius
        self.canvas.patch(Rectangle((x - radius, top), width, height), fill=PAPER, edge=INK, width=0.7, layer=4)
        fill = GREEN if health > 0.67 else ORANGE if health > 0.34 else VERMILION
        self.canvas.patch(Rectangle((x - radius, top), width * health, height), fill=fill, layer=4.1)

    def _draw_said(self, slot: int) -> None:
        """A bubble with what an agent says: to its upper right, or away from the middle where agents are on a circle."""
        said, spot = self.speech.said[slot], self.spots[slot]
        assert spot is not None
        actor = self.scene.agents[slot]
        radius = self._radius(actor)
        height = max(SMALLEST_LETTERS, min(18.0, 0.42 * self.cell))
        most = max(1.4 * self.cell, 24.0)
        inner = min(utterance_width(said, height=height), most)
        width, tall = inner + 0.7 * height, 1.5 * height
        if self.scene.floors:
            x, y = spot[0] + 0.5 * radius, spot[1] - radius - tall + 0.3 * height
        else:
            x, y = self._outside(spot, radius=radius, width=width, height=tall)
        x = min(max(x, 2.0), MARGIN + SIDE + 8 - width)
        y = max(y, TOP - 6.0)
        self.canvas.bubble(x, y, width=width, height=tall, edge=colour_of(actor.kind) if actor.kind >= 0 else MUTED)
        self.canvas.utterance(
            said, x + 0.35 * height, y + tall / 2, height=height, scale=self.speech.scale, most=most
        )

    def _outside(
        self, spot: tuple[float, float], *, radius: float, width: float, height: float
    ) -> tuple[float, float]:
        middle = self._at(((self.scene.columns - 1) / 2, (self.scene.rows - 1) / 2))
        way = spot[0] - middle[0], spot[1] - middle[1]
        length = math.hypot(*way) or 1.0
        away = way[0] / length, way[1] / length
        reach = radius + 4
        x, y = spot[0] + away[0] * (reach + width / 2), spot[1] + away[1] * (reach + height / 2)
        return x - width / 2, y - height / 2


MONO_LETTER = 0.66
"""Width of a bold letter, in heights."""


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
        canvas.text(f"and {more:,} more agents", left, y + 28 + MOST_ROWS * ROW, size=12, colour=MUTED)


def _draw_row(canvas: Canvas, actor: Actor, speech: Speech, *, slot: int, left: float, y: float) -> None:
    ink = INK if actor.alive else "#a9b0b8"
    if actor.alive:
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
