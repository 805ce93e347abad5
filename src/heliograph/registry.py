"""Components by name: the file name is the public id, imported on demand; others come in by entry point.

A component file of a folder such as `envs/` holds one concrete public class of its kind's base; other modules beside it
are helpers. Recipes are data: those of a task stand in one file, in a table. Out-of-tree
packages add theirs under the entry-point groups `heliograph.envs`, `heliograph.channels`, ...
"""

import difflib
import functools
import importlib
import importlib.metadata
import inspect
import pathlib
import typing
from collections.abc import Mapping
from typing import Any

from heliograph.checks import check_kind
from heliograph.component_files import component_in, docstring_of
from heliograph.renamed import RECIPES, present_recipe
from heliograph.texts import cut, one_line

KINDS = {
    "env": "envs",
    "channel": "channels",
    "topology": "topologies",
    "model": "models",
    "population": "populations",
    "loss": "losses",
    "measure": "analysis.measures",
    "algorithm": "rllib",
    "recipe": "recipes",
}

TABLED = "recipe"
"""The kind whose components stand in tables, several in a file."""
PACKAGE = pathlib.Path(__file__).parent
MOST_NAMES = 30
"""Names that a message lists at most."""
MOST_COMPARED = 2000
"""Names that a wrong one is compared with at most."""


class PluginError(ValueError):
    """A component of another package that cannot be imported."""


class UnknownNameError(ValueError):
    """A name that no component, setting or agent has; the message lists the nearest valid ones."""

    def __init__(self, *, what: str, name: str, valid: list[str]):
        known = [cut(x) for x in sorted(valid)[:MOST_NAMES]]
        near = _near(cut(name), [cut(x) for x in sorted(valid)[:MOST_COMPARED]])
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
        more = f", ... ({len(valid)} in all)" if len(valid) > MOST_NAMES else ""
        super().__init__(f"unknown {what} {cut(name)!r}{hint} Valid: {', '.join(known) or 'none'}{more}.")


def _near(name: str, known: list[str]) -> list[str]:
    """The names that are meant most likely: spelt alike, or the initials of what was written, as `lr` is."""
    initials = "".join(word[:1] for word in name.split("_"))
    if len(initials) > 1 and initials in known:
        return [initials]
    return difflib.get_close_matches(name, known, n=3, cutoff=0.4)


def folder_of(kind: str) -> str:
    """The folder that holds the components of a kind, such as `envs` for `env`."""
    if kind not in KINDS:
        raise UnknownNameError(what="kind of component", name=kind, valid=list(KINDS))
    return KINDS[kind]


def names(kind: str) -> list[str]:
    """All ids of a kind, sorted, without importing any of them."""
    return sorted({*_own(kind), *_foreign(kind)})


def is_known(kind: str, name: str) -> bool:
    """Tell whether `load` knows a name, which may be an older one of a recipe."""
    return name in names(kind) or (kind == "recipe" and name in RECIPES)


@functools.cache
def load(kind: str, name: str) -> Any:
    """The class (or function) that a name stands for; raises `UnknownNameError` with the nearest names."""
    if kind == TABLED and name in _own(kind):
        return _recipes()[name]
    own = _component(kind, name)
    if own is not None:
        return getattr(importlib.import_module(f"heliograph.{folder_of(kind)}.{name}"), own)
    if name in _foreign(kind):
        return _plugged_in(kind, name)
    if kind == "recipe" and (present := present_recipe(name)) != name:
        return load(kind, present)
    raise UnknownNameError(what=kind, name=name, valid=names(kind))


def entry_point(kind: str, name: str) -> importlib.metadata.EntryPoint | None:
    """By which another package brings a component; None where it is ours, or there is no such name."""
    is_own = name in _own(kind) if kind == TABLED else _component(kind, name) is not None
    return None if is_own else _foreign(kind).get(name)


