"""What a check is: a promise of the contract that raises `ConformanceError`, with names, where it is broken."""

import functools
from collections.abc import Callable
from typing import Any

from heliograph.envs.base import EnvError, TeamEnv

MakeEnv = Callable[..., TeamEnv]

NUM_COPIES = 5
NUM_STEPS = 20


class ConformanceError(AssertionError):
    """An environment breaks the contract; the message names the environment, the check and what was expected."""


def conformance(check: Callable[[MakeEnv], None]) -> Callable[[MakeEnv], None]:
    """Name the environment and the check where it fails."""

    @functools.wraps(check)
    def named(make_env: MakeEnv) -> None:
        try:
            check(make_env)
        except ConformanceError as error:
            raise ConformanceError(f"{_name_of(make_env)} fails {check.__name__}: expected {error}") from None
        except EnvError as error:
            raise ConformanceError(f"{_name_of(make_env)} fails {check.__name__}: {error}") from error
        except Exception as error:
            error.add_note(f"while {check.__name__} ran on {_name_of(make_env)}")
            raise

    return named


def _name_of(make_env: MakeEnv) -> str:
    if isinstance(make_env, functools.partial):
        settings = ", ".join(f"{key}={value!r}" for key, value in make_env.keywords.items())
        return f"{_name_of(make_env.func)}({settings})"
    return getattr(make_env, "__qualname__", repr(make_env))


def expect(promise: Any, words: str) -> None:
    """Raise `ConformanceError` where a promise (a bool or a tensor of one) does not hold; `words` say what should."""
    if not bool(promise):
        raise ConformanceError(words)
