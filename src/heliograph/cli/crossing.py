"""The command `crossplay`: a matrix of teams with the policies of others, and what it says of strangers."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from heliograph.cli.shown import console, print_table

__all__ = ["run_crossplay"]

Shown = tuple[Any, Callable[[Any], None]]


def run_crossplay(given: Any) -> Shown:
    """`heliograph crossplay`."""
    from heliograph.analysis.crossplay import crossplay
    from heliograph.experiments.controls import CONTROLS
    from heliograph.recipes.pretrained import is_shipped
    from heliograph.reports.run_results import find_runs

    if len(given.runs) == 1 and (members := _members(given)) is not None:
        return members, _show_members
    places: list[Any] = []
    for run in given.runs:
        if is_shipped(run) or run.endswith(".safetensors"):
            places.append(run)
            continue
        finished, _ = find_runs([run])
        places += [place for place in finished if place.name not in CONTROLS]
    table = crossplay(
        places,
        exchange=given.exchange,
        num_episodes=given.episodes,
        seed=given.seed,
        trust=given.trust,
        scripts=_scripts(given.script or ()),
    )
    stats = {"return": table.of_returns, "success": table.of_successes}
    told = {
        "teams": list(table.names),
        "exchanged": list(table.exchanged),
        "num_episodes": table.num_episodes,
        "returns": table.returns.tolist(),
        "standard_errors": table.standard_errors.tolist(),
        "success_rates": None if table.success_rates is None else table.success_rates.tolist(),
        "families": [list(family) for family in table.families],
        "bridges": list(table.bridges),
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
    if told["bridges"]:
        console().print(f"held together by: {', '.join(told['bridges'])}", soft_wrap=True)


def _scripts(texts: Iterable[str]) -> dict[str, str]:
    """Functions that play everybody, by what they are called: NAME=MODULE:FUNCTION, or without a name."""
    found = {}
    for text in texts:
        name, equals, function = text.partition("=")
        found[name if equals else text.rpartition(":")[2]] = function if equals else text
    return found


def _members(given: Any) -> dict[str, Any] | None:
    """Return what the members of a single run's population score with one another; None where it has none."""
    from heliograph.analysis.measures.cross_play import cross_play
    from heliograph.analysis.members import member_table
    from heliograph.recipes.pretrained import is_shipped
    from heliograph.storage.run_folder import CONFIG, read_run

    place = given.runs[0]
    if not (is_shipped(place) or place.endswith(".safetensors") or (pathlib.Path(place) / CONFIG).exists()):
        return None
    run = read_run(place, trust=given.trust)
    if run.choices.population is None:
        return None
    table = member_table(run, num_episodes=given.episodes, seed=given.seed)
    return {
        "first": table.first,
        "num_episodes": table.num_episodes,
        "returns": table.returns.tolist(),
        "standard_errors": table.standard_errors.tolist(),
        "success_rates": None if table.success_rates is None else table.success_rates.tolist(),
        "return": _plain(dataclasses.asdict(cross_play(table.returns))),
    }


def _show_members(told: dict[str, Any]) -> None:
    shown = told["returns"] if told["success_rates"] is None else told["success_rates"]
    what = "return" if told["success_rates"] is None else "success"
    console().print(f"{what} of each {told['first']} (row) with each member as all others (column)")
    rows = [[str(i), *(f"{value:.3f}" for value in row)] for i, row in enumerate(shown)]
    print_table(("", *map(str, range(len(shown)))), rows)
    console().print()
    print_table(
        ("return", "same number", "others", "gap"), [["", *(_cell(told["return"][k]) for k in ("own", "cross", "gap"))]]
    )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
