"""Reads progress.csv, a row for each iteration of a training run."""

import csv
import io
import pathlib
from typing import Any

from heliograph.storage.run_folder import PROGRESS, RunFolderError
from heliograph.storage.safe_files import refuse_irregular

__all__ = ["read_progress"]

WHOLE = ("iteration", "num_env_steps", "num_episodes")


def read_progress(folder: str | pathlib.Path) -> list[dict[str, Any]]:
    """The rows of progress.csv, numbers as numbers, None where a field is empty; a row cut short is left out."""
    path = pathlib.Path(folder) / PROGRESS
    if not path.exists():
        return []
    refuse_irregular(path)
    with path.open(newline="", encoding="utf8") as file:
        text = file.read()
    whole = io.StringIO(text[: text.rfind("\n") + 1], newline="")
    rows = [row for row in csv.DictReader(whole) if None not in row.values()]
    try:
        return [{key: _cell(key, value) for key, value in row.items()} for row in rows]
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged: {error}") from error


def _cell(key: str, text: str) -> float | int | None:
    if text == "":
        return None
    return int(text) if key in WHOLE else float(text)
