"""A purpose-made environment in which everything happens that a runner or a learner can get wrong."""

import dataclasses

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.types import Bounds, Role

SCOUTS, DRIVERS, DRONES = slice(0, 2), slice(2, 5), slice(5, 6)
LEAVING_BONUS = 2.0
ILLEGAL_PENALTY = -10.0
SILENCE = (2, 3)
"""The days on which nobody may speak."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixedState(EnvState):
    """The time, what each copy drew, what each agent is shown, drivers' steps since they joined, and scouts' pay."""

    time: Int[Tensor, " B"]
    offset: Int[Tensor, " B"]
    length: Int[Tensor, " B"]
    scout: Int[Tensor, "B 2"]
    driver: Int[Tensor, "B 3 2"]
    age: Int[Tensor, "B 3"]
    drone: Float[Tensor, "B 1 2"]
    owed: Float[Tensor, "B 2"]


class Mixed(TeamEnv[MixedState]):
    """Two scouts, three drivers and a rival drone: heterogeneous spaces, agents that come and go, known rewards.

    Every agent is shown, where it observes, the action that is right: an oracle gets what `bounds` says to the cent.

    - `scout` (Dict with a uint8 image; Discrete(4)): scout i observes, acts and speaks only where time + i is even. A
      right action earns 1, paid one step later (at once in the last step), in a step in which it does not observe.
      `action_mask` forbids one wrong action, which costs 10.
    - `driver` (Box(6,); MultiDiscrete([3, 2])): 1 for getting both parts right. Driver 1 leaves (terminates, with a
      bonus of 2) at the end of step 2 + offset, and its slot is refilled in the same step. Driver 2 leaves so at the
      end of step 1 + offset; its slot is empty for three steps and then refilled.
    - `drone` (uint8 image; Box(2,); team 1): 1 - |action - target|_1 in every step.

    `length` is the longest episode; each copy draws its own length (`length` or one less) and `offset` (0 or 1).
    Nobody speaks at times 2 and 3.
    """

    def __init__(self, *, length: int = 8, **base: Unpack[BaseSettings]):
        if length < 8:
            raise ValueError(f"length={length}: must be at least 8, for all to come and go")
        self.length = length
        super().__init__(_roles(), **base)
        self.team_of_agent[DRONES] = 1
        self.teams = ("carers", "rivals")

    @property
    def horizon(self) -> int:
        """As long as the longest copy, and the talking."""
        return self.length + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact: episodes last `length` or one less, equally often; driver 2 is away for 3 steps."""
        steps = self.length - 0.5
        bonus = 2 * LEAVING_BONUS
        solved = (steps + (3 * steps - 3) + bonus + steps) / 6
        by_chance = (steps / 3 + (3 * steps - 3) / 6 + bonus - 0.25 * steps) / 6
        return Bounds(random=by_chance, blind=solved, full_information=solved, source="exact")

    def oracle(self, state: MixedState) -> dict[str, Tensor]:
        """Return what each agent is shown to be right."""
        return {"scout": state.scout, "driver": state.driver, "drone": state.drone}

    def start(self) -> MixedState:
        """Lengths, offsets and targets."""
        draw = torch.randint(2, (2, self.num_envs), generator=self.start_generator, device=self.device)
        scout, driver, drone = self._targets(self.start_generator)
        return MixedState(
            time=torch.zeros_like(draw[0]),
            offset=draw[0],
            length=self.length - draw[1],
            scout=scout,
            driver=driver,
            age=torch.zeros_like(driver[..., 0]),
            drone=drone,
            owed=torch.zeros(self.num_envs, 2, device=self.device),
        )

    def _targets(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        copies, device = self.num_envs, self.device
        scout = torch.randint(4, (copies, 2), generator=generator, device=device)
        parts = [torch.randint(n, (copies, 3), generator=generator, device=device) for n in (3, 2)]
        drone = torch.randint(2, (copies, 1, 2), generator=generator, device=device) - 0.5
        return scout, torch.stack(parts, -1), drone

    def advance(self, state: MixedState, actions: dict[str, Tensor]) -> tuple[MixedState, Outcome]:
        """Pay, let drivers leave and join, and draw new targets: for drivers where they join."""
        present, last = _present(state), state.time + 1 >= state.length
        leaving = torch.zeros_like(present)
        leaving[:, 1] = state.time == 2 + state.offset
        leaving[:, 2] = state.time == 1 + state.offset
        rewards = torch.zeros(self.num_envs, 6, device=self.device)
        earned = _earned_by_scouts(state, actions["scout"])
        rewards[:, SCOUTS] = state.owed + earned * last[:, None]
        right = (actions["driver"] == state.driver).all(-1) & present
        rewards[:, DRIVERS] = right.float() + LEAVING_BONUS * leaving
        rewards[:, DRONES] = 1 - (actions["drone"] - state.drone).abs().sum(-1)
        moved = dataclasses.replace(state, time=state.time + 1, owed=earned)
        joining = (leaving | ~present) & _present(moved)
        scout, driver, drone = self._targets(self.generator)
        moved = dataclasses.replace(
            moved,
            scout=scout,
            driver=torch.where(joining[..., None], driver, state.driver),
            age=torch.where(joining, 0, state.age + 1),
            drone=drone,
        )
        terminated = torch.zeros_like(rewards, dtype=torch.bool)
        terminated[:, DRIVERS] = leaving
        info = {"success": right.any(1) & last}
        return moved, Outcome(rewards=rewards, terminated=terminated, episode_over=last, info=info)

    def observe(self, state: MixedState) -> View:
        """Show each agent what is right, where it observes."""
        on_turn, present = _on_turn(state), _present(state)
        observing = torch.cat([on_turn, present, torch.ones_like(on_turn[:, :1])], 1)
        silent = torch.isin(state.time, torch.tensor(SILENCE, device=self.device))
        meaning = [state.scout, state.driver[..., 0] * 2 + state.driver[..., 1], (state.drone[..., 0] > 0).long()]
        meaning = torch.where(observing, torch.cat(meaning, 1), -1)
        allowed = ~F.one_hot((state.scout + 1) % 4, 4).bool()
        return View(
            observations=self._observations(state, on_turn, present),
            observing=observing,
            acting=observing.clone(),
            speaking=observing & ~silent[:, None],
            meaning=meaning[..., None],
            action_mask={"scout": allowed},
        )

    def _observations(
        self, state: MixedState, on_turn: Tensor, present: Tensor
    ) -> dict[str, Tensor | dict[str, Tensor]]:
        image = torch.zeros(self.num_envs, 2, 4, 4, 3, dtype=torch.uint8, device=self.device)
        image[:, :, 0] = 255 * F.one_hot(state.scout, 4)[..., None].to(torch.uint8)
        image = image * on_turn[..., None, None, None]
        clock = (state.time / self.length)[:, None, None].expand(-1, 2, 1) * on_turn[..., None]
        parts = [F.one_hot(state.driver[..., 0], 3), F.one_hot(state.driver[..., 1], 2)]
        drivers = torch.cat([*parts, state.age[..., None] / self.length], -1) * present[..., None]
        sky = torch.zeros(self.num_envs, 1, 2, 2, 3, dtype=torch.uint8, device=self.device)
        sky[..., 0, :, 0] = (255 * (state.drone > 0)).to(torch.uint8)
        return {"scout": {"clock": clock, "picture": image}, "driver": drivers, "drone": sky}


def _present(state: MixedState) -> Bool[Tensor, "B 3"]:
    away = (state.time > 1 + state.offset) & (state.time < 5 + state.offset)
    here = torch.ones_like(away)
    return torch.stack([here, here, ~away], 1)


def _on_turn(state: MixedState) -> Bool[Tensor, "B 2"]:
    return torch.stack([state.time % 2 == 0, state.time % 2 == 1], 1)


def _earned_by_scouts(state: MixedState, action: Int[Tensor, "B 2"]) -> Float[Tensor, "B 2"]:
    earned = (action == state.scout).float() + ILLEGAL_PENALTY * (action == (state.scout + 1) % 4)
    return earned * _on_turn(state)


def _roles() -> tuple[Role, ...]:
    def picture(size: int) -> spaces.Box:
        return spaces.Box(0, 255, (size, size, 3), dtype="uint8")

    scout = spaces.Dict(clock=spaces.Box(0.0, 1.0, (1,)), picture=picture(4))
    driver, drone = spaces.Box(0.0, 1.0, (6,)), picture(2)
    heading = spaces.Box(-1.0, 1.0, (2,))
    scouts, drivers = (tuple(f"{name}_{i}" for i in range(n)) for name, n in (("scout", 2), ("driver", 3)))
    return (
        Role(name="scout", agents=scouts, observation_space=scout, action_space=spaces.Discrete(4)),
        Role(name="driver", agents=drivers, observation_space=driver, action_space=spaces.MultiDiscrete([3, 2])),
        Role(name="drone", agents=("drone_0",), observation_space=drone, action_space=heading),
    )
