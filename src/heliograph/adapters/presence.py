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

    def begin(self, copy: int, observing: np.ndarray) -> None:
        """An episode of a copy begins, with these agents `[N]`."""
        for array in (self.met, self.ended, self.away, self.owed):
            array[copy] = 0
        self._meet(copy, observing)

    def settle(
        self, copy: int, paid: np.ndarray, happened: Records, *, observing: np.ndarray, last: bool
    ) -> np.ndarray:
        """Put what agents are paid in a step `[N]`, and whose part ends, into the records; return what is left out.

        `observing`: who has the next turn; `last`: no step of this episode follows.
        """
        met, left = self.met[copy], happened.terminated[copy] | happened.truncated[copy]
        gone = self.ended[copy] & ~met
        self.owed[copy] += np.where(met | gone, 0.0, paid)
        due = met | left | last
        happened.rewards[copy] = np.where(met, paid, 0.0) + np.where(due, self.owed[copy], 0.0)
        self.owed[copy, due] = 0.0
        self._end(copy, left, happened, observing=observing, last=last)
        self._meet(copy, observing)
        return np.where(gone, paid, 0.0)

    def _end(self, copy: int, left: np.ndarray, happened: Records, *, observing: np.ndarray, last: bool) -> None:
        kept = happened.terminated[copy] & self.met[copy] & self.together & (not last)
        back = self.away[copy] & (observing | last)
        self.away[copy] = (self.away[copy] & ~back) | kept
        happened.terminated[copy] = (happened.terminated[copy] & ~kept) | back
        happened.truncated[copy] &= ~kept
        self.ended[copy] |= left
        self.met[copy] &= ~((left & ~kept) | back)

    def _meet(self, copy: int, observing: np.ndarray) -> None:
        self.met[copy] |= observing
        self.turns += observing
