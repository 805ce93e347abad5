"""What the folders of runs say, flat, and in what two of them differ; nothing of them is executed."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from heliograph.recipes.pretrained import card_of, comes_with_us, located
from heliograph.storage.run_folder import open_team_file, read_config
from heliograph.storage.safe_files import CHECKSUM, VERSION

__all__ = ["differing", "facts_in", "flat"]

ORDER = ("env", "team", "training", "resolved", "batch", "seed", "seeds", "components", "sources", "git", "made_in")
"""What is told first; the rest follows by name."""
ABSENT = "(absent)"
RESOLVED, GIVEN = "resolved", ("env.settings", "team", "training")


def facts_in(source: str | pathlib.Path) -> dict[str, Any]:
    """All that a run folder, a team file or "recipe:NAME" says of how it came about, without its checksum."""
    path = located(source)
    if path.is_file():
        config = open_team_file(path)[0]
        if comes_with_us(path):
            config = {**config, "training": card_of(path)["training"]}
    else:
        config = read_config(path)
    told = {key: value for key, value in config.items() if key not in (CHECKSUM, VERSION)}
    known = [key for key in ORDER if key in told]
    return {key: told[key] for key in (*known, *sorted(told.keys() - set(known)))}


def flat(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same with keys such as `resolved.training.lr`; lists of tables are counted."""
    return dict(_leaves("", facts))


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys in which two runs differ, with both values; "(absent)" where one has no such key.

    Where both have resolved settings those count, and not which of them were written down.
    """
    one, other = flat(first), flat(second)
    resolved = RESOLVED in first and RESOLVED in second
    keys = [key for key in dict.fromkeys([*one, *other]) if not (resolved and _is_given(key))]
    pairs = {key: (one.get(key, ABSENT), other.get(key, ABSENT)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _is_given(key: str) -> bool:
    """Tell whether a key holds settings as they were given, of which the resolved ones tell more."""
    return (key.startswith(GIVEN) and "_settings" in key) or key.startswith("env.settings")


def _leaves(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(f"{where}.{key}" if where else str(key), part)
    elif isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        for index, part in enumerate(value):
            yield from _leaves(f"{where}.{index}", part)
    else:
        yield where, value
