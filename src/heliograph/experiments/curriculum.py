"""Curricula: settings of an environment that change while a team trains. What they end at is the task."""

import dataclasses
import itertools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from heliograph.checks import check_choice, check_number, check_positive
from heliograph.experiments.choices import EnvChoice, EnvFacts, facts_for
from heliograph.registry import UnknownNameError

__all__ = ["Curriculum", "Points", "Schedule", "Stages", "check_fits", "schedules_of", "task_settings"]

COUNTS = ("env_steps", "iteration")
BETWEEN = ("linear", "hold")
EXAMPLE = '{"by": "env_steps", "points": [[0, 0.1], [1000000, 0.3]]}'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Points:
    """A value at each of some counts of what was done before an iteration: `by` "env_steps" or "iteration".

    In between the value lies on a straight line ("linear"), or is that of the point before ("hold"). The first point is
    at 0; after the last one its value stays.
    """

    by: str
    points: tuple[tuple[int, Any], ...]
    between: str = "linear"

    def as_plain(self) -> dict[str, Any]:
        """Return what JSON can hold, and `schedules_of` takes."""
        return dataclasses.asdict(self)

    @property
    def values(self) -> tuple[Any, ...]:
        """Those of the points."""
        return tuple(value for _, value in self.points)

    @property
    def tried(self) -> tuple[Any, ...]:
        """Values that the environment must take: those of the points, and one between each two that differ."""
        halves = [(a + b) / 2 for a, b in itertools.pairwise(self.values) if self.between == "linear" and a != b]
        return (*self.values, *halves)

    def at(self, count: int) -> Any:
        """The value after so many env steps, or iterations."""
        index = sum(start <= count for start, _ in self.points) - 1
        start, value = self.points[index]
        if self.between == "hold" or index + 1 == len(self.points):
            return value
        end, after = self.points[index + 1]
        return value + (after - value) * (count - start) / (end - start)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stages:
    """One value after another: the next once `metric` is `at_least` (or `at_most`) so much, `times` iterations running.

    A metric is a column of progress.csv about the episodes that ended in an iteration, such as "success_rate".
    """

    metric: str
    values: tuple[Any, ...]
    at_least: float | None = None
    at_most: float | None = None
    times: int = 1

    def as_plain(self) -> dict[str, Any]:
        """Return what JSON can hold, and `schedules_of` takes."""
        return {"by": "metric", **{key: value for key, value in dataclasses.asdict(self).items() if value is not None}}

    @property
    def tried(self) -> tuple[Any, ...]:
        """Values that the environment must take."""
        return self.values

    def reached(self, value: int | float | None) -> bool:
        """Tell whether a measured value is good enough; one that was not measured is not."""
        if value is None or math.isnan(value):
            return False
        return bool(value >= self.at_least if self.at_least is not None else value <= self.at_most)  # type: ignore[operator]


Schedule = Points | Stages


class Curriculum:
    """How far a run has come in its schedules; `get_state` and `set_state` make it go on where it was."""

    def __init__(self, schedules: Mapping[str, Schedule]):
        self.schedules = dict(schedules)
        self._done = {"iteration": 0, "env_steps": 0}
        stages = [name for name, schedule in self.schedules.items() if isinstance(schedule, Stages)]
        self._stage, self._running = dict.fromkeys(stages, 0), dict.fromkeys(stages, 0)

    @property
    def metrics(self) -> list[str]:
        """Return what `advance` must be told."""
        return [self.schedules[name].metric for name in self._stage]  # type: ignore[union-attr]

    def settings(self) -> dict[str, Any]:
        """The settings of the environment in the coming iteration."""
        found: dict[str, Any] = {}
        for name, schedule in self.schedules.items():
            if isinstance(schedule, Stages):
                found[name] = schedule.values[self._stage[name]]
            else:
                found[name] = schedule.at(self._done[schedule.by])
        return found

    def advance(self, *, num_env_steps: int, metrics: Mapping[str, Any]) -> None:
        """Note an iteration: all env steps so far, and what was measured in this one."""
        self._done = {"iteration": self._done["iteration"] + 1, "env_steps": num_env_steps}
        for name in self._stage:
            schedule: Any = self.schedules[name]
            self._running[name] = self._running[name] + 1 if schedule.reached(metrics.get(schedule.metric)) else 0
            if self._running[name] >= schedule.times and self._stage[name] + 1 < len(schedule.values):
                self._stage[name], self._running[name] = self._stage[name] + 1, 0

    def columns(self) -> dict[str, float]:
        """`settings` as numbers, for progress.csv; of one that is no number its place in the schedule, from 0."""
        return {f"curriculum_{name}": self._number(name, value) for name, value in self.settings().items()}

    def get_state(self) -> dict[str, Any]:
        """Plain values."""
        return {"done": dict(self._done), "stage": dict(self._stage), "running": dict(self._running)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `get_state` gave; a schedule that was not there begins at its beginning."""
        self._done = dict(state["done"])
        for own, saved in ((self._stage, state["stage"]), (self._running, state["running"])):
            own.update({name: saved[name] for name in own if name in saved})
        for name in self._stage:
            self._stage[name] = min(self._stage[name], len(self.schedules[name].values) - 1)

    def _number(self, name: str, value: Any) -> float:
        return float(value if _is_number(value) else self.schedules[name].values.index(value))


def schedules_of(given: Mapping[str, Any], *, metrics: Sequence[str]) -> dict[str, Schedule]:
    """Schedules by setting, from plain values; None for one that was there and is not wanted.

    A list [[env steps, value], ...] stands for {"by": "env_steps", "points": ...}. Raises ValueError, naming what is
    wrong; `metrics` are those that stages may wait for.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"curriculum={given!r}: must be schedules by env setting, such as {{'p_arrive': {EXAMPLE}}}")
    return {name: _schedule(name, value, metrics) for name, value in given.items() if value is not None}


