"""The command `analyze`: a table of measures of a language, each beside its chance level."""

import math
from collections.abc import Callable
from typing import Any

from heliograph.cli.shown import console, print_table

__all__ = ["run_analyze"]

Shown = tuple[Any, Callable[[Any], None]]
NOTHING = 1e-12
"""Numbers that are rounding noise."""
HEADINGS = ("measure", "value", "by chance", "95 %", "p", "interval", "unit", "better", "utterances")


def run_analyze(given: Any) -> Shown:
    """`heliograph analyze`."""
    from heliograph.analysis.measure_table import analyze, language_at
    from heliograph.cli.reading import named_run_folder

    named_run_folder(given.path)
    measures = given.measures and [_measure(name) for name in given.measures]
    language = language_at(given.path, meanings=given.meanings, trust=given.trust)
    table = analyze(
        language, measures=measures, num_episodes=given.episodes, eos=given.eos, unique=given.unique,
        permutations=given.permutations, bootstraps=given.bootstraps, seed=given.seed,
    )  # fmt: skip
    rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_dict("records")]
    return rows, (lambda _: print(table.to_csv(index=False), end="")) if given.csv else _show


def _measure(name: str) -> Any:
    """A name of the registry, or the function that `module:name` or `file.py:name` names."""
    from heliograph.experiments.choices import resolve

    return resolve("measure", name) if ":" in name else name


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _show(rows: list[dict[str, Any]]) -> None:
    roles = list(dict.fromkeys(row["role"] for row in rows))
    for role in roles:
        if len(roles) > 1:
            console().print(f"\n{role}" if role != roles[0] else role)
        mine = [row for row in rows if row["role"] == role]
        print_table(HEADINGS, [_cells(row) for row in mine if row["value"] is not None])
        for reason in dict.fromkeys(row["reason"] for row in mine if row["value"] is None):
            without = ", ".join(row["measure"] for row in mine if row["value"] is None and row["reason"] == reason)
            console().print(f"not defined: {without} ({reason})", soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    interval = "" if row["low"] is None else f"{_shown(row['low'])} to {_shown(row['high'])}"
    numbers = [_shown(row[name]) for name in ("value", "chance", "chance_quantile", "p")]
    better = "" if row["better"] == "neither" else row["better"]
    return [row["measure"], *numbers, interval, row["unit"], better, f"{row['num_utterances']:,}"]


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value if abs(value) > NOTHING else 0.0:.4g}"
