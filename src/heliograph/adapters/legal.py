"""Which actions are legal for the agents of all copies: masks beside what they observe, or in their infos."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from heliograph.adapters.arrays import MASK, AgentID, Slot
from heliograph.adapters.frames import ForeignStep
from heliograph.distributions import num_choices
from heliograph.types import Role

__all__ = ["Legal"]


class Legal:
    """Flags of legal actions, an array `[B, A, n]` for each role that has masks.

    `in_infos` says whether masks are read from infos: None leaves that to the first reset of all copies, which decides
    it for good: where there are copies elsewhere, `agree(found)` tells whether one was found in any. Where a mask is
    missing after the reset, all actions are legal.
    """

    def __init__(
        self, roles: Sequence[Role], slots: Mapping[AgentID, Slot], *, copies: int, in_infos: bool | None = None
    ):
        self._roles, self._slots, self._copies = roles, slots, copies
        self._unread, self._is_decided = in_infos is False, in_infos is not None
        self.agree: Callable[[bool], bool] = bool
        self._hold(in_infos=bool(in_infos))

    def _hold(self, *, in_infos: bool) -> None:
        self._in_infos = in_infos
        masked = {slot.role.name for slot in self._slots.values() if slot.masked or in_infos}
        roles = [r for r in self._roles if r.name in masked and not isinstance(r.action_space, spaces.Box)]
        sizes = {r.name: (len(r.agents), sum(num_choices(r.action_space))) for r in roles}
        self.flags = {name: np.ones((self._copies, *size), bool) for name, size in sizes.items()}

    def look_for(self, frames: Collection[ForeignStep]) -> None:
        """Decide at the first reset whether masks are read from infos: where an agent has one that no space tells."""
        if self._is_decided:
            return
        self._is_decided = True
        asked = ((frame.infos.get(agent, {}), self._slots.get(agent)) for frame in frames for agent in frame.turn)
        if self.agree(any(MASK in info and slot is not None and not slot.masked for info, slot in asked)):
            self._hold(in_infos=True)

    def expect(self, turn: Iterable[AgentID], infos: Mapping[AgentID, dict]) -> None:
        """Raise ValueError where no info of a reset holds a mask, though they are read from there."""
        if not self._in_infos:
            return
        asked = [self._slots[agent] for agent in turn]
        told = [MASK in infos.get(slot.agent, {}) for slot in asked if slot.role.name in self.flags]
        if told and not any(told) and not any(slot.masked for slot in asked):
            raise ValueError(
                "masks_in_infos=True, but the info of no agent holds an action_mask: give it from reset() on, ones "
                f"where every action is legal, or leave the setting out (agents {[slot.agent for slot in asked]})"
            )

    def allow_all(self, copy: int, slot: Slot) -> None:
        """Nothing is told of an agent's actions."""
        flags = self.flags.get(slot.role.name)
        if flags is not None:
            flags[copy, slot.place] = True

    def limit(self, copy: int, slot: Slot, *, seen: Any, told: Any, is_reset: bool) -> bool:
        """Take the mask of an agent that is asked, beside its observation or from its info; whether it may act at all.

        Raises ValueError where a mask cannot be read.
        """
        if told is not None and not slot.masked and not self._in_infos and not self._unread:
            late = "has an action_mask in its info, and none had one at the first reset"
            raise ValueError(f"{late}: set masks_in_infos=True")
        if slot.masked and seen is None and is_reset:
            raise ValueError("got no action_mask, though its space has one: give it, ones where every action is legal")
        mask = seen if slot.masked else None if self._unread else told
        if mask is None:
            self.allow_all(copy, slot)
            return True
        flags = self.flags.get(slot.role.name)
        if flags is None:
            space = slot.role.action_space
            raise ValueError(f"has an action_mask, but no mask limits actions of {space}: leave it out")
        try:
            flags[copy, slot.place] = slot.acts.flags(mask)
        except ValueError as error:
            if not slot.acts.forbids_all(mask):
                shown = " ".join(str(mask).split())
                raise ValueError(f"has the action mask {shown:.120}: {error}") from error
            self.allow_all(copy, slot)
            return False
        return True
