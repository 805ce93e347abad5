"""Results of training as their folders tell them: JSON and CSV alone are read, and nothing of them is executed."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from heliograph.analysis.verdict import word_in
from heliograph.experiments.channel_layers import channel_text, layer_names, layers_of
from heliograph.recipes.pretrained import card_of, is_shipped, located
from heliograph.registry import UnknownNameError
from heliograph.rollouts.statistics import OF_TEAM
from heliograph.storage.run_folder import CONFIG, SUMMARY, RunFolderError, read_config
from heliograph.storage.safe_files import read_json
from heliograph.texts import cut

__all__ = [
    "METRICS",
    "MOST",
    "RunResult",
    "best_control_of",
    "find_runs",
    "flat_settings",
    "read_result",
    "read_summary",
]

METRICS = ("episode_return_mean", "normalised_return", "success_rate")
"""Those of summary.json that say how well a team does: more is better."""
TOLD_BY = {
    "silent": lambda channel, _: channel.startswith("none"),
    "garbled": lambda channel, _: channel.startswith("garbled+"),
    "self": lambda _, topology: topology == "self_only",
}
"""Folders of controls inside a run, and what their channel and topology are."""
HEARD_IN = {"silent": "nothing", "garbled": "noise"}
"""How such controls hear words of a task's own."""
BUDGET = ("iterations", "env_steps", "until", "patience")
NOT_COMPARED = ("seed",)
MAX_DEPTH = 4
MOST = 1e15
"""Greater numbers are no results: figures could not show them beside others."""
SKIPPED = ("checkpoints", "tensorboard")

Settings = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """One finished run: its settings (flat, without the seed), what it reached, and what that took.

    `diagnosis` is the word for its protocol (see `verdict`), None for a control.
    """

    folder: pathlib.Path
    settings: Settings
    seed: int | None
    value: float
    num_env_steps: int
    wall_seconds: float
    stopped_by: str
    diagnosis: str | None = None

    @property
    def env(self) -> str:
        """The environment with its settings, as text."""
        return repr([(key, value) for key, value in self.settings.items() if key.split(".")[0] == "env"])


def find_runs(folders: Iterable[str | pathlib.Path]) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """The finished and the unfinished runs in some folders, each once: runs, their controls, and folders of runs.

    A shipped team, "recipe:NAME", is a finished run.

    Raises `RunFolderError` for a folder without any run.
    """
    found: dict[pathlib.Path, pathlib.Path] = {}
    for given in folders:
        folder = located(given)
        if is_shipped(given):
            found.setdefault(folder.resolve(), folder)
            continue
        if not folder.is_dir():
            raise RunFolderError(f"{folder} is no folder: name run folders, or folders of runs")
        inside = list(_runs_below(folder, depth=MAX_DEPTH))
        if not inside:
            raise RunFolderError(f"{folder} holds no run: there is no {CONFIG} in it or in the folders below")
        for path in inside:
            found.setdefault(path.resolve(), path)
    finished = [path for path in found.values() if path.is_file() or (path / SUMMARY).exists()]
    return finished, [path for path in found.values() if path not in finished]


def read_result(folder: pathlib.Path, *, metric: str) -> RunResult:
    """The result of a finished run; raises `RunFolderError`, naming the file, for what is damaged or missing."""
    if metric not in METRICS and not metric.startswith(OF_TEAM):
        raise UnknownNameError(what="metric", name=metric, valid=[*METRICS, f"{OF_TEAM}NAME"])
    config, summary = _read(folder)
    settings = flat_settings(folder, config)
    word = None if "controls" in settings else word_in(summary, silent=best_control_of(folder))
    seed = summary.get("seed", config.get("seed"))
    return RunResult(
        folder=folder,
        settings=settings,
        seed=seed if isinstance(seed, int) else None,
        value=_number(summary, metric, folder / SUMMARY),
        num_env_steps=int(_number(summary, "num_env_steps", folder / SUMMARY)),
        wall_seconds=_number(summary, "wall_seconds", folder / SUMMARY),
        stopped_by=str(summary.get("stopped_by", "unknown")),
        diagnosis=word,
    )


def best_control_of(folder: pathlib.Path) -> dict[str, float] | None:
    """Mean return of the best of a run's controls and its standard error; None where none was trained to its end."""
    found = [control for kind in TOLD_BY if (control := _control_of(folder, kind)) is not None]
    return max(found, key=lambda control: control["episode_return_mean"], default=None)


