"""Training settings as an RLlib configuration, and a configuration as the settings that come closest to it."""

import copy
import json
import pathlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.policy.policy import PolicySpec

from heliograph import registry
from heliograph.experiments.choices import build_layout, resolve
from heliograph.experiments.recipe_paths import recipe_at
from heliograph.experiments.settings import TrainSettings, settings_from
from heliograph.experiments.settings_file import settings_in
from heliograph.experiments.team_settings import BESIDE
from heliograph.importing import import_path
from heliograph.names import safe_names
from heliograph.registry import UnknownNameError
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.mapping import OwnNetwork, RoleMapping
from heliograph.rllib.runs.described import ENV_RUNNER_SETTINGS, known_settings
from heliograph.rollouts.statistics import OF_TEAM

__all__ = ["Trainable", "beyond_settings", "config_of", "given_settings", "settings_of_config"]


@runtime_checkable
class HasSettings(Protocol):
    """A recipe."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those of a training run."""


Trainable = TrainSettings | CommunicationConfig | HasSettings | Mapping[str, Any] | str | pathlib.Path
"""What can be trained: settings (as a structure, a mapping, or a YAML or JSON file), a configuration, or a recipe."""
BUDGET = (
    "iterations", "env_steps", "until", "patience", "checkpoint_every", "evaluation_episodes", "evaluate_every",
    "record_every",
)  # fmt: skip
"""Settings of a run that RLlib's configuration does not have."""
WORKERS = ("num_env_runners", "num_learners")


def given_settings(given: Trainable, changes: Mapping[str, Any]) -> TrainSettings:
    """The settings of anything that can be trained, with some changed (None: as they are)."""
    changes = {key: value for key, value in changes.items() if value is not None}
    if isinstance(given, CommunicationConfig):
        return settings_of_config(given, changes)
    found: Any = _named(str(given)) if isinstance(given, (str, pathlib.Path)) else given
    given = found.settings if isinstance(found, HasSettings) else found
    own = dict(given) if isinstance(given, Mapping) else {key: getattr(given, key) for key in given.model_fields_set}
    if {"iterations", "env_steps"} & changes.keys():
        own |= {"iterations": None, "env_steps": None}
    return settings_from({**own, **changes})


def _named(name: str) -> Any:
    """Return a recipe by its name or import path, or the settings in a file."""
    path = pathlib.Path(name)
    if ":" in name and not path.is_file():
        if (recipe := recipe_at(name)) is None:
            raise ValueError(f"{name!r} is no recipe, and no file of settings; to train in it say {{'env': {name!r}}}")
        return recipe
    return settings_in(path) if path.suffix else registry.load("recipe", name)()


def config_of(settings: TrainSettings) -> CommunicationConfig:
    """The RLlib configuration that the settings come to."""
    config: CommunicationConfig = resolve("algorithm", settings.algorithm)()
    valid = known_settings(config)
    for name in settings.algorithm_settings:
        if name not in valid:
            raise UnknownNameError(what=f"setting of algorithm {settings.algorithm!r}", name=name, valid=valid)
    given = settings.algorithm_settings
    config.environment(settings.env, env_config=dict(settings.env_settings), curriculum=settings.curriculum)
    config.communication(**settings.chosen(), **settings.beside())
    _check_teams_of(settings, config)
    config.communication(losses=[tuple(x) if isinstance(x, list) else x for x in settings.losses])
    _add_policies(settings, config)
    config.communication(load_policies=settings.load_policies, **settings.lessons())
    config.training(**{k: v for k, v in given.items() if k not in ENV_RUNNER_SETTINGS})
    config.env_runners(**{k: v for k, v in given.items() if k in ENV_RUNNER_SETTINGS})
    config.env_runners(num_env_runners=settings.num_env_runners).learners(num_learners=settings.num_learners)
    if settings.callbacks:
        config.callbacks([_callback(given) for given in settings.callbacks])
    if settings.num_gpus_per_learner:
        config.learners(num_gpus_per_learner=settings.num_gpus_per_learner)
    return config.debugging(seed=settings.seed, log_level="ERROR")


def _callback(given: Any) -> Any:
    """A class of callbacks, from itself or its import path."""
    if isinstance(given, str) and ":" not in given:
        raise ValueError(f"callbacks={given!r}: must be a class, or its import path, 'my_package.watching:Watch'")
    found = resolve("callbacks", given)
    if not (isinstance(found, type) and issubclass(found, RLlibCallback)):
        told = "must be a subclass of ray.rllib.callbacks.callbacks.RLlibCallback, such as heliograph.TeamCallbacks"
        raise ValueError(f"callbacks={given!r}: {told}")
    return found


def _callbacks_of(config: CommunicationConfig) -> list[Any]:
    """Callbacks that a configuration was given, beside the algorithm's own."""
    own = config.callbacks_class
    if own is type(config)().callbacks_class:
        return []
    return list(own) if isinstance(own, (list, tuple)) else [own]


