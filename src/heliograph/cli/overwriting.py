"""One rule for every command that writes: what is there already stays, unless the user says `--overwrite`."""

import pathlib
from collections.abc import Iterable
from typing import Any

__all__ = ["refuse_existing"]


def refuse_existing(paths: Iterable[pathlib.Path], given: Any) -> None:
    """Raise `RunFolderError` before any work where a file would be replaced, links too, and nobody said so.

    A folder in the place of a file is left to whoever writes, and to refuse: it is never replaced.
    """
    from heliograph.storage.safe_files import RunFolderError  # it imports torch, which takes seconds

    for path in () if given.overwrite else paths:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise RunFolderError(f"{path} exists already: choose another --out, or say --overwrite")
