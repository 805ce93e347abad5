"""How often the best guess from a message is right."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.base import aligned, joined
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure
from heliograph.analysis.measures.permutation_baseline import shuffled_within
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "MajorityDecoder", "majority_decoder"]

ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True)
class MajorityDecoder:
    """Shares of right guesses: `accuracy` of the most frequent meaning of each message, in the rows it was counted in.

    `majority` is that of one guess for all messages. With meanings shuffled the mean accuracy is `chance`, its 95 %
    quantile `chance_quantile`, and it is as high with probability `p`. `held_out` is the accuracy on rows that were not
    counted, by cross-validation.
    """

    accuracy: float
    majority: float
    chance: float
    chance_quantile: float
    p: float
    held_out: float


def majority_decoder(
    messages: Any, meanings: Any, *, given: Any = None, num_folds: int = 5, num_permutations: int = 200, seed: int = 0
) -> MajorityDecoder:
    """sum_m max_c n(m, c) / N: the accuracy of the decoder that EGG reports, with `given` one for each of its values.

    `accuracy` is too high for rare messages (1 where each is said once): claim `held_out`, of at most `num_folds` folds
    drawn from `seed`, in which a message that is new is answered by the most frequent meaning, and a tie by an equal
    share of each. Raises ValueError where there is no message, or not one meaning for each.
    """
    said, meant, group = aligned(messages, meanings, given)
    where = np.zeros_like(said) if group is None else group
    said = joined(where, said)
    rng, accuracy = np.random.default_rng(seed), _right(said, meant)
    chance = np.array([_right(said, shuffled_within(meant, group, rng)) for _ in range(num_permutations)])
    return MajorityDecoder(
        accuracy=accuracy,
        majority=_right(where, meant),
        chance=float(chance.mean()),
        chance_quantile=float(np.quantile(chance, 0.95)),
        p=float((1 + (chance >= accuracy - ROUNDING).sum()) / (1 + num_permutations)),
        held_out=_held_out(said, meant, where, num_folds=num_folds, rng=rng),
    )


def _counts(said: Int[np.ndarray, " n"], meant: Int[np.ndarray, " n"], shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(said * shape[1] + meant, minlength=shape[0] * shape[1]).reshape(shape)


def _right(said: Int[np.ndarray, " n"], meant: Int[np.ndarray, " n"]) -> float:
    """The in-sample accuracy; in memory of the pairs that occur."""
    kinds = int(meant.max()) + 1
    pairs, counts = np.unique(said * kinds + meant, return_counts=True)
    best = np.zeros(int(said.max()) + 1, dtype=np.int64)
    np.maximum.at(best, pairs // kinds, counts)
    return float(best.sum() / len(said))


def _held_out(
    said: Int[np.ndarray, " n"], meant: Int[np.ndarray, " n"], group: Int[np.ndarray, " n"], *, num_folds: int,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    number = len(said)
    if number < 2 or num_folds < 2:
        return Undefined("it takes two rows, and two folds, to hold any out")
    fold = rng.permutation(number) % min(num_folds, number)
    kinds, right = int(meant.max()) + 1, np.zeros(number)
    for index in range(int(fold.max()) + 1):
        test = fold == index
        own = _counts(said[~test], meant[~test], (int(said.max()) + 1, kinds))
        common = _counts(group[~test], meant[~test], (int(group.max()) + 1, kinds))
        found = np.where(own[said[test]].any(1, keepdims=True), own[said[test]], common[group[test]])
        best = found == found.max(1, keepdims=True)
        right[test] = best[np.arange(int(test.sum())), meant[test]] / best.sum(1)
    return float(right.mean())


class _Counted:
    """Pairs of message and meaning, to be counted in another order or of some utterances."""

    def __init__(self, messages: Any, meanings: Any, *, given: Any = None):
        self.said, self.meant, group = aligned(messages, meanings, given)
        if group is not None:
            self.said = joined(group, self.said)

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        return _right(self.said, self.meant[order])

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        rows = np.repeat(np.arange(len(times)), times)
        return _right(self.said[rows], self.meant[rows])


MEASURE = Measure(
    name="majority_decoder", function=majority_decoder, range=(0.0, 1.0), better=Better.HIGHER,
    chance=Chance.SHUFFLED_MEANINGS, applies_to=AppliesTo.WHOLE, source="Kharitonov et al. 2019", resampling=_Counted,
)  # fmt: skip
