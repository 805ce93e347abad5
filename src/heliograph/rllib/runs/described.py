"""What a run folder says of a training run before it begins: everything that its numbers depend on."""

import dataclasses
import json
import platform
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import ray
import torch

import heliograph
from heliograph.analysis.evaluate import FRESH
from heliograph.experiments.choices import resolve
from heliograph.experiments.resolved import defaults_of, resolved_choices
from heliograph.experiments.settings import TrainSettings
from heliograph.experiments.team_settings import BESIDE
from heliograph.registry import settings_of
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.loss_choice import LossChoice
from heliograph.storage.provenance import components_in, hardware, origin
from heliograph.storage.run_folder import plain

__all__ = ["batch_of", "batch_told", "description", "known_settings", "refuse_nameless", "versions"]

ENV_RUNNER_SETTINGS = ("num_envs_per_env_runner", "rollout_fragment_length", "batch_mode", "sample_timeout_s")
TRAINING_SETTINGS = (
    "gamma",
    "lr",
    "grad_clip",
    "grad_clip_by",
    "train_batch_size_per_learner",
    "num_epochs",
    "minibatch_size",
)
"""Of RLlib's own `.training()`; those that an algorithm adds are read off its signature."""
WHERE = ("num_env_runners", "num_learners", "num_gpus_per_learner", "num_gpus_per_env_runner")


def versions() -> dict[str, str]:
    """Versions of everything that the numbers depend on."""
    own = {"heliograph": heliograph.__version__, "python": platform.python_version()}
    libraries = {"numpy": np.__version__, "gymnasium": gymnasium.__version__, "ray": ray.__version__}
    return {**own, "torch": torch.__version__, **libraries, "platform": platform.platform()}


def known_settings(config: CommunicationConfig) -> list[str]:
    """Names that `algorithm_settings` may hold for an algorithm: names of its `.training()` and of `.env_runners()`."""
    own = [key for key in settings_of(type(config).training) if key != "kwargs"]
    return sorted({*TRAINING_SETTINGS, *own, *ENV_RUNNER_SETTINGS})


def description(config: CommunicationConfig, settings: TrainSettings) -> dict[str, Any]:
    """Entries of config.json: the settings as given and with every default, the batch, seeds, code, and the machine."""
    told = json.loads(json.dumps(settings, default=plain))
    components = components_in(told)
    return {
        "training": settings,
        "resolved": {**resolved_choices(config.env_choice(), config.choices(), config.facts()), **_resolved(config)},
        "batch": batch_of(config),
        "seed": settings.seed,
        "seeds": {"training": settings.seed, "evaluation": FRESH + settings.seed},
        "components": [dataclasses.asdict(component) for component in components],
        **origin(components),
        "hardware": hardware(),
        "versions": versions(),
    }


def _resolved(config: CommunicationConfig) -> dict[str, Any]:
    chosen = {name: getattr(config, name) for name in (*BESIDE, *WHERE) if hasattr(config, name)}
    return {
        "training": {name: getattr(config, name) for name in known_settings(config) if hasattr(config, name)},
        "team": chosen,
        "losses": {loss.name: _loss(loss) for loss in config.losses},
        "policies_to_train": [name for name in _policies(config) if config.is_trained(name)],
    }


def _policies(config: CommunicationConfig) -> list[str]:
    chosen = config.choices().policies
    return list(chosen) if chosen else [role.name for role in config.facts().roles]


def _loss(loss: LossChoice) -> dict[str, Any]:
    made = resolve("loss", loss.loss)
    return {"coefficient": loss.coefficient, **defaults_of(made), **loss.settings}


def batch_of(config: CommunicationConfig) -> dict[str, int | None]:
    """Env steps of an update: those asked for, and those that rollouts of whole stretches come to (None: it varies).

    `fragment_env_steps`: of each of `num_envs` copies in one rollout; None where rollouts are whole episodes.
    """
    copies = config.num_envs_per_env_runner * max(1, config.num_env_runners)
    if config.batch_mode == "complete_episodes":
        return {"asked_env_steps": None, "env_steps": None, "fragment_env_steps": None, "num_envs": copies}
    asked, fragment = int(config.total_train_batch_size), config.fragment_length()
    rounds = -(-asked // (fragment * copies))
    real = rounds * fragment * copies
    return {"asked_env_steps": asked, "env_steps": real, "fragment_env_steps": fragment, "num_envs": copies}


def batch_told(batch: Mapping[str, int | None]) -> str:
    """The same in words, for whoever waits for the first iteration."""
    keys = ("env_steps", "asked_env_steps", "fragment_env_steps", "num_envs")
    real, asked, fragment, copies = (batch[key] for key in keys)
    if real is None or fragment is None or copies is None or asked is None:
        return f"batch: whole episodes of {copies} copies an iteration"
    rollouts = real // (fragment * copies)
    other = "" if real == asked else f" ({asked:,} asked)"
    return f"batch: {real:,} env steps an iteration{other}: {rollouts} x {fragment} steps of {copies} copies"


def refuse_nameless(chosen: Mapping[str, Any]) -> None:
    """Refuse choices without an import path, such as a class of a script or notebook: nobody could read such a run.

    `chosen` are settings structures by where they stand. Raises ValueError before anything is trained, with the remedy.
    """
    leaves = (leaf for where, some in chosen.items() for leaf in _leaves(where, some.model_dump()))
    for where, value in leaves:
        if isinstance(plain(value), dict) and not hasattr(value, "model_dump"):
            name = getattr(value, "__qualname__", type(value).__name__)
            module = f"my_{name.lower()}" if name.isidentifier() else "my_module"
            raise ValueError(
                f"{where}={value!r}: is defined in a script, a notebook or a function, and a run folder names code by "
                f"its import path; move it to a file {module}.py and import it from there, or name it "
                f"'./{module}.py:{getattr(value, '__name__', name)}', or train without a folder (LocalTrainer, "
                "build_algo())"
            )


def _leaves(where: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(f"{where}.{key}" if where else str(key), part)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            yield from _leaves(where, part)
    elif value is not None and not isinstance(value, (str, int, float, bool)):
        yield where, value
