"""The contract of an environment: `B` independent copies of one task for a team, all in tensors.

`reset` and `step` are final. An environment fills in `start`, `advance` and `observe`, which take its state (see
`EnvState`) and return the next one. It draws randomness from `self.start_generator` in `start` and from
`self.generator` elsewhere, always for all `B` copies: interventions then stay paired.
"""

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypedDict, Unpack, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from heliograph import distributions, functional
from heliograph.checks import check_positive
from heliograph.envs.checking import EnvError, check_env_state, check_outcome, check_view, guarded
from heliograph.envs.endings import endings
from heliograph.envs.fields import Fields
from heliograph.envs.hearing import with_all_edges, within_teams
from heliograph.envs.older_hooks import OlderHooks, state_may_lack
from heliograph.envs.own_words import OwnWords
from heliograph.envs.saved_state import restored, saved
from heliograph.envs.scene import Scene, gathered
from heliograph.envs.state import EnvState, S, merge, select
from heliograph.envs.view import FinalViews, Outcome, View
from heliograph.envs.wording import Reading
from heliograph.observations import (
    JoinedObservations,
    check_observation_space,
    flat_observation,
    flat_size,
    pixel_scale,
)
from heliograph.registry import UnknownNameError
from heliograph.renamed import renamed
from heliograph.types import Bounds, Role, StateMaker, TeamStep, where


class BaseSettings(TypedDict, total=False):
    """Settings that every environment takes beside its own."""

    num_envs: int
    device: str
    seed: int
    time_limit: int | None
    talk_steps: int


