"""Scripted drivers of Traffic Junction: always go, yield to what is seen, and a right of way that sees everything.

All take `route` and `place` [B, N], the route of each car (the last for none) and its place on it, and return actions.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.envs.grid_world import count_on
from heliograph.envs.traffic_roads import RoadMap

__all__ = ["BRAKE", "GAS", "right_of_way", "yield_to_seen"]

GAS, BRAKE = 0, 1


def right_of_way(roads: RoadMap, *, route: Int[Tensor, "B N"], place: Int[Tensor, "B N"]) -> Int[Tensor, "B N"]:
    """Whoever has fewer free cells between itself and its entry goes first, and nobody enters a cell that is taken.

    All who can go do: cars follow each other nose to tail, as a cell that is being left is free.
    """
    alive = route < roads.num_routes
    cell, ahead = roads.routes[route, place], roads.routes[route, place + 1]
    rank = _rank(roads, route=route, place=place, cell=cell, alive=alive)
    goes = alive
    for _ in range(2 * route.shape[1]):
        standing = count_on(cell, alive & ~goes, num_cells=roads.nowhere)
        free = goes & (standing.gather(1, ahead) == 0)
        first = torch.full_like(standing, torch.inf).scatter_reduce(1, ahead, rank.where(free, torch.inf), "amin")
        still = free & ((ahead == roads.nowhere) | (rank <= first.gather(1, ahead)))
        if torch.equal(still, goes):
            break
        goes = still
    return torch.where(goes, GAS, BRAKE)


def _rank(roads: RoadMap, *, route: Tensor, place: Tensor, cell: Tensor, alive: Tensor) -> Float[Tensor, "B N"]:
    """Free cells behind each car up to its entry, cars with fewer first; ties by route, then by slot.

    By route first, as cars know their routes and not their slots: what nobody can know nobody can learn to imitate.
    """
    cars = route.shape[1]
    way = roads.routes[route]
    taken = count_on(cell, alive, num_cells=roads.nowhere).gather(1, way.flatten(1)).view(way.shape) > 0
    behind = torch.arange(way.shape[-1], device=way.device) < place[..., None]
    free = (behind & ~taken).sum(-1).masked_fill(_on_crossing(roads)[cell], -1)
    return ((free * (roads.num_routes + 1) + route) * cars + torch.arange(cars, device=way.device)).float()


def _on_crossing(roads: RoadMap) -> Bool[Tensor, " cells"]:
    """Cells to which cars come from more than one side, or which they leave so."""
    leads = _leads(roads)
    return (leads.sum(0) > 1) | (leads.sum(1) > 1)


def _leads(roads: RoadMap) -> Bool[Tensor, "cells cells"]:
    """Tell whether a route goes from one cell straight to another; none to `nowhere`."""
    table = torch.zeros(roads.nowhere + 1, roads.nowhere + 1, dtype=torch.bool, device=roads.routes.device)
    table[roads.routes[:, :-1], roads.routes[:, 1:]] = True
    table[:, roads.nowhere] = False
    return table


def yield_to_seen(
    roads: RoadMap, *, route: Int[Tensor, "B N"], place: Int[Tensor, "B N"], vision: int, distance: int = 0
) -> Int[Tensor, "B N"]:
    """Brake where a car is in sight that may drive to the same cell and goes first: a rule that needs no messages.

    Cars on a junction go before those that come to it, north-south traffic before east-west, then by cell. With
    `distance` 1 a car that has left its entry brakes behind another too. `vision` is at least 1.
    """
    alive = route < roads.num_routes
    occupied = count_on(roads.routes[route, place], alive, num_cells=roads.nowhere) > 0
    brakes = (_threats(roads, vision)[route, place] & occupied[:, None]).any(-1)
    if distance:
        brakes = brakes | (occupied.gather(1, roads.routes[route, place + 1]) & (place > 0))
    return torch.where(brakes | ~alive, BRAKE, GAS)


def _threats(roads: RoadMap, vision: int) -> Bool[Tensor, "R1 longest cells"]:
    """Cells from which, at each place of each route, a car that is in sight goes first to the cell ahead."""
    size, routes = roads.size, roads.routes
    leads = _leads(roads)
    cells = torch.arange(roads.nowhere + 1, device=routes.device)
    row, column = cells // size, cells % size
    near = ((row[:, None] - row).abs() <= vision) & ((column[:, None] - column).abs() <= vision)
    ways = leads.sum(1)
    northsouth = leads[cells[:-1], (cells[:-1] + size).clamp(max=roads.nowhere)]
    northsouth = northsouth | leads[cells[:-1], (cells[:-1] - size).clamp(min=0)]
    urgency = 2 * (ways > 1).long()
    urgency[:-1] += northsouth
    order = urgency * len(cells) - cells
    first = order[None, :] > order[:, None]
    ahead = torch.cat([routes[:, 1:], routes.new_full((len(routes), 1), roads.nowhere)], 1)
    return leads.T[ahead] & (near & first)[routes]
