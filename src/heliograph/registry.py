"""Components by name: the file name is the public id, imported on demand; others come in by entry point.

A component file of a folder such as `envs/` defines exactly one public class named in its `__all__`. Out-of-tree
packages add theirs under the entry-point groups `heliograph.envs`, `heliograph.channels`, ...
"""

import difflib
import functools
import importlib
import importlib.metadata
import inspect
import pathlib
from collections.abc import Mapping
from typing import Any

KINDS = {
    "env": "envs",
    "channel": "channels",
    "topology": "topologies",
    "model": "models",
    "loss": "losses",
    "measure": "analysis.measures",
    "algorithm": "rllib",
    "recipe": "recipes",
}
ALGORITHMS = ("ppo",)
RESERVED = {"__init__", "base", "team", "policy", "critic", "blocks", "layout", "delivery", "seat"}
"""Files of component folders that hold the contract and the runtime, not a component."""


class UnknownNameError(ValueError):
    """A name that no component, setting or agent has; the message lists the nearest valid ones."""

    def __init__(self, *, what: str, name: str, valid: list[str]):
        near = difflib.get_close_matches(name, valid, n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        super().__init__(f"unknown {what} {name!r}{hint} Valid: {', '.join(sorted(valid)) or 'none'}.")


def folder_of(kind: str) -> str:
    """The folder that holds the components of a kind, such as `envs` for `env`."""
    if kind not in KINDS:
        raise UnknownNameError(what="kind of component", name=kind, valid=list(KINDS))
    return KINDS[kind]


def names(kind: str) -> list[str]:
    """All ids of a kind, sorted, without importing any of them."""
    return sorted({*_own(kind), *_foreign(kind)})


@functools.cache
def load(kind: str, name: str) -> Any:
    """The class (or function) that a name stands for; raises `UnknownNameError` with the nearest names."""
    if name in _own(kind):
        module = importlib.import_module(f"heliograph.{folder_of(kind)}.{name}")
        return getattr(module, module.__all__[0])
    if name in _foreign(kind):
        return _foreign(kind)[name].load()
    raise UnknownNameError(what=kind, name=name, valid=names(kind))


def summary(kind: str, name: str) -> str:
    """The first line of a component's docstring."""
    return (inspect.getdoc(load(kind, name)) or "").split("\n")[0]


def settings_of(component: Any) -> dict[str, inspect.Parameter]:
    """The keyword settings of a component's constructor, those that its base class takes included."""
    found: dict[str, inspect.Parameter] = {}
    for cls in inspect.getmro(component) if inspect.isclass(component) else [component]:
        init = cls.__dict__.get("__init__") if inspect.isclass(cls) else cls
        if init is None:
            continue
        for parameter in inspect.signature(init).parameters.values():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                found.setdefault(parameter.name, parameter)
    return found


def check_settings(component: Any, settings: Mapping[str, Any], *, what: str) -> None:
    """Refuse settings that a component does not have, naming the nearest ones."""
    known = settings_of(component)
    for name in settings:
        if name not in known:
            raise UnknownNameError(what=f"setting of {what}", name=name, valid=list(known))


@functools.cache
def _own(kind: str) -> frozenset[str]:
    if kind == "algorithm":
        return frozenset(ALGORITHMS)
    folder = pathlib.Path(__file__).parent / folder_of(kind).replace(".", "/")
    files = {path.stem for path in folder.glob("*.py")}
    return frozenset(name for name in files - RESERVED if not name.startswith("_"))


@functools.cache
def _foreign(kind: str) -> dict[str, importlib.metadata.EntryPoint]:
    points = importlib.metadata.entry_points(group=f"heliograph.{folder_of(kind)}")
    return {point.name: point for point in points}
