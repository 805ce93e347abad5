"""The information bottleneck: the namings that trade complexity for accuracy best."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from heliograph.analysis.measures.information_plane import naming_of
from heliograph.analysis.measures.probability_tables import in_unit, information

__all__ = ["Bottleneck", "Tradeoff", "information_bottleneck"]

TINY = 1e-300
TOLERANCE = 1e-10
"""The fixed point is reached where no probability moves by more in a step."""
MAX_STEPS = 1_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tradeoff:
    """Complexity I(M;W) and accuracy I(W;U) of a naming, in one unit."""

    complexity: float
    accuracy: float

    def objective(self, beta: float) -> float:
        """F = complexity - beta * accuracy."""
        return self.complexity - beta * self.accuracy


def information_bottleneck(prior: Any, world: Any, betas: Sequence[float], *, unit: str = "bits") -> list[Tradeoff]:
    """The bound: complexity and accuracy of the best naming for each beta, in bits or "nats" (Tishby et al. 1999).

    `prior` [M] is how often each meaning is meant, `world` [M, U] the states of the world that each stands for. By the
    fixed point q(w | m) ~ q(w) exp(-beta KL(p(u | m) || p(u | w))), with as many words as meanings, from the largest
    beta (one word for each meaning) down, each from the one before. A local optimum, in the order of `betas`.
    """
    share, _, states = naming_of(prior, np.eye(len(np.asarray(prior))), world)
    bottleneck = Bottleneck(share, states)
    bottleneck.anneal(np.asarray(betas, dtype=np.float64))
    found = [bottleneck.best(float(beta)) for beta in betas]
    return [Tradeoff(complexity=in_unit(t.complexity, unit), accuracy=in_unit(t.accuracy, unit)) for t in found]


class Bottleneck:
    """The problem of a prior [M] and a world [M, U], and the namings that were found for it; in nats."""

    def __init__(self, prior: Float[np.ndarray, " M"], world: Float[np.ndarray, "M U"]):
        self.prior, self.world = prior, world
        self._found: dict[float, Float[np.ndarray, "M W"]] = {}

    def plane(self, naming: Float[np.ndarray, "M W"]) -> Tradeoff:
        """Return where a naming lies."""
        joint = self.prior[:, None] * naming
        return Tradeoff(complexity=information(joint), accuracy=information(joint.T @ self.world))

    def anneal(self, betas: Float[np.ndarray, " n"]) -> None:
        """Find a naming for each beta, from the largest down."""
        naming = np.eye(len(self.prior))
        for beta in sorted((float(beta) for beta in betas if beta > 1.0), reverse=True):
            naming = self._found[beta] = self.fixed_point(naming, beta)

    def best(self, beta: float, *, start: Float[np.ndarray, "M W"] | None = None) -> Tradeoff:
        """The best that is known for a beta: from the next larger one, from `start`, or one word for all.

        At beta 1 and below that is the best of all: words never tell more of the world than of meanings.
        """
        if beta <= 1.0:
            return Tradeoff(complexity=0.0, accuracy=0.0)
        starts = [] if start is None else [start]
        larger = [known for known in self._found if known >= beta]  # below it words have merged, and stay so
        starts.append(self._found[min(larger)] if larger else np.eye(len(self.prior)))
        namings = [np.ones((len(self.prior), 1)), *(self.fixed_point(naming, beta) for naming in starts)]
        return min((self.plane(naming) for naming in namings), key=lambda found: found.objective(beta))

    def fixed_point(self, naming: Float[np.ndarray, "M W"], beta: float) -> Float[np.ndarray, "M _W"]:
        """Return where the iteration from a naming ends; words that are never said are dropped."""
        present = (self.world > 0).astype(float)
        for _ in range(MAX_STEPS):
            words = self.prior @ naming
            naming, words = naming[:, words > TINY], words[words > TINY]
            states = ((self.prior[:, None] * naming) / words).T @ self.world
            known = states > 0
            crossed = self.world @ np.log(np.where(known, states, 1.0)).T
            crossed[present @ ~known.T > 0] = -np.inf  # words that exclude what the meaning may stand for
            scores = np.log(words) + beta * crossed
            scores -= scores.max(1, keepdims=True)
            after = np.exp(scores)
            after /= after.sum(1, keepdims=True)
            moved, naming = float(np.abs(after - naming).max()), after
            if moved <= TOLERANCE:
                break
        return naming