def _add_policies(settings: TrainSettings, config: CommunicationConfig) -> None:
    """Policies of the user's, or one for each agent; and those that are frozen."""
    ids = config.facts().ids_by_name if settings.policies or settings.networks == "separate" else {}
    if settings.policies:
        chosen = settings.choices().policies or {}
        names = {ids[agent]: name for name, policy in chosen.items() for agent in policy.agents}
        specs = {n: PolicySpec(config=settings.policies[n].config() if n in settings.policies else {}) for n in chosen}
        config.multi_agent(policies=specs, policy_mapping_fn=OwnNetwork(names=names))
    elif settings.networks == "separate":
        names = {ids[agent]: name for agent, name in safe_names(ids).items()}
        config.multi_agent(policies=set(names.values()), policy_mapping_fn=OwnNetwork(names=names))
    if settings.freeze:
        policies = list(build_layout(settings.choices(), config.facts()).policies)
        for name in settings.freeze:
            if name not in policies:
                raise UnknownNameError(what="policy to freeze", name=name, valid=policies)
        config.multi_agent(policies_to_train=[name for name in policies if name not in settings.freeze])


def _check_teams_of(settings: TrainSettings, config: CommunicationConfig) -> None:
    """Refuse to wait for the return of a team that there is not: training would never end."""
    asked = [key for key in settings.until if key.startswith(OF_TEAM)]
    teams = config.facts().teams if asked else ()
    for key in asked:
        if len(teams) == 1 or key.removeprefix(OF_TEAM) not in teams:
            valid = [f"{OF_TEAM}{name}" for name in teams if len(teams) > 1]
            raise UnknownNameError(what="metric in until", name=key, valid=valid)


def settings_of_config(config: CommunicationConfig, budget: Mapping[str, Any] | None = None) -> TrainSettings:
    """A configuration in the words of training settings; `beyond_settings` tells what has no words there."""
    for key in budget or {}:
        if key not in BUDGET:
            raise UnknownNameError(what="setting beside a configuration", name=key, valid=list(BUDGET))
    plain = type(config)()
    known = {name: getattr(config, name) for name in known_settings(config) if hasattr(config, name)}
    algorithm = {name: value for name, value in known.items() if value != getattr(plain, name, None)}
    return settings_from(
        {
            "env": config.env,
            "env_settings": dict(config.env_config or {}),
            "curriculum": dict(config.curriculum),
            **{key: copy.copy(value) for key, value in config.model_choice.items()},
            "algorithm": _name_of(type(config)),
            "algorithm_settings": algorithm,
            "losses": tuple([loss.loss, loss.coefficient, dict(loss.settings)] for loss in config.losses),
            "load_policies": {name: loaded.source for name, loaded in config.load_policies.items()},
            **{key: getattr(config, key) for key in BESIDE if getattr(config, key) != getattr(plain, key)},
            **{key: getattr(config, key) for key in WORKERS},
            **_lessons(config),
            "callbacks": tuple(given for given in _callbacks_of(config) if import_path(given) is not None),
            "num_gpus_per_learner": config.num_gpus_per_learner or None,
            "seed": 0 if config.seed is None else config.seed,
            **(budget or {}),
        }
    )


def _lessons(config: CommunicationConfig) -> dict[str, Any]:
    """Return what is learnt from a corpus in a folder; one in memory has no words in settings."""
    if config.learn_from is None:
        return {}
    return {
        "learn_from": str(config.learn_from),
        "learn_updates": config.learn_updates,
        "learn_policies": tuple(config.learn_policies),
    }


def beyond_settings(config: CommunicationConfig) -> dict[str, str]:
    """All that a configuration has that training settings do not say, as text.

    With it such a run cannot be begun anew.
    """
    found: dict[str, Any] = {}
    mapping = config.policy_mapping_fn
    if config.policy_mapping() is not None:
        found["policies"] = sorted(config.policies)
        found["policy_mapping_fn"] = mapping
    if config.policies_to_train is not None and not isinstance(mapping, RoleMapping):
        found["policies_to_train"] = config.policies_to_train
    if config.user_modules():
        found["rl_module"] = {name: spec.module_class for name, spec in config.user_modules().items()}
    if nameless := [given for given in _callbacks_of(config) if import_path(given) is None]:
        found["callbacks"] = nameless
    if config.evaluation_interval:
        found["evaluation_interval"] = config.evaluation_interval
    return {name: json.loads(json.dumps(value, default=repr)) for name, value in found.items()}


def _name_of(kind: type) -> Any:
    """The public id of an algorithm; the class itself where it is the user's own."""
    ours = {registry.load("algorithm", name): name for name in registry.names("algorithm")}
    return ours.get(kind, kind)
