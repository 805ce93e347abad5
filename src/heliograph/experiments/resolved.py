"""Choices with every setting filled in, defaults too, as a run folder keeps them (no ray)."""

import inspect
from collections.abc import Mapping
from typing import Any

from heliograph import registry
from heliograph.envs.base import TeamEnv
from heliograph.experiments.channel_layers import layer_names, layers_of
from heliograph.experiments.choices import DECIDED_ELSEWHERE, EnvChoice, EnvFacts, TeamChoices, build_layout, resolve

__all__ = ["defaults_of", "resolved_choices"]


def defaults_of(component: Any) -> dict[str, Any]:
    """The settings of a component that have a default, and what it is.

    Those that an environment passes on (`**base: Unpack[BaseSettings]`) have the defaults of `TeamEnv`.
    """
    try:
        known = registry.settings_of(component)
    except (TypeError, ValueError):  # what has no signature has no settings that could be read off
        return {}
    base = registry.settings_of(TeamEnv) if _is_env(component) else {}
    found = {}
    for name, parameter in known.items():
        default = parameter.default
        if default is inspect.Parameter.empty and name in base:
            default = base[name].default
        if default is not inspect.Parameter.empty:
            found[name] = default
    return found


def resolved_choices(env: EnvChoice, choices: TeamChoices, facts: EnvFacts) -> dict[str, Any]:
    """Settings of the environment, of each policy's model, of the channel with its wrappers, and of the topology."""
    made = resolve("env", env.env)
    own = {name: value for name, value in defaults_of(made).items() if name not in DECIDED_ELSEWHERE}
    return {
        "env": {**own, **env.settings},
        "models": {name: _model_of(choices, name) for name in build_layout(choices, facts).policies},
        "channel": _of_channel(choices),
        **_of_population(choices),
        "topology": {**defaults_of(resolve("topology", choices.topology)), **choices.topology_settings},
    }


def _of_population(choices: TeamChoices) -> dict[str, Any]:
    if choices.population is None:
        return {}
    return {"population": {**defaults_of(resolve("population", choices.population)), **choices.population_settings}}


def _model_of(choices: TeamChoices, policy: str) -> dict[str, Any]:
    own = choices.policies[policy] if choices.policies else None
    mine = own is not None and own.model is not None
    name = own.model if own is not None and mine else choices.model
    given: Mapping[str, Any] = {} if own is None else own.model_settings
    inherited = {} if mine else choices.model_settings
    return {"model": name, **defaults_of(resolve("model", name)), **inherited, **given}


def _of_channel(choices: TeamChoices) -> dict[str, Any]:
    """Settings of all layers together in the short form; in full each one's are under its name."""
    layers = layers_of(choices.channel, choices.channel_settings)
    found: dict[str, Any] = {}
    for name, layer in zip(layer_names(layers), layers, strict=True):
        own = defaults_of(resolve("channel", layer.channel))
        if layer.settings is None:
            found = {**own, **found}
        else:
            found |= {f"{name}.{key}": value for key, value in {**own, **layer.settings}.items()}
    return {**found, **choices.channel_settings}


def _is_env(component: Any) -> bool:
    return inspect.isclass(component) and issubclass(component, TeamEnv)
