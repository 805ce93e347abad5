"""What a recipe is: a published result, the five choices that reproduce it, and the number to reach."""

import dataclasses
import textwrap
from collections.abc import Mapping
from typing import Any

from heliograph.experiments.controls import USUAL_CONTROLS
from heliograph.renamed import RenamedAttribute

__all__ = ["Recipe", "text_of"]

WIDTH = 112


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run with its source and its result to reach.

    `settings` are those of `heliograph.experiments.settings.TrainSettings`. `target`: metrics of summary.json and the
    values that they must reach; `at_most`: those that must not be higher. The no-communication and the random-message
    control are trained beside it on equal budgets unless `controls` is off, or those that it names ("silent",
    "garbled", "self"). `about` tells of a recipe in a table what the docstring tells of a function that returns one.
    """

    name: str
    paper: str
    target: Mapping[str, float]
    settings: Mapping[str, Any]
    at_most: Mapping[str, float] = dataclasses.field(default_factory=dict)
    controls: bool | tuple[str, ...] = True
    about: str = ""

    twins = RenamedAttribute("control_kinds")

    @property
    def control_kinds(self) -> tuple[str, ...]:
        """Names of the controls that are trained beside it."""
        if isinstance(self.controls, tuple):
            return self.controls
        return USUAL_CONTROLS if self.controls else ()

    @property
    def goals(self) -> dict[str, float]:
        """All metrics that count, with the values to reach."""
        return {**self.target, **self.at_most}

    def goal(self) -> str:
        """Return what to reach, in words."""
        least = [f"{key} >= {value:g}" for key, value in self.target.items()]
        return ", ".join([*least, *(f"{key} <= {value:g}" for key, value in self.at_most.items())])


def text_of(first_line: str, *sentences: str) -> str:
    """The text of a recipe: its first line, and a paragraph of sentences, of which empty ones are left out."""
    paragraph = " ".join(sentence for sentence in sentences if sentence)
    return f"{first_line}\n\n{textwrap.fill(paragraph, WIDTH, break_on_hyphens=False)}"
