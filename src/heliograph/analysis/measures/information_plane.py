"""Where a naming of meanings lies in the information plane: how complex it is, and how accurate."""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from heliograph.analysis.measures.measure import AppliesTo, Measure
from heliograph.analysis.measures.probability_tables import in_unit, information, probabilities

__all__ = ["MEASURE", "InformationPlane", "information_plane", "naming_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InformationPlane:
    """`accuracy` I(W;U), `complexity` I(M;W), and `distortion`: I(M;U) - I(W;U), what words lose of the world."""

    accuracy: float
    complexity: float
    distortion: float


def information_plane(prior: Any, naming: Any, world: Any = None, *, unit: str = "bits") -> InformationPlane:
    """Complexity and accuracy of a naming, in bits or "nats" (Zaslavsky et al. 2018; Chaabouni et al. 2021).

    `prior` [M] is how often each meaning is meant, `naming` [M, W] how likely each word names it (a table, never its
    argmax: a soft naming is less complex), `world` [M, U] the states of the world that each meaning stands for (None:
    one each, u = m). p(w, u) = sum_m p(m) q(w | m) p(u | m). Raises ValueError where a table holds no probabilities.
    """
    share, words, states = naming_of(prior, naming, world)
    complexity = information(share[:, None] * words)
    accuracy = information((share[:, None] * words).T @ states)
    return InformationPlane(
        accuracy=in_unit(accuracy, unit),
        complexity=in_unit(complexity, unit),
        distortion=in_unit(max(0.0, information(share[:, None] * states) - accuracy), unit),
    )


def naming_of(
    prior: Any, naming: Any, world: Any = None
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, "M W"], Float[np.ndarray, "M U"]]:
    """The three tables, checked."""
    share = probabilities(prior, what="prior", num_axes=1)
    words = probabilities(naming, what="naming", num_axes=2)
    states = np.eye(len(share)) if world is None else probabilities(world, what="world", num_axes=2)
    for name, table in (("naming", words), ("world", states)):
        if len(table) != len(share):
            raise ValueError(f"prior tells of {len(share)} meanings and {name} of {len(table)}: must be the same")
    return share, words, states


def _example() -> dict[str, Any]:
    return {"prior": [0.5, 0.5], "naming": [[0.9, 0.1], [0.2, 0.8]]}


MEASURE = Measure(
    name="information_plane", function=information_plane, unit="bits", range=(0.0, math.inf),
    applies_to=AppliesTo.BOTH, source="Zaslavsky et al. 2018", example=_example, listed=False,
)  # fmt: skip
