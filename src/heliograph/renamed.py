"""Keyword arguments and attributes under older names: they work for one minor version, with a warning."""

import functools
import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "KEYWORDS",
    "MEMBERS",
    "RenamedAttribute",
    "present_keywords",
    "present_recipe",
    "present_settings",
    "present_weights",
    "rename_members",
    "renamed",
    "told_round",
    "understood_by",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")

KEYWORDS = {
    "num_copies": "num_envs",
    "mouth_gain": "message_gain",
    "intent_size": "input_size",
    "intent": "channel_input",
}
"""Present name of each keyword argument that was called otherwise."""
RECIPES = {
    f"{model}_traffic_junction_{difficulty}": f"{model}_traffic_junction_{difficulty}_sighted"
    for model in ("commnet", "gacomm", "ic3net", "magic", "tarmac")
    for difficulty in ("medium", "hard")
}
"""Present name of each recipe that was called otherwise."""
SETTINGS = {"mouth_gain": "message_gain"}
"""Present name of each setting of a component of ours that was called otherwise."""
MODULES_OF_POLICY = {"mouth": "message_encoder", "ear": "message_decoder"}
"""Present name of each module of a policy that was called otherwise."""
WEIGHTS = re.compile(r"^(policies\.[^.]+\.|)(mouth|ear)\.")
"""How the names of its weights begin, in a policy's own state dict or in that of its team."""
MEMBERS = {
    "TeamEnv": {
        "_seed": "pass_seed",
        "_change": "set_adjustable",
        "_extra_state": "extra_state",
        "_set_extra_state": "set_extra_state",
    },
    "Model": {
        "intent_size": "message_size",
        "build_mouth": "build_message_encoder",
        "build_ear": "build_message_decoder",
    },
    "Channel": {"intent_size": "input_size"},
    "Topology": {"_edges": "pattern"},
    "Wrapper": {
        "_draw": "draw_own",
        "_meant": "inner_input",
        "_said": "change_message",
        "_arriving": "change_arrivals",
        "_own_state": "own_state",
        "_cut_own": "cut_own",
    },
}
"""By base class, the present names of the members that were called otherwise and are otherwise as they were."""


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


def present_recipe(name: str) -> str:
    """Return the present name of a recipe, with a FutureWarning for an older one."""
    if name in RECIPES:
        warnings.warn(f"the recipe {name} is called {RECIPES[name]} now", FutureWarning, stacklevel=3)
    return RECIPES.get(name, name)


def present_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a component, which may come from a file of any age, by their present names."""
    return {SETTINGS.get(name, name): value for name, value in settings.items()}


def present_weights(names: Mapping[str, V]) -> dict[str, V]:
    """Return weights by their present names, as in a state dict; files of any age may hold older ones."""
    return {WEIGHTS.sub(lambda m: f"{m[1]}{MODULES_OF_POLICY[m[2]]}.", name): value for name, value in names.items()}


class RenamedAttribute:
    """An attribute under an older name: reads and sets the present one, with a DeprecationWarning."""

    def __init__(self, present: str):
        self.present = present

    def __set_name__(self, owner: type, name: str) -> None:
        self.told = f"{owner.__name__}.{name} is called {self.present} now"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        warnings.warn(self.told, DeprecationWarning, stacklevel=2)
        return getattr(instance, self.present)

    def __set__(self, instance: Any, value: Any) -> None:
        warnings.warn(self.told, DeprecationWarning, stacklevel=2)
        setattr(instance, self.present, value)


def rename_members(cls: type, names: Mapping[str, str]) -> None:
    """Let a class be written, and its methods be called, with older names of members (older name -> present one).

    Both warn, but for hooks that began with an underscore: only overriding classes call these, which were warned.
    """
    for old, new in names.items():
        own = vars(cls)
        if old in own and new not in own and not isinstance(own[old], RenamedAttribute):
            warnings.warn(f"{cls.__qualname__}.{old} is called {new} now", DeprecationWarning, stacklevel=4)
            setattr(cls, new, own[old])
        elif inspect.isfunction(own.get(new)) and old not in own:
            setattr(cls, old, own[new] if old.startswith("_") else _older(own[new], old))


def _older(method: Callable[..., R], old: str) -> Callable[..., R]:
    @functools.wraps(method)
    def called(*args: Any, **kwargs: Any) -> R:
        warnings.warn(f"{old} is called {method.__name__} now", DeprecationWarning, stacklevel=2)
        return method(*args, **kwargs)

    return called


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
