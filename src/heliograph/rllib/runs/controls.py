"""Controls of a run in Python: its silent and its random-message control, on the same budget, beside its folder."""

import pathlib
from typing import Any

from heliograph.experiments.channel_layers import wrapped_in
from heliograph.experiments.controls import CONTROLS
from heliograph.experiments.settings import OF_MESSAGES, TrainSettings, control_of
from heliograph.registry import UnknownNameError
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.runs.configured import BUDGET, Trainable
from heliograph.rllib.runs.saved import BEYOND
from heliograph.rllib.runs.train import OnProgress, resumed_settings, train
from heliograph.storage.run_folder import CONFIG, SUMMARY, RunFolderError, read_config
from heliograph.storage.safe_files import read_json

__all__ = ["control_config", "train_controls"]


def train_controls(
    folder: str | pathlib.Path,
    *,
    config: CommunicationConfig | None = None,
    only: str | None = None,
    on_progress: OnProgress | None = None,
    overwrite: bool = False,
) -> dict[str, dict[str, Any]]:
    """Train controls of a run that has ended, in `folder`/silent and `folder`/garbled; return their summaries by kind.

    They take the budget of the run: its iterations, or the env steps that it took. `config` is the configuration of a
    run that was trained by what no settings say (callbacks, a policy mapping, an RLModule). `only`: "silent" or
    "garbled" alone. Controls that are there are kept as they are, unless `overwrite`. Raises `RunFolderError` where the
    run has not ended, or says nothing.
    """
    place = pathlib.Path(folder).absolute()
    content = read_config(place)
    if content["team"].get("channel") == "none":
        raise RunFolderError(f"{place} has channel none: it is its own no-communication control")
    if content.get(BEYOND) and config is None:
        told = ", ".join(sorted(map(str, content[BEYOND])))
        raise RunFolderError(
            f"{place} was trained with {told}, which no settings say: give its configuration (config=)"
        )
    if not (place / SUMMARY).exists():
        raise RunFolderError(f"{place} has not ended: resume it first")
    if only is not None and only not in CONTROLS:
        raise UnknownNameError(what="control", name=only, valid=list(CONTROLS))
    settings = resumed_settings(content)
    steps = read_json(place / SUMMARY)["num_env_steps"] if settings.open_ended else None
    found = {}
    for kind in [only] if only else CONTROLS:
        if (place / kind / CONFIG).exists() and not overwrite:
            found[kind] = read_json(place / kind / SUMMARY)
            continue
        control, budget = _control(settings, config, kind, env_steps=steps)
        how: dict[str, Any] = {"overwrite": overwrite, "on_progress": on_progress}
        found[kind] = train(control, out=place / kind, **how, **budget)
    return found


def _control(
    settings: TrainSettings, config: CommunicationConfig | None, kind: str, *, env_steps: int | None
) -> tuple[Trainable, dict[str, Any]]:
    """Settings to be trained, and on which budget."""
    control = control_of(settings, kind, env_steps=env_steps)
    if config is None:
        return control, {}
    budget = {key: getattr(control, key) for key in BUDGET}
    return control_config(config, kind), {key: value for key, value in budget.items() if value}


def control_config(config: CommunicationConfig, kind: str) -> CommunicationConfig:
    """The configuration of a control: as `heliograph.experiments.settings.control_of`, with all else that it says."""
    control: CommunicationConfig = config.copy(copy_frozen=False)
    if kind == "garbled":
        return control.communication(channel=wrapped_in("garbled", config.choices().channel))
    plain = type(config)()
    for name in OF_MESSAGES:
        if hasattr(plain, name):
            setattr(control, name, getattr(plain, name))
    if config.load_policies:
        control.policies_to_train = None
    silent: dict[str, Any] = {"channel": "none", "channel_settings": {}, "topology": "full", "topology_settings": {}}
    return control.communication(**silent, load_policies={}, freeze_team=False)
