"""Roads and routes of Traffic Junction: lanes that cross, cars that keep right, and the numbers of cells."""

import dataclasses
import itertools

import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["DIFFICULTIES", "Difficulty", "RoadMap", "road_map"]

Cell = tuple[int, int]
Heading = tuple[int, int]

SOUTH, NORTH, EAST, WEST = (1, 0), (-1, 0), (0, 1), (0, -1)
STRAIGHT, RIGHT, LEFT = "straight", "right", "left"
TURNS = (STRAIGHT, RIGHT, LEFT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difficulty:
    """A setting as published: the roads, and the numbers that go with them.

    `rows` and `columns` are the lanes, each with the way that traffic goes; `arms` are the entries in the order in
    which cars arrive; `junctions` is how often a car may turn (0: never). `ids` is how many numbers of cells an
    observation has room for beside outside and cars.
    """

    size: int
    rows: dict[int, Heading]
    columns: dict[int, Heading]
    arms: tuple[Cell, ...]
    junctions: int
    ids: int
    cars: int
    steps: int
    p_arrive: float
    vision: int


DIFFICULTIES = {
    "easy": Difficulty(
        size=7, rows={3: EAST}, columns={3: SOUTH}, arms=((0, 3), (3, 0)),
        junctions=0, ids=12, cars=5, steps=20, p_arrive=0.3, vision=0,
    ),
    "medium": Difficulty(
        size=14, rows={6: WEST, 7: EAST}, columns={6: SOUTH, 7: NORTH}, arms=((0, 6), (13, 7), (7, 0), (6, 13)),
        junctions=1, ids=56, cars=10, steps=40, p_arrive=0.2, vision=0,
    ),
    "hard": Difficulty(
        size=18, rows={4: WEST, 5: EAST, 12: WEST, 13: EAST}, columns={4: SOUTH, 5: NORTH, 12: SOUTH, 13: NORTH},
        arms=((0, 4), (0, 12), (5, 0), (13, 0), (17, 5), (17, 13), (4, 17), (12, 17)),
        junctions=2, ids=144, cars=20, steps=80, p_arrive=0.05, vision=0,
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoadMap:
    """Map of where cars drive: the cells of each route, and what number an observation gives each cell.

    `routes` [R + 1, longest] holds cells as row * size + column; what lies behind the end of a route, and all of the
    last row (no route), is the cell `nowhere` = size * size. Routes of one arm stand together, equally many for each.
    `cell_ids` [size, size] are the numbers of the cells, `outside_id` where there is no road.
    """

    size: int
    num_arms: int
    routes: Int[Tensor, "R1 longest"]
    lengths: Int[Tensor, " R1"]
    cell_ids: Int[Tensor, "size size"]
    outside_id: int
    car_id: int

    @property
    def nowhere(self) -> int:
        """The cell of a car that is not on the road."""
        return self.size * self.size

    @property
    def num_routes(self) -> int:
        """R; also the number of the route that stands for none."""
        return len(self.routes) - 1

    @property
    def vocabulary(self) -> int:
        """Features of one cell in an observation."""
        return self.car_id + 1

    def to(self, device: torch.device | str) -> "RoadMap":
        """The same on a device."""
        tables = {name: getattr(self, name).to(device) for name in ("routes", "lengths", "cell_ids")}
        return dataclasses.replace(self, **tables)


def road_map(difficulty: Difficulty, *, faithful: bool) -> RoadMap:
    """The roads of a difficulty; `faithful` numbers the cells as the original code does, collision included."""
    ways = [way for arm in difficulty.arms for way in _ways(arm, difficulty)]
    size, nowhere = difficulty.size, difficulty.size**2
    routes = torch.full((len(ways) + 1, max(map(len, ways)) + 1), nowhere)
    for route, way in enumerate(ways):
        routes[route, : len(way)] = torch.tensor([row * size + column for row, column in way])
    outside = difficulty.ids + (0 if faithful else 1)
    return RoadMap(
        size=size,
        num_arms=len(difficulty.arms),
        routes=routes,
        lengths=torch.tensor([*map(len, ways), 0]),
        cell_ids=_original_ids(difficulty, outside) if faithful else _ids(difficulty, outside),
        outside_id=outside,
        car_id=difficulty.ids + 2,
    )


def _ways(arm: Cell, roads: Difficulty) -> list[list[Cell]]:
    """All routes from an entry: every turn at the first junction, then every turn at the second, if there is one."""
    if not roads.junctions:
        return [_drive(arm, (), roads)[0]]
    found: list[list[Cell]] = []
    for turns in itertools.product(TURNS, repeat=roads.junctions):
        way, passed = _drive(arm, turns, roads)
        if way not in found or passed == roads.junctions:
            found.append(way)
    return found


def _drive(arm: Cell, turns: tuple[str, ...], roads: Difficulty) -> tuple[list[Cell], int]:
    """The cells of a drive from an entry with these turns, straight on afterwards, and how many junctions it passed."""
    row, column = arm
    lane = roads.columns.get(column) if row in (0, roads.size - 1) else roads.rows.get(row)
    assert lane is not None, f"{arm} is no entry"
    heading, way, passed, turned = lane, [arm], 0, False
    while 0 <= row + heading[0] < roads.size and 0 <= column + heading[1] < roads.size:
        before = _crosses((row, column), roads)
        row, column = row + heading[0], column + heading[1]
        way.append((row, column))
        if before and not _crosses((row, column), roads):
            passed, turned = passed + 1, False
        if _crosses((row, column), roads) and not turned and passed < len(turns):
            other = roads.rows[row] if heading in (SOUTH, NORTH) else roads.columns[column]
            if other == _turn(heading, turns[passed]):
                heading, turned = other, True
    return way, passed


def _crosses(cell: Cell, roads: Difficulty) -> bool:
    return cell[0] in roads.rows and cell[1] in roads.columns


def _turn(heading: Heading, turn: str) -> Heading:
    down, right = heading
    return {STRAIGHT: heading, RIGHT: (right, -down), LEFT: (-right, down)}[turn]


def _ids(roads: Difficulty, outside: int) -> Tensor:
    """Road cells numbered from 0, row by row."""
    on_road = torch.zeros(roads.size, roads.size, dtype=torch.bool)
    on_road[list(roads.rows)], on_road[:, list(roads.columns)] = True, True
    ids = torch.full(on_road.shape, outside)
    ids[on_road] = torch.arange(int(on_road.sum()))
    return ids


def _original_ids(roads: Difficulty, outside: int) -> Tensor:
    """The original's numbers: each road (its one or two lanes) in turn, rows first; columns overwrite at crossings."""
    ids, start = torch.full((roads.size, roads.size), outside), 0
    for lanes, across in ((list(roads.rows), False), (list(roads.columns), True)):
        width = 1 if len(lanes) == 1 else 2
        for first in range(0, len(lanes), width):
            road = lanes[first : first + width]
            shape = (roads.size, width) if across else (width, roads.size)
            numbers = start + torch.arange(roads.size * width).view(shape)
            if across:
                ids[:, road] = numbers
            else:
                ids[road] = numbers
            start += roads.size * width
    return ids