def _control_of(folder: pathlib.Path, kind: str) -> dict[str, float] | None:
    control = folder / kind
    if not (control / SUMMARY).is_file() or _run_of_control(control, read_config(control)) is None:
        return None
    summary, mean, error = read_summary(control), "episode_return_mean", "episode_return_se"
    known = {mean: _number(summary, mean, control / SUMMARY)}
    return known if summary.get(error) is None else {**known, error: _number(summary, error, control / SUMMARY)}


def flat_settings(folder: pathlib.Path, config: Mapping[str, Any]) -> Settings:
    """Settings that a run was trained with, without its seed, under the names of `--set`.

    Such names are `env.goals` or `training.lr`.

    A control (`silent/`, `garbled/` or `self/` inside a run) has the settings of its run, and `controls`.
    """
    parent = _run_of_control(folder, config)
    if parent is not None:
        return {**flat_settings(folder.absolute().parent, parent), "controls": folder.absolute().name}
    training = config.get("training")
    if not isinstance(training, dict):
        training = {**config["team"], "env": config["env"].get("env"), "env_settings": config["env"].get("settings")}
    return dict(_flat(training))


def _flat(training: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    plain = ("env", "model", "channel", "topology", "algorithm", "losses", *BUDGET)
    for key, value in training.items():
        section = key.removesuffix("_settings").replace("algorithm", "training")
        if key in NOT_COMPARED or value is None or value in ({}, []):
            continue
        if key == "channel" and isinstance(value, list):
            yield from _of_layers(value)
            continue
        if (key.endswith("_settings") or key == "curriculum") and isinstance(value, dict):
            yield from ((f"{section}.{name}", inner) for name, inner in value.items())
        else:
            yield (key if key in plain else f"team.{key}"), value


def _of_layers(layers: list[Any]) -> Iterator[tuple[str, Any]]:
    """A channel in full, as names and as settings of each layer; those of a second one of a name are numbered."""
    yield "channel", channel_text(layers)
    found = layers_of(layers, {})
    for place, layer in zip(layer_names(found), found, strict=True):
        yield from ((f"channel.{place}.{key}", value) for key, value in (layer.settings or {}).items())


def _run_of_control(folder: pathlib.Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration of the run that this one is a control of."""
    folder = folder.absolute()
    channel = channel_text(config["team"].get("channel"))
    fits = TOLD_BY.get(folder.name)
    heard = config.get("env", {}).get("settings", {}).get("heard")
    is_control = fits is not None and (
        fits(channel, config["team"].get("topology")) or (heard is not None and heard == HEARD_IN.get(folder.name))
    )
    if not is_control or not (folder.parent / CONFIG).exists():
        return None
    return read_config(folder.parent)


def _runs_below(folder: pathlib.Path, *, depth: int) -> Iterator[pathlib.Path]:
    if (folder / CONFIG).is_file():
        yield folder
    if depth:
        with os.scandir(folder) as entries:
            inside = [e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name not in SKIPPED]
        for name in sorted(inside, key=_natural):
            yield from _runs_below(folder / name, depth=depth - 1)


def _natural(name: str) -> tuple[int, str]:
    return len(name), name


def _read(folder: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and summary of a run folder, or of a shipped team."""
    if not folder.is_file():
        return read_config(folder), read_summary(folder)
    card = card_of(folder)
    return {"training": card["training"], "team": {"channel": card["training"].get("channel")}}, card["summary"]


def read_summary(folder: pathlib.Path) -> dict[str, Any]:
    """The summary of a finished run; raises `RunFolderError` where it is damaged."""
    path = folder / SUMMARY
    summary = read_json(path)
    if not isinstance(summary, dict):
        raise RunFolderError(f"{path} is damaged: it holds no JSON object")
    return summary


def _of_team(summary: Mapping[str, Any], team: str) -> Any:
    """The mean return of a team; raises UnknownNameError where there is no such team among several."""
    returns = summary.get("team_returns_mean")
    known = list(returns) if isinstance(returns, Mapping) else []
    if team not in known:
        raise UnknownNameError(what="team in a metric", name=team, valid=known)
    return returns[team]  # type: ignore[index]


def _number(summary: Mapping[str, Any], key: str, path: pathlib.Path) -> float:
    value = _of_team(summary, key.removeprefix(OF_TEAM)) if key.startswith(OF_TEAM) else summary.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MOST:
        known = [m for m in METRICS if isinstance(summary.get(m), (int, float))]
        hint = f"; it has {', '.join(known)} (--metric)" if key in METRICS and known else ""
        raise RunFolderError(f"{path} has {key}={cut(repr(value))}: must be a number, at most {MOST:g}{hint}")
    return float(value)
