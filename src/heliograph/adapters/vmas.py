"""Scenarios of VMAS as team environments: already batched, so its tensors are used as they are.

VMAS is no dependency and is not imported here: an environment of it comes from the user, who has it.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Unpack, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph.adapters.arrays import Spaces
from heliograph.adapters.naming import group_by_role
from heliograph.envs.base import BaseSettings, Outcome, View, check_positive, where
from heliograph.envs.foreign import ForeignEnv
from heliograph.types import Tree

__all__ = ["FromVMAS"]


@final
class FromVMAS(ForeignEnv):
    """`num_envs` copies of a VMAS scenario, moved at once; `make(num_envs=..., device=..., seed=...)` makes them.

    `functools.partial(vmas.make_env, "simple_reference", max_steps=25)` is such a function. All agents observe and act
    in each step; actions are discrete or continuous, and hold an agent's words where VMAS does not silence it. A copy
    that is done restarts alone (`reset_at`); its last observation is shown first. `max_steps` truncates.

    `role_of` and `speaking` are those of `StackedSettings`. `meaning_fn(env, agent)` gives whole numbers [B] or [B, Z]
    for all copies, `success_fn(env)` a flag for each [B]. VMAS keeps one random stream for all its environments; here
    each has its own, from the seed. `talk_steps` are refused: a copy cannot be held while others move.
    """

    resumable = False

    def __init__(
        self,
        make: Callable[..., Any],
        *,
        role_of: Callable[[str], str] | None = None,
        speaking: Callable[[str], bool] | None = None,
        meaning_fn: Callable[[Any, str], Tensor] | None = None,
        meaning_size: int = 1,
        success_fn: Callable[[Any], Tensor] | None = None,
        **base: Unpack[BaseSettings],
    ):
        check_positive("meaning_size", meaning_size)
        check_positive("num_envs", base.get("num_envs", 1))
        if base.get("talk_steps"):
            raise ValueError(f"talk_steps={base['talk_steps']}: VMAS moves all copies at once: leave it out")
        self.env = made_by_vmas(make, base)
        self._stream: list[Any] = list(self.env.vmas_random_state)
        self._meaning_fn, self._success_fn = meaning_fn, success_fn
        roles, self._slots = group_by_role({agent.name: self._spaces_of(agent) for agent in self.env.agents}, role_of)
        super().__init__(roles, **base)
        shape = (self.num_envs, self.num_agents)
        may_speak = [speaking is None or bool(speaking(agent)) for agent in self.agents]
        self._everybody = torch.ones(shape, dtype=torch.bool, device=self.device)
        self._speaking = torch.tensor(may_speak, device=self.device).expand(shape)
        self._meaning = torch.full((*shape, meaning_size), -1, dtype=torch.long, device=self.device)
        self._views: dict[Any, Tree] = {}

    def _spaces_of(self, agent: Any) -> Spaces:
        seen = self.env.scenario.observation(agent)
        return observation_space_of(seen), gymnasium_space(self.env.get_agent_action_space(agent))

    def pass_seed(self, seed: int) -> None:
        """Seed VMAS."""
        with self._own_stream():
            self.env.seed(seed)

    @contextlib.contextmanager
    def _own_stream(self) -> Iterator[None]:
        """VMAS draws from the stream of this environment, not from the one that all share."""
        shared = self.env.vmas_random_state
        others = list(shared)
        shared[:] = self._stream
        try:
            yield
        finally:
            self._stream = list(shared)
            shared[:] = others

    # ---- the hooks of ForeignEnv ---------------------------------------------------------------------------------

    def restart(self, starting: Tensor) -> None:
        """Begin an episode in the copies of the mask `[B]`."""
        seeds = torch.randint(2**31 - 1, starting.shape, generator=self.start_generator, device=self.device).tolist()
        with self._own_stream():
            if bool(starting.all()):
                self.env.reset(seed=seeds[0], return_observations=False)
            else:
                for copy in starting.nonzero().flatten().tolist():
                    self.env.seed(seeds[copy])
                    self.env.reset_at(copy, return_observations=False)
            told = self.env.get_from_scenario(
                get_observations=True, get_rewards=False, get_infos=False, get_dones=False
            )[0]
        shown = dict(zip(self._names(), told, strict=True))
        old = self._views or shown
        self._views = {name: where(starting, new, old[name]) for name, new in shown.items()}
        self._meaning = where(starting, self._meant(), self._meaning)

    def move(self, actions: dict[str, Tensor], moving: Tensor) -> Outcome:
        """Step all copies."""
        chosen = [self._action_of(name, actions) for name in self._names()]
        with self._own_stream():
            told, rewards, terminated, truncated, _ = self.env.step(chosen)
        self._views = dict(zip(self._names(), told, strict=True))
        self._meaning = self._meant()
        over, everybody = terminated | truncated, (-1, self.num_agents)
        by_slot: dict[Any, Tensor] = dict(zip(self._names(), rewards, strict=True))
        info = {} if self._success_fn is None else {"success": self._success_fn(self.env)}
        return Outcome(
            rewards=torch.stack([by_slot[agent] for agent in self._slots], 1).float(),
            terminated=terminated[:, None].expand(everybody),
            truncated=(truncated & ~terminated)[:, None].expand(everybody),
            episode_over=over,
            info=info,
        )

    def look(self) -> View:
        """Show what VMAS told last."""
        seen = {role.name: stacked([self._views[agent] for agent in role.agents]) for role in self.roles}
        return View(
            observations=seen,
            observing=self._everybody,
            acting=self._everybody,
            speaking=self._speaking,
            meaning=self._meaning,
        )

    # ---- from lists to roles -----------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return [agent.name for agent in self.env.agents]

    def _action_of(self, agent: str, actions: dict[str, Tensor]) -> Tensor:
        slot = self._slots[agent]
        action = actions[slot.role.name][:, slot.place]
        return action[:, None] if action.ndim == 1 else action

    def _meant(self) -> Tensor:
        if self._meaning_fn is None:
            return self._meaning
        wanted = self._meaning.shape[::2]
        values = [self._meaning_fn(self.env, str(agent)) for agent in self._slots]
        values = [value[:, None] if value.ndim == 1 else value for value in values]
        for agent, value in zip(self._slots, values, strict=True):
            if value.shape != wanted or value.is_floating_point():
                shape = f"{value.dtype} of shape {tuple(value.shape)}"
                raise ValueError(f"meaning_fn gave agent {agent!r} {shape}: needs whole numbers {tuple(wanted)}")
        return torch.stack(values, 1).long()


def made_by_vmas(make: Callable[..., Any], base: BaseSettings) -> Any:
    """The VMAS environment that `make` makes, told to give lists and to tell limits from ends."""
    num_envs, device = base.get("num_envs", 1), torch.device(base.get("device", "cpu"))
    env = make(num_envs=num_envs, device=str(device), seed=base.get("seed", 0))
    if not hasattr(env, "vmas_random_state"):
        raise TypeError(f"make() must return a vmas Environment, without a wrapper, not {type(env).__name__}")
    if env.num_envs != num_envs:
        raise ValueError(
            f"make() made {env.num_envs} copies, where {num_envs} are asked for: pass its num_envs on (in "
            ".environment(): num_envs=config['num_envs'])"
        )
    if torch.device(env.device) != device:
        raise ValueError(f"make() put its copies on {env.device}, not on {device}: pass its device on")
    env.dict_spaces, env.terminated_truncated = False, True
    return env


def observation_space_of(seen: Any) -> spaces.Space:
    """The space of an agent's observation, read off one of all copies."""
    if isinstance(seen, dict):
        return spaces.Dict({key: observation_space_of(part) for key, part in seen.items()})
    return spaces.Box(-np.inf, np.inf, tuple(seen.shape[1:]), np.float32)


def gymnasium_space(space: Any) -> spaces.Space:
    """A space of Gym, of which VMAS makes use, as one of Gymnasium."""
    if hasattr(space, "nvec"):
        return spaces.MultiDiscrete(np.asarray(space.nvec))
    return spaces.Discrete(int(space.n)) if hasattr(space, "n") else spaces.Box(space.low, space.high, dtype=np.float32)


def stacked(parts: list[Tree]) -> Tree:
    """Observations of the agents of a role, `[B, A, ...]`."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: stacked([part[key] for part in parts]) for key in first}
    return torch.stack([part.float() for part in parts], 1)
