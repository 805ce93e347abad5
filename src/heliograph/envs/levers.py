"""Levers: some of a large pool of agents meet for one step, and each must pull a lever that no other pulls."""

import dataclasses
import math

import torch
import torch.nn.functional as F
from gymnasium import spaces
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.envs.grid_world import draw_distinct
from heliograph.envs.scene import Scene
from heliograph.types import Bounds, Role

__all__ = ["Levers", "LeversState", "expected_score"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeversState(EnvState):
    """Record of who of the pool each agent is."""

    number: Int[Tensor, "B N"]


class Levers(TeamEnv[LeversState]):
    """`levers` agents are drawn from a `pool`; each sees its own number, says something, and pulls one of the levers.

    All get (distinct levers - 1) / (levers - 1), so 1 where nobody pulls the same. The episode is one step: messages
    must arrive in the step in which they are said, or `talk_steps` must make room for them. `meaning` is the number.
    Success is a lever for each. The scripted solver pulls by rank among the numbers that were drawn.

    A team whose agents know their slot needs no messages: agent i pulls lever i. The task is one for models that do not
    see the agent's index, and the blind score is that of such a team.

    Rules: Sukhbaatar et al. 2016, Learning multiagent communication with backpropagation, section 4.1, with the reward
    of its code. Difference: numbers are distinct, as in the paper; the code draws them with repetition (`repeats`).
    """

    def __init__(self, *, levers: int = 5, pool: int = 500, repeats: bool = False, **base: Unpack[BaseSettings]):
        check_positive("levers", levers)
        check_positive("pool", pool)
        if levers < 2:
            raise ValueError(f"levers={levers}: needs at least 2, or there is nothing to agree on")
        if pool < levers:
            raise ValueError(f"pool={pool}: must hold at least the {levers} agents that are drawn (levers={levers})")
        self.levers, self.pool, self.repeats = levers, pool, repeats
        role = Role(
            name="agent",
            agents=tuple(f"agent_{i}" for i in range(levers)),
            observation_space=spaces.Discrete(pool),
            action_space=spaces.Discrete(levers),
        )
        super().__init__((role,), **base)

    @property
    def horizon(self) -> int:
        """One env step, after the talking."""
        return 1 + self.talk_steps

    def bounds(self) -> Bounds:
        """Exact; the best that agents can do blindly, if they do not know their slots, is to share the pool evenly."""
        blind = expected_score(self.levers, pool=None if self.repeats else self.pool)
        source = "exact; blind: agents that do not know their slot"
        return Bounds(random=expected_score(self.levers), blind=blind, full_information=1.0, source=source)

    def oracle(self, state: LeversState) -> dict[str, Tensor]:
        """The rank of each number among those drawn; ties by slot."""
        return {"agent": state.number.argsort(dim=1, stable=True).argsort(1)}

    def scene(self, state: LeversState, copy: int = 0) -> Scene:
        """Agents on a circle, each with its number."""
        scene = super().scene(state, copy)
        numbers = state.number[copy].tolist()
        agents = [dataclasses.replace(a, label=str(n)) for a, n in zip(scene.agents, numbers, strict=True)]
        return dataclasses.replace(scene, agents=tuple(agents), caption=f"{self.levers} levers")

    def start(self) -> LeversState:
        """Agents drawn from the pool."""
        stream, device = self.start_generator, self.device
        if self.repeats:
            number = torch.randint(self.pool, (self.num_envs, self.levers), generator=stream, device=device)
        else:
            number = draw_distinct(self.num_envs, number=self.levers, among=self.pool, generator=stream, device=device)
        return LeversState(number=number)

    def advance(self, state: LeversState, actions: dict[str, Tensor]) -> tuple[LeversState, Outcome]:
        """Pay for the levers that are pulled."""
        distinct = F.one_hot(actions["agent"], self.levers).any(1).sum(1)
        reward = ((distinct - 1) / (self.levers - 1))[:, None].expand(-1, self.levers)
        everyone = torch.ones_like(reward, dtype=torch.bool)
        outcome = Outcome(
            rewards=reward,
            terminated=everyone,
            episode_over=everyone[:, 0],
            info={"success": distinct == self.levers},
        )
        return state, outcome

    def observe(self, state: LeversState) -> View:
        """Show each agent its number."""
        everyone = torch.ones_like(state.number, dtype=torch.bool)
        return View(
            observations={"agent": state.number},
            observing=everyone,
            acting=everyone.clone(),
            speaking=everyone.clone(),
            meaning=state.number[..., None],
            state=state.number / self.pool,
        )


def expected_score(levers: int, *, pool: int | None = None) -> float:
    """Mean reward if each agent pulls a lever at random, or by its number where the levers share a pool evenly."""
    if pool is None:
        missed = (1 - 1 / levers) ** levers * levers
    else:
        shares = [pool // levers + (i < pool % levers) for i in range(levers)]
        missed = sum(math.comb(pool - share, levers) for share in shares) / math.comb(pool, levers)
    return (levers - missed - 1) / (levers - 1)
