"""The scene of a picture: ground, actors, who hears whom, and what agents say beside them."""

import collections
import math

from matplotlib.patches import FancyArrowPatch, Patch, Rectangle

from heliograph.checks import Number
from heliograph.envs.scene import Actor, Ground, Mark, Place, Presence, Scene, Shape
from heliograph.protocols.labels import word_label
from heliograph.rendering.bubble_layout import Box, best_place
from heliograph.rendering.canvas import (
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PIXELS_PER_POINT,
    RULE,
    VERMILION,
    YELLOW,
    Canvas,
    colour_of,
    ink_on,
    utterance_width,
)
from heliograph.rendering.drawables import Speech, Utterance

__all__ = ["MARGIN", "SIDE", "TOP", "Stage"]

TOP, MARGIN, SIDE = 60, 14, 544
"""Pixels above the scene, around it, and of its longer side."""
PAGE = Box(x=2, y=TOP - 12, width=MARGIN + SIDE + 10, height=SIDE + 20)
"""Where bubbles may be."""
WAITING = "#eceef1"
GROUNDS = {Ground.FLOOR: "#f7f8fa", Ground.ROAD: "#e3e6ea", Ground.ROOM: "#fdf3d8", Ground.WALL: "#8b929b"}
MOST_LINES = 24
"""Lines of who hears whom; more would hide what they connect."""
MOST_LINKS = 400
LARGEST_ACTOR = 34.0
SMALLEST_LETTERS = 7.0
MOST_BUBBLES = 64
"""Agents up to which each has a bubble; of more, what they say stands on themselves, where it is symbols."""
RING = 1.35
"""Radius of the ring around a marked actor, in its own."""
LETTER = 0.74
"""Width of a bold letter, in heights."""


