"""Traffic Junction: cars arrive, drive a fixed route, and choose in each step to go or to wait; they must not meet."""

import dataclasses
import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_number, check_positive
from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.envs.grid_world import check_vision, count_on, grid_sights
from heliograph.envs.scene import Actor, Floor, Ground, Mark, Presence, Scene
from heliograph.envs.simulation import Simulated, simulate
from heliograph.envs.traffic_drivers import BRAKE, GAS, right_of_way, yield_to_seen
from heliograph.envs.traffic_roads import DIFFICULTIES, RoadMap, road_map
from heliograph.types import Bounds, Role

__all__ = ["TrafficJunction", "TrafficState"]

WAITING_PENALTY = -0.01
COLLISION_PENALTY = -10.0
FAR_AWAY = -1000.0
SIMULATED_EPISODES = 1024
PUBLISHED_SCORES = {
    ("easy", 0): (-40.30, -4.62, -0.364),
    ("easy", 1): (-40.30, -4.62, -0.364),
    ("medium", 0): (-70.5, -21.3, -1.853),
    ("medium", 1): (-70.5, -10.8, -1.853),
    ("hard", 0): (-53.5, -12.4, -2.490),
    ("hard", 1): (-53.5, -3.35, -2.490),
}
"""Random, blind and full information of the settings as published, by vision; from 8,192 episodes."""
SOURCE = "simulated; blind: the best of always gas and yielding to what is seen"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrafficState(EnvState):
    """Each slot's car: its route (the last number: no car), its place on it, steps since it arrived, its last action.

    `owed` is the penalty that is paid with a car's first own step. Of a copy: whether cars have collided, env steps
    since the start, and the probability of an arrival in this episode.
    """

    route: Int[Tensor, "B N"]
    place: Int[Tensor, "B N"]
    wait: Int[Tensor, "B N"]
    last: Int[Tensor, "B N"]
    owed: Float[Tensor, "B N"]
    failed: Bool[Tensor, " B"]
    time: Int[Tensor, " B"]
    rate: Float[Tensor, " B"]


