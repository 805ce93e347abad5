"""A grid of settings times seeds, as typed: `--grid channel=dru,symbols training.lr=1e-3,3e-4 --seeds 0 1`."""

import argparse
import itertools
import json
import re
from collections.abc import Iterable
from typing import Any

from heliograph.cli.choosing import OTHER_SECTIONS, SECTIONS, TEAM, pairs, settings_from_arguments
from heliograph.experiments.settings import TrainSettings, check_training
from heliograph.registry import UnknownNameError

__all__ = ["Combination", "combinations", "parse_grid", "settings_of_combination", "split_values", "trial_name"]

COMPONENTS = ("model", "channel", "topology", "population", "algorithm")
MAX_NAME_CHARACTERS = 200
Combination = tuple[tuple[str, str], ...]
"""Keys and values as typed."""


def parse_grid(texts: Iterable[str]) -> dict[str, list[str]]:
    """Keys and their values; what cannot be a key, or has no or equal values, is refused."""
    grid: dict[str, list[str]] = {}
    for key, text in pairs(texts, option="--grid"):
        _check_key(key)
        values = split_values(text)
        if key in grid:
            raise ValueError(f"--grid {key}: given twice")
        parsed = [_parsed(value) for value in values]
        if not all(values) or any(value in parsed[:place] for place, value in enumerate(parsed)):
            raise ValueError(f"--grid {key}={text}: must be different values, joined by commas")
        grid[key] = values
    return grid


def split_values(text: str) -> list[str]:
    """Values joined by commas; commas inside brackets, braces and quotes belong to a value."""
    values, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == '"'
        depth += (character in "[{") - (character in "]}") if not quoted else 0
        if character == "," and not depth and not quoted:
            values.append("")
        else:
            values[-1] += character
    return [value.strip() for value in values]


def combinations(grid: dict[str, list[str]]) -> list[Combination]:
    """Every combination of values, the last key fastest."""
    return [tuple(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def settings_of_combination(given: Any, combination: Combination) -> TrainSettings:
    """The settings of a combination, checked as far as they can be without training."""
    changed = argparse.Namespace(**vars(given))
    sets = [f"{key}={value}" for key, value in combination if key not in COMPONENTS]
    changed.set = [*(given.set or []), *sets]
    for key, value in combination:
        if key in COMPONENTS:
            setattr(changed, key, value)
    try:
        settings = settings_from_arguments(changed).settings
        check_training(settings)
    except ValueError as error:
        raise ValueError(f"{' '.join('='.join(pair) for pair in combination)}: {error}") from error
    return settings


def trial_name(combination: Combination, seed: int, *, place: int) -> str:
    """A folder name: the combination and the seed; cut, with its place in the grid, where it would be too long."""
    parts = [f"{key}={value}" for key, value in combination]
    name = re.sub(r"[^\w.=+,-]+", "-", ",".join(parts))
    if len(name) > MAX_NAME_CHARACTERS:
        name = f"{name[:MAX_NAME_CHARACTERS]},{place}"
    return f"{name},seed={seed}"


def _check_key(key: str) -> None:
    section, dot, inner = key.partition(".")
    sections = [*SECTIONS, *OTHER_SECTIONS]
    if not dot:
        if key not in COMPONENTS:
            raise UnknownNameError(what="key in --grid", name=key, valid=[*COMPONENTS, *(f"{s}.KEY" for s in sections)])
    elif section not in sections:
        raise UnknownNameError(what="section in --grid", name=section, valid=sections)
    elif section == "team" and inner not in TEAM:
        raise UnknownNameError(what="setting of team", name=inner, valid=list(TEAM))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
