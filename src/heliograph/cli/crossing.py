"""The command `crossplay`: a matrix of teams with the policies of others, and what it says of strangers."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from heliograph.cli.shown import console, print_table

__all__ = ["run_crossplay"]

Shown = tuple[Any, Callable[[Any], None]]


def run_crossplay(given: Any) -> Shown:
    """`heliograph crossplay`."""
    from heliograph.analysis.crossplay import crossplay
    from heliograph.experiments.settings import TWINS
    from heliograph.reports.run_results import find_runs
    from heliograph.shipped import is_shipped

    places: list[Any] = []
    for run in given.runs:
        if is_shipped(run) or run.endswith(".safetensors"):
            places.append(run)
            continue
        finished, _ = find_runs([run])
        places += [place for place in finished if place.name not in TWINS]
    table = crossplay(places, exchange=given.exchange, num_episodes=given.episodes, seed=given.seed, trust=given.trust)
    stats = {"return": table.of_returns, "success": table.of_successes}
    told = {
        "teams": list(table.names),
        "exchanged": list(table.exchanged),
        "num_episodes": table.num_episodes,
        "returns": table.returns.tolist(),
        "standard_errors": table.standard_errors.tolist(),
        "success_rates": None if table.success_rates is None else table.success_rates.tolist(),
        "families": [list(family) for family in table.families],
        **{key: None if found is None else _plain(dataclasses.asdict(found)) for key, found in stats.items()},
    }
    return told, _show


def _plain(found: dict[str, float]) -> dict[str, float | None]:
    return {key: None if math.isnan(value) else float(value) for key, value in found.items()}


def _show(told: dict[str, Any]) -> None:
    shown = told["returns"] if told["success_rates"] is None else told["success_rates"]
    what = "return" if told["success_rates"] is None else "success"
    console().print(f"{what} of each team (row) with {', '.join(told['exchanged'])} of each (column)")
    rows = [[name, *(f"{value:.3f}" for value in row)] for name, row in zip(told["teams"], shown, strict=True)]
    print_table(("", *told["teams"]), rows)
    console().print()
    headings = ("", "partners", "strangers", "gap")
    kinds = [kind for kind in ("return", "success") if told[kind] is not None]
    print_table(headings, [[kind, *(_cell(told[kind][key]) for key in ("own", "cross", "gap"))] for kind in kinds])
    console().print()
    for number, family in enumerate(told["families"], start=1):
        console().print(f"family {number}: {', '.join(family)}", soft_wrap=True)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
