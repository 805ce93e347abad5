"""A number that is not defined, and why: what a measure returns in the place of one."""

from typing import Any

__all__ = ["Undefined", "reason_of"]


class Undefined(float):
    """NaN with a reason, in words: `Undefined("every message is the same")`.

    It is a float like any other NaN; what is computed from it is NaN without the reason.
    """

    reason: str

    def __new__(cls, reason: str) -> "Undefined":
        """The number for a reason."""
        found = super().__new__(cls, "nan")
        found.reason = reason
        return found

    def __repr__(self) -> str:
        return f"nan ({self.reason})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Undefined, (self.reason,)


def reason_of(value: Any) -> str | None:
    """Why a number is not defined; None where it is defined, or nobody said why."""
    return value.reason if isinstance(value, Undefined) else None
