"""Python environments side by side as one team environment: what the adapters of foreign interfaces share.

This is the slow path: `num_copies` Python environments are stepped one after the other, and what their agents see is
stacked to tensors. An environment of one's own that must be fast is a `TeamEnv` written in tensors.
"""

import contextlib
import functools
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph.adapters.arrays import MASK, AgentID, Slot, Spaces, as_tensors, clear, empty, first_action, take_mask
from heliograph.adapters.closing import close_all, name_of
from heliograph.adapters.frames import Frame, Records
from heliograph.adapters.legal import Legal
from heliograph.adapters.naming import RULE, group_by_role
from heliograph.adapters.notes import Notes, tell_of_seed, untried
from heliograph.adapters.numbering import first_copy, workers_wanted
from heliograph.adapters.presence import Presence
from heliograph.adapters.settings import StackedSettings, asked_of, check_stacked, of_base
from heliograph.adapters.surroundings import Surroundings
from heliograph.adapters.teams import teams_of
from heliograph.adapters.workers import WorkedEnv, seeds_of
from heliograph.envs.base import FinalViews, Outcome, TeamEnv, Unpack, View
from heliograph.envs.checking import EnvError, guarded, place_of
from heliograph.types import TeamStep

SEED = 5
"""With which two resets are compared."""
NOTHING: Mapping[str, Any] = {}


