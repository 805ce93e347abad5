"""How the bots of Combat fight, and scripted soldiers: an attack that sees all, and a patrol that is told nothing.

Units are soldiers, then as many bots. Actions are numbered as those of soldiers: moves, `STAY`, then `SHOOT` plus the
number of the target among the other side.
"""

import dataclasses

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.envs.state import EnvState

__all__ = ["SHOOT", "STAY", "Units", "bot_action", "charge", "patrol"]

UP, DOWN, LEFT, RIGHT, STAY, SHOOT = range(6)
NOWHERE_NEAR = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Units(EnvState):
    """Record of where all units stand, their health, the steps until they may shoot, and who has fallen."""

    row: Int[Tensor, "B units"]
    column: Int[Tensor, "B units"]
    health: Int[Tensor, "B units"]
    cooldown: Int[Tensor, "B units"]
    fallen: Bool[Tensor, "B units"]

    def distance(self, unit: Tensor) -> Tensor:
        """Cells from one unit of each copy, `unit` [B, 1], to all [B, units], diagonals counting as one."""
        down, right = self.row - self.row.gather(1, unit), self.column - self.column.gather(1, unit)
        return torch.maximum(down.abs(), right.abs())


def bot_action(units: Units, unit: Tensor, *, distance: Tensor, luck: Tensor, vision: int) -> Tensor:
    """The action of a bot, if `unit` [B, 1] is one.

    Shoot at the nearest soldier, or walk towards it if any bot sees it.

    `distance` [B, units] is that of all units to it, `luck` [B, 1] uniform from 0 to 1; returns actions [B, 1].
    """
    ours = units.row.shape[1] // 2
    near, target = distance[:, :ours].masked_fill(units.health[:, :ours] <= 0, NOWHERE_NEAR).min(1, keepdim=True)
    row, column = units.row.gather(1, target), units.column.gather(1, target)
    down, right = row - units.row.gather(1, unit), column - units.column.gather(1, unit)
    apart = torch.maximum((units.row[:, ours:] - row).abs(), (units.column[:, ours:] - column).abs())
    seen = (apart.amin(1, keepdim=True) <= vision) & (near < NOWHERE_NEAR)
    walk = torch.where(luck * near > right.abs(), UP + (down > 0).long(), LEFT + (right > 0).long())
    shoots = (near <= 1) & (units.cooldown.gather(1, unit) == 0)
    return torch.where(shoots, SHOOT + target, walk.where(seen, STAY))


