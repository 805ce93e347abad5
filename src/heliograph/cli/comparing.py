"""The command `compare`: groups of runs in a table, and in a page where one is asked for."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from heliograph.cli.overwriting import refuse_existing
from heliograph.cli.shown import console, formatted, listing, print_table
from heliograph.reports.comparison import Interval
from heliograph.reports.run_groups import Comparison, Group, Pair, compare

__all__ = ["as_json", "run_compare", "show_comparison"]

Shown = tuple[Any, Callable[[Any], None]]


def run_compare(given: Any) -> Shown:
    """`heliograph compare`."""
    from heliograph.reports.compare_page import write_page

    refuse_existing([pathlib.Path(given.out)] if given.out else [], given)
    comparison = compare(given.runs, metric=given.metric, seed=given.seed)
    page = {"page": str(write_page(comparison, given.out))} if given.out else {}
    return {**as_json(comparison), **page}, lambda _: _show(comparison, page.get("page"))


def as_json(comparison: Comparison) -> dict[str, Any]:
    """All of a comparison as plain data."""
    return {
        "metric": comparison.metric,
        "groups": [_group(group) for group in comparison.groups],
        "differences": [_pair(pair) for pair in comparison.pairs],
        "remarks": list(comparison.remarks),
    }


def show_comparison(comparison: Comparison) -> None:
    """Print groups, every seed, differences and remarks."""
    columns = ("group", "seeds", "IQM", "95 % interval", "mean", "median", "env steps", "wall s", "protocol")
    print_table(columns, [_row(group) for group in comparison.groups])
    console().print(f"\nevery seed: {comparison.metric}")
    listing((f"  {group.name}", _seeds(group)) for group in comparison.groups)
    if comparison.pairs:
        console().print()
        headings = ("difference", "IQM", "95 % interval", "P(better)", "95 % interval")
        print_table(headings, [_difference(pair) for pair in comparison.pairs])
    for remark in comparison.remarks:
        console().print(f"\nremark: {remark}")


def _show(comparison: Comparison, page: str | None) -> None:
    show_comparison(comparison)
    if page is not None:
        console().print(f"\n{page}")


def _row(group: Group) -> list[str]:
    found, (fewest, most) = group.estimate, group.env_steps
    steps = f"{fewest:,}" if fewest == most else f"{fewest:,}-{most:,}"
    middle = [formatted(found.iqm), _between(found.interval), formatted(found.mean), formatted(found.median)]
    last = [steps, f"{group.wall_seconds:.1f}", group.protocol or "-"]
    return [group.name, str(found.num_seeds), *middle, *last]


def _seeds(group: Group) -> str:
    return "  ".join(f"{formatted(run.seed, 'd')}: {run.value:.3f}" for run in group.runs)


def _difference(pair: Pair) -> list[str]:
    found = pair.difference
    names = f"{pair.first.name} less {pair.second.name}"
    chance = [f"{found.probability:.2f}", _between(found.probability_interval, ".2f")]
    return [names, f"{found.iqm:+.3f}", _between(found.interval), *chance]


def _between(interval: Interval | None, form: str = ".3f") -> str:
    return "-" if interval is None else f"{interval.low:{form}} to {interval.high:{form}}"


def _group(group: Group) -> dict[str, Any]:
    runs = [
        {
            "folder": str(run.folder),
            "seed": run.seed,
            "value": run.value,
            "num_env_steps": run.num_env_steps,
            "wall_seconds": run.wall_seconds,
            "stopped_by": run.stopped_by,
            "diagnosis": run.diagnosis,
        }
        for run in group.runs
    ]
    found = dataclasses.asdict(group.estimate)
    return {"name": group.name, **found, "settings": group.runs[0].settings, "runs": runs}


def _pair(pair: Pair) -> dict[str, Any]:
    return {"first": pair.first.name, "second": pair.second.name, **dataclasses.asdict(pair.difference)}
