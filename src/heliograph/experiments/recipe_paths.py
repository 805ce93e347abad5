"""Recipes that are named by an import path or the path of their file, as components are (imports no ray)."""

import inspect
from typing import Any

from heliograph.experiments.choices import resolve

__all__ = ["recipe_at"]


def recipe_at(name: str) -> Any:
    """Return the recipe that "module:name" or "./file.py:name" is, or makes; None where it is something else.

    A recipe is an object of that kind, or a function without arguments that says to return one (`-> Recipe`). Whatever
    else is named so is an environment, or makes one.
    """
    found = resolve("env", name)
    if isinstance(found, type):
        return None
    if hasattr(found, "settings") and hasattr(found, "target"):
        return found
    if not inspect.isfunction(found) or not _says_recipe(inspect.signature(found).return_annotation):
        return None
    try:
        return found()
    except Exception as error:  # whatever the user's function brings about
        raise ValueError(f"recipe {name!r} cannot be made: {type(error).__name__}: {error}") from error


def _says_recipe(annotation: Any) -> bool:
    told = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return told.strip("'\"").rpartition(".")[2] == "Recipe"
