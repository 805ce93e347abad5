"""Checkpoints of a run: RLlib's own folders, there as a whole or not at all, with a digest of every file.

They are pickles, so a flipped bit may turn into any object; digests are compared before anything is opened. They tell
damage and not malice: who can write the folder can write the digests, too.
"""

import json
import os
import pathlib
import shutil
from collections.abc import Callable

from heliograph.storage.atomic import replacing_folder
from heliograph.storage.safe_files import RunFolderError, file_digest, read_json

__all__ = ["check_checkpoint", "complete_checkpoints", "iteration_of", "write_checkpoint"]

CHECKPOINTS, DIGESTS = "checkpoints", "sha256.json"
WHOLE, DRAFT = "iteration_", "draft_"
KEPT_CHECKPOINTS = 2


def write_checkpoint(folder: pathlib.Path, *, iteration: int, save: Callable[[str], object]) -> pathlib.Path:
    """Let `save(path)` write a checkpoint that is either there as a whole or not at all; older ones are deleted."""
    parent = folder.resolve() / CHECKPOINTS
    draft, final = parent / f"{DRAFT}{iteration:06d}", parent / f"{WHOLE}{iteration:06d}"

    def write(path: str) -> None:
        save(path)
        (pathlib.Path(path) / DIGESTS).write_text(json.dumps(digests(pathlib.Path(path)), indent=2), encoding="utf8")

    for leftover in parent.glob(f"{DRAFT}*"):
        shutil.rmtree(leftover)
    if final.exists():
        _discard(final)
    replacing_folder(final, write=write, draft=draft)
    for old in complete_checkpoints(folder)[:-KEPT_CHECKPOINTS]:
        _discard(old)
    return final


def complete_checkpoints(folder: pathlib.Path) -> list[pathlib.Path]:
    """All whole checkpoints, oldest first."""
    return sorted((folder.resolve() / CHECKPOINTS).glob(f"{WHOLE}[0-9]*"), key=iteration_of)


def iteration_of(checkpoint: pathlib.Path) -> int:
    """The iteration after which it was written: its name, read as a number, since names grow past a million."""
    number = checkpoint.name.removeprefix(WHOLE)
    return int(number) if number.isdecimal() else -1


def check_checkpoint(checkpoint: pathlib.Path) -> None:
    """Raise `RunFolderError`, with a remedy, where files are missing, too many, or other than they were written."""
    if not (checkpoint / DIGESTS).is_file():
        raise damaged(checkpoint, f"it lacks {DIGESTS}")
    try:
        written, found = read_json(checkpoint / DIGESTS), digests(checkpoint)
    except RunFolderError as error:
        raise damaged(checkpoint, str(error)) from error
    if not isinstance(written, dict):
        raise damaged(checkpoint, f"{DIGESTS} is no table of files")
    for name in sorted({*written, *found}):
        if name not in found:
            raise damaged(checkpoint, f"it lacks {name}")
        if written.get(name) != found[name]:
            raise damaged(checkpoint, f"{name} is not as it was written")


def damaged(checkpoint: pathlib.Path, why: str) -> RunFolderError:
    """Return what to do about a checkpoint that cannot be gone on from."""
    there = complete_checkpoints(checkpoint.parent.parent)
    before = [path for path in there if iteration_of(path) < iteration_of(checkpoint)]
    remedy = (
        f"delete it, and --resume goes on from {before[-1].name}" if before else "there is none before it: train anew"
    )
    return RunFolderError(f"{checkpoint} is damaged ({why}): {remedy}")


def digests(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path from there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / DIGESTS)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def _discard(checkpoint: pathlib.Path) -> None:
    """Delete a checkpoint such that it does not count while it is half there."""
    draft = checkpoint.with_name(checkpoint.name.replace(WHOLE, DRAFT))
    os.replace(checkpoint, draft)
    shutil.rmtree(draft)