class TrafficJunction(TeamEnv[TrafficState]):
    """Cars arrive at the entries with probability `p_arrive` a step, and drive their routes by gas (0) and brake (1).

    In every step all cars on the road move, then at each entry a car may arrive while fewer than `cars` are there,
    whether or not the entry is free. A car is paid -0.01 for each step since it arrived, and -10 in each step in which
    it shares its cell. Nothing is removed by a collision; the episode ends after `steps`, and is a success if there was
    none. Rewards are each car's own. A slot is one car: it ends when the car leaves, and an empty one neither observes,
    acts nor speaks. `difficulty` is "easy", "medium" or "hard"; `cars`, `steps`, `p_arrive` and `vision` are by default
    those of that difficulty. `vision` is 0 in all three, as in the public code's commands: a car sees the cell that it
    stands on. An observation is the last action, the route, and the cells within
    `vision`: the number of each, and the cars on it. `meaning` is the route and the place on it.

    `p_arrive` is an attribute too, and adjustable: episodes that start after it was changed have the new rate.

    Rules: Singh et al. 2019, Individualized controlled continuous communication model (IC3Net), and its code.
    Differences: the penalty of a car that arrives on another is paid with its first own step (the code pays it to the
    action of a car that had left, or of nobody), so that one that arrives in the last step never pays it; empty slots
    stand nowhere rather than in the corner; and unless `faithful`, cells are numbered row by row, each with a number of
    its own, and a new car starts with gas as its last action (in the code roads are numbered one after the other, one
    road cell of the easy map looks like no road, and the last action of a slot outlives its car).
    """

    bounds_exact = False
    adjustable = ("p_arrive",)

    def __init__(
        self,
        *,
        difficulty: str = "easy",
        cars: int | None = None,
        steps: int | None = None,
        p_arrive: float | None = None,
        vision: int | None = None,
        faithful: bool = False,
        **base: Unpack[BaseSettings],
    ):
        if difficulty not in DIFFICULTIES:
            raise ValueError(f"difficulty={difficulty!r}: must be one of {', '.join(DIFFICULTIES)}")
        published = DIFFICULTIES[difficulty]
        self.difficulty, self.faithful = difficulty, faithful
        self.cars = published.cars if cars is None else cars
        self.steps = published.steps if steps is None else steps
        self.vision = published.vision if vision is None else vision
        self.p_arrive = published.p_arrive if p_arrive is None else p_arrive
        check_positive("cars", self.cars)
        check_positive("steps", self.steps)
        check_vision(self.vision)
        roads = road_map(published, faithful=faithful)
        window = (2 * self.vision + 1) ** 2
        role = Role(
            name="car",
            agents=tuple(f"car_{i}" for i in range(self.cars)),
            observation_space=spaces.Box(0.0, float(self.cars), (2 + window * roads.vocabulary,)),
            action_space=spaces.Discrete(2),
            action_names=("gas", "brake"),
        )
        super().__init__((role,), **base)
        self.roads = roads.to(self.device)
        sights = grid_sights(
            self.roads.cell_ids, vision=self.vision, outside=roads.outside_id, vocabulary=roads.vocabulary
        )
        self._sights = dataclasses.replace(sights, numbers=F.pad(sights.numbers, (2, 0)))
        self._slots = _one_hot_slots(self.roads)

    @property
    def p_arrive(self) -> float:
        """The probability of an arrival at each entry, for the episodes that start from now on."""
        return self._p_arrive

    @p_arrive.setter
    def p_arrive(self, value: float) -> None:
        check_number("p_arrive", value, minimum=0, maximum=1)
        self._p_arrive = float(value)

    @property
    def horizon(self) -> int:
        """The steps of an episode, after the talking."""
        return self.steps + self.talk_steps

    def bounds(self) -> Bounds:
        """Simulated; blind is the better of always going and, where cars see, yielding to what is seen."""
        published = DIFFICULTIES[self.difficulty]
        known = PUBLISHED_SCORES.get((self.difficulty, self.vision))
        if known is None or (self.cars, self.steps, self.p_arrive) != (
            published.cars, published.steps, published.p_arrive,
        ):  # fmt: skip
            found = {name: score.episode_return for name, score in self.scores().items()}
            blind = max(found[name] for name in ("gas", "yield", "distance") if name in found)
            known = (found["random"], blind, found["right_of_way"])
        return Bounds(random=known[0], blind=known[1], full_information=known[2], source=SOURCE)

    def scores(self) -> dict[str, Simulated]:
        """Returns and successes of scripted drivers with these settings and the present `p_arrive`, simulated once.

        `random`, `gas` and `brake` (always), `yield` and `distance` (silent, with vision alone; see `yield_to_seen`),
        and `right_of_way`, the scripted solver.
        """
        return _simulated(self.difficulty, self.cars, self.steps, self.p_arrive, self.vision)

    def oracle(self, state: TrafficState) -> dict[str, Tensor]:
        """A right of way that sees all: who has less room behind goes first, and nobody enters a cell that is taken."""
        return {"car": right_of_way(self.roads, route=state.route, place=state.place)}

    def scene(self, state: TrafficState, copy: int = 0) -> Scene:
        """The roads, each car with the rest of its way in the colour of its entry, and who shares a cell."""
        routes, places = state.route[copy].tolist(), state.place[copy].tolist()
        collided = self._collided(state)[copy].tolist()
        cars = tuple(self._car(n, *now) for n, now in enumerate(zip(routes, places, collided, strict=True)))
        there, trouble = sum(car.place is not None for car in cars), sum(collided)
        return Scene(
            columns=self.roads.size,
            rows=self.roads.size,
            agents=cars,
            floors=(Floor(ground=Ground.ROAD, cells=self._road_cells()),),
            caption=f"{there} of {self.cars} cars on the road" + (f", {trouble} in a collision" if trouble else ""),
        )

    def _car(self, slot: int, route: int, place: int, collided: bool) -> Actor:
        size = self.roads.size
        ahead = [(float(c % size), float(c // size)) for c in self.roads.routes[route].tolist() if c < size * size]
        return Actor(
            name=self.agents[slot],
            label=str(slot),
            place=ahead[place] if ahead else None,
            kind=route * self.roads.num_arms // self.roads.num_routes,
            presence=Presence.ACTIVE if ahead else Presence.GONE,
            mark=Mark.TROUBLE if collided else Mark.NONE,
            path=tuple(ahead[place + 1 :]),
        )

    def _road_cells(self) -> tuple[tuple[int, int], ...]:
        size = self.roads.size
        return tuple((c % size, c // size) for c in self.roads.routes.unique().tolist() if c < self.roads.nowhere)

    # ---- the rules --------------------------------------------------------------------------------------------

    def start(self) -> TrafficState:
        """An empty road."""
        shape, device = (self.num_envs, self.cars), self.device
        zero = torch.zeros(shape, dtype=torch.long, device=device)
        return TrafficState(
            route=torch.full(shape, self.roads.num_routes, device=device),
            place=zero,
            wait=zero,
            last=zero,
            owed=torch.zeros(shape, device=device),
            failed=torch.zeros(self.num_envs, dtype=torch.bool, device=device),
            time=torch.zeros(self.num_envs, dtype=torch.long, device=device),
            rate=torch.full((self.num_envs,), self.p_arrive, device=device),
        )

    def advance(self, state: TrafficState, actions: dict[str, Tensor]) -> tuple[TrafficState, Outcome]:
        """Move the cars, let others arrive, and pay."""
        driven, left = self._drive(state, actions["car"])
        moved, arrived = self._arrive(driven)
        collided = self._collided(moved)
        failed = state.failed | collided.any(1)
        crashes = COLLISION_PENALTY * collided
        time = state.time + 1
        outcome = Outcome(
            rewards=state.owed + WAITING_PENALTY * moved.wait + crashes.masked_fill(arrived, 0.0),
            terminated=left,
            episode_over=time >= self.steps,
            info={"success": ~failed, "collided": collided},
        )
        return dataclasses.replace(moved, owed=crashes * arrived, failed=failed, time=time), outcome

    def _drive(self, state: TrafficState, action: Tensor) -> tuple[TrafficState, Bool[Tensor, "B N"]]:
        """Move the cars on the road; with those that leave it."""
        alive = self._alive(state)
        place = state.place + (alive & (action == GAS))
        left = alive & (place >= self.roads.lengths[state.route])
        moved = dataclasses.replace(
            state,
            route=state.route.masked_fill(left, self.roads.num_routes),
            place=place.masked_fill(left, 0),
            wait=(state.wait + alive).masked_fill(left, 0),
            last=torch.where(alive & ~left, action, state.last),
        )
        return moved, left

    def _arrive(self, state: TrafficState) -> tuple[TrafficState, Bool[Tensor, "B N"]]:
        """Put arriving cars into empty slots drawn at random, entry after entry, while there are any."""
        copies, arms = self.num_envs, self.roads.num_arms
        per_arm = self.roads.num_routes // arms
        luck = torch.rand(copies, arms, generator=self.generator, device=self.device)
        way = torch.randint(per_arm, (copies, arms), generator=self.generator, device=self.device)
        order = torch.rand(copies, self.cars, generator=self.generator, device=self.device)
        alive = self._alive(state)
        arrives = luck < state.rate[:, None]
        nth = arrives.cumsum(1) - 1
        arrives = arrives & (alive.sum(1, keepdim=True) + nth < self.cars)
        empty = order.masked_fill(alive, 2.0).argsort(1)
        slot = torch.where(arrives, empty.gather(1, nth.clamp(0, self.cars - 1)), self.cars)
        route = way + per_arm * torch.arange(arms, device=self.device)
        taken = torch.full((copies, self.cars + 1), self.roads.num_routes, device=self.device)
        taken = taken.scatter(1, slot, route)[:, :-1]
        arrived = taken < self.roads.num_routes
        last = state.last if self.faithful else state.last.masked_fill(arrived, GAS)
        return dataclasses.replace(state, route=torch.where(arrived, taken, state.route), last=last), arrived

    def _alive(self, state: TrafficState) -> Bool[Tensor, "B N"]:
        return state.route < self.roads.num_routes

    def _cell(self, state: TrafficState) -> Int[Tensor, "B N"]:
        return self.roads.routes[state.route, state.place]

    def _collided(self, state: TrafficState) -> Bool[Tensor, "B N"]:
        alive, cell = self._alive(state), self._cell(state)
        return alive & (count_on(cell, alive, num_cells=self.roads.nowhere).gather(1, cell) > 1)

    # ---- what is seen -----------------------------------------------------------------------------------------

    def observe(self, state: TrafficState) -> View:
        """Show each car its route and the cells around it."""
        alive, cell = self._alive(state), self._cell(state)
        row = torch.where(alive, cell // self.roads.size, FAR_AWAY)
        column = torch.where(alive, cell % self.roads.size, FAR_AWAY)
        known = torch.stack([state.route, state.place], -1)
        return View(
            observations={"car": self._seen(state, alive, cell)},
            observing=alive,
            acting=alive,
            speaking=alive,
            meaning=torch.where(alive[..., None], known, -1),
            state=self._of_all(state, cell),
            positions=torch.stack([row, column], -1),
        )

    def _seen(self, state: TrafficState, alive: Tensor, cell: Tensor) -> Float[Tensor, "B N O"]:
        seen = self._sights.numbers[cell]
        seen[..., 0] = state.last * alive
        seen[..., 1] = state.route * alive / max(1, self.roads.num_routes - 1)
        cars = count_on(cell, alive, num_cells=self.roads.nowhere)
        cars = cars.gather(1, self._sights.cells[cell].flatten(1)).view(self.num_envs, self.cars, -1)
        seen[..., 2 + self.roads.car_id :: self.roads.vocabulary] = cars
        return seen

    def _of_all(self, state: TrafficState, cell: Tensor) -> Float[Tensor, "B S"]:
        """Slot by slot the number of the cell and the route of its car, zeros for none; then the time."""
        cars = torch.cat([self._slots["cell"][cell], self._slots["route"][state.route]], -1)
        return torch.cat([cars.flatten(1), state.time[:, None] / self.steps], 1)

    def extra_state(self) -> float:
        """The rate of the episodes that start from now on."""
        return self.p_arrive

    def set_extra_state(self, extra: float) -> None:
        """Take that rate back."""
        self.p_arrive = extra


def _one_hot_slots(roads: RoadMap) -> dict[str, Float[Tensor, "number features"]]:
    """One-hot rows for cells and routes; zeros for nowhere and for no route, which come last."""
    number = F.one_hot(roads.cell_ids.flatten(), roads.vocabulary).float()
    route = torch.eye(roads.num_routes + 1, roads.num_routes, device=number.device)
    return {"cell": F.pad(number, (0, 0, 0, 1)), "route": route}


@functools.lru_cache(maxsize=64)
def _simulated(difficulty: str, cars: int, steps: int, p_arrive: float, vision: int) -> dict[str, Simulated]:
    env = TrafficJunction(
        difficulty=difficulty, cars=cars, steps=steps, p_arrive=p_arrive, vision=vision, num_envs=SIMULATED_EPISODES
    )
    stream = torch.Generator().manual_seed(1)

    def yielding(state: TrafficState, distance: int) -> Tensor:
        return yield_to_seen(env.roads, route=state.route, place=state.place, vision=vision, distance=distance)

    drivers: dict[str, Callable[[TrafficState], Tensor]] = {
        "random": lambda state: torch.randint(2, state.route.shape, generator=stream),
        "gas": lambda state: torch.full_like(state.route, GAS),
        "brake": lambda state: torch.full_like(state.route, BRAKE),
        "right_of_way": lambda state: env.oracle(state)["car"],
    }
    if vision:
        drivers |= {"yield": lambda state: yielding(state, 0), "distance": lambda state: yielding(state, 1)}
    return {name: simulate(env, functools.partial(_driven, driver)) for name, driver in drivers.items()}


def _driven(driver: Callable[[TrafficState], Tensor], state: TrafficState, time: int) -> dict[str, Tensor]:
    return {"car": driver(state)}
