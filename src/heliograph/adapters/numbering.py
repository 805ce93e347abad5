"""Which copies of a Python environment a process holds: all of them, or, as a worker process, those from one on."""

import contextlib
import contextvars
from collections.abc import Iterator, Mapping
from typing import Any

from heliograph.checks import check_positive

__all__ = ["first_copy", "numbered_from", "shares", "workers_wanted"]

_FIRST = contextvars.ContextVar("_FIRST", default=0)


def first_copy() -> int:
    """The number, in the whole, of the first copy that is made now."""
    return _FIRST.get()


@contextlib.contextmanager
def numbered_from(first: int) -> Iterator[None]:
    """While an adapter is made: its copies are numbered from here, in messages and for those who are told theirs."""
    token = _FIRST.set(first)
    try:
        yield
    finally:
        _FIRST.reset(token)


def workers_wanted(settings: Mapping[str, Any]) -> int:
    """Return how many worker processes an adapter's settings ask for; a single copy gains nothing by one, and has none.

    Raises ValueError where `num_workers` is no whole number from 0 on.
    """
    num_workers, num_envs = settings.get("num_workers", 0), settings.get("num_envs", 1)
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(f"num_workers={num_workers!r}: must be a whole number, 0 for no worker processes")
    if num_workers:
        check_positive("num_envs", num_envs)
    return 0 if num_envs == 1 else min(num_workers, num_envs)


def shares(num_envs: int, num_workers: int) -> list[range]:
    """The copies of each worker process, side by side; their numbers differ by at most one."""
    ends = [num_envs * (index + 1) // num_workers for index in range(num_workers)]
    return [range(start, end) for start, end in zip([0, *ends], ends, strict=False)]
