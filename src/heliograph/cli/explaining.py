"""All of one component, for `heliograph list KIND NAME`: what it is, its settings with their defaults, its paper."""

import inspect
import json
from collections.abc import Callable
from typing import Any

from heliograph import registry
from heliograph.cli.shown import console, print_table
from heliograph.experiments.choices import resolve
from heliograph.experiments.resolved import defaults_of
from heliograph.importing import absolute_names
from heliograph.storage.run_folder import plain

__all__ = ["explained"]

Shown = tuple[Any, Callable[[Any], None]]
REQUIRED = "(required)"


def explained(kind: str, name: str) -> Shown:
    """Return what a component is; raises `UnknownNameError` with the nearest names where there is none."""
    component = resolve(kind, absolute_names(name))
    found: dict[str, Any] = {"kind": kind, "name": name, "about": inspect.getdoc(component) or ""}
    if kind == "recipe":
        recipe = component()
        return {**found, "paper": recipe.paper, "target": recipe.goal(), "settings": _told(recipe.settings)}, _show
    if kind == "algorithm":
        return {**found, "settings": _of_algorithm(component)}, _show
    hidden = ("num_envs", "seed", "device") if kind == "env" else ()
    defaults = defaults_of(component)
    names = [key for key in registry.settings_of(component) if key not in hidden]
    return {**found, "settings": _told({key: defaults.get(key, REQUIRED) for key in names})}, _show


def _of_algorithm(kind: Any) -> dict[str, Any]:
    from heliograph.rllib.runs.described import known_settings

    config = kind()
    return _told({key: getattr(config, key) for key in known_settings(config) if hasattr(config, key)})


def _told(settings: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(dict(settings), default=plain))
    return told


def _show(found: dict[str, Any]) -> None:
    out = console()
    for line in found["about"].split("\n"):
        out.print(line, soft_wrap=True)
    for key in ("paper", "target"):
        if found.get(key):
            out.print(f"{key}: {found[key]}", soft_wrap=True)
    out.print()
    if not found["settings"]:
        out.print("no settings")
        return
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in found["settings"].items()}
    heading = "value" if found["kind"] == "recipe" else "default"
    print_table(("setting", heading), list(values.items()))
