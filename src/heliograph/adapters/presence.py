"""Who is in play, and what agents are paid while they are not.

Learners credit a reward to its agent's last turn, in the part that it plays. So that what is learnt from is what is
reported, a reward that comes before an agent's first turn waits for that turn, and one that comes after its part has
ended is left out of both, unless parts end together with the episode.
"""

import numpy as np

from heliograph.adapters.frames import Records

__all__ = ["Presence"]


class Presence:
    """The parts that agents play in the episodes of all copies, `[B, N]`, and their pay.

    `met`: has had a turn in the part that it plays; `ended`: has played a part of this episode to its end; `away`: has
    ended, but is paid on, where `together` says that parts end with the episode. `turns` counts what each agent had.
    """

    def __init__(self, copies: int, agents: int, *, together: bool):
        self.together = together
        self.met, self.ended, self.away = (np.zeros((copies, agents), bool) for _ in range(3))
        self.owed = np.zeros((copies, agents))
        self.turns = np.zeros(agents, np.int64)
        self._is_plain = False

    def begin(self, copy: int, observing: np.ndarray) -> None:
        """An episode of a copy begins, with these agents `[N]`."""
        for array in (self.met, self.ended, self.away, self.owed):
            array[copy] = 0
        self.met[copy] = observing
        self.turns += observing
        self._look()

    def _look(self) -> None:
        """Note whether all play their first part and nothing is owed."""
        self._is_plain = bool(self.met.all()) and not (self.ended.any() or self.away.any() or self.owed.any())

    def settle(
        self, paid: np.ndarray, happened: Records, *, observing: np.ndarray, last: np.ndarray
    ) -> np.ndarray | None:
        """Put what agents are paid in a step `[B, N]`, and whose part ends, into the records; return what is left out.

        `observing` `[B, N]`: who has the next turn; `last` `[B]`: no step of this episode follows.
        """
        left = happened.terminated | happened.truncated
        if self._is_plain and not left.any() and not last.any():
            happened.rewards[:] = paid
            self.turns += observing.sum(0)
            return None
        last = last[:, None]
        gone = self.ended & ~self.met
        self.owed += np.where(self.met | gone, 0.0, paid)
        due = self.met | left | last
        happened.rewards[:] = np.where(self.met, paid, 0.0) + np.where(due, self.owed, 0.0)
        self.owed[due] = 0.0
        kept = happened.terminated & self.met & ~last & self.together
        back = self.away & (observing | last)
        self.away = (self.away & ~back) | kept
        happened.terminated[:] = (happened.terminated & ~kept) | back
        happened.truncated &= ~kept
        self.ended |= left
        self.met = (self.met & ~((left & ~kept) | back)) | observing
        self.turns += observing.sum(0)
        self._look()
        return np.where(gone, paid, 0.0)
