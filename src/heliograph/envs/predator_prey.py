"""Predator-Prey: predators with a short sight look for a prey that does not move, and help each other to find it."""

import dataclasses
import functools

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.envs.grid_world import check_vision, count_on, draw_distinct, grid_sights
from heliograph.envs.predator_prey_scores import PREY_REWARD, STEP_PENALTY, TeamScores, team_scores
from heliograph.envs.predator_prey_searchers import Found, SharedKnowledge, searched
from heliograph.envs.scene import Actor, Floor, Ground, Mark, Scene, Shape, grid_cells
from heliograph.types import Bounds, Role

__all__ = ["PredatorPrey", "PreyState"]

MODES = ("mixed", "cooperative", "competitive")
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0))
"""Up, right, down, left, stay."""
UP, RIGHT, DOWN, LEFT, STAY = range(5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreyState(EnvState):
    """Row and column of each predator and of the prey, who has reached it, and env steps since the start."""

    place: Int[Tensor, "B N 2"]
    prey: Int[Tensor, "B 2"]
    reached: Bool[Tensor, "B N"]
    time: Int[Tensor, " B"]


class PredatorPrey(TeamEnv[PreyState]):
    """Predators start on different cells of a grid, one prey stands on another; each may move to a neighbouring cell.

    A predator that reaches the prey stays there. In every step each predator that is not on the prey is paid -0.05;
    one that is gets 0 ("mixed"), 0.05 times how many are there ("cooperative"), or a share of 0.05 ("competitive").
    A mixed episode ends when all are there, others after `steps`, as mixed ones do at the latest. Success is all on the
    prey in the last step. By default there are 3 predators on 5 x 5 cells (20 steps, vision 0), 5 on 10 x 10 (40
    steps, vision 1) and 10 on 20 x 20 (80 steps, vision 1). An observation is, for each cell within `vision`, its
    number and the numbers of prey and predators on it. `meaning` is the own cell and that of the prey where it is seen.

    Rules: Singh et al. 2019, Individualized controlled continuous communication model (IC3Net), and its code.
    Differences: a predator on the prey is not asked for actions (the code asks, and ignores them), though it goes on
    to see and speak; success is defined in competitive mode too.
    """

    def __init__(
        self,
        *,
        size: int = 5,
        predators: int | None = None,
        steps: int | None = None,
        vision: int | None = None,
        mode: str = "mixed",
        **base: Unpack[BaseSettings],
    ):
        check_positive("size", size)
        if size < 2:
            raise ValueError(f"size={size}: needs at least 2 x 2 cells")
        if mode not in MODES:
            raise ValueError(f"mode={mode!r}: must be one of {', '.join(MODES)}")
        self.size, self.mode = size, mode
        self.predators = (size + 1) // 2 if predators is None else predators
        self.steps = 4 * size if steps is None else steps
        self.vision = int(size > 5) if vision is None else vision
        check_positive("predators", self.predators)
        check_positive("steps", self.steps)
        check_vision(self.vision)
        cells = size * size
        if self.predators >= cells:
            raise ValueError(f"predators={self.predators}: must be fewer than the {cells} cells (size={size})")
        self._prey_feature, self._predator_feature, vocabulary = cells + 2, cells + 3, cells + 4
        role = Role(
            name="predator",
            agents=tuple(f"predator_{i}" for i in range(self.predators)),
            observation_space=spaces.Box(0.0, float(self.predators), ((2 * self.vision + 1) ** 2 * vocabulary,)),
            action_space=spaces.Discrete(len(MOVES)),
            action_names=("up", "right", "down", "left", "stay"),
        )
        super().__init__((role,), **base)
        grid = torch.arange(cells, device=self.device).view(size, size)
        self._sights = grid_sights(grid, vision=self.vision, outside=cells + 1, vocabulary=vocabulary)

    @property
    def horizon(self) -> int:
        """The longest episode, after the talking."""
        return self.steps + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact scores; blind is a scripted search, in which each goes where it sees most that is new."""
        found = {name: getattr(value, self.mode) for name, value in self.scores().items()}
        return Bounds(
            random=found["random"],
            blind=found["search"],
            full_information=found["direct"],
            source="exact; blind: the best search known",
        )

    def scores(self) -> dict[str, TeamScores]:
        """Exact scores of three teams: `random`, `search` (each for itself, told nothing), `direct` (all know)."""
        return team_scores(self.size, self.predators, self.steps, self.vision)

    def searches(self, *, num_episodes: int = 2000) -> dict[str, Found]:
        """Simulated steps of scripted searchers, by what they tell each other (see `SharedKnowledge`)."""
        told = functools.partial(searched, self.size, self.predators, self.steps, self.vision)
        return {telling.value: told(telling=telling, num_episodes=num_episodes) for telling in SharedKnowledge}

    def oracle(self, state: PreyState) -> dict[str, Tensor]:
        """Straight to the prey, along its column last."""
        down, right = (state.prey[:, None] - state.place).unbind(-1)
        sideways = torch.where(right > 0, RIGHT, LEFT)
        upright = torch.where(down > 0, DOWN, UP)
        action = torch.where(right != 0, sideways, torch.where(down != 0, upright, STAY))
        return {"predator": action}

    def scene(self, state: PreyState, copy: int = 0) -> Scene:
        """The grid, what each predator can see, the prey, and who has reached it."""
        there = (state.place[copy] == state.prey[copy]).all(-1).tolist()
        predators = tuple(
            Actor(
                name=name,
                label=str(slot),
                place=(float(column), float(row)),
                mark=Mark.DONE if reached else Mark.NONE,
                sight=self.vision,
            )
            for slot, (name, (row, column), reached) in enumerate(
                zip(self.agents, state.place[copy].tolist(), there, strict=True)
            )
        )
        row, column = state.prey[copy].tolist()
        prey = Actor(name="prey", place=(float(column), float(row)), kind=1, shape=Shape.STAR)
        return Scene(
            columns=self.size,
            rows=self.size,
            agents=predators,
            things=(prey,),
            floors=(Floor(ground=Ground.FLOOR, cells=grid_cells(self.size, self.size)),),
            caption=f"{sum(there)} of {self.predators} predators on the prey",
        )

    # ---- the rules --------------------------------------------------------------------------------------------

    def start(self) -> PreyState:
        """Predators and the prey on different cells."""
        cell = draw_distinct(
            self.num_envs, number=self.predators + 1, among=self.size**2, generator=self.start_generator,
            device=self.device,
        )  # fmt: skip
        place = torch.stack([cell // self.size, cell % self.size], -1)
        reached = torch.zeros(self.num_envs, self.predators, dtype=torch.bool, device=self.device)
        time = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
        return PreyState(place=place[:, :-1], prey=place[:, -1], reached=reached, time=time)

    def advance(self, state: PreyState, actions: dict[str, Tensor]) -> tuple[PreyState, Outcome]:
        """Move who has not reached the prey, and pay."""
        step = torch.tensor(MOVES, device=self.device)[actions["predator"]]
        moved = (state.place + step).clamp(0, self.size - 1)
        place = torch.where(state.reached[..., None], state.place, moved)
        there = (place == state.prey[:, None]).all(-1)
        time = state.time + 1
        everyone = there.all(1)
        over = time >= self.steps
        over = over | everyone if self.mode == "mixed" else over
        outcome = Outcome(
            rewards=torch.where(there, self._prey_reward(there), STEP_PENALTY),
            terminated=torch.zeros_like(there),
            episode_over=over,
            info={"success": everyone},
        )
        return PreyState(place=place, prey=state.prey, reached=state.reached | there, time=time), outcome

    def _prey_reward(self, there: Tensor) -> Float[Tensor, "B 1"]:
        """Return what a predator on the prey is paid."""
        number = there.sum(1, keepdim=True)
        if self.mode == "cooperative":
            return PREY_REWARD * number
        if self.mode == "competitive":
            return PREY_REWARD / number.clamp(min=1)
        return torch.zeros_like(number, dtype=torch.float32)

    # ---- what is seen -----------------------------------------------------------------------------------------

    def observe(self, state: PreyState) -> View:
        """Show each predator the cells around it."""
        cell = self._cells(state.place)
        prey = self._cells(state.prey)[:, None]
        window = self._sights.cells[cell]
        prey_seen = window == prey[..., None]
        everyone = torch.ones_like(state.reached)
        known = torch.where(prey_seen.any(-1), prey, -1)
        return View(
            observations={"predator": self._seen(cell, window, prey_seen)},
            observing=everyone,
            acting=~state.reached,
            speaking=everyone.clone(),
            meaning=torch.stack([cell, known], -1),
            state=self._of_all(state),
            positions=state.place.float(),
        )

    def _cells(self, place: Tensor) -> Tensor:
        return place[..., 0] * self.size + place[..., 1]

    def _seen(self, cell: Tensor, window: Tensor, prey_seen: Tensor) -> Float[Tensor, "B N O"]:
        seen = self._sights.numbers[cell]
        width = self._predator_feature + 1
        predators = count_on(cell, torch.ones_like(cell, dtype=torch.bool), num_cells=self.size**2)
        predators = predators.gather(1, window.flatten(1)).view(window.shape)
        seen[..., self._prey_feature :: width] = prey_seen.float()
        seen[..., self._predator_feature :: width] = predators
        return seen

    def _of_all(self, state: PreyState) -> Float[Tensor, "B S"]:
        """Row and column of every predator and of the prey, one-hot, and the time."""
        places = torch.cat([state.place, state.prey[:, None]], 1)
        return torch.cat([F.one_hot(places, self.size).flatten(1), state.time[:, None] / self.steps], 1)
