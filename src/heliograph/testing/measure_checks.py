"""Checks of a measure: a function of `messages`, or of `messages` and `meanings`, with settings by keyword."""

import copy
import dataclasses
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from heliograph.testing.contract import component_check, expect

__all__ = ["check_kinds_of_rows", "check_names", "check_refusals", "check_result"]

Measure = Callable[..., Any]

NUMBER = 48
ROUNDING = 1e-9
KINDS: dict[str, Callable[[list[list[int]]], Any]] = {
    "arrays": np.asarray,
    "tensors": torch.tensor,
    "tuples": lambda rows: [tuple(row) for row in rows],
}


@component_check
def check_result(measure: Measure) -> None:
    """A number, or a structure of numbers, all finite, the same each time; what is measured stays as it is."""
    given = _utterances(measure)
    before = copy.deepcopy(given)
    numbers = _numbers(measure(*given))
    expect(len(numbers) > 0 and all(map(math.isfinite, numbers.values())), f"finite numbers, not {numbers}")
    expect(numbers == _numbers(measure(*given)), "the same result of the same utterances: draw from a seed of its own")
    expect(given == before, "messages and meanings that stay as they are")


@component_check
def check_kinds_of_rows(measure: Measure) -> None:
    """Lists, tuples, arrays and tensors of the same symbols are measured the same."""
    messages, *rest = _utterances(measure)
    plain = _numbers(measure(messages, *rest))
    for kind, made in KINDS.items():
        found = _numbers(measure(made(messages), *rest))
        expect(_alike(plain, found), f"of {kind} the same as of lists, {plain}, not {found}")


@component_check
def check_names(measure: Measure) -> None:
    """Symbols are names and no quantities: other numbers for the same symbols and meanings change nothing."""
    messages, *rest = _utterances(measure)
    renamed = [[[17, 3, 40, 8][symbol] for symbol in row] for row in messages]
    meant = [["north", "east", "south"][meaning] for meaning in rest[0]] if rest else None
    plain, found = _numbers(measure(messages, *rest)), _numbers(measure(renamed, *([] if meant is None else [meant])))
    expect(_alike(plain, found), f"the same of other names for the same symbols, {plain}, not {found}")


@component_check
def check_refusals(measure: Measure) -> None:
    """Nothing said, and messages without a meaning each, are refused by ValueError."""
    messages, *rest = _utterances(measure)
    expect(_refuses(measure, [], *([[]] if rest else [])), "ValueError where there is no message")
    if rest:
        expect(_refuses(measure, messages, rest[0][:-1]), "ValueError where a message has no meaning")


def _utterances(measure: Measure) -> list[Any]:
    """Messages of two symbols, and meanings that they tell something about where the measure takes any."""
    rng = np.random.default_rng(0)
    meanings = rng.integers(3, size=NUMBER)
    messages = np.stack([(meanings + (rng.random(NUMBER) < 0.2)) % 4, rng.integers(4, size=NUMBER)], 1)
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    taken = [p.name for p in inspect.signature(measure).parameters.values() if p.kind is positional]
    expect(taken in (["messages"], ["messages", "meanings"]), f"measure(messages[, meanings], *, ...), not {taken}")
    return [messages.tolist(), meanings.tolist()][: len(taken)]


def _numbers(result: Any) -> dict[str, float]:
    found = dataclasses.asdict(result) if dataclasses.is_dataclass(result) else {"result": result}  # type: ignore[arg-type]
    wrong = [name for name, value in found.items() if not isinstance(value, (int, float, np.number))]
    expect(not wrong, f"a number, or a dataclass of numbers, not {result!r}")
    return {name: float(value) for name, value in found.items()}


def _alike(one: dict[str, float], other: dict[str, float]) -> bool:
    return one.keys() == other.keys() and all(math.isclose(one[k], other[k], abs_tol=ROUNDING) for k in one)


def _refuses(measure: Measure, *given: Any) -> bool:
    try:
        measure(*given)
    except ValueError:
        return True
    return False
