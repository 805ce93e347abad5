"""Modules and classes that have moved: their old names work for one minor version with a warning, in files for ever."""

import importlib
import importlib.machinery
import sys
import types
import warnings
from typing import Any

__all__ = ["MODULES", "NAMES", "find_moved", "moved_name", "present_name"]

MODULES = {
    "heliograph.models.attending": "heliograph.team.attention",
    "heliograph.models.delivery": "heliograph.team.inbox",
    "heliograph.models.layout": "heliograph.team.assignment",
    "heliograph.models.policy": "heliograph.team.policy",
    "heliograph.models.presence": "heliograph.team.participation",
    "heliograph.models.recall": "heliograph.team.inputs",
    "heliograph.models.scoring": "heliograph.team.log_probs",
    "heliograph.models.team": "heliograph.team.team",
    "heliograph.unrolled": "heliograph.team.unroll",
}
"""Where the content of a module is now."""
NAMES = {
    "heliograph.rollout:Acted": "heliograph.team.state:Acted",
    "heliograph.rollout:Advanced": "heliograph.team.state:StepOutput",
    "heliograph.rollout:Inbox": "heliograph.team.state:Inbox",
    "heliograph.rollout:TeamState": "heliograph.team.state:TeamState",
}
"""Where a single name of a module that is still there is now."""


class _Mover:
    """Finds and loads moved modules, for Python's import system."""

    def find_spec(
        self, name: str, path: Any = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Tell that this object loads a module that has moved."""
        return importlib.machinery.ModuleSpec(name, self) if name in MODULES else None  # type: ignore[arg-type]

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Leave that to Python."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill the old module with what the new one has."""
        present = MODULES[module.__name__]
        warnings.warn(f"{module.__name__} has moved to {present}", DeprecationWarning, stacklevel=2)
        found = vars(importlib.import_module(present))
        vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})


def find_moved() -> None:
    """Let moved modules be imported by their old names from now on; called once, by the package."""
    sys.meta_path.append(_Mover())


def present_name(name: str) -> str:
    """The place of a class, `module:Name`, from one that it had at some time."""
    if name in NAMES:
        return NAMES[name]
    module, _, attribute = name.partition(":")
    return f"{MODULES.get(module, module)}:{attribute}"


def moved_name(module: str, name: str) -> Any:
    """What a name of a module stands for that has moved elsewhere, with a warning; for its `__getattr__`."""
    if f"{module}:{name}" not in NAMES:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    present, _, attribute = NAMES[f"{module}:{name}"].partition(":")
    warnings.warn(f"{module}.{name} has moved to {present}.{attribute}", DeprecationWarning, stacklevel=3)
    return getattr(importlib.import_module(present), attribute)
