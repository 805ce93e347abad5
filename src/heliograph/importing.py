"""Names written `module:Name`, and where their modules are looked for: where Python looks, then in one folder more.

The command line names that folder, the one where the user is. It comes last and only while such a name is imported, so
no file in it is ever taken for a package of that name. Processes that a command starts inherit it.
"""

import contextlib
import importlib
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["FOLDER", "imported", "looking_in"]

FOLDER = "HELIOGRAPH_IMPORTS_FROM"
"""Environment variable with the folder; none is looked in where it is not set."""


@contextlib.contextmanager
def looking_in(folder: str | None) -> Iterator[None]:
    """Let names be found in a folder too; with None only where Python looks, as PYTHONSAFEPATH asks."""
    before = os.environ.get(FOLDER)
    _set(folder)
    try:
        yield
    finally:
        _set(before)


def imported(name: str) -> Any:
    """Return what `module:Name` names; raises ImportError or AttributeError where there is no such thing."""
    module, _, attribute = name.partition(":")
    if module.endswith(".py") or os.sep in module:
        own = pathlib.PurePath(module).stem
        raise ImportError(f"it is a path and no module: write {own}:{attribute}, in the folder where {own}.py is")
    with _findable():
        return getattr(importlib.import_module(module), attribute)


@contextlib.contextmanager
def _findable() -> Iterator[None]:
    folder = os.environ.get(FOLDER)
    if folder is None or folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        if folder in sys.path:  # unless what was imported took it out
            sys.path.reverse()
            sys.path.remove(folder)
            sys.path.reverse()


def _set(folder: str | None) -> None:
    if folder is None:
        os.environ.pop(FOLDER, None)
    else:
        os.environ[FOLDER] = folder
