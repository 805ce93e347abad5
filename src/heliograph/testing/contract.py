"""What a check is: a promise of the contract that raises `ConformanceError`, with names, where it is broken."""

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from heliograph.analysis.measures.measure import Measure
from heliograph.envs.base import EnvError, TeamEnv
from heliograph.envs.checking import place_of
from heliograph.texts import one_line

MakeEnv = Callable[..., TeamEnv]
P = ParamSpec("P")

NUM_COPIES = 5
NUM_STEPS = 20


class ConformanceError(AssertionError):
    """A component breaks its contract; the message names the component, the check and what was expected."""


def conformance(check: Callable[[MakeEnv], None]) -> Callable[[MakeEnv], None]:
    """Name the environment and the check where it fails."""

    @functools.wraps(check)
    def named(make_env: MakeEnv) -> None:
        try:
            check(make_env)
        except ConformanceError as error:
            raise ConformanceError(f"{component_name(make_env)} fails {check.__name__}: expected {error}") from None
        except EnvError as error:
            raise ConformanceError(f"{component_name(make_env)} fails {check.__name__}: {error}") from error
        except Exception as error:
            error.add_note(f"while {check.__name__} ran on {component_name(make_env)}")
            raise

    return named


def component_check(check: Callable[Concatenate[Any, P], None]) -> Callable[Concatenate[Any, P], None]:
    """Name the component and the check where it fails, or where the component raises anything."""

    @functools.wraps(check)
    def named(component: Any, *args: P.args, **kwargs: P.kwargs) -> None:
        where = f"{component_name(component)} fails {check.__name__}"
        try:
            check(component, *args, **kwargs)
        except ConformanceError as error:
            raise ConformanceError(f"{where}: expected {error}") from None
        except Exception as error:  # whatever the code of a stranger brings about
            told = f"{type(error).__name__}: {one_line(error)} ({place_of(error)})"
            raise ConformanceError(f"{where}: expected no exception, not {told}") from error

    return named


def component_name(component: Any) -> str:
    """Return what a component is called in messages: its name, with the settings that are given."""
    if isinstance(component, functools.partial):
        given = [*map(repr, component.args), *(f"{key}={value!r}" for key, value in component.keywords.items())]
        return f"{component_name(component.func)}({', '.join(given)})"
    if isinstance(component, Measure):
        return component.name
    return getattr(component, "__qualname__", repr(component))


def expect(promise: Any, words: str) -> None:
    """Raise `ConformanceError` where a promise (a bool or a tensor of one) does not hold; `words` say what should."""
    if not bool(promise):
        raise ConformanceError(words)
