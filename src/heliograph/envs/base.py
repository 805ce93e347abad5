"""The contract of an environment: `B` independent copies of one task for a team, all in tensors.

`reset` and `step` are final. An environment fills in `_start`, `_advance` and `_observe`, keeps everything that
changes in tensor attributes (they are its saved state), and draws randomness from `self.start_generator` in `_start`
and from `self.generator` elsewhere, always for all `B` copies before masking: interventions then stay paired.
"""

import dataclasses
import enum
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypedDict, Unpack, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph import distributions, functional
from heliograph.checks import check_positive
from heliograph.envs.checking import EnvError, check_outcome, check_view, guarded
from heliograph.envs.endings import endings
from heliograph.envs.fields import Fields
from heliograph.envs.hearing import with_all_edges, within_teams
from heliograph.envs.scene import Scene, gathered
from heliograph.observations import (
    JoinedObservations,
    check_observation_space,
    flat_observation,
    flat_size,
    pixel_scale,
)
from heliograph.registry import UnknownNameError
from heliograph.renamed import renamed
from heliograph.types import Bounds, Edges, Role, StateMaker, TeamStep, Tree, where


class BaseSettings(TypedDict, total=False):
    """Settings that every environment takes beside its own."""

    num_envs: int
    device: str
    seed: int
    time_limit: int | None
    talk_steps: int


@dataclasses.dataclass(kw_only=True)
class Outcome:
    """What happened in a step: rewards, agents whose part ended, copies whose episode ended.

    An episode that is over terminates all agents but those in `truncated`: the agents that a wrapped environment cut
    off by a limit of its own. (The limit `time_limit` of this class is counted by `step`.)
    """

    rewards: Float[Tensor, "B N"]
    terminated: Bool[Tensor, "B N"]
    episode_over: Bool[Tensor, " B"]
    truncated: Bool[Tensor, "B N"] | None = None
    info: dict[str, Tensor] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(kw_only=True)
class View:
    """What the agents see now, who takes part in this step, and what an analyst may know.

    `state` is what a team with full information would see; it defaults to all observations side by side.
    `meaning` is what each agent privately knows (-1: nothing); never an input of a network.
    """

    observations: dict[str, Tree]
    observing: Bool[Tensor, "B N"]
    acting: Bool[Tensor, "B N"]
    speaking: Bool[Tensor, "B N"]
    meaning: Int[Tensor, "B N Z"]
    state: Float[Tensor, "B S"] | None = None
    hearing: Edges | None = None
    action_mask: dict[str, Bool[Tensor, "B _A _n"]] | None = None
    positions: Float[Tensor, "B N D"] | None = None
    adjacency: Edges | None = None


class FinalViews(enum.Enum):
    """After which endings of a copy `step` shows what its finished episode came to: all, or where a part was cut off.

    Nobody learns from what was seen after an episode has ended by its rules, and to show it costs time: a `Sampler`
    sets `TRUNCATED` on the environment that it is given.
    """

    ENDED = "ended"
    TRUNCATED = "truncated"


