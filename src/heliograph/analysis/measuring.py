"""One measure of some utterances: its value, chance level and interval, or why there is none."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from heliograph.analysis.bootstrap_intervals import bootstrap_interval
from heliograph.analysis.chance_levels import chance_level
from heliograph.analysis.material import Material, Part, picked
from heliograph.analysis.measures.base import ids_of
from heliograph.analysis.measures.language import weighted_mean
from heliograph.analysis.measures.measure import Chance, Measure, MeasureResult, Resampling, headline
from heliograph.analysis.measures.undefined import reason_of
from heliograph.texts import one_line

__all__ = ["MOST_PAIRED", "measure_in"]

MOST_PAIRED = 2000
"""Utterances of which all pairs are compared; of more, so many are drawn from the seed."""


def measure_in(
    measure: Measure, material: Material, *, role: str | None = None, permutations: int = 199, bootstraps: int = 200,
    unique: bool = False, seed: int = 0,
) -> MeasureResult:  # fmt: skip
    """A measure of the utterances of one role, or of all; whatever goes wrong is the reason why it has no value."""
    lack = material.lacks(measure)
    if lack is not None:
        return _undefined(measure, lack)
    number = 0
    try:
        part = material.part_for(measure, role=role)
        if not len(part):
            return _undefined(measure, f"no utterance has {' and '.join(measure.needs)}")
        part = _sampled(measure, _first_of_each(part) if unique and "unique" in measure.settings else part, seed=seed)
        number = len(part)
        return _Measuring(measure, part, material.single, permutations, bootstraps, seed).result()
    except Exception as error:  # whatever a measure, which may be a stranger's, makes of utterances
        told = one_line(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {one_line(error)}"
        return _undefined(measure, told, number=number)


def _undefined(measure: Measure, reason: str, *, number: int = 0) -> MeasureResult:
    return MeasureResult(value=float("nan"), unit=measure.unit, reason=reason, num_utterances=number)


def _sampled(measure: Measure, part: Part, *, seed: int) -> Part:
    limits = [most for most in (MOST_PAIRED if measure.pairs else None, measure.most_rows) if most is not None]
    if not limits or len(part) <= min(limits):
        return part
    rows = np.random.default_rng(seed).choice(len(part), size=min(limits), replace=False)
    return part.where(np.sort(rows))


def _first_of_each(part: Part) -> Part:
    """One of the utterances that are alike in all columns and in what they lie within."""
    ids = [ids_of(column) for column in part.columns.values()]
    rows = np.unique(ids_of(np.stack([*ids, part.group], 1)), return_index=True)[1]
    return part.where(np.sort(rows))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Anew:
    """A measure that is called again for every shuffle and every draw."""

    value_of: Callable[[dict[str, Any], Int[np.ndarray, " n"]], float]
    part: Part

    def shuffled(self, order: Int[np.ndarray, " n"]) -> float:
        """The value with all columns but the first in another order."""
        first, *rest = self.part.columns
        columns = {first: self.part.columns[first]} | {name: picked(self.part.columns[name], order) for name in rest}
        return self.value_of(columns, self.part.group)

    def drawn(self, times: Int[np.ndarray, " n"]) -> float:
        """The value of rows that occur so many times each."""
        some = self.part.where(np.repeat(np.arange(len(times)), times))
        return self.value_of(some.columns, some.group)


class _Measuring:
    """One measure of one part."""

    def __init__(
        self, measure: Measure, part: Part, single: dict[str, Any], permutations: int, bootstraps: int, seed: int
    ):
        self.measure, self.part = measure, part
        self.single = {name: single[name] for name in measure.needs if name in single}
        self.permutations, self.bootstraps, self.seed = permutations, bootstraps, seed

    def result(self) -> MeasureResult:
        """Its value and what that is held against."""
        found = self._called(self.part.columns, self.part.group)
        value = self._value_of(self.part.columns, self.part.group) if found is None else headline(found)
        known: dict[str, Any] = {"unit": self.measure.unit, "num_utterances": len(self.part)}
        if found is not None and dataclasses.is_dataclass(found):
            known["details"] = found
        if np.isnan(value):
            return MeasureResult(value=float("nan"), reason=reason_of(value) or "it returned NaN", **known)
        return MeasureResult(value=value, **known, **self._own_chance(found), **self._resampled(value))

    def _own_chance(self, found: Any) -> dict[str, Any]:
        """Return what its results say of chance; within several groups the mean of what they say."""
        if self.measure.chance is not Chance.OWN:
            return {}
        if found is not None:
            return {name: getattr(found, name, None) for name in ("chance", "chance_quantile", "p")}
        parts, sizes = self._within(self.part.columns, self.part.group)
        return {"chance": weighted_mean([float(part.chance) for part in parts], sizes)}

    def _resampled(self, value: float) -> dict[str, Any]:
        """Chance level and interval, where rows can be shuffled and drawn."""
        shuffles = self.measure.chance is Chance.SHUFFLED_MEANINGS and self.permutations > 0
        draws = self.bootstraps > 0 and len(self.part) > 1
        if not (shuffles or draws):
            return {}
        resampling = self._resampling()
        found: dict[str, Any] = {}
        if shuffles:
            level = chance_level(
                value, resampling, group=self.part.group, permutations=self.permutations, better=self.measure.better,
                seed=self.seed,
            )  # fmt: skip
            if level is not None:
                found = {"chance": level.mean, "chance_quantile": level.quantile, "p": level.p}
        if draws and (self.measure.resampling is not None or not self.measure.pairs):
            found["interval"] = bootstrap_interval(
                value, resampling, episodes=self.part.episodes, seeds=self.part.seeds, bootstraps=self.bootstraps,
                within=self.measure.range, seed=self.seed,
            )  # fmt: skip
        return found

    def _resampling(self) -> Resampling:
        if self.measure.resampling is None:
            return _Anew(value_of=self._value_of, part=self.part)
        return self.measure.resampling(**self.part.columns, **self.single, given=self.part.group)

    def _called(self, columns: dict[str, Any], group: Int[np.ndarray, " n"]) -> Any:
        """Result of the function for columns within groups; None where it knows of no groups, and there are several."""
        if not group.any():
            return self.measure.function(**columns, **self.single)
        if "given" in self.measure.settings:
            return self.measure.function(**columns, **self.single, given=group)
        return None

    def _value_of(self, columns: dict[str, Any], group: Int[np.ndarray, " n"]) -> float:
        found = self._called(columns, group)
        if found is not None:
            return headline(found)
        parts, sizes = self._within(columns, group)
        return weighted_mean([headline(part) for part in parts], sizes)

    def _within(self, columns: dict[str, Any], group: Int[np.ndarray, " n"]) -> tuple[list[Any], list[int]]:
        """Return what the function makes of each group, and how large that is."""
        rows = [np.flatnonzero(group == some) for some in range(int(group.max()) + 1)]
        parts = [{name: picked(column, some) for name, column in columns.items()} for some in rows]
        return [self.measure.function(**part, **self.single) for part in parts], [len(some) for some in rows]
