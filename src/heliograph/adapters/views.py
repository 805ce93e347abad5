"""What the agents of all copies see, know and may do now: arrays that Python environments fill, and tensors of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from heliograph.adapters.arrays import MASK, AgentID, Slot, as_tensors, clear, empty, first_action, take_mask
from heliograph.adapters.frames import ForeignStep
from heliograph.adapters.legal import Legal
from heliograph.adapters.settings import StackedSettings, asked_of
from heliograph.adapters.surroundings import Surroundings
from heliograph.envs.base import View
from heliograph.envs.checking import EnvError
from heliograph.types import Role

__all__ = ["Views"]

NOTHING: Mapping[str, Any] = {}
FEW_SLOTS, MOST_KEPT = 64, 256
"""Where all copies together have no more slots, tensors of earlier steps are used again; of so many they are kept."""


Wrong = Callable[[int, AgentID, str], EnvError]
"""Makes the error that tells, of a copy, an agent and a problem, whose value is wrong and when it came."""


class Views:
    """The views of all copies. What an agent saw last stays in its slot while it waits for its turn.

    Masks and meanings become tensors again only after they have changed: steps share them until then.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        slots: Mapping[AgentID, Slot],
        *,
        copies: int,
        settings: StackedSettings,
        wrong: Wrong,
    ):
        self._slots, self._wrong, self._in_order = slots, wrong, list(slots.values())
        shape = (copies, len(slots))
        self._flags = np.zeros((3, *shape), bool)
        self.observing, self._acting, self._speaking = self._flags
        self.meaning = np.full((*shape, settings.get("meaning_size", 1)), -1, np.int64)
        self._seen = {r.name: empty(r.observation_space, (copies, len(r.agents))) for r in roles}
        self.legal = Legal(roles, slots, copies=copies, in_infos=settings.get("masks_in_infos"))
        self._surroundings = Surroundings(slots, copies=copies, asked=asked_of(settings))
        speaking = settings.get("speaking")
        self._may_speak = np.array([speaking is None or bool(speaking(agent)) for agent in slots])
        self._meaning_fn = settings.get("meaning_fn")
        self._places = {a: (slot, self._seen[slot.role.name], slot.sees.write) for a, slot in slots.items()}
        self.turn: list[list[AgentID]] = [[] for _ in range(copies)]
        self._plain, self._rows = [False] * copies, dict[tuple[AgentID, ...], np.ndarray]()
        self._has_changed, self._kept = True, dict[str, Any]()
        self._known: dict[bytes, dict[str, Any]] = {}

    # ---- what Python environments show -------------------------------------------------------------------------

    def take(self, copy: int, frame: ForeignStep, *, env: Any, met: np.ndarray, is_reset: bool = False) -> bool:
        """Store what a copy shows; whether an agent whose turn it is cannot act.

        `met` `[N]`: who has had a turn; of those and the ones in play the functions of the user are asked.
        """
        masks = self._see(copy, frame.observations)
        infos, turn = frame.infos, frame.turn
        for agent in turn:
            if agent not in masks:
                raise self._wrong(copy, agent, "is in play but got no observation")
        if not (infos and any(infos.values())):
            if self._plain[copy] and turn == self.turn[copy]:
                return False
            if self._tells_no_more:
                self._ask(copy, turn)
                return False
        if self._surroundings.wanted:
            in_turn = frozenset(turn)
            in_play = [agent for agent, slot in self._slots.items() if met[slot.number] or agent in in_turn]
            self._surroundings.take(copy, env, in_play)
        return self._ask_each(copy, frame, env=env, masks=masks, is_reset=is_reset)

    def _ask_each(
        self, copy: int, frame: ForeignStep, *, env: Any, masks: Mapping[AgentID, Any], is_reset: bool
    ) -> bool:
        """Store what each agent whose turn it is takes part in, knows and may do; whether one of them cannot act."""
        self._flags[:, copy] = False
        self.turn[copy], self._has_changed, idle, plain = list(frame.turn), True, False, True
        for agent in frame.turn:
            slot, info = self._slots[agent], frame.infos.get(agent) or NOTHING
            acting = self._take_part(copy, slot, info, env)
            if acting and (slot.masked or MASK in info):
                acting = self._limit(copy, slot, masks[agent], info.get(MASK), is_reset=is_reset)
            elif self.legal.flags:
                self.legal.allow_all(copy, slot)
            self._acting[copy, slot.number] = acting
            idle, plain = idle or not acting, plain and not info
        self._plain[copy] = plain and self._tells_no_more
        return idle

    def _ask(self, copy: int, turn: Sequence[AgentID]) -> None:
        """Store that these agents observe, act and, where they may, speak."""
        rows = self._rows.get(key := tuple(turn))
        if rows is None:
            if len(self._rows) == MOST_KEPT:
                self._rows.clear()
            asked = np.zeros(len(self._slots), bool)
            asked[[self._slots[agent].number for agent in turn]] = True
            rows = self._rows[key] = np.stack([asked, asked, asked & self._may_speak])
        self._flags[:, copy] = rows
        self.turn[copy], self._has_changed, self._plain[copy] = list(turn), True, True

    @property
    def _tells_no_more(self) -> bool:
        """True if, but for infos, nothing is told of an agent beside what it observes."""
        return not (self.legal.flags or self._meaning_fn or self._surroundings.wanted)

    def begin(self, copy: int) -> None:
        """A new episode begins in a copy: nothing is left of the last one."""
        clear(self._seen, (copy,))
        clear(self.legal.flags, (copy,), value=True)
        self.meaning[copy] = -1
        self._plain[copy] = False
        self._surroundings.forget(copy)

    def forget(self, copy: int, numbers: Iterable[int]) -> None:
        """Clear the slots of agents that have left."""
        for slot in (self._in_order[number] for number in numbers):
            clear(self._seen[slot.role.name], (copy, slot.place))
            self.legal.allow_all(copy, slot)
            self.meaning[copy, slot.number] = -1
        self._has_changed = True

    def restore(self, *, meaning: np.ndarray, flags: dict[str, np.ndarray]) -> None:
        """Put back what was saved of meanings and legal actions, also of those who wait."""
        self.meaning, self.legal.flags, self._has_changed = meaning, flags, True

    def set_first(self, copy: int, chosen: dict[AgentID, Any]) -> None:
        """Choose the first action for agents that have none to choose: a Python environment may need one of them."""
        for slot in (self._slots[agent] for agent in self.turn[copy]):
            if not self._acting[copy, slot.number]:
                chosen[slot.agent] = slot.acts.action(np.asarray(first_action(slot.role.action_space)))

    def _see(self, copy: int, observations: Mapping[AgentID, Any]) -> dict[AgentID, Any]:
        """Store observations; the masks that they hold, where they hold one."""
        masks: dict[AgentID, Any] = {}
        for agent, observation in observations.items():
            if agent not in self._places:
                raise self._wrong(copy, agent, f"is not one of the possible agents {list(self._slots)}")
            (slot, arrays, write), mask = self._places[agent], None
            try:
                if slot.masked:
                    observation, mask = take_mask(observation)
                write(arrays, (copy, slot.place), observation)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                is_odd = isinstance(observation, Mapping) and not isinstance(slot.role.observation_space, spaces.Dict)
                remedy = f" (a dict of {list(observation)}: declare a Dict space, or flatten it)" if is_odd else ""
                raise self._wrong(copy, agent, f"got a bad observation: {error}{remedy}") from error
            masks[agent] = mask
        return masks

    def _limit(self, copy: int, slot: Slot, seen: Any, told: Any, *, is_reset: bool) -> bool:
        """Store which actions are legal for an agent that is asked; whether any is."""
        try:
            return self.legal.limit(copy, slot, seen=seen, told=told, is_reset=is_reset)
        except ValueError as error:
            raise self._wrong(copy, slot.agent, str(error)) from error

    def _take_part(self, copy: int, slot: Slot, info: Mapping[str, Any], env: Any) -> bool:
        """Store whether an agent in play observes and speaks, and what it knows; whether it acts."""
        number, agent = slot.number, slot.agent
        if not info and self._meaning_fn is None:
            self.observing[copy, number], self._speaking[copy, number] = True, self._may_speak[number]
            return True
        observing = bool(info.get("observing", True))
        self.observing[copy, number] = observing
        self._speaking[copy, number] = self._may_speak[number] and info.get("speaking", observing)
        if self._meaning_fn is not None:
            self._mean(copy, agent, self._meaning_fn(env, agent))
        elif "meaning" in info:
            self._mean(copy, agent, info["meaning"])
        return bool(info.get("acting", observing))

    def _mean(self, copy: int, agent: AgentID, meaning: int | Sequence[int]) -> None:
        values = np.atleast_1d(np.asarray(meaning))
        size = self.meaning.shape[-1]
        if values.shape != (size,) or values.dtype.kind not in "iu":
            raise self._wrong(copy, agent, f"got the meaning {meaning!r}: needs meaning_size={size} whole numbers")
        self.meaning[copy, self._slots[agent].number] = values

    # ---- tensors -----------------------------------------------------------------------------------------------

    def shown(self, device: torch.device) -> View:
        """Return what all agents see now."""
        return View(**self.fields(device))

    def fields(self, device: torch.device) -> dict[str, Any]:
        """All that agents see now, by the names that a `View` has for it, without those of which nothing is told."""
        if self._has_changed or not self._kept:
            self._has_changed, self._kept = False, self._of_taking_part(device)
        fields = {"observations": as_tensors(self._seen, device=device), **self._kept}
        return fields | self._surroundings.fields(device) if self._surroundings.wanted else fields

    def _of_taking_part(self, device: torch.device) -> dict[str, Any]:
        """Presence, common knowledge and which actions are legal; of few slots those known from earlier steps."""
        arrays = {"observing": self.observing, "acting": self._acting, "speaking": self._speaking}
        if self.legal.flags or self.observing.size > FEW_SLOTS:
            kept = as_tensors({**arrays, "meaning": self.meaning, "action_mask": self.legal.flags}, device=device)
            return {**kept, "action_mask": kept["action_mask"] or None}
        key = self._flags.tobytes() + self.meaning.tobytes()
        found = self._known.get(key)
        if found is None:
            if len(self._known) == MOST_KEPT:
                self._known.clear()
            found = self._known[key] = as_tensors({**arrays, "meaning": self.meaning}, device=device)
            found["action_mask"] = None
        return found
