"""Which runs have come to their end, by what their folders say (imports no ray)."""

import pathlib
from typing import Any

from heliograph.experiments.settings import TrainSettings
from heliograph.storage.run_folder import SUMMARY, RunFolderError
from heliograph.storage.safe_files import read_json

__all__ = ["finished_run", "spent"]


def finished_run(folder: pathlib.Path) -> dict[str, Any] | None:
    """The summary of a run that was made before and not interrupted; None where it is still to be made."""
    path = folder / SUMMARY
    if not path.exists():
        return None
    try:
        summary = read_json(path)
    except RunFolderError as error:
        raise RunFolderError(f"{path} is damaged: {error}; delete {folder} to train it anew") from error
    return summary if isinstance(summary, dict) and summary.get("stopped_by") != "interrupt" else None


def spent(summary: dict[str, Any], settings: TrainSettings) -> bool:
    """Tell whether a finished run has used up its budget, which may have become larger since."""
    reason = summary.get("stopped_by")
    limits = {"iterations": settings.max_iterations, "env_steps": settings.env_steps}
    if reason not in limits:
        return True
    counted = {"iterations": summary.get("iterations"), "env_steps": summary.get("num_env_steps")}
    limit, reached = limits[reason], counted[reason]
    return isinstance(limit, int) and isinstance(reached, int) and reached >= limit
