"""Python environments side by side as one team environment: what the adapters of foreign interfaces share.

This is the slow path: `num_envs` Python environments are stepped one after the other, and what their agents see is
stacked to tensors. An environment of one's own that must be fast is a `TeamEnv` written in tensors.
"""

import contextlib
import dataclasses
import functools
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph.adapters.arrays import AgentID, Spaces, as_tensors
from heliograph.adapters.closing import close_all, name_of
from heliograph.adapters.frames import ForeignStep, Records
from heliograph.adapters.naming import RULE, group_by_role
from heliograph.adapters.notes import Notes, tell_of_seed, untried
from heliograph.adapters.numbering import first_copy, workers_wanted
from heliograph.adapters.presence import RewardLedger
from heliograph.adapters.settings import StackedSettings, check_stacked, of_base
from heliograph.adapters.teams import teams_of
from heliograph.adapters.views import Views
from heliograph.adapters.workers import WorkedEnv, seeds_of
from heliograph.envs.base import FinalViews, Outcome, Unpack, View
from heliograph.envs.checking import EnvError, guarded, place_of
from heliograph.envs.endings import endings
from heliograph.envs.foreign import ForeignEnv
from heliograph.observations import JoinedObservations
from heliograph.types import TeamStep

SEED = 5
"""With which two resets are compared."""
NUMBERS = (float, int, np.float64, np.float32)
"""What almost every reward is."""


