"""Identity: the smallest game that needs a message."""

import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor

from heliograph.envs.base import BaseSettings, Outcome, TeamEnv, Unpack, View, check_positive
from heliograph.types import Bounds, Role

__all__ = ["Identity"]


class Identity(TeamEnv):
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
        self._value = torch.zeros(self.num_envs, 2, dtype=torch.long, device=self.device)
        self._time = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)

    @property
    def horizon(self) -> int:
        """One step to speak, one to act, after the talking."""
        return 2 + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact: a blind guess is right once in `values`."""
        guess = 1 / self.values
        return Bounds(random=guess, blind=guess, full_information=1.0, source="exact")

    def oracle(self) -> dict[str, Tensor]:
        """Name the other's number."""
        return {"agent": self._value.flip(1)}

    def _start(self, starting: Tensor) -> None:
        value = torch.randint(self.values, self._value.shape, generator=self.start_generator, device=self.device)
        self._value = torch.where(starting[:, None], value, self._value)
        self._time = self._time.masked_fill(starting, 0)

    def _advance(self, actions: dict[str, Tensor], moving: Tensor) -> Outcome:
        answering = (self._time == 1) & moving
        hit = actions["agent"] == self._value.flip(1)
        self._time = self._time + moving
        over = self._time >= 2
        return Outcome(
            rewards=(hit & answering[:, None]).float(),
            terminated=over[:, None].expand(-1, 2),
            episode_over=over,
            info={"success": hit.all(1) & answering},
        )

    def _observe(self) -> View:
        seeing = (self._time == 0)[:, None].expand(-1, 2)
        value = F.one_hot(self._value, self.values).float()
        return View(
            observations={"agent": value * seeing[..., None]},
            observing=torch.ones_like(seeing),
            acting=~seeing,
            speaking=seeing,
            meaning=self._value[..., None],
            state=value.flatten(1),
        )
