"""Whether inputs that get the same message are alike."""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.measure import AppliesTo, Better, Chance, Measure
from heliograph.analysis.measures.paired_spaces import matrix_of
from heliograph.analysis.measures.undefined import Undefined

__all__ = ["MEASURE", "SemanticConsistency", "semantic_consistency"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SemanticConsistency:
    """`within_share` of the variance of inputs that lies within messages (0: all alike), and what it is by chance."""

    within_share: float
    chance: float
    num_messages: int


def semantic_consistency(messages: Any, inputs: Any) -> SemanticConsistency:
    """The variance of inputs within messages over their total variance, 0 to 1 (Ben Zion et al. 2024).

    `inputs` [n, D] are numbers: what the sender saw, in the units in which likeness is meant. Lower is more consistent.
    `chance` is exact, the mean over all ways to shuffle inputs: (N - G) / (N - 1) for G messages. A message that is
    said once has no variance, so compare with chance, which is 0 where all messages differ. Undefined where all inputs
    are equal. Raises ValueError where there is no message, or not one input for each.
    """
    said, table = ids_of(messages), matrix_of(inputs, what="inputs")
    if len(said) != len(table):
        raise ValueError(f"{len(said)} messages and {len(table)} inputs: there must be one input for each")
    sizes = np.bincount(said)
    total = _squares(table - table.mean(0))
    number, kinds = len(said), int((sizes > 0).sum())
    if total == 0.0 or number < 2:
        reason = "all inputs are equal"
        return SemanticConsistency(within_share=Undefined(reason), chance=Undefined(reason), num_messages=kinds)
    means = np.stack([np.bincount(said, weights=column) for column in table.T], 1) / np.maximum(sizes, 1)[:, None]
    return SemanticConsistency(
        within_share=min(1.0, _squares(table - means[said]) / total),
        chance=(number - kinds) / (number - 1),
        num_messages=kinds,
    )


def _squares(table: Float[np.ndarray, "n D"]) -> float:
    return math.fsum((table**2).ravel())


def _example() -> dict[str, Any]:
    return {"messages": [[0], [0], [1], [1]], "inputs": [[0.0], [2.0], [10.0], [12.0]]}


MEASURE = Measure(
    name="semantic_consistency", function=semantic_consistency, range=(0.0, 1.0), better=Better.LOWER,
    chance=Chance.OWN, applies_to=AppliesTo.BOTH, source="Ben Zion et al. 2024", example=_example, listed=False,
)  # fmt: skip
