"""Names written `module:Name` or `path/to/file.py:Name`, and where their modules are looked for.

Those of a module: where Python looks, then in one folder more. The command line names that folder, the one where the
user is. It comes last and only while such a name is imported, so no file in it is ever taken for a package of that
name; what is found elsewhere needs nothing of it. Processes that a command starts inherit it. What a file imports is
looked for in its own folder in the same way.
"""

import contextlib
import difflib
import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from heliograph.own_files import module_name, path_of_module

__all__ = [
    "FOLDER", "absolute_names", "file_of", "file_path_in", "import_path", "imported", "looking_in", "module_of",
]  # fmt: skip

FOLDER = "HELIOGRAPH_IMPORTS_FROM"
"""Environment variable with the folder; none is looked in where it is not set."""
IN_FILE = re.compile(r"(?P<path>[^:\n]+\.py):(?P<name>[A-Za-z_]\w*)")


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
    path = file_path_in(name)
    module, attribute = module_of(name), name.partition(":")[2]
    if path is not None and not os.path.isfile(path):
        raise ImportError(f"there is no file {path}")
    with _findable(module, folder=os.environ.get(FOLDER) if path is None else os.path.dirname(path)):
        found = importlib.import_module(module)
        if not hasattr(found, attribute):
            raise AttributeError(f"{path or module} has no {attribute}{_meant(attribute, vars(found))}")
        return getattr(found, attribute)


def _meant(attribute: str, known: Mapping[str, Any]) -> str:
    own = [name for name, value in known.items() if not name.startswith("_") and callable(value)]
    near = difflib.get_close_matches(attribute, own, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def file_path_in(name: str) -> str | None:
    """The absolute path in `path/to/file.py:Name`; None where a name is of another form."""
    found = IN_FILE.fullmatch(name)
    return None if found is None else os.path.abspath(os.path.expanduser(found["path"]))


def module_of(name: str) -> str:
    """The module that `module:Name` or `file.py:Name` is looked up in, as Python calls it."""
    path = file_path_in(name)
    return name.partition(":")[0] if path is None else module_name(path)


def import_path(thing: Any) -> str | None:
    """The name by which a class or function is imported; None where it has none, as in a script or in a function."""
    if not hasattr(thing, "__qualname__") or "<" in thing.__qualname__ or thing.__module__ == "__main__":
        return None
    return f"{path_of_module(thing.__module__) or thing.__module__}:{thing.__qualname__}"


def absolute_names(value: Any, *, folder: str | None = None) -> Any:
    """The same with absolute paths in every `./file.py:Name`, of layers of channels too; relative ones are of `folder`.

    None is the folder where one is.
    """
    if isinstance(value, Mapping):
        return {key: absolute_names(part, folder=folder) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(absolute_names(part, folder=folder) for part in value)
    if not isinstance(value, str) or ".py:" not in value:
        return value
    parts = [value] if IN_FILE.fullmatch(value) and os.path.isfile(_path(value, folder)) else value.split("+")
    return "+".join(_absolute(part, folder) for part in parts)


def _absolute(name: str, folder: str | None) -> str:
    return f"{_path(name, folder)}:{name.partition(':')[2]}" if IN_FILE.fullmatch(name) else name


def _path(name: str, folder: str | None) -> str:
    path = os.path.expanduser(name.partition(":")[0].strip())
    return os.path.normpath(os.path.join(folder or os.getcwd(), path))


def file_of(name: str) -> str | None:
    """The absolute path of the file that importing `module:Name` would run, found without importing anything.

    None where there is no such file. Modules that are loaded are where they were loaded from.
    """
    path = file_path_in(name)
    if path is not None:
        return path if os.path.isfile(path) else None
    module = module_of(name)
    if module in sys.modules:
        file = getattr(sys.modules[module], "__file__", None)
        return None if file is None else os.path.abspath(file)
    top, *rest = module.split(".")
    try:
        spec = _found(top)
        for depth in range(len(rest)):
            if spec is None or spec.submodule_search_locations is None:
                return None
            full = ".".join([top, *rest[: depth + 1]])
            spec = importlib.machinery.PathFinder.find_spec(full, list(spec.submodule_search_locations))
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None or not spec.has_location else os.path.abspath(spec.origin)


def _found(top: str) -> importlib.machinery.ModuleSpec | None:
    """A module without a dot, where Python looks, and then in the folder."""
    spec = importlib.util.find_spec(top)
    folder = os.environ.get(FOLDER)
    if spec is not None or folder is None:
        return spec
    return importlib.machinery.PathFinder.find_spec(top, [folder])


@contextlib.contextmanager
def _findable(module: str, *, folder: str | None) -> Iterator[None]:
    if folder is None or folder in sys.path or (path_of_module(module) is None and _is_elsewhere(module, folder)):
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


def _is_elsewhere(module: str, folder: str) -> bool:
    """Tell whether a module is where Python looks: then it needs nothing of a folder more."""
    top = module.partition(".")[0]
    loaded = sys.modules.get(top)
    if loaded is not None:
        places = [getattr(loaded, "__file__", None) or "", *getattr(loaded, "__path__", ())]
        return not any(os.path.abspath(place).startswith(os.path.join(folder, "")) for place in places if place)
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _set(folder: str | None) -> None:
    if folder is None:
        os.environ.pop(FOLDER, None)
    else:
        os.environ[FOLDER] = folder