def _plugged_in(kind: str, name: str) -> Any:
    from heliograph.isolation import isolated  # it needs torch, which takes seconds to import

    point = _foreign(kind)[name]
    try:
        with isolated(f"the import of {kind} {name!r}", error=ImportError):
            return point.load()
    except Exception as error:  # whatever the code of another package brings about
        told = f"{type(error).__name__}: {one_line(error)}"
        raise PluginError(f"{kind} {name!r} ({point.value}) cannot be imported: {told}") from error


def summary(kind: str, name: str) -> str:
    """The first line of a component's docstring; of our own it is read, since to import one may take seconds.

    Those of other packages are imported; where one fails, the line says so.
    """
    try:
        own = _component(kind, name)
        text = docstring_of(_file(kind, name), own) if own is not None else inspect.getdoc(load(kind, name))
    except PluginError as error:
        text = str(error).removeprefix(f"{kind} {name!r} ")
    return (text or "").split("\n")[0]


def settings_of(component: Any) -> dict[str, inspect.Parameter]:
    """Return what a user may set: the keyword-only parameters of a component's own constructor (or of a function).

    Where the constructor passes on `**base: Unpack[BaseSettings]`, as environments do, the keys of that TypedDict are
    settings too; where it passes on anything (`**kwargs`), so are those of the constructor above it.
    """
    found: dict[str, inspect.Parameter] = {}
    named: dict[str, Any] | None = None
    for constructor in _constructors(component):
        parameters = list(inspect.signature(constructor).parameters.values())
        for parameter in parameters:
            wanted = named is None or parameter.name in named
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and wanted:
                found.setdefault(parameter.name, parameter)
        passed_on = [p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
        if not passed_on:
            break
        named = _unpacked(passed_on[0].annotation) if named is None else named
    for name in sorted(set(named or ()) - set(found)):
        found[name] = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=(named or {})[name])
    return found


def _constructors(component: Any) -> list[Any]:
    if not inspect.isclass(component):
        return [component]
    return [cls.__dict__["__init__"] for cls in inspect.getmro(component)[:-1] if "__init__" in cls.__dict__]


def _unpacked(annotation: Any) -> dict[str, Any] | None:
    if typing.get_origin(annotation) is not typing.Unpack:
        return None
    return typing.get_type_hints(typing.get_args(annotation)[0])


def check_settings(component: Any, settings: Mapping[str, Any], *, what: str) -> None:
    """Refuse settings that a component does not have, naming the nearest ones, and values of another kind."""
    known = settings_of(component)
    for name in settings:
        if name not in known:
            raise UnknownNameError(what=f"setting of {what}", name=name, valid=list(known))
    check_kinds(component, settings, what=what)


def check_kinds(component: Any, settings: Mapping[str, Any], *, what: str) -> None:
    """Refuse values of another kind than the annotation of their setting; those without one pass."""
    known = settings_of(component)
    for name, value in settings.items():
        if name in known:
            check_kind(name, value, known[name].annotation, what=what)


@functools.cache
def _own(kind: str) -> frozenset[str]:
    if kind == TABLED:
        return frozenset(_recipes())
    files = (PACKAGE / folder_of(kind).replace(".", "/")).glob("*.py")
    return frozenset(path.stem for path in files if _component(kind, path.stem) is not None)


def _recipes() -> Mapping[str, Any]:
    """Makers of our recipes by name: their files are imported, which takes no torch."""
    found: Mapping[str, Any] = importlib.import_module("heliograph.recipes.tables").recipes_by_name()
    return found


def _component(kind: str, name: str) -> str | None:
    """The class or function that a file of this package holds under a name; None where there is no such file."""
    path = _file(kind, name)
    return component_in(kind, path) if name.isidentifier() and not name.startswith("_") and path.is_file() else None


def _file(kind: str, name: str) -> pathlib.Path:
    return PACKAGE / folder_of(kind).replace(".", "/") / f"{name}.py"


@functools.cache
def _foreign(kind: str) -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in _points().select(group=f"heliograph.{folder_of(kind)}")}


@functools.cache
def _points() -> Any:
    """Those of all groups: to look through all packages that are installed takes milliseconds."""
    return importlib.metadata.entry_points()
