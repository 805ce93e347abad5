"""Checks of a measure: a function of `messages`, `meanings`, ..., by position, with settings by keyword.

What it takes by position is known by its name (`Needs`); anything else comes from the `example` that it declares.
"""

import copy
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from heliograph.analysis.measures.measure import Needs, headline, measure_of
from heliograph.testing.contract import component_check, expect

__all__ = [
    "check_declaration",
    "check_kinds_of_rows",
    "check_names",
    "check_refusals",
    "check_resampling",
    "check_result",
]

Measure = Callable[..., Any]

NUMBER = 48
NUMBERS = (int, float, np.number)
ROUNDING = 1e-9
KINDS: dict[str, Callable[[list[list[int]]], Any]] = {
    "arrays": np.asarray,
    "tensors": torch.tensor,
    "tuples": lambda rows: [tuple(row) for row in rows],
}


@component_check
def check_result(measure: Measure) -> None:
    """A number, or a structure that begins with one, finite, the same each time; what is measured stays as it is."""
    given = _input(measure)
    before = copy.deepcopy(given)
    numbers = _numbers(measure_of(measure).function(**given))
    expect(len(numbers) > 0 and all(map(math.isfinite, numbers.values())), f"finite numbers, not {numbers}")
    again = _numbers(measure_of(measure).function(**given))
    expect(numbers == again, "the same result of the same utterances: draw from a seed of its own")
    expect(_same(given, before), "messages and meanings that stay as they are")


@component_check
def check_declaration(measure: Measure) -> None:
    """Return what it declares holds: its value lies in the declared range."""
    declared = measure_of(measure)
    low, high = declared.range
    value = headline(declared.function(**_input(measure)))
    expect(low - ROUNDING <= value <= high + ROUNDING, f"a value from {low} to {high}, not {value}")


@component_check
def check_resampling(measure: Measure) -> None:
    """Return what it declares for shuffles gives what the function gives for the same rows in that order."""
    declared, given = measure_of(measure), _input(measure)
    if declared.resampling is None:
        return
    first, *rest = declared.needs
    number = len(given[first])
    resampling = declared.resampling(**given, given=np.zeros(number, dtype=np.int64))
    value = headline(declared.function(**given))
    for order in (np.arange(number), np.random.default_rng(1).permutation(number)):
        other = given | {name: [given[name][place] for place in order] for name in rest}
        expected, found = headline(declared.function(**other)), resampling.shuffled(order)
        expect(_near(found, expected), f"{expected} with all but {first} in another order, not {found}")
    found = resampling.drawn(np.ones(number, dtype=np.int64))
    expect(_near(found, value), f"{value} where each utterance is drawn once, not {found}")


@component_check
def check_kinds_of_rows(measure: Measure) -> None:
    """Lists, tuples, arrays and tensors of the same symbols are measured the same."""
    given = _input(measure)
    if Needs.MESSAGES not in given:
        return
    plain = _numbers(measure_of(measure).function(**given))
    for kind, made in KINDS.items():
        found = _numbers(measure_of(measure).function(**given | {"messages": made(given["messages"])}))
        expect(_alike(plain, found), f"of {kind} the same as of lists, {plain}, not {found}")


@component_check
def check_names(measure: Measure) -> None:
    """Symbols are names and no quantities: other numbers for the same symbols and meanings change nothing."""
    given = _input(measure)
    if measure_of(measure).example is not None or Needs.MESSAGES not in given:
        return
    renamed: dict[str, Any] = {"messages": [[[17, 3, 40, 8][symbol] for symbol in row] for row in given["messages"]]}
    for name in (Needs.MEANINGS, Needs.ACTIONS, Needs.HEARER_ACTIONS):
        if name in given:
            renamed[name] = [["north", "east", "south"][meaning] for meaning in given[name]]
    plain, found = (_numbers(measure_of(measure).function(**some)) for some in (given, given | renamed))
    expect(_alike(plain, found), f"the same of other names for the same symbols, {plain}, not {found}")


@component_check
def check_refusals(measure: Measure) -> None:
    """Nothing said, and messages without a meaning each, are refused by ValueError."""
    given = _input(measure)
    if measure_of(measure).example is not None or Needs.MESSAGES not in given:
        return
    empty: dict[str, Any] = {name: [] for name in given}
    expect(_refuses(measure_of(measure).function, empty), "ValueError where there is no message")
    for name in given.keys() - {Needs.MESSAGES}:
        short = given | {name: given[name][:-1]}
        expect(_refuses(measure_of(measure).function, short), f"ValueError where a message has none of the {name}")


def _input(measure: Measure) -> dict[str, Any]:
    """Inputs that it takes, by name.

    Its example, or messages of two symbols, which tell something about all the rest.
    """
    declared = measure_of(measure)
    if declared.example is not None:
        return declared.example()
    rng = np.random.default_rng(0)
    meanings = rng.integers(3, size=NUMBER)
    other = rng.integers(4, size=NUMBER)
    messages = np.stack([(meanings + (rng.random(NUMBER) < 0.2)) % 4, other], 1)
    known: dict[str, Any] = {
        Needs.MESSAGES: messages.tolist(),
        Needs.MEANINGS: meanings.tolist(),
        Needs.ATTRIBUTES: np.stack([meanings, other % 2], 1).tolist(),
        Needs.ACTIONS: meanings.tolist(),
        Needs.HEARER_ACTIONS: messages[:, 0].clip(max=2).tolist(),
        Needs.PREDICTED: np.stack([messages[:, 0], other % 2], 1).tolist(),
    }
    unknown = [name for name in declared.needs if name not in known]
    expect(not unknown and declared.needs, f"a function of {', '.join(known)}, or one that declares an example")
    return {name: known[name] for name in declared.needs}


def _numbers(result: Any) -> dict[str, float]:
    """The numbers of a result by name; a structure may hold tables behind the first of them."""
    if not dataclasses.is_dataclass(result):
        found = {"result": result}
    else:
        found = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        first, *rest = found
        found = {name: found[name] for name in [first, *(x for x in rest if isinstance(found[x], NUMBERS))]}
    wrong = [name for name, value in found.items() if not isinstance(value, NUMBERS)]
    expect(not wrong, f"a number, or a dataclass that begins with one, not {result!r}")
    return {name: float(value) for name, value in found.items()}


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, abs_tol=ROUNDING)


def _alike(one: dict[str, float], other: dict[str, float]) -> bool:
    return one.keys() == other.keys() and all(_near(one[k], other[k]) for k in one)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(np.asarray(one[k], object), np.asarray(other[k], object)) for k in one)


def _refuses(function: Callable[..., Any], given: dict[str, Any]) -> bool:
    try:
        function(**given)
    except ValueError:
        return True
    return False