class StackedEnv(ForeignEnv):
    """Copies of a Python environment as a `TeamEnv`; an adapter fills in `_reset_one` and `_step_one`.

    An agent that leaves is terminated or truncated in its slot and observes no more; one that appears later is silent
    and blind until then. What an agent last saw stays in its slot while it waits for its turn.
    """

    resumable = counts_absent = False

    def __new__(cls, *arguments: Any, **settings: Any) -> Any:
        """An adapter, or, where `num_workers` asks for them, worker processes each of which has one."""
        if workers_wanted(settings):
            return WorkedEnv(functools.partial(cls, *arguments), settings)
        return super().__new__(cls)

    def __init__(
        self,
        envs: Sequence[Any],
        spaces_of: Mapping[Any, Spaces],
        **settings: Unpack[StackedSettings],
    ):
        check_stacked(settings, env=envs[0])
        roles, self._slots = group_by_role(spaces_of, settings.get("role_of"))
        super().__init__(roles, **of_base(settings))
        self.envs, self._settings, self.first_copy = list(envs), settings, first_copy()
        self._tensors = functools.partial(as_tensors, device=self.device)
        self.teams, numbers = teams_of(self._slots, settings.get("team_of"))
        self.team_of_agent = torch.tensor(numbers, device=self.device)
        self.rivals_hear = settings.get("rivals_hear", True)
        self.role_rule = RULE if settings.get("role_of") is None else "role_of="
        shape = (self.num_envs, self.num_agents)
        self._views = Views(self.roles, self._slots, copies=shape[0], settings=settings, wrong=self._error)
        self._presence = RewardLedger(*shape, together=settings.get("paid_after_end", False))
        self._steps, self._waiting = [0] * self.num_envs, [False] * self.num_envs
        self._left = [list[int]() for _ in self.envs]
        self._notes, self._happened = Notes(self._slots), Records(*shape)
        self._in_tensors = bool(self.talk_steps) or self.device.type != "cpu"
        self._numbers = {agent: slot.number for agent, slot in self._slots.items()}
        self._chosen = {
            agent: (slot.role.name, slot.place, None if slot.acts.keeps_numbers else slot.acts.action)
            for agent, slot in self._slots.items()
        }
        self._bounds = {
            r.name: (r.action_space.low, r.action_space.high)
            for r in self.roles
            if isinstance(r.action_space, spaces.Box)
        }
        never = torch.from_numpy(np.zeros(shape, bool))
        none_over = torch.from_numpy(np.zeros(shape[0], bool))
        self._joined = JoinedObservations(self.roles)
        fields = {field.name: None for field in dataclasses.fields(TeamStep)}
        self._unsaid = {**fields, "state": self._joined}
        self._quiet = {"terminated": never, "truncated": never, "episode_over": none_over}

    @property
    def agent_ids(self) -> tuple[AgentID, ...]:
        """Return what the Python environments call the agents, in the order of their slots."""
        return tuple(self._slots)

    @final
    def close(self) -> None:
        """Close all Python environments."""
        close_all(self.envs, first=self.first_copy)

    def described_spaces(self) -> dict[str, str]:
        """Return what the agents of each role see and choose, in a sentence; what is an image was decided by rule."""
        slots = reversed(self._slots.values())
        return {slot.role.name: f"sees {slot.sees.describe()}; chooses {slot.acts.describe()}" for slot in slots}

    # ---- what an adapter fills in ------------------------------------------------------------------------------

    @abstractmethod
    def _reset_one(self, env: Any, *, seed: int) -> ForeignStep:
        """Begin a new episode of one Python environment; `self._reset_with` are further arguments of its `reset`."""

    @abstractmethod
    def _step_one(self, env: Any, actions: dict[AgentID, Any]) -> ForeignStep:
        """Move one Python environment; `actions` has one for every agent whose turn it is."""

    @contextlib.contextmanager
    def _noting(self, copy: int, what: str) -> Iterator[None]:
        """Tell an exception of a Python environment which copy raised it, when, and whose turn it was."""
        where = f"{what}() of {name_of(self.envs[copy])}, copy {self.first_copy + copy}"
        where = f"{where}, step {self._steps[copy]} of its episode, turn of {self._views.turn[copy]}"
        try:
            yield
        except Exception as error:
            error.add_note(f"in {where}")
            raise
        except SystemExit as error:  # it would end a whole run without a word
            raise EnvError(f"sys.exit({error.code!r}) was called (in {where}; {place_of(error)})") from error

    # ---- the hooks of ForeignEnv ---------------------------------------------------------------------------------

    @final
    def restart(self, starting: Tensor) -> None:
        """Begin an episode in the copies of the mask `[B]`."""
        self.begin(starting, seeds=seeds_of(self).tolist())

    @final
    def begin(self, starting: Tensor, *, seeds: Sequence[int]) -> None:
        """Begin an episode in the copies of the mask `[B]`, each by its own of the seeds of all."""
        frames: dict[int, ForeignStep] = {}
        flags = starting.cpu().numpy()
        for copy in np.flatnonzero(flags).tolist():
            self._steps[copy] = 0
            self._left[copy] = []
            self._views.begin(copy)
            self._presence.begin(copy)
            try:
                frame = frames[copy] = self._reset_one(self.envs[copy], seed=seeds[copy])
            except (Exception, SystemExit) as error:
                with self._noting(copy, "reset"):
                    raise error
            if frame.over:
                number = self.first_copy + copy
                raise ValueError(f"copy {number}: the episode was over at its reset, with no agent in play")
        self._views.legal.look_for(frames.values())
        for copy, frame in frames.items():
            self._take(copy, frame)
            self._expect_masks(copy, frame)
        if frames:
            self._presence.meet(self._views.observing & flags[:, None])

    @final
    def agree_by(self, agree: Callable[[bool], bool]) -> None:
        """Ask others, with copies elsewhere, whether what one of all copies has is there in any."""
        self._views.legal.agree = agree

    @property
    def _reset_with(self) -> dict[str, Any]:
        options = self._settings.get("reset_options")
        return {} if options is None else {"options": dict(options)}

    @final
    def heeds_seed(self) -> bool:
        """Tell whether two resets of the first copy with one seed show the same.

        `reset()` is to be called afterwards.
        """
        with guarded(self, "reset"), self._noting(0, "reset"):
            first, second = (self._reset_one(self.envs[0], seed=SEED) for _ in range(2))
            return first.shows_same_as(second)

    @final
    def try_out(self) -> None:
        """Warn, once for each class of environments, where the seed of a reset does not decide what it shows."""
        kind = type(getattr(self.envs[0], "unwrapped", self.envs[0]))
        if untried(kind) and not self.heeds_seed():
            tell_of_seed(kind)

    @final
    def _stepped(self, actions: dict[str, Tensor]) -> TeamStep:
        """As of every environment, in arrays: tensors of a few copies take longer than many a Python environment."""
        if self._in_tensors:
            return super()._stepped(actions)
        happened = self._moved(self._rows_of(actions))
        if self.time_limit is not None:
            self._elapsed += 1
        self._moves += 1
        info = self._info(happened)
        told: dict[str, Any] = {
            "rewards": torch.from_numpy(happened.rewards),
            "info": self._tensors(info) if info else info,
        }
        if happened.is_quiet:
            return self._show_stacked(**told, **self._quiet)
        ends = endings(
            terminated=happened.terminated,
            truncated=happened.truncated,
            episode_over=happened.over,
            elapsed=self._elapsed.numpy(),
            time_limit=self.time_limit,
        )
        told |= {name: torch.from_numpy(flags) for name, flags in ends._asdict().items()}
        if not ends.episode_over.any():
            return self._show_stacked(**told)
        last = self.look() if self.final_views is FinalViews.ENDED or ends.truncated.any() else None
        return self._restarted(told, last)

    def _restarted(self, told: dict[str, Any], last: View | None) -> TeamStep:
        """Begin new episodes where they are over; `last` is what was seen at their ends."""
        over = told["episode_over"]
        if self.on_end is not None:
            self.on_end(over)
        self._elapsed.masked_fill_(over, 0)
        self.restart(over)
        step = self._show_stacked(**told)
        if last is not None:
            step.final_observations, step.final_state = last.observations, self._state_of(last)
        return step

    def _show_stacked(self, **outcomes: Any) -> TeamStep:
        """Return what is seen now; its form can only be that of the first reset, which was looked at."""
        if self._moves <= 1 or not self.rivals_hear:
            return self._show(self.look(), **outcomes)
        step: TeamStep = object.__new__(TeamStep)
        vars(step).update(self._unsaid, **self._views.fields(self.device), **outcomes)
        return step

    def _rows_of(self, actions: dict[str, Tensor]) -> dict[str, Any]:
        """Actions of each role in the numbers of networks, by copy and place: lists, or arrays of real numbers."""
        return {
            name: np.clip(action.detach().cpu().numpy(), *self._bounds[name])
            if name in self._bounds
            else action.tolist()
            for name, action in actions.items()
        }

    def _moved(self, rows: dict[str, Any], copies: list[int] | None = None) -> Records:
        """Move the Python environments, by actions in the numbers of networks."""
        happened = self._happened
        happened.begin()
        for copy in range(self.num_envs) if copies is None else copies:
            self._steps[copy] += 1
            chosen = {}
            for agent in self._views.turn[copy]:
                role, place, action = self._chosen[agent]
                row = rows[role][copy][place]
                chosen[agent] = row if action is None else action(row)
            if self._waiting[copy]:
                self._views.set_first(copy, chosen)
            if self._left[copy]:
                self._views.forget(copy, self._left[copy])
                self._left[copy] = []
            try:
                frame = self._step_one(self.envs[copy], chosen)
            except (Exception, SystemExit) as error:
                with self._noting(copy, "step"):
                    raise error
            self._take(copy, frame)
            self._record(copy, frame, happened)
        self._end(happened, copies)
        self._settle(happened)
        happened.rewards = happened.rewards.astype(np.float32)
        return happened

    @final
    def move(self, actions: dict[str, Tensor], moving: Tensor) -> Outcome:
        """Step the Python environments of the mask."""
        happened = self._moved(self._rows_of(actions), moving.nonzero().flatten().tolist())
        kept = {"rewards": happened.rewards, "terminated": happened.terminated, "truncated": happened.truncated}
        return Outcome(**self._tensors({**kept, "episode_over": happened.over, "info": self._info(happened)}))

    def _info(self, happened: Records) -> dict[str, np.ndarray]:
        return {} if self._settings.get("success_fn") is None else {"success": happened.success}

    @final
    def look(self) -> View:
        """Show what they told last."""
        return self._views.shown(self.device)

    # ---- from dicts to arrays ----------------------------------------------------------------------------------

    def _take(self, copy: int, frame: ForeignStep) -> None:
        met, is_reset = self._presence.met[copy], self._steps[copy] == 0
        self._waiting[copy] = self._views.take(copy, frame, env=self.envs[copy], met=met, is_reset=is_reset)

    def _expect_masks(self, copy: int, frame: ForeignStep) -> None:
        try:
            self._views.legal.expect(frame.turn, frame.infos)
        except ValueError as error:
            raise EnvError(f"copy {self.first_copy + copy}, at reset(): {error}") from error

    def _record(self, copy: int, frame: ForeignStep, happened: Records) -> None:
        if frame.terminated or frame.truncated or frame.over:
            happened.disturb()
            happened.over[copy] = frame.over
            left = [self._number(copy, agent) for agent in (*frame.terminated, *frame.truncated)]
            happened.terminated[copy, left[: len(frame.terminated)]] = True
            happened.truncated[copy, left[len(frame.terminated) :]] = True
            self._left[copy] = left
            success_fn = self._settings.get("success_fn")
            if frame.over and success_fn is not None:
                happened.success[copy] = bool(success_fn(self.envs[copy]))
        paid, numbers = happened.paid[copy], self._numbers
        for agent, reward in frame.rewards.items():
            if type(reward) not in NUMBERS or not -math.inf < reward < math.inf:
                value = np.asarray(reward)
                if value.size != 1 or value.dtype.kind not in "biuf" or not np.isfinite(value).all():
                    raise self._error(copy, agent, f"got the reward {reward!r}: needs one finite number")
                reward = value.item()
            paid[numbers[agent] if agent in numbers else self._number(copy, agent)] = reward

    def _end(self, happened: Records, copies: list[int] | None) -> None:
        """Note which steps of these copies are the last of their episodes; the time limit gets what it is to have."""
        happened.last = happened.over
        if self.time_limit is None:
            return
        at_limit = self._elapsed.cpu().numpy() + 1 >= self.time_limit
        if copies is not None:
            at_limit &= np.isin(np.arange(self.num_envs), copies)
        if at_limit.any():
            happened.disturb()
            happened.last = happened.over | at_limit
            if self._settings.get("time_limit_is_truncation"):
                theirs = happened.over & at_limit
                happened.over = happened.over & ~theirs
                happened.terminated[theirs] = False

    def _settle(self, happened: Records) -> None:
        lost = self._presence.settle(happened, observing=self._views.observing)
        if lost is not None:
            for copy in np.flatnonzero(lost.any(1))[:1].tolist():
                how: Any = {"step": self._steps[copy], "together": self._presence.together}
                self._notes.tell_lost(name_of(self.envs[copy]), lost[copy], **how)
        if not happened.is_quiet and happened.over.any():
            self._notes.count(int(happened.over.sum()), self._presence.had_turn)

    def _number(self, copy: int, agent: AgentID) -> int:
        if agent not in self._numbers:
            raise self._error(copy, agent, f"is not one of the possible agents {list(self._slots)}")
        return self._numbers[agent]

    def _error(self, copy: int, agent: AgentID, problem: str) -> EnvError:
        return EnvError(f"agent {agent!r}, copy {self.first_copy + copy}, step {self._steps[copy]}: {problem}")
