"""Python environments made and closed, all of them, whatever one of them does."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from heliograph.envs.checking import EnvError, place_of
from heliograph.isolation import isolated

__all__ = ["close_all", "closed_on_failure", "made", "name_of"]


def made(make: Callable[[], Any], number: int) -> list[Any]:
    """So many Python environments; those that were made are closed where one cannot be."""
    envs: list[Any] = []
    with closed_on_failure(envs):
        for _ in range(number):
            envs.append(make())
    return envs


@contextlib.contextmanager
def closed_on_failure(envs: list[Any]) -> Iterator[None]:
    """While an adapter is made of them: where that fails, environments are closed."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(EnvError):  # what happened tells more than that they cannot be closed either
            close_all(envs)
        raise


def close_all(envs: Iterable[Any], *, first: int = 0) -> None:
    """Close Python environments, from number `first` on; then raise `EnvError` for one that could not be closed."""
    failures = []
    for copy, env in enumerate(envs, first):
        try:
            with isolated(f"close() of {name_of(env)}, copy {copy}", error=EnvError):
                _close(env)
        except EnvError as error:
            failures.append(error)
        except Exception as error:
            where = f"in close() of {name_of(env)}, copy {copy}; {place_of(error)}"
            failures.append(EnvError(f"{type(error).__name__}: {error} ({where})"))
    if failures:
        raise failures[0]


def _close(env: Any) -> None:
    """Close an environment that can be (marlenv's cannot); a `sys.exit()` that tells of no failure is let be."""
    try:
        getattr(env, "close", _nothing_to_close)()
    except SystemExit as left:
        if left.code:
            raise


def _nothing_to_close() -> None:
    """Return what is called of an environment that has no close()."""


def name_of(env: Any) -> str:
    """The class of a Python environment, without its wrappers."""
    return type(getattr(env, "unwrapped", env)).__name__
