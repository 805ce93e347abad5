"""Who is in play, and what agents are paid while they are not.

Learners credit a reward to its agent's last turn, in the part that it plays. So that what is learnt from is what is
reported, a reward that comes before an agent's first turn waits for that turn, and one that comes after its part has
ended is left out of both, unless parts end together with the episode.
"""

import numpy as np

from heliograph.adapters.frames import Records

__all__ = ["RewardLedger"]


class RewardLedger:
    """The parts that agents play in the episodes of all copies, `[B, N]`, and their pay.

    `met`: has had a turn in the part that it plays; `ended`: has played a part of this episode to its end; `away`: has
    ended, but is paid on, where `together` says that parts end with the episode. `had_turn` `[N]`: in any episode.
    """

    def __init__(self, copies: int, agents: int, *, together: bool):
        self.together = together
        self.met, self.ended, self.away = (np.zeros((copies, agents), bool) for _ in range(3))
        self.owed = np.zeros((copies, agents))
        self.had_turn = np.zeros(agents, bool)
        self._unmet = np.ones((copies, agents), bool)
        self._is_plain = self._all_met = self._all_had = False

    def begin(self, copy: int) -> None:
        """An episode of a copy begins; who has the first turn is told by `meet`."""
        for array in (self.met, self.ended, self.away, self.owed):
            array[copy] = 0

    def meet(self, observing: np.ndarray) -> None:
        """These agents `[B, N]` have the next turn."""
        self.met |= observing
        self._look(observing)

    def _look(self, observing: np.ndarray) -> None:
        """Note whether anything is owed or out of the ordinary, and who has had a turn."""
        self._is_plain = not (self.away.any() or self.owed.any())
        self._unmet = ~self.met
        self._all_met = not self._unmet.any()
        if not self._all_had:
            self.had_turn |= observing.any(0)
            self._all_had = bool(self.had_turn.all())

    def settle(self, happened: Records, *, observing: np.ndarray) -> np.ndarray | None:
        """Put what agents are paid in a step `[B, N]`, and whose part ends, into the records; return what is left out.

        `observing` `[B, N]`: who has the next turn.
        """
        paid = happened.paid
        if happened.is_quiet and self._is_plain and (self._all_met or self._is_usual(paid, observing)):
            happened.rewards = paid
            return None
        left = happened.terminated | happened.truncated
        last = happened.last[:, None]
        gone = self.ended & ~self.met
        self.owed += np.where(self.met | gone, 0.0, paid)
        due = self.met | left | last
        happened.rewards = np.where(self.met, paid, 0.0) + np.where(due, self.owed, 0.0)
        self.owed[due] = 0.0
        kept = happened.terminated & self.met & ~last & self.together
        back = self.away & (observing | last)
        if back.any():
            happened.disturb()
        self.away = (self.away & ~back) | kept
        happened.terminated = (happened.terminated & ~kept) | back
        happened.truncated = happened.truncated & ~kept
        self.ended |= left
        self.met = (self.met & ~((left & ~kept) | back)) | observing
        self._look(observing)
        return np.where(gone, paid, 0.0)

    def _is_usual(self, paid: np.ndarray, observing: np.ndarray) -> bool:
        """Tell whether only agents that have had a turn in their present part are paid and have the next turn."""
        return not (observing[self._unmet].any() or paid[self._unmet].any())
