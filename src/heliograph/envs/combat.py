"""Combat: a team of soldiers that see little fights as many scripted bots on a grid."""

import dataclasses
import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.envs.combat_tactics import SHOOT, STAY, Units, bot_action, charge, patrol
from heliograph.envs.grid_world import check_vision
from heliograph.envs.scene import Actor, Floor, Ground, Presence, Scene, Shape, grid_cells
from heliograph.envs.simulation import simulate
from heliograph.envs.state import clone
from heliograph.types import Bounds, Role

__all__ = ["Combat", "CombatState"]

MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Up, down, left, right; then come staying and one shot for each bot."""
LOSS, BOT_HEALTH = -1.0, -0.1
HEALTH, RANGE, COOLDOWN = 3, 1, 2
FAR_AWAY = -1000.0
SIMULATED_EPISODES = 1024
PUBLISHED = (5, 15, 40, 1, 2)
SCORES = (-2.451, -1.751, -0.656)
"""Random, patrol and attack with the published settings; from 8,192 episodes."""
SOURCE = "simulated; blind: a scripted patrol, full information: the best scripted attack known"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CombatState(EnvState):
    """All units, and env steps since the start."""

    units: Units
    time: Int[Tensor, " B"]


class Combat(TeamEnv[CombatState]):
    """Soldiers move (0 to 3), stay (4) or shoot at a bot (5 and more); each of as many bots does the same to them.

    A step is a turn for each of the living, in a random order that is drawn anew. A shot at whoever is within one cell,
    diagonals included, costs one of 3 health points; after a shot, wasted or not, a unit cannot shoot in the next step.
    Nobody enters a cell that is taken. A bot shoots at the nearest soldier; if it may not or cannot, it walks towards
    it where any bot has it in sight (`vision`), and else stays. Each team starts within `dispersion` cells of a centre
    of its own. When a side has fallen or after `steps`, all soldiers are paid -1 unless all bots fell, and -0.1 for
    each health point that the bots have left. Success is that all bots fell. The fallen no longer observe, act or
    speak, but are paid. A soldier sees its own row and column, and who stands on the cells within `vision`, with
    health and whether they may shoot. `meaning` is the own cell, and how many bots are in sight.

    Rules: Sukhbaatar et al. 2016, Learning multiagent communication with backpropagation, section 4.2.2, and its code;
    with `dispersion` 2, the 5 x 5 cells of the paper (the code has 5, which is 11 x 11). As in the code, units may
    start on the same cell, and fallen bots go on seeing. Differences: the observation has numbers in place of the
    code's words, and there are no actions that shoot at one's own side (the code has them, without effect).
    """

    bounds_exact = False

    def __init__(
        self,
        *,
        soldiers: int = 5,
        size: int = 15,
        steps: int = 40,
        vision: int = 1,
        dispersion: int = 2,
        **base: Unpack[BaseSettings],
    ):
        for name, value in (("soldiers", soldiers), ("size", size), ("steps", steps)):
            check_positive(name, value)
        check_vision(vision)
        if isinstance(dispersion, bool) or dispersion < 0:
            raise ValueError(f"dispersion={dispersion!r}: must be a whole number of at least 0")
        self.soldiers, self.size, self.steps, self.vision, self.dispersion = soldiers, size, steps, vision, dispersion
        self._unit_features = 2 * soldiers + HEALTH + 1
        window = (2 * vision + 1) ** 2
        role = Role(
            name="soldier",
            agents=tuple(f"soldier_{i}" for i in range(soldiers)),
            observation_space=spaces.Box(0.0, float(2 * soldiers), (2 * size + window * self._unit_features,)),
            action_space=spaces.Discrete(SHOOT + soldiers),
            action_names=("up", "down", "left", "right", "stay", *(f"shoot {bot}" for bot in range(soldiers))),
        )
        super().__init__((role,), **base)

    @property
    def horizon(self) -> int:
        """The longest fight, after the talking."""
        return self.steps + self.talk_steps

    def bounds(self) -> Bounds:
        """Simulated scripts, not limits: trained teams may do better than both the patrol (blind) and the attack."""
        settings = (self.soldiers, self.size, self.steps, self.vision, self.dispersion)
        if settings == PUBLISHED:
            return Bounds(random=SCORES[0], blind=SCORES[1], full_information=SCORES[2], source=SOURCE)
        return _simulated_bounds(*settings)

    def oracle(self, state: CombatState) -> dict[str, Tensor]:
        """All know where everyone is, and attack one bot after another."""
        return {"soldier": charge(state.units, size=self.size)}

    def scene(self, state: CombatState, copy: int = 0) -> Scene:
        """Soldiers with what they see, bots, and the health of all."""
        units = tuple(self._actor(state.units, copy, unit) for unit in range(2 * self.soldiers))
        soldiers, bots = units[: self.soldiers], units[self.soldiers :]
        standing = [sum(unit.presence is Presence.ACTIVE for unit in side) for side in (soldiers, bots)]
        return Scene(
            columns=self.size,
            rows=self.size,
            agents=soldiers,
            things=bots,
            floors=(Floor(ground=Ground.FLOOR, cells=grid_cells(self.size, self.size)),),
            caption=f"{standing[0]} soldiers (discs) against {standing[1]} bots (squares)",
        )

    def _actor(self, units: Units, copy: int, unit: int) -> Actor:
        number, ours = unit % self.soldiers, unit < self.soldiers
        alive = not bool(units.fallen[copy, unit])
        return Actor(
            name=self.agents[number] if ours else f"bot_{number}",
            label=str(number),
            place=(float(units.column[copy, unit]), float(units.row[copy, unit])),
            kind=0 if ours else 1,
            shape=Shape.DISC if ours else Shape.SQUARE,
            presence=Presence.ACTIVE if alive else Presence.GONE,
            health=int(units.health[copy, unit]) / HEALTH,
            sight=self.vision if ours and alive else None,
        )

    # ---- the rules --------------------------------------------------------------------------------------------

    def start(self) -> CombatState:
        """Each team around a centre of its own."""
        copies, stream, device = self.num_envs, self.start_generator, self.device
        centre = torch.randint(self.size, (copies, 2, 2), generator=stream, device=device)
        reach = 2 * self.dispersion + 1
        offset = torch.randint(reach, (copies, 2 * self.soldiers, 2), generator=stream, device=device)
        place = centre.repeat_interleave(self.soldiers, 1) + offset - self.dispersion
        row, column = place.clamp(0, self.size - 1).unbind(-1)
        units = Units(
            row=row,
            column=column,
            health=torch.full_like(row, HEALTH),
            cooldown=torch.zeros_like(row),
            fallen=torch.zeros_like(row, dtype=torch.bool),
        )
        return CombatState(units=units, time=torch.zeros_like(row[:, 0]))

    def advance(self, state: CombatState, actions: dict[str, Tensor]) -> tuple[CombatState, Outcome]:
        """A turn for each of the living, in a random order."""
        shape = state.units.row.shape
        order = torch.rand(shape, generator=self.generator, device=self.device).argsort(1)
        luck = torch.rand(shape, generator=self.generator, device=self.device)
        idle = torch.full_like(actions["soldier"], STAY)
        orders = torch.cat([actions["soldier"], idle], 1)
        ways = torch.tensor([*MOVES, (0, 0)], device=self.device)
        units = clone(state.units)
        for turn in range(shape[1]):
            self._take_turn(units, order[:, turn, None], orders, luck[:, turn, None], ways)
        units = dataclasses.replace(units, fallen=units.fallen | (units.health <= 0))
        moved = CombatState(units=units, time=state.time + 1)
        return moved, self._outcome(moved)

    def _take_turn(self, units: Units, unit: Tensor, orders: Tensor, luck: Tensor, ways: Tensor) -> None:
        """One unit of each copy, `unit` [B, 1], acts if it has not fallen; changes `units`."""
        fallen = units.fallen.gather(1, unit) | (units.health.gather(1, unit) <= 0)
        units.fallen.scatter_(1, unit, fallen)
        does = ~fallen
        distance = units.distance(unit)
        bot = bot_action(units, unit, distance=distance, luck=luck, vision=self.vision)
        action = torch.where(unit < self.soldiers, orders.gather(1, unit), bot).where(does, STAY)
        self._move(units, unit, ways[action.clamp(max=STAY)])
        self._shoot(units, unit, action, distance, does)

    def _move(self, units: Units, unit: Tensor, way: Tensor) -> None:
        """Go to a cell on the grid that is not taken; the own one is."""
        old_row, old_column = units.row.gather(1, unit), units.column.gather(1, unit)
        row = (old_row + way[..., 0]).clamp(0, self.size - 1)
        column = (old_column + way[..., 1]).clamp(0, self.size - 1)
        taken = ((units.row == row) & (units.column == column) & ~units.fallen).any(1, keepdim=True)
        units.row.scatter_(1, unit, torch.where(taken, old_row, row))
        units.column.scatter_(1, unit, torch.where(taken, old_column, column))

    def _shoot(self, units: Units, unit: Tensor, action: Tensor, distance: Tensor, rests: Tensor) -> None:
        """Shoot at a unit of the other side; then every unit that acted has a step less to wait."""
        wait = units.cooldown.gather(1, unit)
        shoots = (action >= SHOOT) & (wait == 0)
        target = (action - SHOOT).clamp(min=0) + self.soldiers * (unit < self.soldiers)
        hits = shoots & (distance.gather(1, target) <= RANGE)
        units.health.scatter_add_(1, target, -hits.long()).clamp_(min=0)
        units.cooldown.scatter_(1, unit, (torch.where(shoots, COOLDOWN, wait) - rests.long()).clamp(min=0))

    def _outcome(self, state: CombatState) -> Outcome:
        ours, theirs = state.units.fallen.split(self.soldiers, 1)
        won = theirs.all(1)
        over = won | ours.all(1) | (state.time >= self.steps)
        left = state.units.health[:, self.soldiers :].sum(1)
        paid = torch.where(won, 0.0, LOSS) + BOT_HEALTH * left
        return Outcome(
            rewards=torch.where(over, paid, 0.0)[:, None].expand(-1, self.soldiers),
            terminated=over[:, None].expand(-1, self.soldiers),
            episode_over=over,
            info={"success": won},
        )

    # ---- what is seen -----------------------------------------------------------------------------------------

    def observe(self, state: CombatState) -> View:
        """Show each soldier the cells around it."""
        units = state.units
        alive = ~units.fallen[:, : self.soldiers]
        row, column = units.row[:, : self.soldiers], units.column[:, : self.soldiers]
        place = torch.stack([row, column], -1).float()
        window, seen = self._seen(units, alive)
        bots = window[..., self.soldiers : 2 * self.soldiers].sum((-1, -2)).long()
        known = torch.stack([row * self.size + column, bots], -1)
        return View(
            observations={"soldier": seen},
            observing=alive,
            acting=alive,
            speaking=alive,
            meaning=torch.where(alive[..., None], known, -1),
            state=self._of_all(state),
            positions=torch.where(alive[..., None], place, FAR_AWAY),
        )

    def _seen(
        self, units: Units, alive: Bool[Tensor, "B N"]
    ) -> tuple[Float[Tensor, "B N W U"], Float[Tensor, "B N O"]]:
        """The cells in sight with the living on them, and the whole observation."""
        side, ours = 2 * self.vision + 1, self.soldiers
        down = units.row[:, None] - units.row[:, :ours, None] + self.vision
        right = units.column[:, None] - units.column[:, :ours, None] + self.vision
        sees = (down >= 0) & (down < side) & (right >= 0) & (right < side) & ~units.fallen[:, None]
        cell = torch.where(sees, down * side + right, side * side)
        on_cell = F.one_hot(cell, side * side + 1)[..., :-1].float()
        window = on_cell.transpose(2, 3) @ self._attributes(units)[:, None]
        own = [F.one_hot(x[:, :ours], self.size) for x in (units.row, units.column)]
        seen = torch.cat([*own, window.flatten(2)], -1) * alive[..., None]
        return window, seen

    def _attributes(self, units: Units) -> Float[Tensor, "B units U"]:
        """Return who it is, its health, one-hot, and whether it must wait."""
        who = torch.eye(2 * self.soldiers, device=self.device).expand(self.num_envs, -1, -1)
        health = F.one_hot(units.health, HEALTH + 1)[..., 1:]
        return torch.cat([who, health, (units.cooldown > 0)[..., None]], -1)

    def _of_all(self, state: CombatState) -> Float[Tensor, "B S"]:
        units = state.units
        numbers = [units.row / self.size, units.column / self.size, units.health / HEALTH, units.cooldown / COOLDOWN]
        return torch.cat([*numbers, state.time[:, None] / self.steps], 1)


@functools.lru_cache(maxsize=16)
def _simulated_bounds(soldiers: int, size: int, steps: int, vision: int, dispersion: int) -> Bounds:
    env = Combat(
        soldiers=soldiers, size=size, steps=steps, vision=vision, dispersion=dispersion, num_envs=SIMULATED_EPISODES
    )
    stream = torch.Generator().manual_seed(1)
    shape = (env.num_envs, soldiers)
    policies: list[Callable[[CombatState, int], dict[str, Tensor]]] = [
        lambda state, time: {"soldier": torch.randint(SHOOT + soldiers, shape, generator=stream)},
        lambda state, time: {"soldier": patrol(state.units, size=size, time=time, vision=vision)},
        lambda state, time: env.oracle(state),
    ]
    chance, patrolling, informed = (simulate(env, policy).episode_return for policy in policies)
    return Bounds(random=chance, blind=max(chance, patrolling), full_information=informed, source=SOURCE)
