"""What a team says while it is trained: a corpus every so many iterations, for a timelapse."""

import pathlib
from collections.abc import Mapping
from typing import Any

from heliograph.analysis.recording import write_recording
from heliograph.analysis.timelapse import CORPORA, MOST_UTTERANCES, OF_CURRICULUM
from heliograph.storage.run_folder import Run

__all__ = ["write_moment"]

NAME = "iteration_{:06d}"


def write_moment(run: Run, row: Mapping[str, Any], *, num_episodes: int) -> pathlib.Path:
    """Write a corpus of a run as it is after a row of its progress; the episodes are the same each time.

    It replaces one that a run wrote which is gone on from an earlier checkpoint.
    """
    folder = run.folder / CORPORA / NAME.format(row["iteration"])
    prefix = f"{OF_CURRICULUM}_"
    scheduled = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
    about = {
        "iteration": row["iteration"], "num_env_steps": row.get("num_env_steps", 0),
        **({OF_CURRICULUM: scheduled} if scheduled else {}),
    }  # fmt: skip
    write_recording(run, folder, num_episodes=num_episodes, at_least=MOST_UTTERANCES, overwrite=True, more=about)
    return folder
