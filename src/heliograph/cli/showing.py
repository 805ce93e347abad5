"""The commands that tell what a run was made of: `show`, and `diff` of two."""

import json
from collections.abc import Callable
from typing import Any

from heliograph.cli.shown import console, listing, print_table
from heliograph.reports.run_diff import differing, facts_in, flat
from heliograph.texts import cut

__all__ = ["run_diff", "run_show"]

Shown = tuple[Any, Callable[[Any], None]]


def run_show(given: Any) -> Shown:
    """`heliograph show`."""
    from heliograph.cli.reading import named_run_folder

    return facts_in(named_run_folder(given.run)), lambda facts: listing((k, _text(v)) for k, v in flat(facts).items())


def run_diff(given: Any) -> Shown:
    """`heliograph diff`."""
    from heliograph.cli.reading import named_run_folder

    first, second = (facts_in(named_run_folder(run)) for run in (given.first, given.second))
    found = {key: list(pair) for key, pair in differing(first, second).items()}
    return found, lambda found: _show(found, given)


def _show(found: dict[str, list[Any]], given: Any) -> None:
    if not found:
        console().print(f"{given.first} and {given.second} say the same")
        return
    print_table(("key", given.first, given.second), [[key, *map(_text, pair)] for key, pair in found.items()])


def _text(value: Any) -> str:
    return cut(value if isinstance(value, str) else json.dumps(value))
