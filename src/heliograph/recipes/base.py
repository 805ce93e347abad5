"""What a recipe is: a published result, the five choices that reproduce it, and the number to reach."""

import dataclasses
from collections.abc import Mapping
from typing import Any

__all__ = ["Recipe"]

USUAL = ("silent", "garbled")
"""As in `heliograph.experiments.settings`, which imports torch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run with its source and its result to reach.

    `settings` are those of `heliograph.experiments.settings.TrainSettings`. `target`: metrics of summary.json and the
    values that they must reach; `at_most`: those that must not be higher. The silent and the garbled twin are trained
    beside it on equal budgets unless `controls` is off, or those that it names ("silent", "garbled", "self").
    """

    name: str
    paper: str
    target: Mapping[str, float]
    settings: Mapping[str, Any]
    at_most: Mapping[str, float] = dataclasses.field(default_factory=dict)
    controls: bool | tuple[str, ...] = True

    @property
    def twins(self) -> tuple[str, ...]:
        """The twins that are trained beside it."""
        if isinstance(self.controls, tuple):
            return self.controls
        return USUAL if self.controls else ()

    @property
    def goals(self) -> dict[str, float]:
        """All metrics that count, with the values to reach."""
        return {**self.target, **self.at_most}

    def goal(self) -> str:
        """Return what to reach, in words."""
        least = [f"{key} >= {value:g}" for key, value in self.target.items()]
        return ", ".join([*least, *(f"{key} <= {value:g}" for key, value in self.at_most.items())])
