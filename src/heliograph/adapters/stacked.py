"""Python environments side by side as one team environment: what the adapters of foreign interfaces share.

This is the slow path: `num_copies` Python environments are stepped one after the other, and what their agents see is
stacked to tensors. An environment of one's own that must be fast is a `TeamEnv` written in tensors.
"""

import contextlib
import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph.adapters.arrays import (
    MASK,
    AgentID,
    Slot,
    Spaces,
    clear,
    empty,
    group_by_role,
    legal_flags,
    take_mask,
    write,
)
from heliograph.distributions import num_choices
from heliograph.envs.base import BaseSettings, Outcome, TeamEnv, Unpack, View, check_positive
from heliograph.envs.checking import EnvError, place_of
from heliograph.isolation import isolated
from heliograph.types import Tree


class StackedSettings(BaseSettings, total=False):
    """Settings of every adapter that turns Python environments into a team environment.

    `role_of` names the role of an agent (default: its name up to the last underscore; agents of one role must have
    equal spaces). `speaking` tells which agents may speak through a Heliograph channel (default: all).
    `meaning_fn(env, agent)` is what the agent privately knows, `meaning_size` whole numbers (default: 1); without it,
    `infos[agent]["meaning"]` is read. `success_fn(env)` is asked when an episode ends, for `info["success"]`.
    `masks_in_infos`: which actions are legal stands in `infos[agent]["action_mask"]`; all are, after the reset, for an
    agent that has none there.
    """

    role_of: Callable[[str], str] | None
    speaking: Callable[[str], bool] | None
    meaning_fn: Callable[[Any, Any], int | Sequence[int]] | None
    meaning_size: int
    success_fn: Callable[[Any], bool] | None
    masks_in_infos: bool


@dataclasses.dataclass(kw_only=True)
class Frame:
    """What one Python environment shows after a reset or a step, agents named as it names them.

    `turn`: agents in play that observe now and are asked for an action. `infos[agent]` may hold `meaning`,
    `action_mask`, and `observing`, `acting`, `speaking`, which narrow what an agent in `turn` takes part in.
    """

    observations: dict[AgentID, Any]
    turn: list[AgentID]
    rewards: dict[AgentID, Any] = dataclasses.field(default_factory=dict)
    terminated: list[AgentID] = dataclasses.field(default_factory=list)
    truncated: list[AgentID] = dataclasses.field(default_factory=list)
    infos: dict[AgentID, dict] = dataclasses.field(default_factory=dict)
    over: bool = False


def made(make: Callable[[], Any], number: int) -> list[Any]:
    """So many Python environments; those that were made are closed where one cannot be."""
    envs: list[Any] = []
    with closed_on_failure(envs):
        for _ in range(number):
            envs.append(make())
    return envs


