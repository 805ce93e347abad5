"""Whether a message refers to what was spoken of some steps before."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from heliograph.analysis.measures.base import aligned, joined
from heliograph.analysis.measures.language import Language, resampled_by
from heliograph.analysis.measures.measure import AppliesTo, Chance, Measure

__all__ = ["MEASURE", "BackReference", "back_reference", "back_references"]

HORIZON = 4
"""Steps back that are looked at."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackReference:
    """The largest `percentage`, the number of steps `back` at which it is found, and in how many uses: `num_uses`."""

    percentage: float
    back: int
    num_uses: int


def back_reference(messages: Any, meanings: Any, *, episodes: Any = None, horizon: int = HORIZON) -> BackReference:
    """The largest percentage of the uses of a message that mean what was meant h steps before (Lipinski et al. 2023).

    Over all messages and h = 1 ... `horizon`. Rows are in the order of time; only the nearest earlier row of the same
    meaning counts, within the same episode. Of equal percentages the one of the most uses
    is told: a message that is used once has 0 or 100. Raises ValueError where there is no message, not one meaning for
    each, or a horizon below 1.
    """
    return _best(*_shares(messages, meanings, episodes=episodes, horizon=horizon))


def _best(shares: Float[np.ndarray, "horizon U"], uses: Int[np.ndarray, " U"]) -> BackReference:
    often = np.where(shares == shares.max(), uses, -1)
    steps, message = (int(places[0]) for places in np.nonzero(often == often.max()))
    return BackReference(percentage=100.0 * float(shares[steps, message]), back=steps + 1, num_uses=int(uses[message]))


def back_references(
    messages: Any, meanings: Any, *, episodes: Any = None, horizon: int = HORIZON
) -> Float[np.ndarray, " horizon"]:
    """The largest percentage over all messages for each number of steps back, from 1 to `horizon`."""
    found: np.ndarray = 100.0 * _shares(messages, meanings, episodes=episodes, horizon=horizon)[0].max(1)
    return found


def _shares(messages: Any, meanings: Any, *, episodes: Any, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """For each number of steps back and each message the share of its uses, and how many uses each has."""
    if horizon < 1:
        raise ValueError(f"horizon={horizon}: must be at least 1")
    said, meant, group = aligned(messages, meanings, episodes)
    return _of_ids(said, meant, np.zeros_like(said) if group is None else group, horizon=horizon)


def _of_ids(
    said: Int[np.ndarray, " n"], meant: Int[np.ndarray, " n"], episode: Int[np.ndarray, " n"], *, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    in_time = _in_order(episode)
    starts = np.flatnonzero(np.append(True, np.diff(episode[in_time]) != 0))
    step = np.empty_like(said)
    step[in_time] = np.arange(len(said)) - np.repeat(starts, np.diff(np.append(starts, len(said))))
    both = joined(episode, meant)
    alike = _in_order(both)  # rows of the same meaning in the same episode, in time
    earlier, later = alike[:-1], alike[1:]
    again = both[earlier] == both[later]
    back = np.zeros(len(said), dtype=np.int64)
    back[later[again]] = step[later[again]] - step[earlier[again]]
    uses = np.bincount(said)
    shares = [np.bincount(said[back == h], minlength=len(uses)) / uses for h in range(1, horizon + 1)]
    return np.array(shares), uses


def _in_order(ids: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Rows by their id, those of one id in their own order: quicker than a stable sort."""
    found: np.ndarray = np.sort(ids * len(ids) + np.arange(len(ids))) % len(ids)
    return found


def _percentage(said: Language) -> float:
    rows = np.repeat(np.arange(len(said)), said.times.astype(np.int64))
    words, meant = joined(said.words.ids()[rows]), said.meant[rows]
    return _best(*_of_ids(words, meant, np.zeros_like(words), horizon=HORIZON)).percentage


MEASURE = Measure(
    name="back_reference", function=back_reference, unit="%", range=(0.0, 100.0), chance=Chance.SHUFFLED_MEANINGS,
    applies_to=AppliesTo.BOTH, listed=False, source="Lipinski et al. 2023",
    resampling=resampled_by(_percentage, whole=True),
)  # fmt: skip
