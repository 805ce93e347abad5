"""Checks of a recipe: what it says of itself, and that it and its controls can be trained as they are."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from heliograph.recipes.base import Recipe
from heliograph.testing.contract import component_check, expect

__all__ = ["check_goal", "check_trainable"]

MakeRecipe = Callable[[], Recipe]


@component_check
def check_goal(make_recipe: MakeRecipe, *, env_settings: Mapping[str, Any] | None = None) -> None:
    """It has the name of its function, a source, and finite numbers to reach."""
    recipe = make_recipe()
    name = getattr(make_recipe, "__name__", recipe.name)
    expect(isinstance(recipe, Recipe), f"a Recipe, not {type(recipe).__name__}")
    expect(recipe.name == name, f"the name of its function, {name!r}, not {recipe.name!r}")
    expect(bool(recipe.paper.strip()), "a paper (or another source) that it reproduces")
    expect(bool(recipe.goals), "a goal, in target or at_most: what is to be reached")
    expect(not recipe.target.keys() & recipe.at_most.keys(), "metrics to reach or not to exceed, none both")
    expect(all(map(math.isfinite, recipe.goals.values())), f"finite goals, not {recipe.goals}")


@component_check
def check_trainable(make_recipe: MakeRecipe, *, env_settings: Mapping[str, Any] | None = None) -> None:
    """Its settings, and those of its controls, pass every check before training.

    `env_settings` replace some of its own: a large environment can be checked in small.
    """
    from heliograph.experiments.settings import control_of, settings_from  # Ray takes seconds to import
    from heliograph.rllib.runs.configured import config_of

    recipe = make_recipe()
    own = {**recipe.settings.get("env_settings", {}), **(env_settings or {})}
    settings = settings_from({**recipe.settings, "env_settings": own})
    controls = [control_of(settings, kind) for kind in recipe.control_kinds]
    for made in (settings, *controls):
        config_of(made).validate()
