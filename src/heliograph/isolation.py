"""User code called so that it leaves the process as it found it, and cannot end it: one context manager.

What an environment, a model or a callback sets for the whole process would change what is learnt without a word: an
environment that switches gradients off trains nothing. `isolated` puts such settings back after each call. Random
streams are not among them: Heliograph draws from streams of its own.
"""

import _signal  # type: ignore[import-not-found]
import dataclasses
import functools
import os
import signal
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
import torch

__all__ = ["SETTINGS", "Setting", "isolated"]

_handler_of: Callable[[int], Any] = _signal.getsignal
"""As `signal.getsignal`, but without making an enum of what it finds, which takes two microseconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """Something that holds for a whole process: how it is read and put back, and what to do instead of changing it.

    Without a `remedy` it is put back without a word.
    """

    name: str
    call: str
    read: Callable[[], Any]
    put: Callable[[Any], Any]
    remedy: str | None


def _put_device(device: torch.device) -> None:
    torch.set_default_device(None)  # "cpu" would do the same, but slow down every call of torch
    if torch.get_default_device() != device:
        torch.set_default_device(device)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted
        return None


def _put_folder(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _handlers() -> tuple[Any, ...]:
    return _handler_of(signal.SIGINT), _handler_of(signal.SIGTERM), _handler_of(signal.SIGHUP)


def _put_handlers(handlers: tuple[Any, ...]) -> None:
    if threading.current_thread() is threading.main_thread():  # no other can have changed any
        for number, handler in zip((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), handlers, strict=True):
            if handler is not None:  # None: one that is not Python's
                signal.signal(number, handler)


def _put_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # tells Python's memory of what was shown that filters have changed
    warnings.filters.extend(filters)  # type: ignore[attr-defined]


SETTINGS = (
    Setting(
        name="gradients",
        call="torch.set_grad_enabled",
        read=torch.is_grad_enabled,
        put=torch.set_grad_enabled,
        remedy="use 'with torch.no_grad():' there",
    ),
    Setting(
        name="the default dtype",
        call="torch.set_default_dtype",
        read=torch.get_default_dtype,
        put=torch.set_default_dtype,
        remedy="give dtype= where tensors are made",
    ),
    Setting(
        name="the default device",
        call="torch.set_default_device",
        read=lambda: torch.empty(0).device,
        put=_put_device,
        remedy="give device= where tensors are made",
    ),
    Setting(
        name="the number of threads",
        call="torch.set_num_threads",
        read=torch.get_num_threads,
        put=torch.set_num_threads,
        remedy="set it by .communication(torch_num_threads=...) or training.torch_num_threads",
    ),
    Setting(
        name="deterministic algorithms",
        call="torch.use_deterministic_algorithms",
        read=torch.get_deterministic_debug_mode,
        put=torch.set_deterministic_debug_mode,
        remedy="call it before the training",
    ),
    Setting(
        name="the working directory",
        call="os.chdir",
        read=_folder,
        put=_put_folder,
        remedy="name files by paths that begin at pathlib.Path(__file__).parent",
    ),
    Setting(
        name="NumPy's treatment of errors",
        call="np.seterr",
        read=np.geterr,
        put=lambda found: np.seterr(**found),
        remedy="use 'with np.errstate(...):' there",
    ),
    Setting(
        name="signal handlers",
        call="signal.signal",
        read=_handlers,
        put=_put_handlers,
        remedy="leave SIGINT, SIGTERM and SIGHUP to the training, which ends in order by them",
    ),
    Setting(
        name="warning filters",
        call="warnings.filterwarnings",
        read=lambda: warnings.filters[:],
        put=_put_filters,
        remedy=None,
    ),
)
(
    _GRADIENTS, _DTYPE, _DEVICE, _THREADS, _DETERMINISTIC, _FOLDER, _ERRORS, _HANDLERS, _FILTERS
) = (setting.read for setting in SETTINGS)  # fmt: skip


def _read_all() -> list[Any]:
    """The present value of each of `SETTINGS`; written out, since this runs twice in every step."""
    return [
        _GRADIENTS(), _DTYPE(), _DEVICE(), _THREADS(), _DETERMINISTIC(), _FOLDER(), _ERRORS(), _HANDLERS(), _FILTERS()
    ]  # fmt: skip


class isolated:
    """A context in which user code runs; `what` names the call, such as "step() of Fog".

    What it changed of `SETTINGS` is put back, and told by one warning for each call and setting. Where it would end
    the process (`sys.exit`), `error` is raised in the place of that; what it raises otherwise passes.
    """

    __slots__ = ("before", "error", "what")

    def __init__(self, what: str, *, error: type[Exception] = RuntimeError):
        self.what, self.error = what, error

    def __enter__(self) -> None:
        self.before = _read_all()

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        found = _read_all()
        changed = () if found == self.before else _put_back(self.before, found)
        if raised is None:
            for setting, before, after in changed:
                if setting.remedy is not None:
                    _tell(self.what, setting, before, after)
        elif not isinstance(raised, (Exception, KeyboardInterrupt)):
            raise self.error(f"{_ending(raised)} in {self.what}: raise an exception there, which tells why") from raised


def _put_back(before: list[Any], found: list[Any]) -> list[tuple[Setting, Any, Any]]:
    """Put back what is not as it was, and return it."""
    pairs = zip(SETTINGS, before, found, strict=True)
    changed = [(setting, old, new) for setting, old, new in pairs if new != old]
    for setting, old, _ in changed:
        setting.put(old)
    return changed


def _ending(raised: BaseException) -> str:
    if isinstance(raised, SystemExit):
        return f"sys.exit({raised.code!r}) was called"
    return f"{type(raised).__name__} ({raised}), which would end the process, was raised"


@functools.cache
def _told() -> set[tuple[str, str]]:
    return set()


def _tell(what: str, setting: Setting, before: Any, after: Any) -> None:
    if (what, setting.name) not in _told():
        told = f"{what} changed {setting.name} of the whole process from {before} to {after} ({setting.call})"
        warnings.warn(f"{told}: put back; {setting.remedy}", stacklevel=3)
        _told().add((what, setting.name))
