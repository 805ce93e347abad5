"""Checks of single settings; each refusal names the setting, its value, and what would be right."""

import itertools
import math
import numbers
import types
import typing
from collections.abc import Sequence
from typing import Any

Number = int | float
PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
    type(None): "null (None)",
}


def check_positive(name: str, value: Any) -> None:
    """Refuse a setting that is not a positive integer."""
    if not _is(value, int) or value < 1:
        raise ValueError(f"{name}={value!r}: must be a whole number of at least 1")


def check_choice(name: str, value: Any, *, valid: Sequence[object]) -> None:
    """Refuse a setting that is none of the valid words."""
    if value not in valid:
        raise ValueError(f"{name}={value!r}: must be {', '.join(map(repr, valid[:-1]))} or {valid[-1]!r}")


def check_number(
    name: str, value: Any, *, minimum: Number | None = None, above: Number | None = None, maximum: Number | None = None
) -> None:
    """Refuse a setting that is no finite number, below `minimum`, not above `above`, or beyond `maximum`."""
    bounds = {"of at least": minimum, "above": above, "of at most": maximum}
    wanted = " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None)
    low = not _is(value, float) or (minimum is not None and value < minimum) or (above is not None and value <= above)
    if low or (maximum is not None and value > maximum):
        raise ValueError(f"{name}={value!r}: must be a finite number {wanted}".rstrip())


def check_schedule(
    name: str, value: Any, *, minimum: Number | None = None, above: Number | None = None, maximum: Number | None = None
) -> None:
    """Refuse what is neither a number nor a schedule [[env steps, value], ...] that begins at 0 and moves on."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return check_number(name, value, minimum=minimum, above=above, maximum=maximum)
    whole = all(isinstance(p, Sequence) and len(p) == 2 and _is(p[0], int) and _is(p[1], float) for p in value)
    steps = [point[0] for point in value] if whole else []
    if not steps or steps[0] != 0 or any(b <= a for a, b in itertools.pairwise(steps)):
        raise ValueError(
            f"{name}={value!r}: a schedule is [[env steps, value], ...], the first at 0 and steps rising, such as "
            "[[0, 1.0], [100000, 0.0]]"
        )
    for _, number in value:
        check_number(name, number, minimum=minimum, above=above, maximum=maximum)


def check_kind(name: str, value: Any, annotation: Any, *, what: str) -> None:
    """Refuse a value that its annotation rules out, where it speaks of numbers, texts and the like."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    kinds = typing.get_args(annotation) if union else (annotation,)
    known = all(isinstance(kind, type) and kind in PLAIN for kind in kinds)
    if not known or any(_is(value, kind) for kind in kinds):
        return
    raise ValueError(f"{name}={value!r}: this setting of {what} must be {' or '.join(PLAIN[kind] for kind in kinds)}")


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind not in (int, float):
        return isinstance(value, kind)
    if kind is int:
        return isinstance(value, numbers.Integral)
    return isinstance(value, numbers.Real) and math.isfinite(value)


__all__ = ["check_kind", "check_number", "check_positive", "check_schedule"]
