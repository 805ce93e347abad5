"""Environments as RLlib users name them, turned into Heliograph's."""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium
from ray.tune.registry import ENV_CREATOR, _global_registry

from heliograph import registry
from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.recognise import ADAPTERS, Interface, adapter_for, interface_of, remedy
from heliograph.adapters.stacked import closed_on_failure
from heliograph.envs.base import TeamEnv
from heliograph.experiment import DECIDED_ELSEWHERE, EnvChoice, functions_resolved
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv

COMMON_SETTINGS = tuple(name for name in registry.settings_of(FromPettingZoo) if name not in DECIDED_ELSEWHERE)
"""Settings of every adapter that stacks Python environments."""
ALIKE = 0.8


def _own_settings() -> tuple[str, ...]:
    """Settings that some adapters have and others have not."""
    adapters = (adapter_for(interface) for interface in ADAPTERS)
    names = {name for adapter in adapters for name in registry.settings_of(adapter)}
    return tuple(sorted(names - set(COMMON_SETTINGS) - set(DECIDED_ELSEWHERE)))


ADAPTER_SETTINGS = (*COMMON_SETTINGS, *_own_settings())
"""Keys of `env_config` that go to the adapter of a foreign environment, not to the environment."""


def taken_together(env_config: Mapping[str, Any], given: Mapping[str, Any], *, valid: list[str]) -> dict[str, Any]:
    """`env_config` with what else was given by name to `.environment()`, where an adapter or environment takes it."""
    for name, value in given.items():
        if name not in ADAPTER_SETTINGS:
            raise registry.UnknownNameError(what="setting of .environment()", name=name, valid=valid)
        if name in env_config and env_config[name] != value:
            other = env_config[name]
            raise ValueError(f"{name} is {value!r} in .environment() and {other!r} in env_config: give it once")
    return {**env_config, **given}


