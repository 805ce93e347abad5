"""Where a run comes from: code of the user and of plug-ins, the state of its git folder, and the machine (no ray).

Of the user's own modules the text is kept beside the run, as text: it is never imported, and leaves the folder only
where that is asked for.
"""

import dataclasses
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import subprocess
import sys
import sysconfig
import types
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import torch

from heliograph import registry
from heliograph.hardware import memory_bytes, num_cores
from heliograph.importing import FOLDER, file_of, file_path_in, module_of
from heliograph.own_files import path_of_module
from heliograph.storage.safe_files import make_folder, read_text, write_text
from heliograph.texts import cut

__all__ = [
    "SOURCES", "Component", "components_in", "hardware", "is_own_module", "names_in", "origin", "own_modules",
    "relocated", "texts_in", "told_changes", "whence", "write_sources",
]  # fmt: skip

SOURCES = "source"
"""The folder in a run folder with the texts of the user's own modules."""
IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
MAX_SOURCE_BYTES = 500_000
MAX_MODULES = 50
GIT_SECONDS = 5.0
NAMED = {
    "env": "env", "model": "model", "channel": "channel", "topology": "topology", "algorithm": "algorithm",
    "population": "population",
    "losses": "loss",
}  # fmt: skip
"""Keys of training settings that name components, and of which kind."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Component:
    """A component of another package, or of the user: what it is for, its name, and what brought it.

    `package` and `version` are None where no package that is installed has the module, which then is the user's own.
    """

    where: str
    name: str
    import_path: str
    package: str | None
    version: str | None


def components_in(training: Mapping[str, Any]) -> list[Component]:
    """Everything in plain training settings that is not Heliograph's: by entry point, or by import path."""
    found = {}
    for where, text in _texts(training):
        kind = NAMED.get(where.split(".")[0]) if where.count(".") == 0 or where.startswith("losses") else None
        for part in names_in(text):
            component = _component(where, part.strip(), kind)
            if component is not None:
                found[component.where, component.name] = component
    return list(found.values())


def names_in(text: str) -> list[str]:
    """The names in a text, which may be those of a channel and its wrappers."""
    return [text] if file_path_in(text) and file_of(text) else [part.strip() for part in text.split("+")]


def _component(where: str, name: str, kind: str | None) -> Component | None:
    if file_path_in(name) is not None:
        return Component(where=where, name=name, import_path=name, package=None, version=None)
    if IMPORT_PATH.fullmatch(name):
        package, version = _package_of(name.partition(":")[0])
        ours = name.startswith("heliograph.")
        return None if ours else Component(where=where, name=name, import_path=name, package=package, version=version)
    point = None if kind is None else registry.entry_point(kind, name)
    if point is None or point.value.startswith("heliograph."):
        return None
    about = point.dist
    package, version = (None, None) if about is None else (about.name, about.version)
    return Component(where=where, name=name, import_path=point.value, package=package, version=version)


def _texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(part, f"{where}.{key}" if where else str(key))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part, where)
    elif isinstance(value, str):
        yield where, value


def _package_of(module: str) -> tuple[str | None, str | None]:
    top = module.partition(".")[0]
    names = importlib.metadata.packages_distributions().get(top, ())
    return (names[0], importlib.metadata.version(names[0])) if names else (None, None)


def origin(components: Iterable[Component]) -> dict[str, Any]:
    """The user's own modules, where they lie and their digests; and what git says of that folder."""
    modules = own_modules([module_of(component.import_path) for component in components])
    sources: dict[str, dict[str, Any]] = {}
    for module in modules:
        taken = [about["copy"] for about in sources.values()]
        sources[path_of_module(module.__name__) or module.__name__] = _source(module, taken)
    folder = pathlib.Path(sources[next(iter(sources))]["file"]).parent if sources else _here()
    return {"sources": sources, "git": _git(folder, trusted=bool(sources)), "made_in": str(_here())}