def task_settings(settings: Mapping[str, Any], schedules: Mapping[str, Schedule]) -> dict[str, Any]:
    """An environment's settings with what its curriculum ends at: those that are evaluated and reported."""
    for name, schedule in schedules.items():
        last = schedule.values[-1]
        if name in settings and settings[name] != last:
            raise ValueError(
                f"env setting {name}={settings[name]!r}: its curriculum ends at {last!r}, and what it ends at is what "
                f"is evaluated; leave one of them out (--set curriculum.{name}=null), or make them equal"
            )
    return {**settings, **{name: schedule.values[-1] for name, schedule in schedules.items()}}


def check_fits(schedules: Mapping[str, Schedule], choose: Callable[[Mapping[str, Any]], EnvChoice]) -> None:
    """Build the environment with every value that a schedule takes: agents and spaces must stay the same.

    `choose` makes the choice with some settings changed. Raises ValueError that names setting and value.
    """
    task = _fixed(facts_for(choose({}))) if schedules else None
    for name, schedule in schedules.items():
        for value in _different(schedule.tried):
            if _fixed(_facts(name, value, schedule, choose)) != task:
                raise ValueError(
                    f"curriculum of {name}: with {name}={value!r} agents, observations, actions or the state would not "
                    f"be those of {name}={schedule.values[-1]!r}, which it ends at; choose a setting that leaves them"
                )


def _different(values: Sequence[Any]) -> list[Any]:
    return [value for index, value in enumerate(values) if value not in values[:index]]


def _facts(name: str, value: Any, schedule: Schedule, choose: Callable[[Mapping[str, Any]], EnvChoice]) -> EnvFacts:
    try:
        return facts_for(choose({name: value}))
    except UnknownNameError:
        raise
    except ValueError as error:
        between = value not in schedule.values
        hint = "; it lies between two points: set between to 'hold'" if between else ""
        raise ValueError(f"curriculum of {name}: {error}{hint}") from error


def _fixed(facts: EnvFacts) -> tuple[Any, ...]:
    return facts.roles, facts.state_size, facts.team_of_agent, facts.teams


def _schedule(name: str, given: Any, metrics: Sequence[str]) -> Schedule:
    what = f"curriculum of {name}"
    if isinstance(given, (Points, Stages)):
        return given
    content = {"by": "env_steps", "points": given} if isinstance(given, (list, tuple)) else given
    if not isinstance(content, Mapping):
        raise ValueError(f"{what}={given!r}: must be a schedule such as {EXAMPLE}")
    by = content.get("by")
    check_choice(f"{what}: by", by, valid=(*COUNTS, "metric"))
    kind: Any = Stages if by == "metric" else Points
    known = ["by", *(f.name for f in dataclasses.fields(kind) if f.name != "by")]
    for key in content:
        if key not in known:
            raise UnknownNameError(what=f"key in {what}", name=str(key), valid=known)
    rest = {key: value for key, value in content.items() if key != "by"}
    return _stages(what, rest, metrics) if kind is Stages else _points(what, by, rest)


def _points(what: str, by: Any, given: Mapping[str, Any]) -> Points:
    points = given.get("points")
    pairs = isinstance(points, (list, tuple)) and all(isinstance(p, (list, tuple)) and len(p) == 2 for p in points)
    counts = [p[0] for p in points] if pairs and points else []
    whole = all(_is_number(count) and float(count).is_integer() for count in counts)
    if not counts or not whole or counts[0] != 0 or any(b <= a for a, b in itertools.pairwise(counts)):
        raise ValueError(f"{what}: points={points!r}: must be [[{by}, value], ...], the first at 0 and counts rising")
    values = [p[1] for p in points]  # type: ignore[union-attr]
    numeric = all(map(_is_number, values))
    between = given.get("between", "linear" if numeric else "hold")
    check_choice(f"{what}: between", between, valid=BETWEEN)
    if between == "linear" and not numeric:
        raise ValueError(f"{what}: between='linear': there is nothing between {values!r}; use 'hold'")
    return Points(by=by, points=tuple(zip(map(int, counts), values, strict=True)), between=between)


def _stages(what: str, given: Mapping[str, Any], metrics: Sequence[str]) -> Stages:
    if (metric := given.get("metric")) not in metrics:
        raise UnknownNameError(what=f"metric in {what}", name=str(metric), valid=list(metrics))
    values = given.get("values")
    if not isinstance(values, (list, tuple)) or not values:
        raise ValueError(f"{what}: values={values!r}: must be a list of what the setting is, one after another")
    limits = {key: given[key] for key in ("at_least", "at_most") if given.get(key) is not None}
    if len(limits) != 1:
        raise ValueError(f"{what}: says {', '.join(limits) or 'neither'}: give at_least or at_most, what to reach")
    for key, value in limits.items():
        check_number(f"{what}: {key}", value)
    check_positive(f"{what}: times", given.get("times", 1))
    limit = {key: float(value) for key, value in limits.items()}
    return Stages(metric=str(metric), values=tuple(values), times=given.get("times", 1), **limit)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