def charge(units: Units, *, size: int) -> Int[Tensor, "B N"]:
    """All attack the bot that is nearest to all, from cells that few others can shoot at; and shoot the weakest first.

    It sees everything. Each takes the free cell (or stays) that has the best score.
    """
    ours = units.row.shape[1] // 2
    standing = units.health[:, ours:] > 0
    cells = _options(units, size)
    far, steps = _ways(units, cells.row, cells.column)
    now = far[:, :, STAY]
    total = (now * (units.health[:, :ours, None] > 0)).sum(1).masked_fill(~standing, NOWHERE_NEAR)
    target = total.argmin(1)[:, None, None, None].expand(-1, ours, STAY + 1, 1)
    near = (now.masked_fill(~standing[:, None], NOWHERE_NEAR).amin(2, keepdim=True) <= 2).unsqueeze(-1)
    gone = ~standing[:, None, None]
    wanted = torch.where(near, far.masked_fill(gone, NOWHERE_NEAR).amin(3, keepdim=True), far.gather(3, target))
    walk = torch.where(near, steps.masked_fill(gone, NOWHERE_NEAR).amin(3, keepdim=True), steps.gather(3, target))
    ready = standing & (units.cooldown[:, ours:] <= 1)
    threats = ((far <= 1) & ready[:, None, None]).sum(3)
    score = 100 * (wanted.squeeze(3) - 1).clamp(min=0) + 30 * threats + walk.squeeze(3)
    score = score.masked_fill(~cells.free, NOWHERE_NEAR * 1000)
    return _shoot_or(score.argmin(2), units, now, standing, waits=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options:
    """Record of where each soldier would be after each move, and after none; and whether it can go there."""

    row: Int[Tensor, "B N 5"]
    column: Int[Tensor, "B N 5"]
    free: Bool[Tensor, "B N 5"]


def _options(units: Units, size: int) -> _Options:
    ours = units.row.shape[1] // 2
    down, right = torch.tensor([[-1, 1, 0, 0, 0], [0, 0, -1, 1, 0]], device=units.row.device)
    row, column = units.row[:, :ours, None] + down, units.column[:, :ours, None] + right
    inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
    same = (row[..., None] == units.row[:, None, None]) & (column[..., None] == units.column[:, None, None])
    taken = (same & ~units.fallen[:, None, None]).any(-1)
    taken[..., STAY] = False
    return _Options(row=row, column=column, free=inside & ~taken)


def _ways(
    units: Units, row: Int[Tensor, "B N n"], column: Int[Tensor, "B N n"]
) -> tuple[Int[Tensor, "B N n bots"], Int[Tensor, "B N n bots"]]:
    """From each place to each bot: cells, diagonals counting as one, and steps."""
    ours = units.row.shape[1] // 2
    down = (row[..., None] - units.row[:, None, None, ours:]).abs()
    right = (column[..., None] - units.column[:, None, None, ours:]).abs()
    return torch.maximum(down, right), down + right


def patrol(units: Units, *, size: int, time: int, vision: int) -> Int[Tensor, "B N"]:
    """Meet in the middle, then go round by the clock; chase and shoot who is in sight. Nobody is told anything."""
    ours = units.row.shape[1] // 2
    standing = units.health[:, ours:] > 0
    down, right = (x[:, None, ours:] - x[:, :ours, None] for x in (units.row, units.column))
    distance = torch.maximum(down.abs(), right.abs())
    near, target = distance.masked_fill(~standing[:, None], NOWHERE_NEAR).min(2, keepdim=True)
    chase = _towards(down.gather(2, target).squeeze(2), right.gather(2, target).squeeze(2))
    goal = _stop(size, time)
    march = _towards(goal[0] - units.row[:, :ours], goal[1] - units.column[:, :ours])
    walk = torch.where(near.squeeze(2) <= vision, chase, march)
    return _shoot_or(walk, units, distance, standing, waits=True)


def _stop(size: int, time: int) -> tuple[int, int]:
    """Return where the patrol wants to be: the middle, then the corners of a square around it."""
    low, middle, high = size // 4, size // 2, size - 1 - size // 4
    stops = [(middle, middle), (low, middle), (low, high), (high, high), (high, low), (low, low)]
    return stops[min(time // max(1, size // 2), len(stops) - 1)]


def _towards(down: Int[Tensor, "B N"], right: Int[Tensor, "B N"]) -> Int[Tensor, "B N"]:
    """One step along the longer way; stay where there is none."""
    vertical = torch.where(down > 0, DOWN, UP)
    sideways = torch.where(right > 0, RIGHT, LEFT)
    step = torch.where(down.abs() > right.abs(), vertical, sideways)
    return step.masked_fill((down == 0) & (right == 0), STAY)


def _shoot_or(
    walk: Tensor, units: Units, distance: Int[Tensor, "B N bots"], standing: Tensor, *, waits: bool
) -> Int[Tensor, "B N"]:
    """Shoot at the weakest bot in range, of equals at the one that most have in range; else walk, or wait in front."""
    ours = walk.shape[1]
    in_range = (distance <= 1) & standing[:, None]
    crowd = (in_range & (units.health[:, :ours, None] > 0)).sum(1, keepdim=True)
    order = units.health[:, None, ours:] * (ours + 1) - crowd
    weakest = order.expand(distance.shape).masked_fill(~in_range, NOWHERE_NEAR).argmin(2)
    close = in_range.any(2)
    walk = walk.masked_fill(close, STAY) if waits else walk
    return torch.where(close & (units.cooldown[:, :ours] == 0), SHOOT + weakest, walk)
