"""Runs that differ only in their seed, as groups with names; what must be said before they are compared."""

import dataclasses
import itertools
import json
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from heliograph.reports.comparison import Difference, Estimate, difference, estimate
from heliograph.reports.run_results import BUDGET, RunResult, Settings, find_runs, read_result
from heliograph.storage.run_folder import SUMMARY, RunFolderError
from heliograph.texts import printable

__all__ = ["Comparison", "Group", "Pair", "compare", "grouped", "names_of"]

FEW_SEEDS = 5
MAX_ALL_PAIRS = 5
"""With more groups only the best is set against each of the others."""
SHOWN_CHARACTERS = 60
MISSING = object()
OWNERS = {"training": "algorithm"}
"""What a section of settings belongs to, where it has another name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Runs with equal settings: its name, its runs in the order of their seeds, and what they come to."""

    name: str
    runs: tuple[RunResult, ...]
    estimate: Estimate

    @property
    def values(self) -> list[float]:
        """Return what each seed reached."""
        return [run.value for run in self.runs]

    @property
    def wall_seconds(self) -> float:
        """Mean over the runs."""
        return sum(run.wall_seconds for run in self.runs) / len(self.runs)

    @property
    def protocol(self) -> str | None:
        """The words for the protocols of its runs, the most frequent first; None for controls."""
        words = Counter(shown(run.diagnosis) for run in self.runs if run.diagnosis is not None).most_common()
        return ", ".join(word if len(words) == 1 else f"{word} {count}" for word, count in words) or None

    @property
    def env_steps(self) -> tuple[int, int]:
        """The fewest and the most of a run."""
        steps = [run.num_env_steps for run in self.runs]
        return min(steps), max(steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Two groups, and how much better the first is."""

    first: Group
    second: Group
    difference: Difference


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Groups, the best IQM first; differences between them; and what a reader must know before believing them."""

    metric: str
    groups: tuple[Group, ...]
    pairs: tuple[Pair, ...]
    remarks: tuple[str, ...]


def compare(folders: Iterable[str | pathlib.Path], *, metric: str = "episode_return_mean", seed: int = 0) -> Comparison:
    """Read all runs in some folders and compare them in groups; `seed` decides the bootstrap.

    Raises `RunFolderError` where there is no finished run, or where a file is damaged.
    """
    finished, unfinished = find_runs(folders)
    if not finished:
        raise RunFolderError(f"{unfinished[0]} has no {SUMMARY}: its training has not ended, nor that of other runs")
    groups = grouped([read_result(folder, metric=metric) for folder in finished], seed=seed)
    remarks = [f"Left out, not finished: {', '.join(map(printable, unfinished))}."] if unfinished else []
    return Comparison(
        metric=metric,
        groups=tuple(groups),
        pairs=tuple(_pairs(groups, seed=seed)),
        remarks=(*remarks, *_remarks(groups)),
    )


def grouped(results: Sequence[RunResult], *, seed: int = 0) -> list[Group]:
    """Runs of equal settings together, the best IQM first."""
    runs: dict[str, list[RunResult]] = {}
    for result in results:
        runs.setdefault(_key(result.settings), []).append(result)
    names = names_of([some[0].settings for some in runs.values()])
    groups = []
    for name, some in zip(names, runs.values(), strict=True):
        ordered = sorted(some, key=lambda run: (run.seed is None, run.seed or 0, str(run.folder)))
        found = estimate([run.value for run in ordered], seed=seed)
        groups.append(Group(name=name, runs=tuple(ordered), estimate=found))
    return sorted(groups, key=lambda group: -group.estimate.iqm)


def names_of(settings: Sequence[Settings]) -> list[str]:
    """Names made of the settings in which groups differ, such as "channel=dru, training.lr=0.001"."""
    keys = list(dict.fromkeys(key for some in settings for key in some))
    keys.sort(key=lambda key: "." in key)
    varied = [key for key in keys if len({_text(some.get(key, MISSING)) for some in settings}) > 1]
    told = [[key for key in varied if _tells(key, some, settings)] for some in settings]
    unnamed = "team" if varied else "all runs"
    return [_name(some, keys) or unnamed for some, keys in zip(settings, told, strict=True)]


def _tells(key: str, settings: Settings, others: Sequence[Settings]) -> bool:
    """Tell whether a setting differs among groups with the same component.

    Another channel has other settings anyway.
    """
    owner = OWNERS.get(key.split(".")[0], key.split(".")[0])
    alike = [some for some in others if owner == key or some.get(owner) == settings.get(owner)]
    return len({_text(some.get(key, MISSING)) for some in alike}) > 1


def shown(value: Any) -> str:
    """A stranger's text on one line, without what a terminal would obey, cut where it is long."""
    text = printable(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _name(settings: Settings, told: Sequence[str]) -> str:
    parts = []
    for key in told:
        if key == "controls":
            parts += [f"controls: {settings[key]}"] if key in settings else []
        elif key in settings:
            parts.append(f"{shown(key)}={shown(_text(settings[key]))}")
        elif key not in BUDGET:
            parts.append(f"{shown(key)}={'none' if key == 'losses' else 'default'}")
    return ", ".join(parts)


def _key(settings: Settings) -> str:
    return json.dumps(settings, sort_keys=True, default=str)


def _text(value: Any) -> str:
    if value is MISSING:
        return "default"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _pairs(groups: Sequence[Group], *, seed: int) -> Iterable[Pair]:
    """All pairs of a few groups, else the best against each other one."""
    if len(groups) <= MAX_ALL_PAIRS:
        pairs = list(itertools.combinations(groups, 2))
    else:
        pairs = [(groups[0], other) for other in groups[1:]]
    for first, second in pairs:
        found = difference(first.values, second.values, seed=seed)
        yield Pair(first=first, second=second, difference=found)


def _remarks(groups: Sequence[Group]) -> Iterable[str]:
    runs = [run for group in groups for run in group.runs]
    if len({run.env for run in runs}) > 1:
        yield "Environments differ: differences are also those of tasks, whose returns need not have a common scale."
    steps = [run.num_env_steps for run in runs]
    if min(steps) != max(steps):
        yield f"Env steps differ, from {min(steps):,} to {max(steps):,}: a run with more may be better for that alone."
    yield from _early(runs)
    for group in groups:
        seeds = [run.seed for run in group.runs]
        if len(set(seeds)) < len(seeds):
            yield f"{group.name}: a seed occurs twice, so its runs are not independent."
    fewest = min(len(group.runs) for group in groups)
    if fewest == 1:
        yield "A group with one seed has no interval: nothing is known about how seeds vary."
    elif fewest < FEW_SEEDS:
        yield f"Groups with fewer than {FEW_SEEDS} seeds: bootstrap intervals of so few values are too narrow."
    if len(groups) > MAX_ALL_PAIRS:
        yield f"{len(groups)} groups: the best of many is partly lucky; confirm it with fresh seeds."


def _early(runs: Sequence[RunResult]) -> Iterable[str]:
    for reason in ("asha", "interrupt"):
        number = sum(run.stopped_by == reason for run in runs)
        if number:
            yield f"Stopped early by {reason}: {number} of {len(runs)} runs; their values are those of that moment."