def write_sources(folder: pathlib.Path, sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the texts of modules into a run folder, under names that nothing imports."""
    for about in sources.values():
        if about["copy"] is not None:
            make_folder(folder / SOURCES)
            write_text(folder / about["copy"], pathlib.Path(about["file"]).read_text(encoding="utf8"))


def texts_in(folder: pathlib.Path, config: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the user's modules that a run folder holds."""
    copies = {name: str(about.get("copy") or "") for name, about in _sources_in(config).items()}
    places = {name: folder / SOURCES / pathlib.Path(c).name for name, c in copies.items() if pathlib.Path(c).name}
    return {n: read_text(p, at_most=MAX_SOURCE_BYTES) for n, p in places.items() if p.is_file() and not p.is_symlink()}


def _source(module: types.ModuleType, taken: Collection[str | None]) -> dict[str, Any]:
    file = pathlib.Path(str(module.__file__)).absolute()
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    by_path = path_of_module(module.__name__) is not None
    copy: str | None = f"{SOURCES}/{file.stem if by_path else module.__name__}.py.txt"
    if copy in taken:  # files of one name, from several folders
        copy = f"{SOURCES}/{file.stem}.{digest[:8]}.py.txt"
    if len(content) > MAX_SOURCE_BYTES:
        copy = None
    return {"file": str(file), "sha256": digest, "copy": copy}


def own_modules(names: Iterable[str]) -> Iterator[types.ModuleType]:
    """Modules of the user's that are loaded: those named, and what they hold objects of, which may be theirs too."""
    waiting, seen = list(names), set[str]()
    while waiting and len(seen) < MAX_MODULES:
        name = waiting.pop(0)
        module = sys.modules.get(name)
        if name in seen or module is None or not _is_own(module):
            continue
        seen.add(name)
        yield module
        held = list(vars(module).values())
        waiting += [value.__name__ if isinstance(value, types.ModuleType) else _module_of(value) for value in held]


def _module_of(value: Any) -> str:
    name = getattr(value, "__module__", "")
    return name if isinstance(name, str) else ""


def is_own_module(name: str) -> bool:
    """Tell whether a module is loaded and the user's own."""
    return name in sys.modules and _is_own(sys.modules[name])


def _is_own(module: types.ModuleType) -> bool:
    """Tell whether a module is a file that lies neither in Python, nor among installed packages, nor in Heliograph."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py") or not os.path.isfile(file):
        return False
    paths = sysconfig.get_paths()
    others = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")] + [str(registry.PACKAGE)]
    path = pathlib.Path(file).resolve()
    return not any(path.is_relative_to(pathlib.Path(other).resolve()) for other in others)


def _here() -> pathlib.Path:
    return pathlib.Path(os.environ.get(FOLDER) or os.getcwd())


def _git(folder: pathlib.Path, *, trusted: bool) -> dict[str, Any] | None:
    """The commit of a folder, and whether files that git follows differ from it; None where git knows no such folder.

    To compare files can run filters that the folder's own settings name, so only one is asked whose code was run.
    """
    commit = _asked_git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _asked_git(folder, "status", "--porcelain", "--untracked-files=no") if trusted else None
    return {"commit": commit, "dirty": None if changed is None else bool(changed), "folder": str(folder)}


def _asked_git(folder: pathlib.Path, *words: str) -> str | None:
    harmless = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "--no-optional-locks", *harmless, *words],
            capture_output=True, text=True, timeout=GIT_SECONDS, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def hardware() -> dict[str, Any]:
    """The machine: its processor, cores and memory in bytes, and the accelerators that PyTorch sees."""
    number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = [torch.cuda.get_device_name(index) for index in range(number)]
    return {"processor": _processor(), "cores": num_cores(), "memory_bytes": memory_bytes(), "gpus": gpus}


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def told_changes(folder: pathlib.Path, config: Mapping[str, Any]) -> None:
    """Warn of the user's modules that are no longer what they were when a run was trained."""
    for name, about in _sources_in(config).items():
        there = f"{about.get('file')}:_"  # as it is called where it was found by its file
        module = sys.modules.get(_module_called(name)) or sys.modules.get(module_of(there))
        file = getattr(module, "__file__", None)
        if file is None or not os.path.isfile(file):
            continue
        if hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest() != about.get("sha256"):
            told = f"{cut(name)} ({file}) has changed since {folder} was trained{_kept(folder, about)}"
            warnings.warn(told, stacklevel=3)


def whence(folder: pathlib.Path, config: Mapping[str, Any]) -> str:
    """Return where the code that a run needs came from, of what cannot be found here; nothing where all is there."""
    told, files = [], set[str]()
    for component in _components_of(config):
        path = file_path_in(component.import_path)
        if path is not None:
            if path not in files and not os.path.isfile(path):
                kept = _kept(folder, _sources_in(config).get(path, {}))
                told.append(f"{cut(component.name)!r} came from the file {cut(path)}: there is none here{kept}")
            files.add(path)
            continue
        module = component.import_path.partition(":")[0]
        if _is_there(module):
            continue
        if component.package is not None:
            came = cut(f"{component.package} {component.version}")
            told.append(f"{cut(component.name)!r} came from {came}, which is not installed here")
        else:
            about = _sources_in(config).get(module, {})
            lay = f", which was {cut(str(about['file']))}" if "file" in about else ""
            came = f"{cut(component.name)!r} came from the module {cut(module)}{lay}"
            told.append(f"{came}: it is not found here{_kept(folder, about)}")
    return "; ".join(told)


def _module_called(name: str) -> str:
    """A module as Python calls it, of one that is named by its file too."""
    return module_of(f"{name}:_") if name.endswith(".py") else name


def relocated(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, with modules of one file that are not found here named by the file that they were.

    So a run can be read from any folder, as long as the file is where it was; whether it is trusted is another matter.
    """
    files = {name: about.get("file") for name, about in _sources_in(config).items() if name.isidentifier()}
    there = {name: file for name, file in files.items() if isinstance(file, str) and os.path.isfile(file)}
    gone = {name: file for name, file in there.items() if file.endswith(".py") and file_of(f"{name}:_") is None}
    parts = {key: _renamed_in(config[key], gone) for key in ("env", "team") if key in config}
    return {**config, **parts} if gone else dict(config)


def _renamed_in(value: Any, files: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _renamed_in(part, files) for key, part in value.items()}
    if isinstance(value, list):
        return [_renamed_in(part, files) for part in value]
    if not isinstance(value, str) or ":" not in value:
        return value
    names = [name.partition(":") for name in names_in(value)]
    return "+".join(f"{files.get(module, module)}{colon}{name}" for module, colon, name in names)


def _kept(folder: pathlib.Path, about: Mapping[str, Any]) -> str:
    return f"; its text of then is {folder / cut(str(about['copy']))}" if about.get("copy") else ""


def _is_there(module: str) -> bool:
    """Tell whether a module can be found, by its first name alone: to look for more would import that."""
    top = module.partition(".")[0]
    beside = _here() / top
    try:
        if top in sys.modules or beside.is_dir() or beside.with_suffix(".py").is_file():
            return True
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _components_of(config: Mapping[str, Any]) -> list[Component]:
    names = {field.name for field in dataclasses.fields(Component)}
    given = config.get("components")
    rows = [row for row in given if isinstance(row, dict)] if isinstance(given, list) else []
    return [Component(**row) for row in rows if row.keys() == names and all(map(_is_text, row.values()))]


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _sources_in(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    given = config.get("sources")
    return {k: v for k, v in given.items() if isinstance(v, dict)} if isinstance(given, dict) else {}
