"""Code that the user has trusted: remembered in the user's configuration folder, never in a run folder.

What is remembered is a class or function by the absolute path of its file, with the SHA-256 of that file and of the
user's modules that it brought along. A file that has changed since is not trusted any more, nor is the same file
elsewhere, nor anything else in it. Nothing here imports or runs what is asked about.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import sys
from collections.abc import Iterable

from heliograph.importing import file_of, module_of
from heliograph.storage.atomic import replacing
from heliograph.storage.provenance import own_modules
from heliograph.storage.safe_files import RunFolderError, read_json

__all__ = ["UntrustedError", "changed_files", "is_trusted", "remember", "trusted_folder"]

FILES = "files"


class UntrustedError(RunFolderError):
    """A run names code that would be imported, and that nobody has trusted yet."""

    def __init__(self, message: str, *, names: Iterable[str] = ()):
        super().__init__(message)
        self.names = tuple(names)
        """Those names for which there is a file, so that the user can be asked."""


def trusted_folder() -> pathlib.Path:
    """The folder that remembers, in the user's configuration folder (XDG)."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    base = pathlib.Path(given) if os.path.isabs(given) else pathlib.Path.home() / ".config"
    return base / "heliograph" / "trusted"


def is_trusted(name: str) -> bool:
    """Tell whether `module:Name` or `file.py:Name` is what the user trusted, and its files as they were then."""
    then = _remembered(name)
    return bool(then) and then == _digests(then)


def changed_files(name: str) -> list[str]:
    """The files that have changed since something was trusted; none where it never was."""
    then = _remembered(name)
    now = _digests(then)
    return sorted(file for file in then if then[file] != now[file])


def remember(names: Iterable[str]) -> None:
    """Write down that these are trusted as they are now; where the folder cannot be written nothing is remembered."""
    for name in names:
        file = file_of(name)
        if file is None:
            continue
        held = own_modules([module_of(name)]) if module_of(name) in sys.modules else ()
        files = _digests([file, *(os.path.abspath(str(module.__file__)) for module in held)])
        if files != _remembered(name):
            with contextlib.suppress(OSError, RuntimeError):
                place = _place(file, name)
                place.parent.mkdir(parents=True, exist_ok=True)
                about = {"name": f"{file}:{name.partition(':')[2]}", FILES: files}
                with replacing(place) as draft:
                    draft.write_text(json.dumps(about, indent=2, sort_keys=True), encoding="utf8")


def _remembered(name: str) -> dict[str, str]:
    file = file_of(name)
    if file is None:
        return {}
    try:
        place = _place(file, name)
        content = read_json(place) if place.is_file() else {}
    except (OSError, RuntimeError, ValueError):
        return {}
    files = content.get(FILES) if isinstance(content, dict) else None
    return files if isinstance(files, dict) and file in files else {}


def _place(file: str, name: str) -> pathlib.Path:
    whole = f"{file}:{name.partition(':')[2]}"
    return trusted_folder() / f"{hashlib.sha256(whole.encode()).hexdigest()}.json"


def _digests(files: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files, by their paths; empty of what cannot be read."""
    found = {}
    for file in files:
        try:
            found[file] = hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()
        except OSError:
            found[file] = ""
    return found
