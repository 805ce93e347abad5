"""What a copy of an environment looks like at a moment, as plain data; nothing here draws it (see analysis/frames)."""

import dataclasses
import enum
import math
from collections.abc import Iterable, Sequence

from heliograph.checks import Number
from heliograph.types import Role

__all__ = ["Actor", "Floor", "Ground", "Mark", "Place", "Presence", "Scene", "Shape", "gathered", "grid_cells"]

Place = tuple[Number, Number]
"""Column and row, in cells: the centre of the first cell is (0, 0), and rows are counted downwards."""

MOST_ON_CIRCLE = 64
SPACING = 1.9
"""Cells between neighbours on a circle, so that each has room for what it says."""
LEAST_RADIUS = 1.2


class Ground(enum.Enum):
    """Choice of what a cell is, which decides how it looks."""

    FLOOR = "floor"
    ROAD = "road"
    ROOM = "room"
    WALL = "wall"


class Mark(enum.Enum):
    """Choice of what has befallen an actor: nothing to note, trouble (a collision), or that it has done its part."""

    NONE = "none"
    TROUBLE = "trouble"
    DONE = "done"


class Presence(enum.Enum):
    """Answer to whether an actor takes part now, waits for its turn, or is gone: fallen, or not come yet."""

    ACTIVE = "active"
    WAITING = "waiting"
    GONE = "gone"


class Shape(enum.Enum):
    """The outline of an actor."""

    DISC = "disc"
    SQUARE = "square"
    STAR = "star"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Floor:
    """Cells (column, row) that are of one kind."""

    ground: Ground
    cells: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actor:
    """An agent, or something else that stands in the scene.

    `place` None: nowhere. `label` is a few letters to stand on it; those of one `kind` have one colour (-1: none yet).
    `health` is from 0 to 1, `sight` how many cells it sees each way, `path` where it will go next.
    """

    name: str
    place: Place | None
    label: str = ""
    kind: int = 0
    shape: Shape = Shape.DISC
    presence: Presence = Presence.ACTIVE
    mark: Mark = Mark.NONE
    health: Number | None = None
    sight: int | None = None
    path: tuple[Place, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """A copy at a moment, `columns` x `rows` cells: one actor for each agent, in the order of slots, and other things.

    `links` are pairs of agents (by slot) that belong together by the rules, whoever speaks to whom. `lamp` is a place
    where the last message stays to be seen. Raises ValueError where something lies outside.
    """

    columns: int
    rows: int
    agents: tuple[Actor, ...]
    things: tuple[Actor, ...] = ()
    floors: tuple[Floor, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    lamp: Place | None = None
    caption: str = ""

    def __post_init__(self) -> None:
        if self.columns < 1 or self.rows < 1:
            raise ValueError(f"columns={self.columns}, rows={self.rows}: a scene needs at least one cell")
        for actor in (*self.agents, *self.things):
            self._check_actor(actor)
        for cell in (cell for floor in self.floors for cell in floor.cells):
            self._check_place(cell, f"the cell {cell}")
        if self.lamp is not None:
            self._check_place(self.lamp, f"lamp={self.lamp}")
        for pair in self.links:
            if not all(0 <= end < len(self.agents) for end in pair):
                raise ValueError(f"links: {pair} names an agent that is none of the {len(self.agents)}")

    def _check_actor(self, actor: Actor) -> None:
        if actor.place is not None:
            self._check_place(actor.place, f"{actor.name}: place={actor.place}")
        for place in actor.path:
            self._check_place(place, f"{actor.name}: {place} on its path")
        if actor.health is not None and not 0 <= actor.health <= 1:
            raise ValueError(f"{actor.name}: health={actor.health} must be from 0 to 1")

    def _check_place(self, place: Place, what: str) -> None:
        column, row = place
        if not (-0.5 <= column <= self.columns - 0.5 and -0.5 <= row <= self.rows - 0.5):
            raise ValueError(f"{what} lies outside the {self.columns} x {self.rows} cells of the scene")


def grid_cells(columns: int, rows: int) -> tuple[tuple[int, int], ...]:
    """All cells of a grid, row by row."""
    return tuple((column, row) for row in range(rows) for column in range(columns))


def gathered(roles: Sequence[Role], *, present: Iterable[bool], caption: str = "") -> Scene:
    """All agents on a circle (many: in rows), told apart by role and number; `present` tells who takes part now."""
    own = [(kind, number, role) for kind, role in enumerate(roles) for number in range(len(role.agents))]
    size, places = _circle(len(own)) if len(own) <= MOST_ON_CIRCLE else _rows(len(own))
    agents = tuple(
        Actor(
            name=role.agents[number],
            place=place,
            label=(role.name[:1].upper() if len(roles) > 1 else "") + str(number),
            kind=kind,
            presence=_presence(here),
        )
        for (kind, number, role), place, here in zip(own, places, present, strict=True)
    )
    return Scene(columns=size, rows=size, agents=agents, caption=caption)


def _presence(here: bool) -> Presence:
    return Presence.ACTIVE if here else Presence.WAITING


def _circle(number: int) -> tuple[int, list[Place]]:
    """The side of a square in cells, and places clockwise on a circle within it, from the left where there are two."""
    radius = max(LEAST_RADIUS, number * SPACING / (2 * math.pi))
    size = math.ceil(2 * radius + 2.4)
    middle, first = (size - 1) / 2, math.pi if number == 2 else -math.pi / 2
    angles = [first + 2 * math.pi * n / max(number, 1) for n in range(number)]
    return size, [(middle + radius * math.cos(a), middle + radius * math.sin(a)) for a in angles]


def _rows(number: int) -> tuple[int, list[Place]]:
    """The side of a square in cells, and one cell for each."""
    side = math.ceil(math.sqrt(number))
    return side, [(float(n % side), float(n // side)) for n in range(number)]
