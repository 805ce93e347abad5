"""An auxiliary loss as it is chosen: what it is, how much it counts, and its settings."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from heliograph.experiments.choices import resolve

__all__ = ["LossChoice", "as_loss"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossChoice:
    """An auxiliary loss: a name (or class, or callable of a LossBatch), its coefficient or schedule, its settings.

    A schedule is RLlib's: [[env steps, coefficient], ...], linear in between, the first entry at 0.
    """

    loss: Any
    coefficient: Any = 1.0
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return what the loss is called in the metrics."""
        if isinstance(self.loss, str):
            return self.loss.rpartition(":")[2]
        return getattr(self.loss, "__name__", type(self.loss).__name__)

    def resolved(self) -> Any:
        """Return the class or the function itself, also where it was chosen by name or path."""
        return resolve("loss", self.loss)


def as_loss(given: Any) -> LossChoice:
    """An auxiliary loss from a name, a callable, or a tuple of (loss, coefficient, settings)."""
    if isinstance(given, LossChoice):
        return given
    parts: tuple[Any, ...] = given if isinstance(given, tuple) else (given,)
    if not 1 <= len(parts) <= 3 or not (isinstance(parts[0], str) or callable(parts[0])):
        raise ValueError(f"losses: {given!r} must be a name, a callable, or (loss, coefficient, settings)")
    coefficient = parts[1] if len(parts) > 1 else 1.0
    return LossChoice(loss=parts[0], coefficient=coefficient, settings=parts[2] if len(parts) > 2 else {})