class TeamEnv(OlderHooks, ABC, Generic[S]):
    """`num_envs` independent copies of an environment for a team of agents, stepped together.

    Settings: `num_envs` (B), `device`, `seed`, `time_limit` (env steps; longer episodes are truncated) and
    `talk_steps` (steps at the start of an episode in which all may speak and nobody acts).
    """

    resumable = True
    bounds_exact = True
    counts_absent = True
    """Whether an agent without a turn and without pay in an episode has a return, 0, in the mean over agents."""
    final_views = FinalViews.ENDED
    rivals_hear = True
    """Whether agents may hear those of other teams; False leaves edges within teams, whatever the topology."""
    takes_turns = False
    """Whether in each step one agent alone acts and speaks, heard by who is next: what a decision table can play."""
    teams: tuple[str, ...] = ("team",)
    """Names of the teams that `team_of_agent` [N] counts from 0."""
    adjustable: ClassVar[tuple[str, ...]] = ()
    """Settings that `change` can set while episodes are in flight; those that start later have the new values."""
    own_words: OwnWords | None = None
    """How agents speak by their actions, where they do."""
    on_end: Callable[[Bool[Tensor, " B"]], None] | None = None
    """Called in `step` with the copies whose episode has ended, while they still are as it ended."""

    @renamed
    def __init__(
        self,
        roles: tuple[Role, ...],
        *,
        num_envs: int = 1,
        device: str = "cpu",
        seed: int = 0,
        time_limit: int | None = None,
        talk_steps: int = 0,
    ):
        check_positive("num_envs", num_envs)
        if time_limit is not None:
            check_positive("time_limit", time_limit)
        if talk_steps != 0:
            check_positive("talk_steps", talk_steps)
        self.roles = roles
        self.agents = tuple(agent for role in roles for agent in role.agents)
        self.team_of_agent = torch.zeros(len(self.agents), dtype=torch.long, device=device)
        self.num_envs = num_envs
        self.device = torch.device(device)
        self.time_limit = time_limit
        self.talk_steps = talk_steps
        self.generator = distributions.stream_on(self.device)
        self.start_generator = distributions.stream_on(self.device)
        self._elapsed = torch.zeros(num_envs, dtype=torch.long, device=device)
        self._state: S | None = None
        self._planned: tuple[S, Tensor] | None = None
        self._moves, self._fields = 0, Fields()
        for role in roles:
            check_observation_space(role.observation_space, role.name)
            distributions.check_action_space(role.action_space)
        self.seed(seed)

    # ---- what an environment fills in --------------------------------------------------------------------------

    @abstractmethod
    def start(self) -> S:
        """Draw a new episode for all copies, from `self.start_generator`; only those that start now will have it."""

    @abstractmethod
    def advance(self, state: S, actions: dict[str, Tensor]) -> tuple[S, Outcome]:
        """Apply the rules to all copies: the next state and what happened. Writes nothing into `state`.

        Copies that are still talking keep their state, and what happened in them is ignored.
        """

    @abstractmethod
    def observe(self, state: S) -> View:
        """Show a state of all copies."""

    def bounds(self) -> Bounds | None:
        """Mean episode returns of a random, a blind and a fully informed team; None where nobody knows them."""
        return None

    @state_may_lack
    def oracle(self, state: S) -> dict[str, Tensor]:
        """Best actions for a state, seeing everything: the scripted solver beside the environment."""
        raise NotImplementedError(f"{type(self).__name__} has no scripted solver")

    @state_may_lack
    def scene(self, state: S, copy: int = 0) -> Scene:
        """Return what a copy in a state looks like, as plain data to be drawn; by default agents on a circle."""
        present = self.observe(state).observing[copy] | (self._elapsed[copy] < self.talk_steps)
        return gathered(self.roles, present=present.tolist())

    @classmethod
    def reading(cls, agents: Sequence[str]) -> Reading | None:
        """The environment in words of its own, for decision tables, message meanings and replays; None: plain ones."""
        return None

    def pass_seed(self, seed: int) -> None:
        """Pass the seed on, where a wrapped environment has randomness of its own."""

    def set_adjustable(self, name: str, value: Any) -> None:
        """Take a new value of an adjustable setting: by default the attribute of that name, which checks it."""
        setattr(self, name, value)

    def extra_state(self) -> Any:
        """Return what decides the future and is in no state, as settings that can be adjusted: saved beside it."""
        return None

    def set_extra_state(self, extra: Any) -> None:
        """Take back what `extra_state` gave."""

    def try_out(self) -> None:
        """Look for what would surprise, before training, and warn of it; `reset()` follows. By default nothing."""

    @property
    def horizon(self) -> int | None:
        """Longest possible episode in env steps by the rules, talking included; None where there is none."""
        return None

    # ---- what is final ----------------------------------------------------------------------------------------

    @property
    def has_oracle(self) -> bool:
        """True if `oracle` is filled in."""
        return type(self).oracle is not TeamEnv.oracle

    @property
    def num_agents(self) -> int:
        """N."""
        return len(self.agents)

    @property
    def agent_ids(self) -> tuple[Any, ...]:
        """Names of agents for functions of the user: their own, or the ids that another library knows them by."""
        return self.agents

    def slots(self, role: str) -> slice:
        """The contiguous slots of a role's agents."""
        start = 0
        for r in self.roles:
            if r.name == role:
                return slice(start, start + len(r.agents))
            start += len(r.agents)
        raise KeyError(role)

    @final
    def seed(self, seed: int) -> None:
        """Seed both random streams; the next `reset` starts from there."""
        self.generator.manual_seed(seed)
        self.start_generator.manual_seed(seed ^ 0x5EED)
        with guarded(self, "seed"):
            self.pass_seed(seed)

    @final
    def change(self, settings: Mapping[str, Any]) -> None:
        """Set `adjustable` settings, for the episodes that start from now on; others are refused."""
        for name in settings:
            if name not in self.adjustable:
                raise UnknownNameError(
                    what=f"adjustable setting of {type(self).__name__}", name=name, valid=list(self.adjustable)
                )
        with guarded(self, "change"):
            for name, value in settings.items():
                self.set_adjustable(name, value)

    @property
    def state(self) -> S:
        """The state of all copies, as the hooks are given it; to set it goes on from there. Nobody writes into it."""
        if self._state is None:
            raise RuntimeError("call reset() first: there is no state before")
        return self._state

    @state.setter
    def state(self, state: S) -> None:
        check_env_state(state, num_envs=self.num_envs, when="a state that was set")
        self._state = state

    def plan_start(self, state: S) -> None:
        """Let the next episode of every copy start in this state, not in one that is drawn; later ones are drawn."""
        check_env_state(state, num_envs=self.num_envs, when="a planned start")
        self._planned = state, torch.ones(self.num_envs, dtype=torch.bool, device=self.device)

    def selected(self, copies: Int[Tensor, " b"]) -> "TeamEnv[S]":
        """An environment that goes on from some of these copies, by number, on its own; random streams are copied."""
        env = copy.copy(self)
        env.num_envs, env._elapsed = len(copies), self._elapsed[copies]
        env._state = None if self._state is None else select(self._state, copies)
        env._planned = None if self._planned is None else (select(self._planned[0], copies), self._planned[1][copies])
        env.generator, env.start_generator = self.generator.clone_state(), self.start_generator.clone_state()
        return env

    @final
    def reset(self) -> TeamStep:
        """Start a new episode in every copy."""
        self._elapsed.zero_()
        self._moves = 0
        with guarded(self, "reset"):
            self._restart(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))
            return self._beginning()

    @final
    def step(self, actions: dict[str, Tensor]) -> TeamStep:
        """Move every copy once; finished episodes restart at once. Actions come per role, `[B, A, ...]`."""
        if self._state is None:
            raise RuntimeError("call reset() before step()")
        with guarded(self, "step"):
            return self._stepped(actions)

    def _stepped(self, actions: dict[str, Tensor]) -> TeamStep:
        legal = {r.name: distributions.legal(r.action_space, actions[r.name]) for r in self.roles}
        moving = self._elapsed >= self.talk_steps if self.talk_steps else None
        outcome = self._advanced(legal, moving)
        self._elapsed += 1
        self._moves += 1
        when = self._when()
        check_outcome(outcome, num_envs=self.num_envs, num_agents=self.num_agents, when=when)
        self._fields.hold_info(outcome.info, num_envs=self.num_envs, when=when)
        outcome = outcome if moving is None else outcome.only_in(moving)
        ends = endings(
            terminated=outcome.terminated,
            truncated=outcome.truncated,
            episode_over=outcome.episode_over,
            elapsed=self._elapsed,
            time_limit=self.time_limit,
        )
        rewards = outcome.rewards if outcome.rewards.is_floating_point() else outcome.rewards.float()
        outcomes = {"rewards": rewards, **ends._asdict(), "info": outcome.info}
        over = ends.episode_over
        if functional.surely_none(over):
            return self._show(self._look(), **outcomes)
        shown = self.final_views is FinalViews.ENDED or self._may_cut(outcome, ends.truncated)
        last = self._look() if shown else None
        if self.on_end is not None:
            self.on_end(over)
        self._elapsed.masked_fill_(over, 0)
        self._restart(over)
        step = self._show(self._look(), **outcomes)
        if last is not None:
            self._fields.hold(last, num_envs=self.num_envs, when=when)
            step.final_observations, step.final_state = last.observations, self._state_of(last)
        return step

    def _restart(self, starting: Tensor) -> None:
        """Begin a new episode in the copies of the mask."""
        new = self.start()
        if self._moves <= 1:
            check_env_state(new, num_envs=self.num_envs, when=self._when())
        if self._planned is not None:
            planned, waiting = self._planned
            new = merge(waiting & starting, planned, new)
            self._planned = None if functional.surely_none(waiting & ~starting) else (planned, waiting & ~starting)
        self._state = new if self._state is None or self._moves == 0 else merge(starting, new, self._state)

    def _advanced(self, actions: dict[str, Tensor], moving: Tensor | None) -> Outcome:
        """Move the copies of the mask; None: all."""
        new, outcome = self.advance(self.state, actions)
        if self._moves == 0:
            check_env_state(new, num_envs=self.num_envs, when="step 1 after reset()")
        self._state = new if moving is None else merge(moving, new, self.state)
        return outcome

    def _look(self) -> View:
        return self.observe(self.state)

    def _may_cut(self, outcome: Outcome, truncated: Tensor) -> bool:
        return (self.time_limit is not None or outcome.truncated is not None) and not functional.surely_none(truncated)

    @final
    def get_state(self) -> dict[str, Any]:
        """Everything that decides the future of all copies: tensors, random streams, and what `_extra_state` adds."""
        if not self.resumable:
            raise RuntimeError(f"{type(self).__name__} cannot save its state (resumable = False)")
        streams = {name: getattr(self, name).get_state() for name in ("generator", "start_generator")}
        with guarded(self, "get_state"):
            return {
                "tensors": {} if self._state is None else saved(self.state),
                "elapsed": self._elapsed.clone(),
                "planned": None if self._planned is None else (saved(self._planned[0]), self._planned[1].clone()),
                "streams": streams,
                "is_reset": self._state is not None,
                "extra": self.extra_state(),
            }

    @final
    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where `get_state` was called; raises ValueError where that was another environment."""
        tensors, planned = state["tensors"], state.get("planned")
        with guarded(self, "set_state"):
            form = self._form()
            self._state = None
            if state["is_reset"]:
                self.state = restored(form, tensors)
            self._planned = None if planned is None else (restored(form, planned[0]), planned[1].to(self.device))
            elapsed = state["elapsed"] if "elapsed" in state else tensors["_elapsed"]
            self._elapsed = elapsed.clone().to(self.device)
            for name, stream in state["streams"].items():
                getattr(self, name).set_state(stream)
            self.set_extra_state(state["extra"])

    def _form(self) -> S:
        """Any state: what it is made of."""
        return self.start() if self._state is None else self._state

    @final
    def view(self) -> TeamStep:
        """Show the present state again, as after a reset (for a runner that continues from saved state)."""
        with guarded(self, "view"):
            return self._beginning()

    def close(self) -> None:
        """Free what the environment holds: nothing, by default. Called once, when it is not needed any more."""

    def _beginning(self) -> TeamStep:
        nothing = torch.zeros(self.num_envs, self.num_agents, dtype=torch.float32, device=self.device)
        never = torch.zeros_like(nothing, dtype=torch.bool)
        return self._show(
            self._look(), rewards=nothing, terminated=never, truncated=never.clone(), episode_over=never.any(1)
        )

    def _show(self, view: View, **outcomes: Any) -> TeamStep:
        if self._moves <= 1:
            self._check(view)
        self._fields.hold(view, num_envs=self.num_envs, when=self._when())
        try:
            return self._shown(view, **outcomes)
        except (RuntimeError, LookupError, TypeError, AttributeError):
            self._check(view)
            raise

    def _check(self, view: View) -> None:
        check_view(self.roles, view, num_envs=self.num_envs, when=self._when())

    def _when(self) -> str:
        return f"step {self._moves} after reset()" if self._moves else "at reset()"

    def _shown(self, view: View, **outcomes: Any) -> TeamStep:
        talking = (self._elapsed < self.talk_steps).unsqueeze(1)
        if self.talk_steps:
            view.observing = view.observing | talking
            view.acting = view.acting & ~talking
            view.speaking = view.speaking | talking
            view.hearing = with_all_edges(view.hearing, talking) if view.hearing is not None else None
        if not self.rivals_hear:
            view.hearing = within_teams(view.hearing, self.team_of_agent, num_envs=self.num_envs)
        shown = {f.name: getattr(view, f.name) for f in dataclasses.fields(view)} | {"state": self._state_of(view)}
        return TeamStep(**shown, **outcomes)

    def _state_of(self, view: View) -> Tensor | StateMaker:
        return JoinedObservations(self.roles) if view.state is None else view.state


__all__ = [
    "BaseSettings", "EnvError", "EnvState", "FinalViews", "Outcome", "TeamEnv", "Unpack", "View",
    "check_observation_space", "check_positive", "flat_observation", "flat_size", "pixel_scale", "where",
]  # fmt: skip
