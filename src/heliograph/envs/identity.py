"""Identity: the smallest game that needs a message."""

import dataclasses

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Int
from torch import Tensor

from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View, check_positive
from heliograph.types import Bounds, Role

__all__ = ["Identity", "IdentityState"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class IdentityState(EnvState):
    """The number of each agent, and env steps since the start."""

    value: Int[Tensor, "B 2"]
    time: Int[Tensor, " B"]


class Identity(TeamEnv[IdentityState]):
    """Two agents each see a private number; one step later each must name the other's number.

    Step 1: both see and may speak. Step 2: both act, blind. Each gets 1 for naming the other's number out of `values`.
    """

    def __init__(self, *, values: int = 2, **base: Unpack[BaseSettings]):
        check_positive("values", values)
        if values < 2:
            raise ValueError(f"values={values}: needs at least 2 values, or there is nothing to say")
        self.values = values
        role = Role(
            name="agent",
            agents=("agent_0", "agent_1"),
            observation_space=spaces.Box(0.0, 1.0, (values,)),
            action_space=spaces.Discrete(values),
        )
        super().__init__((role,), **base)

    @property
    def horizon(self) -> int:
        """One step to speak, one to act, after the talking."""
        return 2 + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact: a blind guess is right once in `values`."""
        guess = 1 / self.values
        return Bounds(random=guess, blind=guess, full_information=1.0, source="exact")

    def oracle(self, state: IdentityState) -> dict[str, Tensor]:
        """Name the other's number."""
        return {"agent": state.value.flip(1)}

    def start(self) -> IdentityState:
        """New numbers."""
        value = torch.randint(self.values, (self.num_envs, 2), generator=self.start_generator, device=self.device)
        return IdentityState(value=value, time=torch.zeros_like(value[:, 0]))

    def advance(self, state: IdentityState, actions: dict[str, Tensor]) -> tuple[IdentityState, Outcome]:
        """Pay in the second step."""
        answering = state.time == 1
        hit = actions["agent"] == state.value.flip(1)
        time = state.time + 1
        over = time >= 2
        outcome = Outcome(
            rewards=(hit & answering[:, None]).float(),
            terminated=over[:, None].expand(-1, 2),
            episode_over=over,
            info={"success": hit.all(1) & answering},
        )
        return IdentityState(value=state.value, time=time), outcome

    def observe(self, state: IdentityState) -> View:
        """Show each agent its number in the first step."""
        seeing = (state.time == 0)[:, None].expand(-1, 2)
        value = F.one_hot(state.value, self.values).float()
        return View(
            observations={"agent": value * seeing[..., None]},
            observing=torch.ones_like(seeing),
            acting=~seeing,
            speaking=seeing,
            meaning=state.value[..., None],
            state=value.flatten(1),
        )
