"""The recipes of this package by name: those in the table `RECIPES` of each file that has one, a file a task."""

import copy
import functools
import importlib
import pathlib
import re
from collections.abc import Callable, Mapping

from heliograph.recipes.base import Recipe

__all__ = ["recipes_by_name"]

TABLE = re.compile(r"^RECIPES\b", re.MULTILINE)


@functools.cache
def recipes_by_name() -> Mapping[str, Callable[[], Recipe]]:
    """Return what makes each recipe, by its name: a function that tells in its docstring what the recipe is about."""
    files = sorted(pathlib.Path(__file__).parent.glob("*.py"))
    tasks = [path.stem for path in files if TABLE.search(path.read_text(encoding="utf8"))]
    tables = (importlib.import_module(f"heliograph.recipes.{task}").RECIPES for task in tasks)
    found: dict[str, Callable[[], Recipe]] = {}
    for recipe in (recipe for table in tables for recipe in table):
        if recipe.name in found:
            raise ValueError(f"two recipes are called {recipe.name!r}: name one of them otherwise")
        found[recipe.name] = _maker(recipe)
    return found


def _maker(recipe: Recipe) -> Callable[[], Recipe]:
    """A function that returns a copy, which its caller may change."""

    def make() -> Recipe:
        return copy.deepcopy(recipe)

    make.__name__ = make.__qualname__ = recipe.name
    make.__doc__ = recipe.about
    return make
