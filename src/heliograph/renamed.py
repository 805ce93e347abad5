"""Keyword arguments and attributes under older names: they work for one minor version, with a warning."""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

__all__ = ["KEYWORDS", "present_keywords", "renamed", "told_round", "understood_by"]

P = ParamSpec("P")
R = TypeVar("R")

KEYWORDS = {"num_copies": "num_envs"}
"""Present name of each keyword argument that was called otherwise."""


def present_keywords(given: Mapping[str, Any], *, what: str, stacklevel: int = 3) -> dict[str, Any]:
    """Return keyword arguments by their present names, with a DeprecationWarning for each older one.

    Raises TypeError where both names of one argument are given.
    """
    present = dict(given)
    for old, new in KEYWORDS.items():
        if old not in present:
            continue
        if new in present:
            raise TypeError(f"{what}: {old}= and {new}= are two names of one argument: give {new}= alone")
        warnings.warn(f"{what}: {old}= is called {new}= now", DeprecationWarning, stacklevel=stacklevel)
        present[new] = present.pop(old)
    return present


def renamed(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that it takes older names of keyword arguments too, but for those that it takes itself."""
    older = KEYWORDS.keys() - inspect.signature(function).parameters.keys()

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        if older.isdisjoint(kwargs):
            return function(*args, **kwargs)
        return function(*args, **present_keywords(kwargs, what=function.__qualname__))

    return called


def told_round(speak: Callable[..., R]) -> Callable[..., R]:
    """Let a model's `speak(hidden)`, written before it was told `round_index`, be called with it."""
    parameters = inspect.signature(speak).parameters.values()
    if any(p.name == "round_index" or p.kind is p.VAR_KEYWORD for p in parameters):
        return speak
    warnings.warn(
        f"{speak.__qualname__}(hidden) is called with the keyword argument round_index now: take it",
        DeprecationWarning,
        stacklevel=3,
    )

    @functools.wraps(speak)
    def called(self: Any, hidden: Any, *, round_index: int = 0) -> R:
        return speak(self, hidden)

    return called


def understood_by(make: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by the names that a class or function takes: older ones, where it takes no present ones."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return dict(settings)
    older = {
        new: old for old, new in KEYWORDS.items() if old in parameters and new not in parameters and new in settings
    }
    for new, old in older.items():
        name = getattr(make, "__qualname__", repr(make))
        warnings.warn(f"{name} takes {old}=, which is called {new}= now", DeprecationWarning, stacklevel=3)
    return {older.get(name, name): value for name, value in settings.items()}
