"""Speaker and listener: one sees a goal and only speaks, the other must name it and cannot see."""

import torch
from gymnasium import spaces
from torch import Tensor

from heliograph.envs.base import BaseSettings, Outcome, TeamEnv, Unpack, View, check_positive
from heliograph.types import Bounds, Role

__all__ = ["SpeakerListener"]


class SpeakerListener(TeamEnv):
    """A speaker sees one of `goals` goals and speaks; then the listener, which cannot see, names a goal.

    Both get +1 for the right goal and -1 for a wrong one, so a random or silent team gets 2/G - 1 a round. Each of
    the `rounds` rounds draws a new goal and takes two env steps. `observation` is "flat" or "dict".
    """

    def __init__(self, *, goals: int = 3, rounds: int = 1, observation: str = "flat", **base: Unpack[BaseSettings]):
        check_positive("goals", goals)
        check_positive("rounds", rounds)
        if goals < 2:
            raise ValueError(f"goals={goals}: needs at least 2 goals, or there is nothing to say")
        if observation not in ("flat", "dict"):
            raise ValueError(f"observation={observation!r}: must be 'flat' or 'dict'")
        self.goals, self.rounds, self.observation = goals, rounds, observation
        speaker, listener = spaces.Box(0.0, 1.0, (goals,)), spaces.Box(0.0, 1.0, (1,))
        if observation == "dict":
            speaker, listener = spaces.Dict(goal=speaker), spaces.Dict(turn=listener)
        silent, guess = spaces.Discrete(1), spaces.Discrete(goals)
        roles = (
            Role(name="speaker", agents=("speaker_0",), observation_space=speaker, action_space=silent),
            Role(name="listener", agents=("listener_0",), observation_space=listener, action_space=guess),
        )
        super().__init__(roles, **base)
        self._goal = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
        self._time = torch.zeros_like(self._goal)
        self._hits = torch.zeros_like(self._goal)

    @property
    def horizon(self) -> int:
        """Two env steps a round, after the talking."""
        return 2 * self.rounds + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact: a guess is right once in G, and with the goal known always."""
        guess = self.rounds * (2 / self.goals - 1)
        return Bounds(random=guess, blind=guess, full_information=float(self.rounds), source="exact")

    def oracle(self) -> dict[str, Tensor]:
        """Name the goal."""
        return {"speaker": torch.zeros_like(self._goal)[:, None], "listener": self._goal[:, None]}

    def _start(self, starting: Tensor) -> None:
        goal = torch.randint(self.goals, starting.shape, generator=self.start_generator, device=self.device)
        self._goal = torch.where(starting, goal, self._goal)
        self._time = self._time.masked_fill(starting, 0)
        self._hits = self._hits.masked_fill(starting, 0)

    def _advance(self, actions: dict[str, Tensor], moving: Tensor) -> Outcome:
        answering = (self._time % 2 == 1) & moving
        hit = actions["listener"][:, 0] == self._goal
        reward = torch.where(answering, torch.where(hit, 1.0, -1.0), 0.0)
        self._hits = self._hits + (hit & answering)
        self._time = self._time + moving
        over = self._time >= 2 * self.rounds
        next_goal = torch.randint(self.goals, over.shape, generator=self.generator, device=self.device)
        self._goal = torch.where(answering & ~over, next_goal, self._goal)
        both = reward[:, None].expand(-1, 2)
        info = {"success": self._hits == self.rounds}
        return Outcome(rewards=both, terminated=over[:, None].expand(-1, 2), episode_over=over, info=info)

    def _observe(self) -> View:
        goal = torch.nn.functional.one_hot(self._goal, self.goals).float()[:, None]
        listening = self._time % 2 == 1
        turn = listening.float()[:, None, None]
        observations = {"speaker": goal, "listener": turn}
        if self.observation == "dict":
            observations = {"speaker": {"goal": goal}, "listener": {"turn": turn}}
        speaks = torch.stack([~listening, torch.zeros_like(listening)], 1)
        acts = torch.stack([torch.zeros_like(listening), listening], 1)
        meaning = torch.stack([self._goal, torch.full_like(self._goal, -1)], 1)[..., None]
        return View(
            observations=observations,
            observing=speaks | acts,
            acting=acts,
            speaking=speaks,
            meaning=meaning,
            state=torch.cat([goal[:, 0], turn[:, 0]], 1),
        )
