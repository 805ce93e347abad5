"""What was raised in a worker process, told to the process that asked: the same exception, with its traceback."""

import dataclasses
import pickle
import traceback

import cloudpickle

from heliograph.envs.checking import ELSEWHERE, PLACE, EnvError, place_of

__all__ = ["Failure", "Warned"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Warned:
    """A warning that was given in a worker process."""

    message: str
    category: type[Warning]
    filename: str
    lineno: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """An exception on its way: pickled where it can be, else in words."""

    pickled: bytes | None
    words: str
    notes: tuple[str, ...]
    place: str
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return what is to be told of an exception that was caught."""
        return cls(
            pickled=_pickled(error),
            words=f"{type(error).__name__}: {error}",
            notes=tuple(getattr(error, "__notes__", ())),
            place=place_of(error),
            trace="".join(traceback.format_exception(error)),
        )

    def error(self) -> Exception:
        """The exception, or an `EnvError` in its place; its traceback is a note."""
        error = _unpickled(self.pickled)
        if error is None:
            error = EnvError(f"{self.words} ({'; '.join([*self.notes[:1], self.place])})")
        setattr(error, PLACE, self.place)
        error.add_note(f"{ELSEWHERE}:\n{self.trace}")
        return error


def _pickled(error: BaseException) -> bytes | None:
    """An exception in bytes; None where it would not come back as it is (or would end the process)."""
    try:
        data = cloudpickle.dumps(error)
        again = pickle.loads(data)
    except Exception:
        return None
    whole = type(again) is type(error) and str(again) == str(error) and isinstance(error, Exception)
    return data if whole else None


def _unpickled(data: bytes | None) -> Exception | None:
    if data is None:
        return None
    try:
        found = pickle.loads(data)
    except Exception:  # its class is known in that process alone
        return None
    return found if isinstance(found, Exception) else None
