"""A purpose-made environment in which everything happens that a runner or a learner can get wrong."""

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool
from torch import Tensor

from heliograph.envs.base import BaseSettings, Outcome, TeamEnv, Unpack, View
from heliograph.types import Bounds, Role

SCOUTS, DRIVERS, DRONES = slice(0, 2), slice(2, 5), slice(5, 6)
LEAVING_BONUS = 2.0
ILLEGAL_PENALTY = -10.0
SILENCE = (2, 3)
"""The days on which nobody may speak."""


class Mixed(TeamEnv):
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
        zero = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
        self._time, self._offset, self._length = zero, zero.clone(), zero.clone()
        self._scout = torch.zeros(self.num_envs, 2, dtype=torch.long, device=self.device)
        self._driver = torch.zeros(self.num_envs, 3, 2, dtype=torch.long, device=self.device)
        self._age = torch.zeros(self.num_envs, 3, dtype=torch.long, device=self.device)
        self._drone = torch.zeros(self.num_envs, 1, 2, device=self.device)
        self._owed = torch.zeros(self.num_envs, 2, device=self.device)

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

    def oracle(self) -> dict[str, Tensor]:
        """What each agent is shown to be right."""
        return {"scout": self._scout, "driver": self._driver, "drone": self._drone}

    def _present(self) -> Bool[Tensor, "B 3"]:
        away = (self._time > 1 + self._offset) & (self._time < 5 + self._offset)
        here = torch.ones_like(away)
        return torch.stack([here, here, ~away], 1)

    def _on_turn(self) -> Bool[Tensor, "B 2"]:
        return torch.stack([self._time % 2 == 0, self._time % 2 == 1], 1)

    def _start(self, starting: Tensor) -> None:
        draw = torch.randint(2, (2, *starting.shape), generator=self.start_generator, device=self.device)
        self._offset = torch.where(starting, draw[0], self._offset)
        self._length = torch.where(starting, self.length - draw[1], self._length)
        self._time = self._time.masked_fill(starting, 0)
        self._owed = self._owed.masked_fill(starting[:, None], 0.0)
        self._age = self._age.masked_fill(starting[:, None], 0)
        self._draw_targets(starting, joining=starting[:, None].expand(-1, 3), generator=self.start_generator)

    def _draw_targets(self, new: Tensor, *, joining: Tensor, generator: torch.Generator) -> None:
        """Targets of scouts and the drone are new in every step, those of a driver when it joins."""
        copies, device = self.num_envs, self.device
        scout = torch.randint(4, (copies, 2), generator=generator, device=device)
        parts = [torch.randint(n, (copies, 3), generator=generator, device=device) for n in (3, 2)]
        drone = torch.randint(2, (copies, 1, 2), generator=generator, device=device) - 0.5
        self._scout = torch.where(new[:, None], scout, self._scout)
        self._driver = torch.where(joining[..., None], torch.stack(parts, -1), self._driver)
        self._drone = torch.where(new[:, None, None], drone, self._drone)

    def _advance(self, actions: dict[str, Tensor], moving: Tensor) -> Outcome:
        present, last = self._present(), self._time + 1 >= self._length
        leaving = torch.zeros_like(present)
        leaving[:, 1] = self._time == 2 + self._offset
        leaving[:, 2] = self._time == 1 + self._offset
        rewards = torch.zeros(self.num_envs, 6, device=self.device)
        rewards[:, SCOUTS] = self._pay_scouts(actions["scout"], last, moving)
        right = (actions["driver"] == self._driver).all(-1) & present
        rewards[:, DRIVERS] = right.float() + LEAVING_BONUS * leaving
        rewards[:, DRONES] = 1 - (actions["drone"] - self._drone).abs().sum(-1)
        self._time = self._time + moving
        joining = (leaving | ~present) & self._present() & moving[:, None]
        self._age = torch.where(joining, 0, self._age + moving[:, None])
        self._draw_targets(moving, joining=joining, generator=self.generator)
        terminated = torch.zeros_like(rewards, dtype=torch.bool)
        terminated[:, DRIVERS] = leaving
        return Outcome(rewards=rewards, terminated=terminated, episode_over=last, info={"success": right.any(1) & last})

    def _pay_scouts(self, action: Tensor, last: Tensor, moving: Tensor) -> Tensor:
        earned = (action == self._scout).float() + ILLEGAL_PENALTY * (action == (self._scout + 1) % 4)
        earned = earned * self._on_turn()
        paid = self._owed + earned * last[:, None]
        self._owed = torch.where(moving[:, None], earned, self._owed)
        return paid

    def _observe(self) -> View:
        on_turn, present = self._on_turn(), self._present()
        observing = torch.cat([on_turn, present, torch.ones_like(on_turn[:, :1])], 1)
        silent = torch.isin(self._time, torch.tensor(SILENCE, device=self.device))
        meaning = [self._scout, self._driver[..., 0] * 2 + self._driver[..., 1], (self._drone[..., 0] > 0).long()]
        meaning = torch.where(observing, torch.cat(meaning, 1), -1)
        allowed = ~F.one_hot((self._scout + 1) % 4, 4).bool()
        return View(
            observations=self._observations(on_turn, present),
            observing=observing,
            acting=observing.clone(),
            speaking=observing & ~silent[:, None],
            meaning=meaning[..., None],
            action_mask={"scout": allowed},
        )

    def _observations(self, on_turn: Tensor, present: Tensor) -> dict[str, Tensor | dict[str, Tensor]]:
        image = torch.zeros(self.num_envs, 2, 4, 4, 3, dtype=torch.uint8, device=self.device)
        image[:, :, 0] = 255 * F.one_hot(self._scout, 4)[..., None].to(torch.uint8)
        image = image * on_turn[..., None, None, None]
        clock = (self._time / self.length)[:, None, None].expand(-1, 2, 1) * on_turn[..., None]
        parts = [F.one_hot(self._driver[..., 0], 3), F.one_hot(self._driver[..., 1], 2)]
        drivers = torch.cat([*parts, self._age[..., None] / self.length], -1) * present[..., None]
        sky = torch.zeros(self.num_envs, 1, 2, 2, 3, dtype=torch.uint8, device=self.device)
        sky[..., 0, :, 0] = (255 * (self._drone > 0)).to(torch.uint8)
        return {"scout": {"clock": clock, "picture": image}, "driver": drivers, "drone": sky}


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
