"""So many environments of another library as an adapter has copies, made and, where that fails, closed."""

import contextlib
from collections.abc import Iterator
from typing import Any

from heliograph.adapters.closing import closed_on_failure, made
from heliograph.envs.base import check_positive


@contextlib.contextmanager
def copies_of(make: Any, *, num_envs: int) -> Iterator[list[Any]]:
    """The environments that `make()` makes; closed where what is done with them in the block fails."""
    check_positive("num_envs", num_envs)
    if not callable(make):
        given = type(make).__name__
        raise ValueError(f"make is a {given}, not callable: hand in a function that makes one, lambda: {given}()")
    envs = made(make, num_envs)
    with closed_on_failure(envs):
        yield envs
