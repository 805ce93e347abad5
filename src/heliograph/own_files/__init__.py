"""Modules of the user's that are named by the path of their file: a module of this package stands for each.

Its name is the path, spelt so that it can be one, so that objects of such a module are found again by their import path
in other processes, wherever those are. Nothing here is imported that nobody named.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
from types import ModuleType
from typing import Any

__all__ = ["module_name", "path_of_module"]

__path__ = []
PREFIX = f"{__name__}."


def module_name(path: str) -> str:
    """The full name of the module that stands for a file."""
    return PREFIX + "f_" + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):x}_", path)


def path_of_module(name: str) -> str | None:
    """The file that a module stands for; None where it stands for none."""
    spelt = name.removeprefix(PREFIX).removeprefix("f_")
    if not name.startswith(f"{PREFIX}f_"):
        return None
    return re.sub(r"_([0-9a-f]+)_", lambda found: chr(int(found[1], 16)), spelt)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of this package."""

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        file = path_of_module(fullname)
        if file is None or not os.path.isfile(file):
            return None
        return importlib.util.spec_from_file_location(fullname, file)


sys.meta_path.append(_Finder())