def env_choice(env: Any, env_config: dict[str, Any]) -> EnvChoice:
    """What `.environment(env, env_config=...)` means.

    `env` is a Heliograph name or class, a name registered with `tune.register_env` or with Gymnasium, a `MultiAgentEnv`
    class, a `pyspiel.Game`, or a function of `env_config` that makes an environment of any `Interface`.
    """
    if env is None:
        raise ValueError("no environment: call .environment('speaker_listener'), or any name, class or function")
    if isinstance(env, str) and (":" in env or env in registry.names("env")):
        return EnvChoice(env=env, settings=env_config)
    if isinstance(env, type) and issubclass(env, TeamEnv):
        return EnvChoice(env=env, settings=env_config)
    settings = {k: v for k, v in env_config.items() if k in ADAPTER_SETTINGS}
    inner = {k: v for k, v in env_config.items() if k not in ADAPTER_SETTINGS}
    return EnvChoice(env=Foreign(make=_creator(env), env_config=inner), settings=settings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foreign:
    """Makes the copies of an environment of another library, and adapts them."""

    make: Any
    env_config: dict[str, Any]

    def __call__(self, **settings: Any) -> TeamEnv:
        """An environment with the copies, the seed and the device asked for."""
        offered = {"num_envs": settings.get("num_copies", 1), "device": settings.get("device", "cpu")}
        made = [self._one(offered)]
        with closed_on_failure(made):
            return self._adapted(made, settings)

    def _adapted(self, made: list[Any], settings: dict[str, Any]) -> TeamEnv:
        first = made[0]
        adapter = self._adapter_of(first, settings)
        settings = functions_resolved(adapter, settings)
        if interface_of(first) is Interface.VMAS:  # all copies are in the one
            return adapter(lambda **_: first, **settings)

        def one() -> Any:
            return made.pop() if made else self._one()

        return adapter(one, **settings)

    def _adapter_of(self, first: Any, settings: Mapping[str, Any]) -> Callable[..., TeamEnv]:
        interface = interface_of(first)
        if interface is Interface.TEAM_ENV:
            raise ValueError(
                f"env made a {type(first).__name__} with copies of its own: hand in what it adapts, a TeamEnv class, "
                "or the import path 'module:function' of a function that takes num_copies, seed and device"
            )
        adapter = FromMultiAgentEnv if interface is Interface.RLLIB else interface and adapter_for(interface)
        if adapter is None:
            raise ValueError(remedy(first))
        taken = registry.settings_of(adapter)
        for name in settings:
            if name not in taken:
                raise ValueError(f"{name} is no setting of {adapter.__name__}, which adapts {type(first).__name__}")
        return adapter

    def _one(self, offered: Mapping[str, Any] | None = None) -> Any:
        config = Noted(self.env_config, offered=offered or {})
        try:
            made = self.make(config)
            config.refuse_misspelt()
            return made
        except TypeError as error:
            raise ValueError(
                f"env={self.make!r} cannot be called with env_config={self.env_config}: {error}; hand in a function of "
                "env_config, such as lambda config: my_env(**config)"
            ) from error


class Noted(dict):
    """An `env_config` that knows which of its keys were read.

    It has no keys but the user's; `offered` is told who asks for it by name, as vectorised environments do that must
    know how many copies to make, and where.
    """

    def __init__(self, *args: Any, offered: Mapping[str, Any] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.unread = set(dict.keys(self))
        self.offered = offered or {}

    def __missing__(self, key: Any) -> Any:
        return self.offered[key]

    def __getitem__(self, key: Any) -> Any:
        self.unread.discard(key)
        return super().__getitem__(key)

    def __contains__(self, key: Any) -> bool:
        self.unread.discard(key)
        return super().__contains__(key)

    def __iter__(self) -> Iterator[Any]:
        self.unread.clear()
        return super().__iter__()

    def __reduce__(self) -> Any:
        return dict, (dict(self),)

    def get(self, key: Any, default: Any = None) -> Any:
        """As of a dict."""
        self.unread.discard(key)
        return super().get(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        """As of a dict."""
        self.unread.discard(key)
        return super().pop(key, *default)

    def refuse_misspelt(self) -> None:
        """Raise ValueError where a key that the environment did not read is much like one of the adapter's."""
        for key in sorted(map(str, self.unread)):
            near = difflib.get_close_matches(key, ADAPTER_SETTINGS, n=1, cutoff=ALIKE)
            if near:
                raise ValueError(
                    f"unknown key {key!r} of env_config, which the environment did not read; did you mean {near[0]!r}?"
                )

    def _all(self, name: str) -> Any:
        self.unread.clear()
        return getattr(super(), name)()

    items = functools.partialmethod(_all, "items")
    keys = functools.partialmethod(_all, "keys")
    values = functools.partialmethod(_all, "values")
    copy = functools.partialmethod(_all, "copy")


def _creator(env: Any) -> Any:
    if isinstance(env, str):
        if _global_registry.contains(ENV_CREATOR, env):
            return _global_registry.get(ENV_CREATOR, env)
        if env in gymnasium.registry:
            return functools.partial(_of_gymnasium, gymnasium.spec(env))
        raise registry.UnknownNameError(what="env", name=env, valid=registry.names("env"))
    if interface_of(env) is Interface.OPENSPIEL:  # the rules of a game, not one that is being played
        return functools.partial(_same, env)
    if not callable(env):
        raise ValueError(f"env={env!r}: must be a name, a class, or a function of env_config (an instance is one copy)")
    return env


def _of_gymnasium(spec: Any, config: Mapping[str, Any]) -> Any:
    """An environment registered with Gymnasium, without its checker, which knows one agent only."""
    return gymnasium.make(spec, disable_env_checker=True, **config)


def _same(env: Any, config: Mapping[str, Any]) -> Any:
    if config:
        raise ValueError(f"env_config={dict(config)}: {env} is made already: give its settings where it is loaded")
    return env
