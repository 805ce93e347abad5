"""The table of all measures of a language, each beside its chance level: what a paper needs."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from heliograph import registry
from heliograph.analysis.corpus import Corpus
from heliograph.analysis.corpus_checks import CorpusError
from heliograph.analysis.hearer_material import asks_hearers, hearer_materials
from heliograph.analysis.language_files import SUFFIXES, is_language, read_language
from heliograph.analysis.material import Material, material_from, material_of_corpus
from heliograph.analysis.measures.measure import Measure, MeasureResult, measure_of
from heliograph.analysis.measuring import measure_in
from heliograph.analysis.recording import record
from heliograph.recipes.pretrained import located
from heliograph.storage.run_folder import Run, read_run
from heliograph.texts import one_line

__all__ = ["COLUMNS", "analyze", "language_at", "listed_measures"]

COLUMNS = (
    "role", "measure", "value", "chance", "chance_quantile", "p", "low", "high", "unit", "better", "num_utterances",
    "reason", "source",
)  # fmt: skip


def analyze(
    language: Corpus | Run | Mapping[str, Any] | Any, meanings: Any = None, *,
    measures: Sequence[str | Any] | None = None, given: Any = None, eos: Any = None, unique: bool = False,
    permutations: int = 199, bootstraps: int = 200, num_episodes: int = 1000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """A table of measures, a row for each measure of each role, with the columns of `COLUMNS`.

    `language` is a path (a run folder, a team file, a corpus, or a file that `heliograph analyze` reads), a run, whose
    team is played for `num_episodes` and asked what its hearers would do (rows of "sender -> hearer"), a corpus, a
    mapping of columns (`messages`, `meanings`, `actions`, `episodes`, `seeds`, `roles`, ...; see `Needs`), or messages
    alone, then with `meanings` beside them. `measures` are names of `heliograph list measures` or functions; None: all.
    `given` is within what messages may have codes of their own (a corpus: policy and round); words end before `eos`;
    `unique` keeps one of equal utterances.

    `chance`, `chance_quantile` and `p` are the mean, the 95 % quantile and the share (1 + #{as good}) / (1 + B) of
    values under B `permutations` of meanings within `given`, all orders where those are no more; `low` and `high` the
    95 % interval of `bootstraps` over episodes (and over seeds where there are several). A value that is not defined is
    NaN with a reason. Pairs are of 2,000 utterances, drawn from the seed. The same seed gives the same table.

    Raises ValueError where there is no message, for columns of unequal length, and for names that no measure has.
    """
    if min(permutations, bootstraps) < 0:
        raise ValueError(f"permutations={permutations}, bootstraps={bootstraps}: must be 0 or more")
    if isinstance(language, (str, pathlib.Path)):
        language, meanings = language_at(language, meanings=meanings), None
    chosen = listed_measures() if measures is None else [_named(measure) for measure in measures]
    how: dict[str, Any] = {"permutations": permutations, "bootstraps": bootstraps, "unique": unique, "seed": seed}
    if not isinstance(language, Run):
        return _table(_rows(_material(language, meanings, given=given, eos=eos), chosen, how))
    corpus = record(language, num_episodes=num_episodes, seed=seed)
    of_hearers = [measure for measure in chosen if isinstance(measure, Measure) and asks_hearers(measure)]
    others = [measure for measure in chosen if measure not in of_hearers]
    rows = _rows(_material(corpus, meanings, given=given, eos=eos), others, how) if others else []
    for material in hearer_materials(language, num_episodes=num_episodes, seed=seed) if of_hearers else ():
        rows += _rows(material, of_hearers, how)
    return _table(rows)


def _rows(material: Material, measures: Sequence[Any], how: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for role in dict.fromkeys(material.role.tolist()):
        for measure in measures:
            result = measure if isinstance(measure, _Broken) else measure_in(measure, material, role=role, **how)
            rows.append(_row(role, measure, result))
    return rows


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def language_at(path: str | pathlib.Path, *, meanings: Any = None, trust: bool = False) -> Any:
    """The language at a path where it is in files, else the team that speaks it."""
    if is_language(pathlib.Path(path)):
        return read_language(path, meanings=meanings)
    source = located(path)
    if not source.exists():
        raise CorpusError(f"{path} does not exist: name a run folder, a corpus, or a file ({', '.join(SUFFIXES)})")
    return read_run(path, trust=trust)


def listed_measures() -> list[Any]:
    """The measures that tables have, ours and those of other packages; broken ones stand for themselves."""
    found = [_named(name) for name in registry.names("measure")]
    return [measure for measure in found if isinstance(measure, _Broken) or measure.listed]


class _Broken:
    """A measure of another package that cannot be imported."""

    def __init__(self, name: str, reason: str):
        self.measure, self.reason = Measure(name=name, function=len), reason


def _named(measure: Any) -> Any:
    if not isinstance(measure, str):
        return measure_of(measure)
    try:
        return measure_of(registry.load("measure", measure), name=measure)
    except registry.PluginError as error:
        return _Broken(measure, one_line(error))


def _material(language: Any, meanings: Any, **how: Any) -> Material:
    if isinstance(language, Material):
        return language
    if isinstance(language, Corpus):
        return material_of_corpus(language, **how)
    if isinstance(language, Mapping):
        return material_from(language if meanings is None else {**language, "meanings": meanings}, **how)
    return material_from({"messages": language, "meanings": meanings}, **how)


def _row(role: str, measure: Any, result: Any) -> dict[str, Any]:
    if isinstance(result, _Broken):
        measure, result = result.measure, MeasureResult(value=float("nan"), reason=result.reason)
    low, high = result.interval or (math.nan, math.nan)
    numbers = {name: getattr(result, name) for name in ("value", "chance", "chance_quantile", "p")}
    return {
        "role": role,
        "measure": measure.name,
        **{name: math.nan if number is None else number for name, number in numbers.items()},
        "low": low,
        "high": high,
        "unit": result.unit,
        "better": measure.better.value,
        "num_utterances": result.num_utterances,
        "reason": result.reason,
        "source": measure.source,
    }
