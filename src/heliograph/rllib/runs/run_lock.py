"""Who may write into a run folder: one process at a time, and over an earlier run only where that is said."""

import contextlib
import fcntl
import os
import pathlib
import shutil
from collections.abc import Iterator

from heliograph.analysis.timelapse import CORPORA
from heliograph.rllib.runs.checkpoints import CHECKPOINTS
from heliograph.rllib.runs.records import TENSORBOARD
from heliograph.storage.atomic import telling
from heliograph.storage.provenance import SOURCES
from heliograph.storage.run_folder import CONFIG, PROGRESS, SUMMARY, WEIGHTS, RunFolderError, read_config

__all__ = ["TRACKED", "claimed", "cleared"]

TRACKED = "trackers.json"
"""The file in a run folder that says which runs of tracking services it is."""


@contextlib.contextmanager
def claimed(folder: pathlib.Path) -> Iterator[None]:
    """Refuse a folder that another process writes to; the claim ends with the process, however it ends."""
    number = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(f"{folder} is being written by another process: wait for it, or end it") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(number)


def cleared(folder: pathlib.Path, *, overwrite: bool) -> pathlib.Path:
    """An empty place for a run; of an earlier run only what training wrote is deleted, its configuration last."""
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file: choose another --out")
    with telling(folder):
        os.makedirs(folder, exist_ok=True)
    if (folder / CONFIG).exists():
        if not overwrite:
            raise RunFolderError(f"{folder} holds a run already: choose another --out, or continue it with --resume")
        read_config(folder)
        with claimed(folder):
            for name in (CHECKPOINTS, CORPORA, TENSORBOARD, SOURCES):
                shutil.rmtree(folder / name, ignore_errors=True)
            for name in (PROGRESS, SUMMARY, TRACKED, WEIGHTS, CONFIG):
                (folder / name).unlink(missing_ok=True)
    return folder
