"""Runs as tables of pandas: a row for each run, and a row for each iteration of each."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from heliograph.reports.run_results import find_runs, flat_settings, read_summary
from heliograph.storage.progress_file import read_progress
from heliograph.storage.run_folder import SUMMARY, RunFolderError, read_config

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["curves", "results"]

Source = str | pathlib.Path
ABOUT_RUNS = ("run", "seed", "finished")


def results(*folders: Source) -> "pd.DataFrame":
    """A row for each run in some folders, controls and unfinished runs too, whose results are missing.

    Columns: `run` (its folder), `seed`, `finished`, settings as `--set` calls them (`channel`, `training.lr`; controls
    have `controls`), then numbers and words of summary.json, with `teams.NAME.KEY` for what is told of several teams.
    """
    import pandas as pd

    rows = []
    for folder in _folders(folders):
        config = read_config(folder)
        whole = (folder / SUMMARY).exists()
        summary = dict(_flat("", read_summary(folder))) if whole else {}
        about = {"run": str(folder), "seed": config.get("seed"), "finished": whole}
        rows.append({**about, **_cells(flat_settings(folder, config)), **summary, "seed": about["seed"]})
    return pd.DataFrame(rows)


def curves(*folders: Source) -> "pd.DataFrame":
    """A row for each iteration of each run in some folders: `run`, `seed`, settings, and columns of progress.csv."""
    import pandas as pd

    rows = []
    for folder in _folders(folders):
        config = read_config(folder)
        about = {"run": str(folder), "seed": config.get("seed"), **_cells(flat_settings(folder, config))}
        rows += [{**about, **row} for row in read_progress(folder)]
    return pd.DataFrame(rows)


def _folders(given: tuple[Source, ...]) -> list[pathlib.Path]:
    if not given:
        raise ValueError("name run folders, or folders of runs")
    found = [folder for some in find_runs(given) for folder in some]
    for folder in found:
        if not folder.is_dir():
            raise RunFolderError(f"{folder} is a team file, and no run folder")
    return sorted(found)


def _cells(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as cells: what is no single value as text."""
    single = (str, int, float, bool)
    return {key: value if isinstance(value, single) else repr(value) for key, value in settings.items()}


def _flat(where: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and key != "versions":
            yield from _flat(f"{where}{key}.", value)
        elif not isinstance(value, (list, Mapping)):
            yield f"{where}{key}", value
