"""Speaker and listener: one sees a goal and only speaks, the other must name it and cannot see."""

import dataclasses

import torch
from gymnasium import spaces
from jaxtyping import Int
from torch import Tensor

from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View, check_positive
from heliograph.types import Bounds, Role

__all__ = ["SpeakerListener", "SpeakerState"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeakerState(EnvState):
    """The goal of the present round, env steps since the start, and rounds in which the goal was named."""

    goal: Int[Tensor, " B"]
    time: Int[Tensor, " B"]
    hits: Int[Tensor, " B"]


class SpeakerListener(TeamEnv[SpeakerState]):
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
            Role(
                name="speaker", agents=("speaker_0",), observation_space=speaker, action_space=silent,
                meaning_names=("goal",),
            ),
            Role(name="listener", agents=("listener_0",), observation_space=listener, action_space=guess),
        )  # fmt: skip
        super().__init__(roles, **base)

    @property
    def horizon(self) -> int:
        """Two env steps a round, after the talking."""
        return 2 * self.rounds + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact: a guess is right once in G, and with the goal known always."""
        guess = self.rounds * (2 / self.goals - 1)
        return Bounds(random=guess, blind=guess, full_information=float(self.rounds), source="exact")

    def oracle(self, state: SpeakerState) -> dict[str, Tensor]:
        """Name the goal."""
        return {"speaker": torch.zeros_like(state.goal)[:, None], "listener": state.goal[:, None]}

    def start(self) -> SpeakerState:
        """A new goal."""
        goal = torch.randint(self.goals, (self.num_envs,), generator=self.start_generator, device=self.device)
        zero = torch.zeros_like(goal)
        return SpeakerState(goal=goal, time=zero, hits=zero)

    def advance(self, state: SpeakerState, actions: dict[str, Tensor]) -> tuple[SpeakerState, Outcome]:
        """Pay in every second step, and go on with another goal."""
        answering = state.time % 2 == 1
        hit = actions["listener"][:, 0] == state.goal
        reward = torch.where(answering, torch.where(hit, 1.0, -1.0), 0.0)
        hits = state.hits + (hit & answering)
        time = state.time + 1
        over = time >= 2 * self.rounds
        next_goal = torch.randint(self.goals, over.shape, generator=self.generator, device=self.device)
        goal = torch.where(answering & ~over, next_goal, state.goal)
        outcome = Outcome(
            rewards=reward[:, None].expand(-1, 2),
            terminated=over[:, None].expand(-1, 2),
            episode_over=over,
            info={"success": hits == self.rounds},
        )
        return SpeakerState(goal=goal, time=time, hits=hits), outcome

    def observe(self, state: SpeakerState) -> View:
        """The goal for the speaker, for the listener whether it is its turn."""
        goal = torch.nn.functional.one_hot(state.goal, self.goals).float()[:, None]
        listening = state.time % 2 == 1
        turn = listening.float()[:, None, None]
        observations = {"speaker": goal, "listener": turn}
        if self.observation == "dict":
            observations = {"speaker": {"goal": goal}, "listener": {"turn": turn}}
        speaks = torch.stack([~listening, torch.zeros_like(listening)], 1)
        acts = torch.stack([torch.zeros_like(listening), listening], 1)
        meaning = torch.stack([state.goal, torch.full_like(state.goal, -1)], 1)[..., None]
        return View(
            observations=observations,
            observing=speaks | acts,
            acting=acts,
            speaking=speaks,
            meaning=meaning,
            state=torch.cat([goal[:, 0], turn[:, 0]], 1),
        )
