"""Memory: how much a block may take, what is given back, when garbage is looked for, and errors of too little."""

import atexit
import contextlib
import ctypes
import functools
import gc
import pathlib
import resource
from collections.abc import Callable, Iterator

__all__ = ["at_most", "collecting_later", "end_without_collecting", "give_back", "is_exhausted"]

STATUS = pathlib.Path("/proc/self/status")
OF_AN_ALLOCATOR = ("not enough memory", "can't allocate memory", "out of memory", "cannot allocate memory")


@contextlib.contextmanager
def at_most(num_bytes: int) -> Iterator[None]:
    """Let this process take so much beyond what it has; more raises an error. Without effect where Linux is not."""
    has = _data_bytes()
    if has is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [has + num_bytes, *(x for x in (soft, hard) if x != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextlib.contextmanager
def collecting_later() -> Iterator[None]:
    """Look for no garbage while modules are imported: PyTorch and Ray make none, and each search walks all of them.

    It takes a third off the time that their import takes.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@functools.cache
def end_without_collecting() -> None:
    """Have this process end without a last search for garbage, which walks all modules again, for seconds."""
    atexit.register(gc.freeze)


def give_back() -> None:
    """Give what was freed back to the system, where the C library can (glibc).

    Blocks of less than 32 MiB come from a heap of its own, which small long-lived ones between them keep from
    shrinking: after many large blocks of short life it is several times what is in use.
    """
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], int]:
    return getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)


def is_exhausted(error: BaseException) -> bool:
    """Tell whether an error is that of an allocator: torch raises a RuntimeError, and tells it by its text alone."""
    if isinstance(error, RuntimeError):
        return any(words in str(error).lower() for words in OF_AN_ALLOCATOR)
    return isinstance(error, MemoryError)


def _data_bytes() -> int | None:
    """Return what counts towards the limit."""
    if not STATUS.exists():
        return None
    for line in STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmData":
            return 1024 * int(value.split()[0])
    return None