@contextlib.contextmanager
def closed_on_failure(envs: list[Any]) -> Iterator[None]:
    """While an adapter is made of them: where that fails, environments are closed."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(EnvError):  # what happened tells more than that they cannot be closed either
            close_all(envs)
        raise


def close_all(envs: Iterable[Any]) -> None:
    """Close Python environments, all of them; then raise `EnvError` for the first that could not be closed."""
    failures = []
    for copy, env in enumerate(envs):
        try:
            with isolated(f"close() of {_name(env)}, copy {copy}", error=EnvError):
                getattr(env, "close", _nothing_to_close)()  # marlenv's have none
        except EnvError as error:
            failures.append(error)
        except Exception as error:
            where = f"in close() of {_name(env)}, copy {copy}; {place_of(error)}"
            failures.append(EnvError(f"{type(error).__name__}: {error} ({where})"))
    if failures:
        raise failures[0]


def _nothing_to_close() -> None:
    """What is called of an environment that has no close()."""


def _name(env: Any) -> str:
    return type(getattr(env, "unwrapped", env)).__name__


class _Records:
    """The events of one step of all copies, `[B, N]`."""

    def __init__(self, copies: int, agents: int):
        self.rewards = np.zeros((copies, agents), np.float32)
        self.terminated = np.zeros((copies, agents), bool)
        self.truncated = np.zeros((copies, agents), bool)
        self.over = np.zeros(copies, bool)
        self.success = np.zeros(copies, bool)


class StackedEnv(TeamEnv):
    """Copies of a Python environment as a `TeamEnv`; an adapter fills in `_reset_one` and `_step_one`.

    An agent that leaves is terminated or truncated in its slot and observes no more; one that appears later is silent
    and blind until then. What an agent last saw stays in its slot while it waits for its turn.
    """

    resumable = False

    def __init__(
        self,
        envs: Sequence[Any],
        spaces_of: Mapping[Any, Spaces],
        *,
        role_of: Callable[[str], str] | None = None,
        speaking: Callable[[str], bool] | None = None,
        meaning_fn: Callable[[Any, Any], int | Sequence[int]] | None = None,
        meaning_size: int = 1,
        success_fn: Callable[[Any], bool] | None = None,
        masks_in_infos: bool = False,
        **base: Unpack[BaseSettings],
    ):
        check_positive("meaning_size", meaning_size)
        roles, self._slots = group_by_role(spaces_of, role_of)
        super().__init__(roles, **base)
        self.envs = list(envs)
        self._meaning_fn, self._success_fn, self._masks_in_infos = meaning_fn, success_fn, masks_in_infos
        shape = (self.num_copies, self.num_agents)
        self._may_speak = np.array([speaking is None or bool(speaking(agent)) for agent in self.agents])
        self._observing, self._acting, self._speaking, self._left = (np.zeros(shape, bool) for _ in range(4))
        self._meaning = np.full((*shape, meaning_size), -1, np.int64)
        self._seen = {r.name: empty(r.observation_space, (shape[0], len(r.agents))) for r in self.roles}
        self._masks = self._empty_masks()
        self._turn: list[list[AgentID]] = [[] for _ in self.envs]
        self._steps = [0] * self.num_copies

    @final
    def close(self) -> None:
        """Close all Python environments."""
        close_all(self.envs)

    def _empty_masks(self) -> dict[str, np.ndarray]:
        every = self._masks_in_infos
        masked = {slot.role.name for slot in self._slots.values() if slot.masked or every}
        roles = [r for r in self.roles if r.name in masked and not isinstance(r.action_space, spaces.Box)]
        sizes = {r.name: (len(r.agents), sum(num_choices(r.action_space))) for r in roles}
        return {name: np.ones((self.num_copies, *size), bool) for name, size in sizes.items()}

    # ---- what an adapter fills in ------------------------------------------------------------------------------

    @abstractmethod
    def _reset_one(self, env: Any, *, seed: int) -> Frame:
        """Begin a new episode of one Python environment."""

    @abstractmethod
    def _step_one(self, env: Any, actions: dict[AgentID, Any]) -> Frame:
        """Move one Python environment; `actions` has one for every agent whose turn it is."""

    @contextlib.contextmanager
    def _noting(self, copy: int, what: str) -> Iterator[None]:
        """Tell an exception of a Python environment which copy raised it, when, and whose turn it was."""
        where = f"{what}() of {_name(self.envs[copy])}, copy {copy}, step {self._steps[copy]} of its episode"
        where = f"{where}, turn of {self._turn[copy]}"
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
        seeds = torch.randint(2**31 - 1, starting.shape, generator=self.start_generator, device=self.device).tolist()
        for copy in starting.nonzero().flatten().tolist():
            self._steps[copy] = 0
            self._forget(copy, range(self.num_agents))
            with self._noting(copy, "reset"):
                frame = self._reset_one(self.envs[copy], seed=seeds[copy])
            if frame.over:
                raise ValueError(f"copy {copy}: the episode was over at its reset, with no agent in play")
            self._take(copy, frame)

    @final
    def _advance(self, actions: dict[str, Tensor], moving: Tensor) -> Outcome:
        happened = _Records(self.num_copies, self.num_agents)
        arrays = {name: action.detach().cpu().numpy() for name, action in actions.items()}
        for copy in moving.nonzero().flatten().tolist():
            self._steps[copy] += 1
            chosen = {agent: self._action_of(agent, copy, arrays) for agent in self._turn[copy]}
            self._forget(copy, np.flatnonzero(self._left[copy]).tolist())
            with self._noting(copy, "step"):
                frame = self._step_one(self.envs[copy], chosen)
            self._take(copy, frame)
            self._record(copy, frame, happened)
        info = {} if self._success_fn is None else {"success": self._tensor(happened.success)}
        return Outcome(
            rewards=self._tensor(happened.rewards),
            terminated=self._tensor(happened.terminated),
            truncated=self._tensor(happened.truncated),
            episode_over=self._tensor(happened.over),
            info=info,
        )

    @final
    def _observe(self) -> View:
        masks = {name: self._tensor(mask) for name, mask in self._masks.items()}
        return View(
            observations={name: self._tensors(seen) for name, seen in self._seen.items()},
            observing=self._tensor(self._observing),
            acting=self._tensor(self._acting),
            speaking=self._tensor(self._speaking),
            meaning=self._tensor(self._meaning),
            action_mask=masks or None,
        )

    # ---- from dicts to arrays ----------------------------------------------------------------------------------

    def _action_of(self, agent: AgentID, copy: int, arrays: dict[str, np.ndarray]) -> Any:
        slot = self._slots[agent]
        space, action = slot.role.action_space, arrays[slot.role.name][copy, slot.place]
        return int(action) if isinstance(space, spaces.Discrete) else action.astype(space.dtype)

    def _take(self, copy: int, frame: Frame) -> None:
        """Store what the agents see; those that do not observe keep what they saw last."""
        for mask in (self._observing, self._acting, self._speaking):
            mask[copy] = False
        masks = {agent: self._see(copy, agent, observation) for agent, observation in frame.observations.items()}
        for agent in frame.turn:
            if agent not in frame.observations:
                raise self._error(copy, agent, "is in play but got no observation")
            info = frame.infos.get(agent, {})
            self._take_part(copy, agent, info)
            self._limit(copy, agent, masks[agent], info.get(MASK))
        if self._masks_in_infos and self._steps[copy] == 0:
            self._expect_masks(copy, frame)
        self._turn[copy] = list(frame.turn)

    def _see(self, copy: int, agent: AgentID, observation: Any) -> Any:
        """Store an observation; the mask that it holds, where it holds one."""
        slot, mask = self._slot(copy, agent), None
        try:
            if slot.masked:
                observation, mask = take_mask(observation)
            write(self._seen[slot.role.name], (copy, slot.place), observation, slot.role.observation_space)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._error(copy, agent, f"got a bad observation: {error}") from error
        return mask

    def _limit(self, copy: int, agent: AgentID, seen: Any, told: Any) -> None:
        """Store which actions are legal for an agent that is asked: all where a mask is missing after the reset."""
        slot = self._slots[agent]
        if told is not None and not slot.masked and not self._masks_in_infos:
            raise self._error(copy, agent, "has an action_mask in its info, which is not read: set masks_in_infos=True")
        if slot.masked and seen is None and self._steps[copy] == 0:
            problem = "got no action_mask, though its space has one: give it, ones where every action is legal"
            raise self._error(copy, agent, problem)
        mask = seen if slot.masked else told
        if mask is None or not self._acting[copy, slot.number]:
            self._allow_all(copy, slot)
        else:
            self._allow(copy, slot, mask)

    def _expect_masks(self, copy: int, frame: Frame) -> None:
        asked = [self._slots[agent] for agent in frame.turn]
        told = [MASK in frame.infos.get(slot.agent, {}) for slot in asked if slot.role.name in self._masks]
        if told and not any(told) and not any(slot.masked for slot in asked):
            raise EnvError(
                f"copy {copy}, at reset(): masks_in_infos=True, but the info of no agent holds an action_mask: give it "
                f"from reset() on, ones where every action is legal, or leave the setting out (agents {frame.turn})"
            )

    def _allow_all(self, copy: int, slot: Slot) -> None:
        if slot.role.name in self._masks:
            self._masks[slot.role.name][copy, slot.place] = True

    def _allow(self, copy: int, slot: Slot, mask: Any) -> None:
        masks, space = self._masks.get(slot.role.name), slot.role.action_space
        if masks is None:
            problem = f"has an action_mask, but no mask limits actions of {space}: leave it out"
            raise self._error(copy, slot.agent, problem)
        flags = legal_flags(mask, space)
        if flags is None:
            wanted = f"needs {masks.shape[2]} flags, not all 0"
            raise self._error(copy, slot.agent, f"has the action mask {mask}: {wanted}")
        masks[copy, slot.place] = flags

    def _take_part(self, copy: int, agent: AgentID, info: dict) -> None:
        number = self._slots[agent].number
        observing = bool(info.get("observing", True))
        self._observing[copy, number] = observing
        self._acting[copy, number] = info.get("acting", observing)
        self._speaking[copy, number] = self._may_speak[number] and info.get("speaking", observing)
        if self._meaning_fn is not None:
            self._mean(copy, agent, self._meaning_fn(self.envs[copy], agent))
        elif "meaning" in info:
            self._mean(copy, agent, info["meaning"])

    def _mean(self, copy: int, agent: AgentID, meaning: int | Sequence[int]) -> None:
        values = np.atleast_1d(np.asarray(meaning))
        size = self._meaning.shape[-1]
        if values.shape != (size,) or values.dtype.kind not in "iu":
            raise self._error(copy, agent, f"got the meaning {meaning!r}: needs meaning_size={size} whole numbers")
        self._meaning[copy, self._slots[agent].number] = values

    def _record(self, copy: int, frame: Frame, happened: _Records) -> None:
        for agent, reward in frame.rewards.items():
            value = np.asarray(reward)
            if value.size != 1 or value.dtype.kind not in "biuf" or not np.isfinite(value).all():
                raise self._error(copy, agent, f"got the reward {reward!r}: needs one finite number")
            happened.rewards[copy, self._slot(copy, agent).number] = value.item()
        for agents, flags in ((frame.terminated, happened.terminated), (frame.truncated, happened.truncated)):
            for agent in agents:
                flags[copy, self._slot(copy, agent).number] = True
        self._left[copy] = happened.terminated[copy] | happened.truncated[copy]
        happened.over[copy] = frame.over
        if frame.over and self._success_fn is not None:
            happened.success[copy] = bool(self._success_fn(self.envs[copy]))

    def _forget(self, copy: int, numbers: Iterable[int]) -> None:
        """Clear the slots of agents that have left."""
        slots = list(self._slots.values())
        for number in numbers:
            role, place = slots[number].role.name, slots[number].place
            clear(self._seen[role], (copy, place))
            self._allow_all(copy, slots[number])
            self._meaning[copy, number] = -1
            self._left[copy, number] = False

    def _slot(self, copy: int, agent: AgentID) -> Slot:
        if agent not in self._slots:
            raise self._error(copy, agent, f"is not one of the possible agents {list(self._slots)}")
        return self._slots[agent]

    def _error(self, copy: int, agent: AgentID, problem: str) -> EnvError:
        return EnvError(f"agent {agent!r}, copy {copy}, step {self._steps[copy]}: {problem}")

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.tensor(array, device=self.device)

    def _tensors(self, tree: Tree) -> Tree:
        if isinstance(tree, dict):
            return {key: self._tensors(part) for key, part in tree.items()}
        return self._tensor(tree)
