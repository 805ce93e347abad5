"""Whether a speaker says different things in different situations."""

import dataclasses
import math
from typing import Any

import numpy as np

from heliograph.analysis.measures.measure import AppliesTo, Better, Measure
from heliograph.analysis.measures.probability_tables import in_unit, nats_of, probabilities

__all__ = ["MEASURE", "Signalling", "positive_signalling", "positive_signalling_loss"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signalling:
    """`information` is `entropy`, that of the mean message, less `given_situation`, the mean entropy in one."""

    information: float
    entropy: float
    given_situation: float


def positive_signalling(message_probabilities: Any, *, unit: str = "bits") -> Signalling:
    """H(mean over x of p(m | x)) and the mean of H(p(m | x)), in bits or "nats" (Eccles et al. 2019).

    `message_probabilities` [n, M] is how likely the speaker says each message in each of n situations that are equally
    likely. Their difference is the information of messages about situations, exact for these situations: it is above 0
    for any two that differ, so compare with that of an untrained speaker. Raises ValueError where a row holds no
    probabilities.
    """
    table = probabilities(message_probabilities, what="message_probabilities", num_axes=2)
    entropy, given = float(nats_of(table.mean(0))), float(nats_of(table).mean())
    told = max(0.0, entropy - given)
    return Signalling(
        entropy=in_unit(entropy, unit), given_situation=in_unit(given, unit), information=in_unit(told, unit)
    )


def positive_signalling_loss(message_probabilities: Any, *, weight: float, target: Any) -> float:
    """The loss that Eccles et al. (2019) train a speaker by, in nats: -(weight * H(mean) - mean of (H_x - target)^2).

    `target` is the entropy that is wanted in a situation: a number, or one for each row. Lower is better.
    """
    table = probabilities(message_probabilities, what="message_probabilities", num_axes=2)
    wanted = np.broadcast_to(np.asarray(target, dtype=np.float64), (len(table),))
    spread = float(((nats_of(table) - wanted) ** 2).mean())
    return -(weight * float(nats_of(table.mean(0))) - spread)


MEASURE = Measure(
    name="positive_signalling", function=positive_signalling, unit="bits", range=(0.0, math.inf),
    better=Better.HIGHER, applies_to=AppliesTo.BOTH, source="Lowe et al. 2019; Eccles et al. 2019",
    example=lambda: {"message_probabilities": [[1.0, 0.0], [0.5, 0.5]]},
)  # fmt: skip