class Stage:
    """The part of a picture that shows the scene."""

    def __init__(self, canvas: Canvas, scene: Scene, speech: Speech):
        self.canvas, self.scene, self.speech = canvas, scene, speech
        self.cell = SIDE / max(scene.columns, scene.rows)
        self.left = MARGIN + (SIDE - self.cell * scene.columns) / 2
        self.top = TOP + (SIDE - self.cell * scene.rows) / 2
        self.sharing = collections.Counter(
            a.place for a in (*scene.agents, *scene.things) if a.place and a.presence is not Presence.GONE
        )
        self.spots = self._spots()

    def draw(self) -> None:
        """Draw all of it, the ground first."""
        self._draw_floors()
        self._draw_links()
        for actor in self.scene.agents:
            self._draw_sight(actor)
            self._draw_path(actor)
        self._draw_hearing()
        if self.scene.lamp is not None:
            self._draw_lamp(self.scene.lamp)
        for place, actor in enumerate((*self.scene.things, *self.scene.agents)):
            self._draw_actor(actor, place - len(self.scene.things))
        if len(self.scene.agents) <= MOST_BUBBLES:
            self._draw_bubbles()

    def _at(self, place: Place) -> tuple[Number, Number]:
        return self.left + (place[0] + 0.5) * self.cell, self.top + (place[1] + 0.5) * self.cell

    def _spots(self) -> list[tuple[Number, Number] | None]:
        """Return where agents, then things, are drawn: beside one another where they share a place."""
        found: list[tuple[Number, Number] | None] = []
        counted: collections.Counter[Place] = collections.Counter()
        for actor in self._actors():
            if actor.place is None:
                found.append(None)
                continue
            x, y = self._at(actor.place)
            number, others = counted[actor.place], self.sharing[actor.place]
            if actor.presence is Presence.GONE:
                found.append((x, y))
                continue
            counted[actor.place] += 1
            if others > 1:
                angle = 2 * math.pi * number / others - 3 * math.pi / 4
                reach = 0.27 * self.cell
                x, y = x + reach * math.cos(angle), y + reach * math.sin(angle)
            found.append((x, y))
        return found

    def _radius(self, actor: Actor) -> Number:
        crowd = self.sharing[actor.place] if actor.place else 1
        share = 0.36 if crowd <= 1 else 0.25 if crowd <= 3 else 0.16
        return max(1.5, min(LARGEST_ACTOR, share * self.cell))

    def _reach(self, actor: Actor) -> Number:
        """The radius with what marks an actor."""
        return self._radius(actor) * (1.0 if actor.mark is Mark.NONE else RING)

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
        if actor.sight is None or actor.place is None or actor.presence is Presence.GONE:
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
        pairs = {p for p in self.speech.hears if all(self.spots[n] is not None for n in p)}
        pairs = {(s, h) for s, h in pairs if self.scene.agents[h].presence is not Presence.GONE}
        lines = sorted(pair for pair in pairs if pair[0] < pair[1] or pair[::-1] not in pairs)
        for speaker, hearer in lines if len(lines) <= MOST_LINES else ():
            start, end = self.spots[speaker], self.spots[hearer]
            room = [self._reach(self.scene.agents[n]) / PIXELS_PER_POINT + 2 for n in (speaker, hearer)]
            style = "<|-|>" if (hearer, speaker) in pairs else "-|>"
            arrow = FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=9, shrinkA=room[0], shrinkB=room[1])
            self.canvas.patch(arrow, fill=MUTED, edge=MUTED, width=0.9, layer=1.5, opacity=0.75)

    def _draw_lamp(self, place: Place) -> None:
        """The last message as it stays to be seen: bright where any of its symbols or numbers is not zero."""
        (x, y), radius = self._at(place), min(26.0, 0.3 * self.cell)
        before = self.speech.before
        lit = any(any(part.symbols) or any(part.vector) for part in before)
        if lit:
            self.canvas.star(x, y, 1.7 * radius, points=12, inner=0.72, fill="#f8e9a0", layer=1)
        self.canvas.disc(x, y, radius, fill=YELLOW if lit else PAPER, edge=INK, width=1.4)
        self.canvas.text("last said", x, y + 1.7 * radius + 8, size=12, colour=MUTED, align="center")
        height = min(0.9 * radius, 16.0)
        width = utterance_width(before, height=height)
        self.canvas.utterance(before, x - width / 2, y, height=height, scale=self.speech.scale, most=1.8 * radius)

    def _draw_actor(self, actor: Actor, slot: int) -> None:
        """An agent, or a thing with a negative `slot`."""
        spot, radius = self.spots[slot], self._radius(actor)
        if spot is None:
            return
        x, y = spot
        if actor.presence is Presence.GONE:
            self._draw_gone(actor, x, y, radius)
            return
        if actor.mark is Mark.TROUBLE:
            self.canvas.star(x, y, 1.2 * RING * radius, points=9, inner=0.66, fill=VERMILION, edge=INK, layer=2.5)
        if actor.mark is Mark.DONE:
            self.canvas.disc(x, y, RING * radius, fill=PAPER, edge=GREEN, width=min(3.0, 0.2 * radius), layer=2.5)
        waiting = actor.presence is Presence.WAITING
        fill = WAITING if waiting else colour_of(actor.kind)
        self._draw_body(actor, x, y, radius, fill)
        label = actor.label if slot < 0 or len(self.scene.agents) <= MOST_BUBBLES else self._short(slot)
        size = min(0.95 * radius, 1.7 * radius / (LETTER * max(1, len(label))))
        if size >= SMALLEST_LETTERS:
            ink = MUTED if waiting else ink_on(fill)
            self.canvas.text(label, x, y, size=size, colour=ink, align="center", bold=True)
        if actor.health is not None:
            self._draw_health(actor.health, x, y, radius)

    def _short(self, slot: int) -> str:
        """The symbols that an agent says, as text."""
        said: Utterance = self.speech.said[slot] if self.speech.said else ()
        return " ".join(word_label(part.symbols, vocabulary=part.vocabulary) for part in said if part.symbols)

    def _draw_body(self, actor: Actor, x: Number, y: Number, radius: Number, fill: str) -> None:
        if actor.shape is Shape.DISC:
            self.canvas.disc(x, y, radius, fill=fill, edge=INK, width=1 if radius > 6 else 0.4)
        elif actor.shape is Shape.STAR:
            self.canvas.star(x, y, 1.15 * radius, points=5, inner=0.45, fill=fill, edge=INK)
        else:
            box = Rectangle((x - 0.9 * radius, y - 0.9 * radius), 1.8 * radius, 1.8 * radius)
            self.canvas.patch(box, fill=fill, edge=INK, layer=3)

    def _draw_gone(self, actor: Actor, x: Number, y: Number, radius: Number) -> None:
        """Pale and crossed out."""
        self._draw_body(actor, x, y, 0.8 * radius, WAITING)
        for way in (1, -1):
            reach = 0.6 * radius
            ends = [(x - reach, y - way * reach), (x + reach, y + way * reach)]
            self.canvas.line(ends, colour=MUTED, width=1.6, layer=4)

    def _draw_health(self, health: Number, x: Number, y: Number, radius: Number) -> None:
        width, height, top = 2 * radius, max(2.5, 0.3 * radius), y + 1.02 * radius
        self.canvas.patch(Rectangle((x - radius, top), width, height), fill=PAPER, edge=INK, width=0.7, layer=4)
        fill = GREEN if health > 0.67 else ORANGE if health > 0.34 else VERMILION
        self.canvas.patch(Rectangle((x - radius, top), width * health, height), fill=fill, layer=4.1)

    def _draw_bubbles(self) -> None:
        """Return what agents say, each beside its speaker, on as little else as can be."""
        shown = [(spot, self._reach(a)) for spot, a in zip(self.spots, self._actors(), strict=True) if spot]
        taken = [Box(x=x - r, y=y - r, width=2 * r, height=2 * r) for (x, y), r in shown]
        height = max(SMALLEST_LETTERS + 1, min(18.0, 0.42 * self.cell))
        for slot, said in enumerate(self.speech.said):
            spot = self.spots[slot]
            if said and spot is not None:
                taken.append(self._draw_bubble(slot, spot, height=height, taken=taken))

    def _actors(self) -> tuple[Actor, ...]:
        return (*self.scene.agents, *self.scene.things)

    def _draw_bubble(self, slot: int, spot: tuple[Number, Number], *, height: Number, taken: list[Box]) -> Box:
        said, actor = self.speech.said[slot], self.scene.agents[slot]
        most = max(1.4 * self.cell, 24.0)
        width = min(utterance_width(said, height=height), most) + 0.7 * height
        radius, tall = self._reach(actor), 1.5 * height
        if self.scene.floors:
            box = best_place(spot, radius=radius, width=width, height=tall, page=PAGE, taken=taken)
        else:
            box = self._outside(spot, radius=radius, width=width, height=tall)
        edge = colour_of(actor.kind) if actor.kind >= 0 else MUTED
        self.canvas.bubble(box.x, box.y, width=width, height=tall, edge=edge)
        where = box.x + 0.35 * height, box.y + tall / 2
        self.canvas.utterance(said, *where, height=height, scale=self.speech.scale, most=most)
        return box

    def _outside(self, spot: tuple[Number, Number], *, radius: Number, width: Number, height: Number) -> Box:
        """Away from the middle, where agents are on a circle."""
        middle = self._at(((self.scene.columns - 1) / 2, (self.scene.rows - 1) / 2))
        way = spot[0] - middle[0], spot[1] - middle[1]
        length = math.hypot(*way) or 1.0
        across, down = way[0] / length, way[1] / length
        x = spot[0] + across * (radius + 4 + width / 2) - width / 2
        y = spot[1] + down * (radius + 4 + height / 2) - height / 2
        return Box(x=x, y=y, width=width, height=height).kept_in(PAGE)