class StackedEnv(TeamEnv):
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
        self._meaning_fn = settings.get("meaning_fn")
        self._tensors = functools.partial(as_tensors, device=self.device)
        self.teams, numbers = teams_of(self._slots, settings.get("team_of"))
        self.team_of_agent = torch.tensor(numbers, device=self.device)
        self.rivals_hear = settings.get("rivals_hear", True)
        self.role_rule = RULE if settings.get("role_of") is None else "role_of="
        shape = (self.num_copies, self.num_agents)
        speaking = settings.get("speaking")
        self._may_speak = np.array([speaking is None or bool(speaking(agent)) for agent in self._slots])
        self._observing, self._acting, self._speaking, self._left = (np.zeros(shape, bool) for _ in range(4))
        self._presence = Presence(*shape, together=settings.get("paid_after_end", False))
        self._surroundings = Surroundings(self._slots, copies=shape[0], asked=asked_of(settings))
        self._meaning = np.full((*shape, settings.get("meaning_size", 1)), -1, np.int64)
        self._seen = {r.name: empty(r.observation_space, (shape[0], len(r.agents))) for r in self.roles}
        in_infos = settings.get("masks_in_infos")
        self._legal = Legal(self.roles, self._slots, copies=shape[0], in_infos=in_infos)
        self._turn: list[list[AgentID]] = [[] for _ in self.envs]
        self._steps = [0] * self.num_copies
        self._notes = Notes(self._slots)
        self._waiting, self._leaving = [False] * self.num_copies, [False] * self.num_copies
        self._bounds = {
            r.name: (r.action_space.low, r.action_space.high)
            for r in self.roles
            if isinstance(r.action_space, spaces.Box)
        }

    @property
    def agent_ids(self) -> tuple[AgentID, ...]:
        """What the Python environments call the agents, in the order of their slots."""
        return tuple(self._slots)

    @final
    def close(self) -> None:
        """Close all Python environments."""
        close_all(self.envs, first=self.first_copy)

    def described_spaces(self) -> dict[str, str]:
        """What the agents of each role see and choose, in a sentence; what is an image was decided by rule."""
        slots = reversed(self._slots.values())
        return {slot.role.name: f"sees {slot.sees.describe()}; chooses {slot.acts.describe()}" for slot in slots}

    # ---- what an adapter fills in ------------------------------------------------------------------------------

    @abstractmethod
    def _reset_one(self, env: Any, *, seed: int) -> Frame:
        """Begin a new episode of one Python environment; `self._reset_with` are further arguments of its `reset`."""

    @abstractmethod
    def _step_one(self, env: Any, actions: dict[AgentID, Any]) -> Frame:
        """Move one Python environment; `actions` has one for every agent whose turn it is."""

    @contextlib.contextmanager
    def _noting(self, copy: int, what: str) -> Iterator[None]:
        """Tell an exception of a Python environment which copy raised it, when, and whose turn it was."""
        where = f"{what}() of {name_of(self.envs[copy])}, copy {self.first_copy + copy}"
        where = f"{where}, step {self._steps[copy]} of its episode, turn of {self._turn[copy]}"
        try:
            yield
        except Exception as error:
            error.add_note(f"in {where}")
            raise
        except SystemExit as error:  # it would end a whole run without a word
            raise EnvError(f"sys.exit({error.code!r}) was called (in {where}; {place_of(error)})") from error

    # ---- the hooks of TeamEnv ----------------------------------------------------------------------------------

    @final
    def _start(self, starting: Tensor) -> None:
        self.begin(starting, seeds=seeds_of(self).tolist())

    @final
    def begin(self, starting: Tensor, *, seeds: Sequence[int]) -> None:
        """Begin an episode in the copies of the mask `[B]`, each by its own of the seeds of all."""
        frames: dict[int, Frame] = {}
        for copy in starting.nonzero().flatten().tolist():
            self._steps[copy] = 0
            self._forget(copy, range(self.num_agents))
            with self._noting(copy, "reset"):
                frame = frames[copy] = self._reset_one(self.envs[copy], seed=seeds[copy])
            if frame.over:
                number = self.first_copy + copy
                raise ValueError(f"copy {number}: the episode was over at its reset, with no agent in play")
        self._legal.look_for(frames.values())
        for copy, frame in frames.items():
            self._surroundings.forget(copy)
            self._presence.met[copy] = False
            self._take(copy, frame)
            self._presence.begin(copy, self._observing[copy])

    @final
    def agree_by(self, agree: Callable[[bool], bool]) -> None:
        """Ask others, with copies elsewhere, whether what one of all copies has is there in any."""
        self._legal.agree = agree

    @property
    def _reset_with(self) -> dict[str, Any]:
        options = self._settings.get("reset_options")
        return {} if options is None else {"options": dict(options)}

    @final
    def heeds_seed(self) -> bool:
        """Whether two resets of the first copy with one seed show the same; `reset()` is to be called afterwards."""
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
        """The rules of `TeamEnv.step`, in arrays: tensors of a few copies take longer than many an environment."""
        if self.talk_steps or self.device.type != "cpu":
            return super()._stepped(actions)
        happened = self._moved({name: action.detach().numpy() for name, action in actions.items()})
        elapsed = self._elapsed.numpy()
        elapsed += 1
        self._moves += 1
        over, terminated = happened.over, happened.terminated | happened.over[:, None]
        cut = (elapsed >= self.time_limit) & ~over if self.time_limit is not None else np.zeros_like(over)
        inside = happened.truncated & ~happened.terminated
        truncated = (cut[:, None] & ~terminated) | inside
        outcomes = {
            "rewards": happened.rewards,
            "terminated": terminated & ~inside,
            "truncated": truncated,
            "episode_over": over | cut,
        }
        told: dict[str, Any] = {name: torch.from_numpy(array) for name, array in outcomes.items()}
        told["info"] = self._tensors(self._info(happened))
        if not outcomes["episode_over"].any():
            return self._show_stacked(**told)
        last = self._observe() if self.final_views is FinalViews.ENDED or truncated.any() else None
        return self._restarted(told, last)

    def _restarted(self, told: dict[str, Any], last: View | None) -> TeamStep:
        """Begin new episodes where they are over; `last` is what was seen at their ends."""
        over = told["episode_over"]
        if self.on_end is not None:
            self.on_end(over)
        self._elapsed.masked_fill_(over, 0)
        self._start(over)
        step = self._show_stacked(**told)
        if last is not None:
            step.final_observations, step.final_state = last.observations, self._state_of(last)
        return step

    def _show_stacked(self, **outcomes: Any) -> TeamStep:
        """What is seen now; its form can only be that of the first reset, which was looked at."""
        if self._moves <= 1 or not self.rivals_hear:
            return self._show(self._observe(), **outcomes)
        view = self._observe()
        return TeamStep(**{**vars(view), "state": self._state_of(view)}, **outcomes)

    def _moved(self, arrays: dict[str, np.ndarray], copies: Iterable[int] | None = None) -> Records:
        """Move the Python environments, by actions in the numbers of networks."""
        happened = Records(self.num_copies, self.num_agents)
        if any(self._waiting):
            arrays = {name: array.copy() for name, array in arrays.items()}
        for name, (low, high) in self._bounds.items():
            arrays[name] = np.clip(arrays[name], low, high)
        for copy in range(self.num_copies) if copies is None else copies:
            self._steps[copy] += 1
            if self._waiting[copy]:
                self._set_first(copy, arrays)
            slots = [self._slots[agent] for agent in self._turn[copy]]
            chosen = {slot.agent: slot.acts.action(arrays[slot.role.name][copy, slot.place]) for slot in slots}
            if self._leaving[copy]:
                self._forget(copy, np.flatnonzero(self._left[copy]).tolist())
            try:
                frame = self._step_one(self.envs[copy], chosen)
            except (Exception, SystemExit) as error:
                with self._noting(copy, "step"):
                    raise error
            self._take(copy, frame)
            self._record(copy, frame, happened)
        self._settle(happened)
        return happened

    @final
    def _advance(self, actions: dict[str, Tensor], moving: Tensor) -> Outcome:
        arrays = {name: action.detach().cpu().numpy() for name, action in actions.items()}
        happened = self._moved(arrays, moving.nonzero().flatten().tolist())
        kept = {"rewards": happened.rewards, "terminated": happened.terminated, "truncated": happened.truncated}
        return Outcome(**self._tensors({**kept, "episode_over": happened.over, "info": self._info(happened)}))

    def _info(self, happened: Records) -> dict[str, np.ndarray]:
        return {} if self._settings.get("success_fn") is None else {"success": happened.success}

    @final
    def _observe(self) -> View:
        masks = {name: self._tensors(flags) for name, flags in self._legal.flags.items()}
        return View(
            observations={name: self._tensors(seen) for name, seen in self._seen.items()},
            observing=self._tensors(self._observing),
            acting=self._tensors(self._acting),
            speaking=self._tensors(self._speaking),
            meaning=self._tensors(self._meaning),
            action_mask=masks or None,
            **self._surroundings.fields(self.device),
        )

    # ---- from dicts to arrays ----------------------------------------------------------------------------------

    def _take(self, copy: int, frame: Frame) -> None:
        """Store what the agents see; those that do not observe keep what they saw last."""
        for mask in (self._observing, self._acting, self._speaking):
            mask[copy] = False
        masks = {agent: self._see(copy, agent, observation) for agent, observation in frame.observations.items()}
        idle = False
        for agent in frame.turn:
            if agent not in masks:
                raise self._error(copy, agent, "is in play but got no observation")
            slot, info = self._slots[agent], frame.infos.get(agent) or NOTHING
            acting = self._take_part(copy, slot, info)
            if not acting:
                self._legal.allow_all(copy, slot)
            elif slot.masked or MASK in info:
                acting = self._limit(copy, slot, masks[agent], info.get(MASK))
            else:
                self._legal.allow_all(copy, slot)
            self._acting[copy, slot.number] = acting
            idle = idle or not acting
        if self._steps[copy] == 0:
            self._expect_masks(copy, frame)
        self._turn[copy], self._waiting[copy] = list(frame.turn), idle
        if self._surroundings.wanted:
            met, turn = self._presence.met[copy], frozenset(frame.turn)
            in_play = [agent for agent, slot in self._slots.items() if met[slot.number] or agent in turn]
            self._surroundings.take(copy, self.envs[copy], in_play)

    def _see(self, copy: int, agent: AgentID, observation: Any) -> Any:
        """Store an observation; the mask that it holds, where it holds one."""
        slot, mask = self._slot(copy, agent), None
        try:
            if slot.masked:
                observation, mask = take_mask(observation)
            slot.sees.write(self._seen[slot.role.name], (copy, slot.place), observation)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            is_odd = isinstance(observation, Mapping) and not isinstance(slot.role.observation_space, spaces.Dict)
            remedy = f" (a dict of {list(observation)}: declare a Dict space, or flatten it)" if is_odd else ""
            raise self._error(copy, agent, f"got a bad observation: {error}{remedy}") from error
        return mask

    def _limit(self, copy: int, slot: Slot, seen: Any, told: Any) -> bool:
        """Store which actions are legal for an agent that is asked; whether any is."""
        try:
            return self._legal.limit(copy, slot, seen=seen, told=told, is_reset=self._steps[copy] == 0)
        except ValueError as error:
            raise self._error(copy, slot.agent, str(error)) from error

    def _set_first(self, copy: int, arrays: dict[str, np.ndarray]) -> None:
        """Choose the first action for agents that have none to choose: a Python environment may need one of them."""
        for slot in (self._slots[agent] for agent in self._turn[copy]):
            if not self._acting[copy, slot.number]:
                arrays[slot.role.name][copy, slot.place] = first_action(slot.role.action_space)

    def _expect_masks(self, copy: int, frame: Frame) -> None:
        try:
            self._legal.expect(frame.turn, frame.infos)
        except ValueError as error:
            raise EnvError(f"copy {self.first_copy + copy}, at reset(): {error}") from error

    def _take_part(self, copy: int, slot: Slot, info: Mapping[str, Any]) -> bool:
        """Store whether an agent in play observes and speaks, and what it knows; whether it acts."""
        number, agent = slot.number, slot.agent
        observing = bool(info.get("observing", True))
        self._observing[copy, number] = observing
        self._speaking[copy, number] = self._may_speak[number] and info.get("speaking", observing)
        if self._meaning_fn is not None:
            self._mean(copy, agent, self._meaning_fn(self.envs[copy], agent))
        elif "meaning" in info:
            self._mean(copy, agent, info["meaning"])
        return bool(info.get("acting", observing))

    def _mean(self, copy: int, agent: AgentID, meaning: int | Sequence[int]) -> None:
        values = np.atleast_1d(np.asarray(meaning))
        size = self._meaning.shape[-1]
        if values.shape != (size,) or values.dtype.kind not in "iu":
            raise self._error(copy, agent, f"got the meaning {meaning!r}: needs meaning_size={size} whole numbers")
        self._meaning[copy, self._slots[agent].number] = values

    def _record(self, copy: int, frame: Frame, happened: Records) -> None:
        for agents, flags in ((frame.terminated, happened.terminated), (frame.truncated, happened.truncated)):
            for agent in agents:
                flags[copy, self._slot(copy, agent).number] = True
        success_fn = self._settings.get("success_fn")
        if frame.over and success_fn is not None:
            happened.success[copy] = bool(success_fn(self.envs[copy]))
        self._left[copy] = happened.terminated[copy] | happened.truncated[copy]
        self._leaving[copy] = bool(frame.terminated or frame.truncated)
        at_limit = self.time_limit is not None and int(self._elapsed[copy]) + 1 >= self.time_limit
        happened.over[copy], happened.last[copy] = frame.over, frame.over or at_limit
        if frame.over and at_limit and self._settings.get("time_limit_is_truncation"):
            happened.over[copy], happened.terminated[copy] = False, False
        for agent, reward in frame.rewards.items():
            if not isinstance(reward, float) or not math.isfinite(reward):
                value = np.asarray(reward)
                if value.size != 1 or value.dtype.kind not in "biuf" or not np.isfinite(value).all():
                    raise self._error(copy, agent, f"got the reward {reward!r}: needs one finite number")
                reward = value.item()
            happened.paid[copy, self._slot(copy, agent).number] = reward

    def _settle(self, happened: Records) -> None:
        lost = self._presence.settle(happened.paid, happened, observing=self._observing, last=happened.last)
        if lost is not None:
            for copy in np.flatnonzero(lost.any(1))[:1].tolist():
                how: Any = {"step": self._steps[copy], "together": self._presence.together}
                self._notes.tell_lost(name_of(self.envs[copy]), lost[copy], **how)
        if happened.over.any():
            self._notes.count(int(happened.over.sum()), self._presence.turns)

    def _forget(self, copy: int, numbers: Iterable[int]) -> None:
        """Clear the slots of agents that have left."""
        slots = list(self._slots.values())
        for number in numbers:
            role, place = slots[number].role.name, slots[number].place
            clear(self._seen[role], (copy, place))
            self._legal.allow_all(copy, slots[number])
            self._meaning[copy, number] = -1
            self._left[copy, number] = False
        self._leaving[copy] = False

    def _slot(self, copy: int, agent: AgentID) -> Slot:
        if agent not in self._slots:
            raise self._error(copy, agent, f"is not one of the possible agents {list(self._slots)}")
        return self._slots[agent]

    def _error(self, copy: int, agent: AgentID, problem: str) -> EnvError:
        return EnvError(f"agent {agent!r}, copy {self.first_copy + copy}, step {self._steps[copy]}: {problem}")
