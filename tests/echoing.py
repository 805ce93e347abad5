"""A game of one step without messages: each agent does what it sees, and all are paid for all."""

import dataclasses
from typing import Unpack

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor

from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, View
from heliograph.types import Role

VALUES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class EchoState(EnvState):
    """The number of each agent, or what it is to press."""

    value: Int[Tensor, "B N"] | Float[Tensor, "B N"]


class Echo(TeamEnv[EchoState]):
    """`agents` see one of 3 numbers each and are to name it; with `numbers` they see, and give, one from -1 to 1.

    All are paid the mean of what each earns: 1 for the right number, or 1 minus the squared distance.
    """

    def __init__(self, *, agents: int = 3, numbers: bool = False, **base: Unpack[BaseSettings]):
        self.number_of_agents, self.numbers = agents, numbers
        box = spaces.Box(-1.0, 1.0, (1,))
        role = Role(
            name="agent",
            agents=tuple(f"agent_{i}" for i in range(agents)),
            observation_space=box if numbers else spaces.Box(0.0, 1.0, (VALUES,)),
            action_space=box if numbers else spaces.Discrete(VALUES),
        )
        super().__init__((role,), **base)

    @property
    def horizon(self) -> int:
        """One step."""
        return 1

    def start(self) -> EchoState:
        """Fresh numbers."""
        shape = (self.num_envs, self.number_of_agents)
        if self.numbers:
            return EchoState(value=torch.rand(shape, generator=self.start_generator) * 2 - 1)
        return EchoState(value=torch.randint(VALUES, shape, generator=self.start_generator))

    def advance(self, state: EchoState, actions: dict[str, Tensor]) -> tuple[EchoState, Outcome]:
        """Pay the mean of all."""
        done = actions["agent"]
        earned = 1 - (done[..., 0] - state.value).square() if self.numbers else (done == state.value).float()
        over = torch.ones(self.num_envs, dtype=torch.bool)
        everyone = over.unsqueeze(1).expand_as(earned)
        return state, Outcome(
            rewards=earned.mean(1, keepdim=True).expand_as(earned), terminated=everyone, episode_over=over
        )

    def observe(self, state: EchoState) -> View:
        """Everybody sees its own."""
        everyone = torch.ones_like(state.value, dtype=torch.bool)
        seen = state.value.unsqueeze(-1) if self.numbers else F.one_hot(state.value, VALUES).float()
        meaning = torch.full((*state.value.shape, 1), -1)
        return View(
            observations={"agent": seen.float()}, observing=everyone, acting=everyone, speaking=everyone,
            meaning=meaning,
        )  # fmt: skip
