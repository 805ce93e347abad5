"""Gather what recipes reached, from the committed results, into the table that `heliograph list recipes` shows.

    python benchmarks/collect.py

One file of results counts for a recipe: the one on the recipe's own settings and budget (see `FILES`). What shipped
teams reach is what their cards say. From the table come the figures of README and docs/results.md (`figures.py`).
"""

import json
import pathlib
from collections.abc import Callable
from typing import Any

from figures import pages
from protocols import RESULTS

from heliograph.recipes.pretrained import CARD, TEAMS
from heliograph.recipes.results import TABLE, Measured
from heliograph.registry import load
from heliograph.storage.run_folder import write_json
from heliograph.storage.safe_files import read_json

Run = dict[str, Any]
FILES = {
    **{f"speaker_listener{name}": f"speaker_listener{name}.json" for name in ("_dru", "_symbols")},
    **{f"speaker_listener_8{name}": f"speaker_listener_8{name}.json" for name in ("_dru", "_symbols")},
    "switch_riddle_dru": "switch_riddle_dru.json",
    **{name: f"riddle/{name}.json" for name in ("dial_switch3", "rial_switch3", "dial_switch4", "rial_switch4")},
    **{name: f"digits/{name}.json" for name in ("dial_colour_digit", "rial_colour_digit")},
    **{name: f"digits/{name}.json" for name in ("dial_multistep_digits", "rial_multistep_digits")},
    **{path.stem: f"traffic/{path.name}" for path in sorted((RESULTS / "traffic").glob("*.json"))},
    **{path.stem: f"large/{path.name}" for path in sorted((RESULTS / "large").glob("*.json"))},
}
"""Of each recipe; those of the folders `traffic` and `large` are named like their recipe."""
TWINS = {
    **{name: "riddle/dial_switch3_silent.json" for name in ("dial_switch3", "rial_switch3")},
    **{name: f"riddle/{name}_twins.json" for name in ("dial_switch4", "rial_switch4")},
    **{name: f"digits/{name}_twins.json" for name in ("dial_colour_digit", "dial_multistep_digits")},
    **{path.stem: f"traffic/twins/{path.name}" for path in sorted((RESULTS / "traffic" / "twins").glob("*.json"))},
}
"""Where twins lie in a file of their own; silent teams of RIAL and DIAL are the same."""


def found_in(run: Run, metric: str) -> float:
    """The metric of a run at its end: exact where that is known, on test images, greedy."""
    keys = ("exact", "exact_normalised_return", "test", metric)
    flat = next((run[key] for key in keys if key in run), None)
    return float(run["greedy"][metric] if flat is None else flat)


def of_kind(runs: list[Run], kind: str, value: Callable[[Run], float]) -> list[float]:
    """Values of the runs of a kind, by seed."""
    return [round(value(run), 4) for run in sorted(runs, key=lambda run: run["seed"]) if run["kind"] == kind]


def row(recipe: str, file: str) -> dict[str, Any]:
    """What one file says of its recipe."""
    data = json.loads((RESULTS / file).read_text())
    goals = load("recipe", recipe)().goals
    metric = next(iter(goals))
    runs, twins = data["runs"], data["runs"]
    if recipe in TWINS:
        twins = json.loads((RESULTS / TWINS[recipe]).read_text())["runs"]
    return {
        "metric": metric,
        "by_seed": of_kind(runs, "real", lambda run: found_in(run, metric)),
        "silent": of_kind(twins, "silent", lambda run: found_in(run, metric)),
        "budget": budget(data),
        "data": file,
        "shipped": shipped(recipe, metric),
    }


def shipped(recipe: str, metric: str) -> float | None:
    """The metric of the trained team that comes with it, where there is one."""
    card = TEAMS / f"{recipe}{CARD}"
    return round(read_json(card)["score"][metric], 4) if card.exists() else None


def budget(data: dict[str, Any]) -> str:
    """What a run was given."""
    if data.get("env_steps") or "num_env_steps" in data["runs"][0]:
        return f"{data.get('env_steps') or data['runs'][0]['num_env_steps']:,} env steps"
    return f"{data['updates']:,} updates"


def table() -> dict[str, dict[str, Any]]:
    """All recipes that have been run."""
    return {recipe: row(recipe, file) for recipe, file in sorted(FILES.items()) if (RESULTS / file).exists()}


def main() -> None:
    """Write the table, and the pages that tell it."""
    found = table()
    write_json(pathlib.Path(TABLE), found)
    for path, text in pages({recipe: Measured(**row) for recipe, row in found.items()}).items():
        path.write_text(text, encoding="utf8")
    print(f"{len(found)} recipes in {TABLE.name}")


if __name__ == "__main__":
    main()
