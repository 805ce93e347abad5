"""Settings of RLlib that would have no effect here are refused, each with what does the same."""

import difflib
import functools
from collections.abc import Mapping
from typing import Any

from ray._common.deprecation import DEPRECATED_VALUE
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from heliograph.rllib.env_runner import TeamEnvRunner
from heliograph.rllib.learner import TeamLearner
from heliograph.rllib.stock_settings import OWN_STATE, SETTINGS, Heeded, Refused, attribute_of

__all__ = ["UNHEEDED", "refuse_unheeded"]

UNHEEDED = {name: setting.why for name, setting in SETTINGS.items() if isinstance(setting, Refused)}
"""Why each one is refused, by the name that `AlgorithmConfig`'s methods take."""
INSTEAD = {
    "num_env_runners": "evaluation has env runners of its own: set evaluation_num_env_runners",
    "batch_mode": "evaluation_duration_unit decides it: 'episodes' or 'timesteps'",
    "rollout_fragment_length": "evaluation_duration decides it",
}
"""What to set in place of a setting that `evaluation_config` may not hold."""
PLAYS_ONLY = "evaluation plays with the team that was trained, and learns nothing; leave it out"
OWN_OF_EVALUATION = ("torch_num_threads",)
"""Settings of Heliograph's that `evaluation_config` may hold."""
FROM_OUTSIDE = {"worker_index", "class"}
"""Attributes that Ray puts on configurations it has never declared."""


def refuse_unheeded(config: Any) -> None:
    """Raise ValueError where a setting without effect is set, in the evaluation's own settings too."""
    _refuse_unknown(config)
    for name, setting in SETTINGS.items():
        value = getattr(config, attribute_of(name))
        if isinstance(setting, Refused) and value != _usual(name) and not setting.unless(config):
            raise ValueError(_told(name, value, setting.why))
    _refuse_deprecated(config)
    if isinstance(config.evaluation_config, dict):
        _refuse_in_evaluation(config, config.evaluation_config)
    _refuse_foreign(config)


def _told(name: str, value: Any, why: str) -> str:
    return f"{name}={value!r} would have no effect: {why}"


@functools.cache
def _stock() -> AlgorithmConfig:
    return AlgorithmConfig()


def _usual(name: str) -> Any:
    """A setting's default in RLlib."""
    return getattr(_stock(), attribute_of(name))


def _known_of(config: Any) -> frozenset[str]:
    """The attributes that a configuration of its class has from the start."""
    kind: Any = type(config)
    return _known(kind)


@functools.cache
def _known(kind: Any) -> frozenset[str]:
    return frozenset(vars(kind()))


def _refuse_unknown(config: Any) -> None:
    """`update_from_dict`, by which Tune and `evaluation_config` set things, takes any name without a word."""
    for name in vars(config):
        if name not in _known_of(config) | FROM_OUTSIDE and not name.startswith("__"):  # those are Tune's own
            raise ValueError(_unknown(name, config))


def _unknown(name: str, config: Any) -> str:
    near = difflib.get_close_matches(name, [*_known_of(config), *SETTINGS], n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "no setting is called so; leave it out"
    return f"unknown setting {name!r} of {type(config).__name__}: {hint}"


def _refuse_deprecated(config: Any) -> None:
    for name, usual in vars(_stock()).items():
        deprecated = type(usual) is int and usual == DEPRECATED_VALUE and name not in OWN_STATE | set(SETTINGS)
        if deprecated and getattr(config, name) != usual:
            raise ValueError(_told(name, getattr(config, name), "RLlib has given it up; leave it out"))


def _refuse_in_evaluation(config: Any, given: Mapping[str, Any]) -> None:
    names = {attribute_of(name): name for name in SETTINGS}
    for key, value in given.items():
        attribute = AlgorithmConfig._translate_special_keys(key, warn_deprecated=False)
        attribute = attribute if attribute in names or key not in SETTINGS else attribute_of(key)
        name = names.get(attribute)
        if name is None and attribute not in _known_of(config):
            raise ValueError(f"evaluation_config: {_unknown(key, config)}")
        why = _why_not_in_evaluation(config, name or attribute, value)
        if why:
            raise ValueError(f"evaluation_config: {_told(key, value, why)}")


def _why_not_in_evaluation(config: Any, name: str, value: Any) -> str | None:
    """Why a value has no effect in an evaluation; None where it has one, or says what is so anyway."""
    setting = SETTINGS.get(name)
    if setting is None:
        return None if name in OWN_OF_EVALUATION or value == getattr(config, name) else PLAYS_ONLY
    if isinstance(setting, Heeded):
        same = setting.evaluation or value == getattr(config, attribute_of(name))
        by_itself = "set it in .evaluation() itself" if name.startswith("evaluation_") else PLAYS_ONLY
        return None if same else INSTEAD.get(name, by_itself)
    return None if value == _usual(name) or setting.unless(config) else setting.why


def _refuse_foreign(config: Any) -> None:
    """Refuse classes that cannot take the place of ours."""
    for name, own in (("learner_class", TeamLearner), ("env_runner_cls", TeamEnvRunner)):
        given = getattr(config, name)
        if not (isinstance(given, type) and issubclass(given, own)):
            raise ValueError(f"{name}={given!r}: must be a subclass of {own.__module__}.{own.__name__}")
