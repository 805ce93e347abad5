"""Controls of a run in Python: its silent, garbled and self-only controls, on the same budget, beside its folder."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from heliograph.experiments.channel_layers import wrapped_in
from heliograph.experiments.controls import USUAL_CONTROLS
from heliograph.experiments.jobs import controls_named
from heliograph.experiments.settings import OF_MESSAGES, TrainSettings, control_of, has_own_words
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.runs.configured import BUDGET, Trainable
from heliograph.rllib.runs.finished import finished_run
from heliograph.rllib.runs.one_run import OnProgress, resume, resumed_settings, train_alone
from heliograph.rllib.runs.saved import BEYOND
from heliograph.storage.run_folder import CONFIG, SUMMARY, RunFolderError, read_config
from heliograph.storage.safe_files import read_json

__all__ = ["control_config", "train_controls"]

BY_BUDGET = ("iterations", "env_steps")
"""What `stopped_by` says of runs whose settings tell how long they took."""


def train_controls(
    folder: str | pathlib.Path,
    *,
    config: CommunicationConfig | None = None,
    only: str | Iterable[str] | None = None,
    on_progress: OnProgress | None = None,
    overwrite: bool = False,
    command: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Train controls of a run that has ended, in `folder`/silent and `folder`/garbled; return their summaries by kind.

    They take the budget of the run: its iterations, or the env steps that it took. `config` is the configuration of a
    run that was trained by what no settings say (callbacks, a policy mapping, an RLModule). `only`: a control, or
    several: "silent", "garbled", "self". Controls that are there are kept as they are, and gone on with where they have
    not ended, unless `overwrite`; after an interrupt none is begun. Raises `RunFolderError` where the run has not
    ended, or says nothing.
    """
    place, kinds = pathlib.Path(folder).absolute(), USUAL_CONTROLS if only is None else controls_named(only)
    content = read_config(place)
    settings = resumed_settings(content)
    if settings.channel == "none" and not has_own_words(settings):
        raise RunFolderError(f"{place} has channel none: it is its own no-communication control")
    if content.get(BEYOND) and config is None:
        told = ", ".join(sorted(map(str, content[BEYOND])))
        raise RunFolderError(
            f"{place} was trained with {told}, which no settings say: give its configuration (config=)"
        )
    if not (place / SUMMARY).exists():
        raise RunFolderError(f"{place} has not ended: resume it first")
    steps = _steps_taken(settings, read_json(place / SUMMARY))
    found: dict[str, dict[str, Any]] = {}
    how: dict[str, Any] = {"on_progress": on_progress, "command": command}
    for kind in kinds:
        if (place / kind / CONFIG).exists() and not overwrite:
            found[kind] = finished_run(place / kind) or resume(place / kind, **how)
        else:
            control, budget = _control(settings, config, kind, env_steps=steps)
            found[kind] = train_alone(control, out=place / kind, overwrite=overwrite, **how, **budget)
        if found[kind].get("stopped_by") == "interrupt":
            break
    return found


def _steps_taken(settings: TrainSettings, summary: Mapping[str, Any]) -> int | None:
    """Env steps of a run that ended before its budget, or had none; None where its settings tell."""
    early = settings.open_ended or summary.get("stopped_by", BY_BUDGET[0]) not in BY_BUDGET
    return summary["num_env_steps"] if early else None


def _control(
    settings: TrainSettings, config: CommunicationConfig | None, kind: str, *, env_steps: int | None
) -> tuple[Trainable, dict[str, Any]]:
    """Settings to be trained, and on which budget."""
    control = control_of(settings, kind, env_steps=env_steps)
    if config is None:
        return control, {}
    budget = {key: value for key in BUDGET if (value := getattr(control, key))}
    if settings.channel == "none":  # words of the task's own, which the environment replaces
        changed: CommunicationConfig = config.copy(copy_frozen=False)
        return changed.environment(config.env, env_config=dict(control.env_settings)), budget
    return control_config(config, kind), budget


def control_config(config: CommunicationConfig, kind: str) -> CommunicationConfig:
    """The configuration of a control: as `heliograph.experiments.settings.control_of`, with all else that it says."""
    control: CommunicationConfig = config.copy(copy_frozen=False)
    if kind == "garbled":
        return control.communication(channel=wrapped_in("garbled", config.choices().channel))
    if kind == "self":
        return control.communication(topology="self_only", topology_settings={})
    plain = type(config)()
    for name in OF_MESSAGES:
        if hasattr(plain, name):
            setattr(control, name, getattr(plain, name))
    if config.load_policies:
        control.policies_to_train = None
    silent: dict[str, Any] = {"channel": "none", "channel_settings": {}, "topology": "full", "topology_settings": {}}
    return control.communication(**silent, load_policies={}, freeze_team=False)