class TeamEnv(ABC):
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
    teams: tuple[str, ...] = ("team",)
    """Names of the teams that `team_of_agent` [N] counts from 0."""
    adjustable: ClassVar[tuple[str, ...]] = ()
    """Settings that `change` can set while episodes are in flight; those that start later have the new values."""
    on_end: Callable[[Bool[Tensor, " B"]], None] | None = None
    """Called in `step` with the copies whose episode has ended, while they still are as it ended."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = renamed(cls.__init__)  # type: ignore[method-assign]

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
        self._is_reset = False
        self._moves, self._fields = 0, Fields()
        for role in roles:
            check_observation_space(role.observation_space, role.name)
            distributions.check_action_space(role.action_space)
        self.seed(seed)

    # ---- what an environment fills in --------------------------------------------------------------------------

    @abstractmethod
    def _start(self, starting: Bool[Tensor, " B"]) -> None:
        """Begin a new episode in the copies of the mask, leaving the others untouched."""

    @abstractmethod
    def _advance(self, actions: dict[str, Tensor], moving: Bool[Tensor, " B"]) -> Outcome:
        """Apply the rules to the copies of the mask; what is returned for the others is ignored."""

    @abstractmethod
    def _observe(self) -> View:
        """Show the present state of all copies."""

    def bounds(self) -> Bounds | None:
        """Mean episode returns of a random, a blind and a fully informed team; None where nobody knows them."""
        return None

    def oracle(self) -> dict[str, Tensor]:
        """Best actions for the present state, seeing everything: the scripted solver beside the environment."""
        raise NotImplementedError(f"{type(self).__name__} has no scripted solver")

    def scene(self, copy: int = 0) -> Scene:
        """What a copy looks like now, as plain data to be drawn; by default agents on a circle, by role and number."""
        return gathered(self.roles, present=self.view().observing[copy].tolist())

    def try_out(self) -> None:
        """Look for what would surprise, before training, and warn of it; `reset()` follows. By default nothing."""

    @property
    def horizon(self) -> int | None:
        """Longest possible episode in env steps by the rules, talking included; None where there is none."""
        return None

    # ---- what is final ----------------------------------------------------------------------------------------

    @property
    def has_oracle(self) -> bool:
        """Whether `oracle` is filled in."""
        return type(self).oracle is not TeamEnv.oracle

    @property
    def num_agents(self) -> int:
        """N."""
        return len(self.agents)

    @property
    def num_copies(self) -> int:
        """The older name of `num_envs`."""
        warnings.warn("TeamEnv.num_copies is called num_envs now", DeprecationWarning, stacklevel=2)
        return self.num_envs

    @property
    def agent_ids(self) -> tuple[Any, ...]:
        """What functions of the user are given for each agent: its name, or the id that another library knows it by."""
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
            self._seed(seed)

    def _seed(self, seed: int) -> None:
        """Pass the seed on, where a wrapped environment has randomness of its own."""

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
                self._change(name, value)

    def _change(self, name: str, value: Any) -> None:
        """Take a new value of an adjustable setting: by default the attribute of that name, which checks it."""
        setattr(self, name, value)

    @final
    def reset(self) -> TeamStep:
        """Start a new episode in every copy."""
        everywhere = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._elapsed.zero_()
        self._moves = 0
        with guarded(self, "reset"):
            self._start(everywhere)
            self._is_reset = True
            return self._beginning()

    @final
    def step(self, actions: dict[str, Tensor]) -> TeamStep:
        """Move every copy once; finished episodes restart at once. Actions come per role, `[B, A, ...]`."""
        if not self._is_reset:
            raise RuntimeError("call reset() before step()")
        with guarded(self, "step"):
            return self._stepped(actions)

    def _stepped(self, actions: dict[str, Tensor]) -> TeamStep:
        moving = self._elapsed >= self.talk_steps
        legal = {r.name: distributions.legal(r.action_space, actions[r.name]) for r in self.roles}
        outcome = self._advance(legal, moving)
        self._elapsed += 1
        self._moves += 1
        when = self._when()
        check_outcome(outcome, num_envs=self.num_envs, num_agents=self.num_agents, when=when)
        self._fields.hold_info(outcome.info, num_envs=self.num_envs, when=when)
        inside = None if outcome.truncated is None else outcome.truncated & moving.unsqueeze(1)
        ends = endings(
            terminated=outcome.terminated & moving.unsqueeze(1),
            truncated=inside,
            episode_over=outcome.episode_over & moving,
            elapsed=self._elapsed,
            time_limit=self.time_limit,
        )
        outcomes = {
            "rewards": torch.where(moving.unsqueeze(1), outcome.rewards, 0.0),
            **ends._asdict(),
            "info": outcome.info,
        }
        over = ends.episode_over
        if functional.surely_none(over):
            return self._show(self._observe(), **outcomes)
        shown = self.final_views is FinalViews.ENDED or self._may_cut(outcome, ends.truncated)
        last = self._observe() if shown else None
        if self.on_end is not None:
            self.on_end(over)
        self._elapsed.masked_fill_(over, 0)
        self._start(over)
        step = self._show(self._observe(), **outcomes)
        if last is not None:
            self._fields.hold(last, num_envs=self.num_envs, when=when)
            step.final_observations, step.final_state = last.observations, self._state_of(last)
        return step

    def _may_cut(self, outcome: Outcome, truncated: Tensor) -> bool:
        return (self.time_limit is not None or outcome.truncated is not None) and not functional.surely_none(truncated)

    @final
    def get_state(self) -> dict[str, Any]:
        """Everything that decides the future of all copies: tensors, random streams, and what `_extra_state` adds."""
        if not self.resumable:
            raise RuntimeError(f"{type(self).__name__} cannot save its state (resumable = False)")
        tensors = {key: value.clone() for key, value in vars(self).items() if isinstance(value, Tensor)}
        streams = {"generator": self.generator.get_state(), "start_generator": self.start_generator.get_state()}
        with guarded(self, "get_state"):
            return {"tensors": tensors, "streams": streams, "is_reset": self._is_reset, "extra": self._extra_state()}

    @final
    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where `get_state` was called."""
        for key, value in state["tensors"].items():
            setattr(self, key, value.clone().to(self.device))
        self.generator.set_state(state["streams"]["generator"])
        self.start_generator.set_state(state["streams"]["start_generator"])
        self._is_reset = state["is_reset"]
        with guarded(self, "set_state"):
            self._set_extra_state(state["extra"])

    def _extra_state(self) -> Any:
        """State that is not in tensor attributes."""
        return None

    def _set_extra_state(self, extra: Any) -> None:
        """Take back what `_extra_state` gave."""

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
            self._observe(), rewards=nothing, terminated=never, truncated=never.clone(), episode_over=never.any(1)
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
    "BaseSettings", "EnvError", "FinalViews", "Outcome", "TeamEnv", "Unpack", "View", "check_observation_space",
    "check_positive", "flat_observation", "flat_size", "pixel_scale", "where",
]  # fmt: skip
