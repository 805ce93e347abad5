"""The command `timelapse`: how a language came about, as a page and a table."""

from collections.abc import Callable
from typing import Any

from heliograph.cli.overwriting import refuse_existing
from heliograph.cli.shown import console

__all__ = ["run_timelapse"]

Shown = tuple[Any, Callable[[Any], None]]


def run_timelapse(given: Any) -> Shown:
    """`heliograph timelapse`."""
    from heliograph.reports.timelapse_page import timelapse_path, write_timelapse

    page = timelapse_path(given.path, out=given.out)
    refuse_existing([page, page.with_suffix(".csv")], given)
    path = write_timelapse(given.path, out=given.out)
    found = {"page": str(path), "table": str(path.with_suffix(".csv"))}
    return found, lambda _: console().print(f"{found['page']}\n{found['table']}", soft_wrap=True)
