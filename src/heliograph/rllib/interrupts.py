"""Ctrl-C and SIGTERM: the first lets a run end whole, the second ends it at once."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Stop", "interruptible"]

Stop = Callable[[], bool | str]
"""Whether to end a run now: a reason for `stopped_by`, or true for "interrupt"."""
STDERR = 2
INTERRUPTED = 130


@contextlib.contextmanager
def interruptible(stop: Stop | None, *, ending: str = "the iteration") -> Iterator[Stop]:
    """Return what tells whether to stop: `stop()`, or the user, who is told what the next Ctrl-C does.

    The second interrupts whatever is being done; a third, while that is cleared away, ends the process.
    """
    asked = threading.Event()
    times = 0
    stopped: Stop = lambda: asked.is_set() or (False if stop is None else stop())  # noqa: E731
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def ask(number: int, frame: Any) -> None:
        nonlocal times
        times += 1
        asked.set()
        if times == 1:
            _say(f"ending {ending}; once more to end at once")
        elif times == 2:
            raise KeyboardInterrupt
        else:
            os._exit(INTERRUPTED)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    """Past Python's own buffers, in which the interrupted code may be writing."""
    with contextlib.suppress(OSError):
        os.write(STDERR, f"\n{text}\n".encode() if os.isatty(STDERR) else f"{text}\n".encode())
