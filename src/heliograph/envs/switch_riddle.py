"""Switch riddle: one prisoner a day enters a room with a switch; say when all have been there, and be right."""

import dataclasses
import math
from collections.abc import Sequence

import torch
from gymnasium import spaces
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View, check_positive
from heliograph.envs.scene import Actor, Floor, Ground, Mark, Scene, grid_cells
from heliograph.envs.state import select
from heliograph.envs.switch_riddle_wording import riddle_reading
from heliograph.envs.wording import Reading
from heliograph.types import Bounds, Edges, Role

__all__ = ["RiddleState", "SwitchRiddle", "scripted_n3", "scripted_n4"]

TELL = 1
MAX_COUNT = 3
BEST_SILENT_N3 = 390 / 729
LAST_DAY_N4 = 9


@dataclasses.dataclass(frozen=True, kw_only=True)
class RiddleState(EnvState):
    """Record of who enters on each day (-1: not told yet), the day, from 0, and how often each has been in the room."""

    visits: Int[Tensor, "B T"]
    day: Int[Tensor, " B"]
    counts: Int[Tensor, "B N"]


class SwitchRiddle(TeamEnv[RiddleState]):
    """Each day one of n prisoners, drawn anew, enters the room, reads what the last one left, and may tell.

    Telling ends the episode: +1 for all if everyone has been in the room by then, else -1; never telling gives 0 after
    `horizon` days (4n - 6 by default). All see each day whether they are in the room; only the occupant acts (0 none,
    1 tell) and speaks, and what it says is heard by the next occupant alone, itself included. `meaning` of the occupant
    is its earlier visits (at most 3) and the day. Rules: Foerster et al. 2016, Learning to communicate.
    """

    takes_turns = True

    def __init__(self, *, prisoners: int = 3, horizon: int | None = None, **base: Unpack[BaseSettings]):
        check_positive("prisoners", prisoners)
        if prisoners < 2:
            raise ValueError(f"prisoners={prisoners}: needs at least 2 prisoners, or there is nothing to find out")
        if horizon is not None:
            check_positive("horizon", horizon)
        self.prisoners = prisoners
        self.days = 4 * prisoners - 6 if horizon is None else horizon
        role = Role(
            name="prisoner",
            agents=tuple(f"prisoner_{i}" for i in range(prisoners)),
            observation_space=spaces.Box(0.0, 1.0, (1,)),
            action_space=spaces.Discrete(2),
        )
        super().__init__((role,), **base)
        self._prisoners = torch.arange(prisoners, device=self.device)
        self._today_and_tomorrow = torch.arange(2, device=self.device)

    @property
    def horizon(self) -> int:
        """One env step a day, after the talking."""
        return self.days + self.talk_steps

    @property
    def visits(self) -> Int[Tensor, "B T"]:
        """Return who enters the room on each day of the present episode."""
        return self.state.visits.clone()

    def fix_visits(self, visits: Int[Tensor, "B T"]) -> None:
        """Set who enters on each day of the next episode of every copy; later episodes are drawn again.

        Raises ValueError where the shape is not [B, T] or a prisoner does not exist.
        """
        shape = (self.num_envs, self.days)
        if visits.shape != shape:
            raise ValueError(f"visits has shape {list(visits.shape)}: must be [B, T] = {list(shape)}")
        if bool(((visits < 0) | (visits >= self.prisoners)).any()):
            raise ValueError(f"visits={visits.tolist()}: must name prisoners 0 to {self.prisoners - 1}")
        self.plan_start(self._first_day(visits.to(self.device, torch.long)))

    @property
    def num_starts(self) -> int:
        """Return how many visiting sequences there are, all equally likely."""
        return int(self.prisoners**self.days)

    def fix_starts(self, numbers: Int[Tensor, " B"]) -> None:
        """Set the visiting sequence of the next episode of every copy by its number: its visits are the digits."""
        places = self.prisoners ** torch.arange(self.days - 1, -1, -1, device=numbers.device)
        self.fix_visits(numbers[:, None] // places % self.prisoners)

    def first_branches(self) -> RiddleState:
        """The ways in which visits begin, as far as the first day shows them."""
        shown = min(2, self.days)
        first = torch.cartesian_prod(*[self._prisoners] * shown).view(-1, shown)
        later = first.new_full((len(first), self.days - shown), -1)
        return self._first_day(torch.cat([first, later], 1))

    def num_branches(self, state: RiddleState) -> int:
        """As many as prisoners, where who enters tomorrow is not told yet; else 1."""
        return self.prisoners if bool((self._occupants(state) < 0).any()) else 1

    def branches(self, state: RiddleState) -> RiddleState:
        """Each copy with each visitor of tomorrow, where that is not told yet."""
        copies, ways = len(state.day), self.num_branches(state)
        grown = select(state, torch.arange(copies, device=self.device).repeat_interleave(ways))
        if ways == 1:
            return grown
        visits = grown.visits.scatter(1, grown.day[:, None] + 1, self._prisoners.repeat(copies)[:, None])
        return dataclasses.replace(grown, visits=visits)

    def bounds(self) -> Bounds:
        """Exact scores; `blind` is the best silent policy known, `full_information` tells as soon as it is true."""
        n, days = self.prisoners, self.days
        covered = [all_visited(n, days=day) for day in range(days + 1)]
        known = (n, days) == (3, 6)
        return Bounds(
            random=sum(0.5**day * (2 * covered[day] - 1) for day in range(1, days + 1)),
            blind=BEST_SILENT_N3 if known else count_own_visits(n, days=days),
            full_information=covered[days],
            source="exact; blind: " + ("best policy found by search" if known else "last day, by own visits"),
        )

    def oracle(self, state: RiddleState) -> dict[str, Tensor]:
        """Tell if and only if all have visited."""
        in_room = self._in_room(state)
        return {"prisoner": (in_room & _visited(state, in_room).all(1, keepdim=True)).long()}

    @classmethod
    def reading(cls, agents: Sequence[str]) -> Reading:
        """Days, visits, and the light."""
        return riddle_reading(agents)

    def scene(self, state: RiddleState, copy: int = 0) -> Scene:
        """The room with its light (the last message), who is in it, the others in their cells; done: has been there."""
        width = max(3, self.prisoners)
        middle, cells_row = (width - 1) / 2, 3
        in_room = self._in_room(state)
        inside, been = in_room[copy].tolist(), _visited(state, in_room)[copy].tolist()
        prisoners = tuple(
            Actor(
                name=name,
                label=str(slot),
                place=(middle, 1.0) if here else (slot + (width - self.prisoners) / 2, float(cells_row)),
                mark=Mark.DONE if visited else Mark.NONE,
            )
            for slot, (name, here, visited) in enumerate(zip(self.agents, inside, been, strict=True))
        )
        day = min(int(state.day[copy]) + 1, self.days)
        return Scene(
            columns=width,
            rows=cells_row + 1,
            agents=prisoners,
            floors=(
                Floor(ground=Ground.ROOM, cells=grid_cells(width, 2)),
                Floor(ground=Ground.FLOOR, cells=tuple((column, cells_row) for column in range(width))),
            ),
            lamp=(middle, 0.0),
            caption=f"day {day} of {self.days}; {sum(been)} of {self.prisoners} have been in the room (ringed)",
        )

    def _first_day(self, visits: Int[Tensor, "b T"]) -> RiddleState:
        counts = torch.zeros(len(visits), self.prisoners, dtype=torch.long, device=self.device)
        return RiddleState(visits=visits, day=torch.zeros_like(visits[:, 0]), counts=counts)

    def _occupants(self, state: RiddleState) -> Int[Tensor, "B 2"]:
        """Return who is in the room today and tomorrow, on the last day at the latest."""
        days = state.day[:, None] + self._today_and_tomorrow
        return state.visits.gather(1, days.clamp_(max=self.days - 1))

    def _in_room(self, state: RiddleState, occupants: Int[Tensor, "B 2"] | None = None) -> Bool[Tensor, "B N"]:
        today = (self._occupants(state) if occupants is None else occupants)[:, :1]
        return (today == self._prisoners) & (state.day < self.days)[:, None]

    def start(self) -> RiddleState:
        """Return who enters on each day."""
        shape = (self.num_envs, self.days)
        return self._first_day(torch.randint(self.prisoners, shape, generator=self.start_generator, device=self.device))

    def advance(self, state: RiddleState, actions: dict[str, Tensor]) -> tuple[RiddleState, Outcome]:
        """Heed today's occupant alone, and go on to the next day."""
        today = state.visits.gather(1, state.day[:, None])
        told = actions["prisoner"].gather(1, today).squeeze(1) == TELL
        counts = state.counts.scatter_add(1, today, torch.ones_like(today))
        right = (counts > 0).all(1)
        day = state.day + 1
        reward = torch.where(told, torch.where(right, 1.0, -1.0), 0.0)
        over = told | (day >= self.days)
        everyone = (-1, self.prisoners)
        outcome = Outcome(
            rewards=reward[:, None].expand(everyone),
            terminated=over[:, None].expand(everyone),
            episode_over=over,
            info={"success": told & right},
        )
        return RiddleState(visits=state.visits, day=day, counts=counts), outcome

    def observe(self, state: RiddleState) -> View:
        """Show each agent whether it is in the room."""
        occupants = self._occupants(state)
        in_room = self._in_room(state, occupants)
        inside = in_room.float()
        day = state.day[:, None].expand(-1, self.prisoners)
        meaning = torch.stack([state.counts.clamp(max=MAX_COUNT), day], -1)
        told = [_visited(state, in_room).float(), inside, state.day[:, None] / self.days]
        return View(
            observations={"prisoner": inside[..., None]},
            observing=torch.ones_like(in_room),
            acting=in_room,
            speaking=in_room,
            meaning=torch.where(in_room[..., None], meaning, -1),
            state=torch.cat(told, 1),
            hearing=self._hearing(state, occupants),
        )

    def _hearing(self, state: RiddleState, occupants: Int[Tensor, "B 2"]) -> Edges:
        today, tomorrow = occupants[:, :1], occupants[:, 1:]
        reads = (tomorrow == self._prisoners) & (state.day < self.days - 1)[:, None]
        return Edges(senders=today[:, :, None].expand(-1, self.prisoners, 1), mask=reads[..., None])


def _visited(state: RiddleState, in_room: Bool[Tensor, "B N"]) -> Bool[Tensor, "B N"]:
    return (state.counts > 0) | in_room


def all_visited(prisoners: int, *, days: int) -> float:
    """The probability that every prisoner has been in the room after so many days."""
    signs = (math.comb(prisoners, k) * (-1) ** k * (prisoners - k) ** days for k in range(prisoners + 1))
    return sum(signs) / prisoners**days


def count_own_visits(prisoners: int, *, days: int) -> float:
    """Mean return of a silent team that tells on the last day if the occupant's own visits make it likely enough."""
    total = 0.0
    for own in range(1, days + 1):
        others = days - own
        chance = math.comb(days - 1, own - 1) * (prisoners - 1) ** others / prisoners ** (days - 1)
        total += chance * max(0.0, 2 * all_visited(prisoners - 1, days=others) - 1)
    return total


def scripted_n3(
    visited_before: Bool[Tensor, "*batch"], *, day: Int[Tensor, "*batch"], bit: Int[Tensor, "*batch"]
) -> tuple[Int[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """The optimal protocol for 3 prisoners and one bit: what the occupant leaves, and whether it tells.

    The bit says "two different prisoners have been here"; day counts from 0, when the bit means nothing yet.
    Returns (bit to leave, action); its mean return is 20/27, that of full information.
    """
    bit = torch.where(day > 0, bit, 0)
    newcomer = ~visited_before & (day > 0)
    return (bit.bool() | newcomer).long(), (bit.bool() & newcomer).long()


def scripted_n4(
    visited_before: Bool[Tensor, "*batch"], *, day: Int[Tensor, "*batch"], bit: Int[Tensor, "*batch"]
) -> tuple[Int[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """The best protocol known for 4 prisoners, 10 days and one bit: what the occupant leaves, and whether it tells.

    The bit is the parity of how many different prisoners have been here: newcomers flip it. The occupant of the last
    day tells if it is even, and errs where only two have been. Its mean return is that of full information less the
    chance of that, 203097 / 262144 = 0.7748: 0.9925 of full information. Found by simulated annealing over protocols of
    one bit whose occupants know the day and whether they have been here before; with up to three kinds of memory of
    having been here the search found none better.
    """
    bit = torch.where(day > 0, bit, 0)
    parity = bit ^ (~visited_before).long()
    return parity, ((day == LAST_DAY_N4) & (parity == 0)).long()
