"""What a measure declares beside its function: what it takes, in which unit it answers, and what chance alone gives."""

import dataclasses
import enum
import inspect
import math
import sys
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from heliograph.analysis.measures.undefined import reason_of

__all__ = ["AppliesTo", "Better", "Chance", "Measure", "MeasureResult", "Needs", "Resampling", "headline", "measure_of"]


class Needs(enum.StrEnum):
    """Inputs of a measure: the names of its positional parameters. Those here are found in a corpus or a run.

    Each has one row (or entry) for each utterance, but `LISTENER` and `TEAM`. A measure may take what is not here;
    then whoever calls it hands it over by name.
    """

    MESSAGES = "messages"
    """What was said: symbols or vectors."""
    MEANINGS = "meanings"
    """What the sender knew, compared as a whole."""
    ATTRIBUTES = "attributes"
    """What the sender knew, [n, K]: one column for each attribute."""
    ACTIONS = "actions"
    """What the sender itself did in the same step."""
    HEARER_ACTIONS = "hearer_actions"
    """What a hearer did in the step in which it read the message."""
    PREDICTED = "predicted"
    """What a listener took the attributes for, [n, K]."""
    MESSAGE_PROBABILITIES = "message_probabilities"
    """How likely the sender was to say each message, [states, messages]."""
    ACTION_PROBABILITIES = "action_probabilities"
    """How likely a hearer is to take each action after each message, [states, messages, actions]."""
    SILENT_PROBABILITIES = "silent_probabilities"
    """How likely it is to take each action without any message, [states, actions]."""
    LISTENER = "listener"
    """A function of messages, a list of rows, to what the hearer makes of each."""
    TEAM = "team"
    """The run itself, to be played."""


class AppliesTo(enum.StrEnum):
    """The kind that messages must be of."""

    SYMBOLS = "symbols"
    VECTORS = "vectors"
    BOTH = "both"
    WHOLE = "whole"
    """Both, compared as a whole: vectors that lie together count as one message."""


class Better(enum.StrEnum):
    """Choice of which values speak for a better language, where any do."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Chance(enum.StrEnum):
    """Choice of what a value is held against."""

    NONE = "none"
    """Nothing: the measure looks at messages alone."""
    SHUFFLED_MEANINGS = "shuffled_meanings"
    """The same messages beside meanings (or whatever else it takes) in another order, within `given`."""
    OWN = "own"
    """The function works it out: its result has `chance`, and may have `chance_quantile` and `p`."""


@runtime_checkable
class Resampling(Protocol):
    """A measure of the same utterances in other company, computed many times: what is the same is worked out once."""

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        """The value of all messages in their order, with everything else in this one."""

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        """The value of utterances that occur so many times each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure: its function, and what readers of a table need to know about it.

    The function takes what it needs by position and settings by keyword, and returns a number, or a frozen dataclass
    whose first field is the number that stands in tables. It is pure, counts in float64, returns `Undefined(reason)`
    where the number is not defined, and raises ValueError for what is no input at all.

    Settings that tables pass where the function has them: `given` (a value for each utterance: means within each),
    `eos`, `unique`. Where it has no `given`, tables take the mean within its values, weighted by utterances.

    `range` holds the smallest and largest value; `source` who defined it. `resampling` makes what shuffles and draws
    are computed by, of the same input as the function; None: the function is called anew each time. `pairs` says that
    time grows with the square of utterances: tables then take some of the rows, and at most `most_rows` where it is
    slow for another reason. `listed`: whether tables have it. `example` makes an input by name, for checks, where it
    takes what is not in `Needs`.
    """

    name: str
    function: Callable[..., Any]
    unit: str = ""
    range: tuple[float, float] = (-math.inf, math.inf)
    better: Better = Better.NEITHER
    chance: Chance = Chance.NONE
    applies_to: AppliesTo = AppliesTo.SYMBOLS
    source: str = ""
    resampling: Callable[..., Resampling] | None = None
    pairs: bool = False
    most_rows: int | None = None
    listed: bool = True
    example: Callable[[], dict[str, Any]] | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of what the function takes by position: values of `Needs`, or other names."""
        return tuple(p.name for p in _parameters(self.function) if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD)

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of what it takes by keyword."""
        return tuple(p.name for p in _parameters(self.function) if p.kind is inspect.Parameter.KEYWORD_ONLY)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureResult:
    """A measured value beside its chance level: mean, 95 % quantile and p, and a bootstrap interval of 95 %.

    NaN with a `reason` where it is not defined. Fields are None where nobody asked for them, or they are not known.
    `details` is the structure that the function returned, where it did.
    """

    value: float
    chance: float | None = None
    chance_quantile: float | None = None
    p: float | None = None
    interval: tuple[float, float] | None = None
    unit: str = ""
    reason: str | None = None
    num_utterances: int = 0
    details: Any = None


def measure_of(component: Any, *, name: str | None = None) -> Measure:
    """The declaration of a measure: itself, that beside its function (`MEASURE`), or one with defaults."""
    if isinstance(component, Measure):
        return component
    declared = getattr(sys.modules.get(getattr(component, "__module__", "")), "MEASURE", None)
    if isinstance(declared, Measure) and declared.function is component:
        return declared
    own = name or str(getattr(component, "__name__", type(component).__name__))
    found = Measure(name=own, function=component, applies_to=AppliesTo.WHOLE)
    against = Chance.SHUFFLED_MEANINGS if len(found.needs) > 1 else Chance.NONE
    return dataclasses.replace(found, chance=against)


def headline(result: Any) -> float:
    """The number of a result that stands in tables: itself, or the first field of a structure."""
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = getattr(result, dataclasses.fields(result)[0].name)
    return result if reason_of(result) is not None else float(result)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())
