"""Environments as RLlib users name them, turned into Heliograph's."""

import dataclasses
import difflib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.tune.registry import ENV_CREATOR, _global_registry

from heliograph import registry
from heliograph.adapters.closing import closed_on_failure
from heliograph.adapters.numbering import first_copy, workers_wanted
from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.recognise import ADAPTERS, Interface, adapter_for, interface_of, remedy
from heliograph.adapters.workers import WorkedEnv
from heliograph.envs.base import TeamEnv
from heliograph.experiments.choices import DECIDED_ELSEWHERE, EnvChoice, functions_resolved, may_make_team, resolve
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """The env runner in which an environment is made, as RLlib counts: 0 is the local one."""

    worker_index: int = 0
    num_workers: int = 0


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
    """Return what `.environment(env, env_config=...)` means.

    `env` is a Heliograph name or class, a name registered with `tune.register_env` or with Gymnasium, a `MultiAgentEnv`
    class, a `pyspiel.Game`, a function that makes an environment of any `Interface`, or a `TeamEnv` class.
    """
    if env is None:
        raise ValueError("no environment: call .environment('speaker_listener'), or any name, class or function")
    if isinstance(env, str) and (":" in env or env in registry.names("env")):
        return EnvChoice(env=env, settings=env_config)
    if isinstance(env, type) and issubclass(env, TeamEnv):
        return EnvChoice(env=env, settings=env_config)
    return foreign_choice(_creator(env), env_config)


def foreign_choice(make: Any, given: Mapping[str, Any], *, name: str | None = None) -> EnvChoice:
    """An environment of another library, of which `given` are settings of the adapter and of its own.

    `name` is what messages call it.
    """
    settings = {k: v for k, v in given.items() if k in ADAPTER_SETTINGS}
    inner = {k: v for k, v in given.items() if k not in ADAPTER_SETTINGS}
    return EnvChoice(env=Foreign(make=make, env_config=inner, name=name or repr(make)), settings=settings)


def at_work(choice: EnvChoice, place: Place) -> EnvChoice:
    """The same environment, which knows in which env runner it is made."""
    env = choice.env
    if isinstance(env, str) and ":" in env and not may_make_team(make := resolve("env", env)):
        choice = foreign_choice(make, choice.settings, name=repr(env))
    if isinstance(choice.env, Foreign):
        return EnvChoice(env=dataclasses.replace(choice.env, place=place), settings=choice.settings)
    return choice


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foreign:
    """Makes the copies of an environment of another library, and adapts them."""

    make: Any
    env_config: dict[str, Any]
    name: str
    place: Place = Place()

    def __call__(self, **settings: Any) -> TeamEnv:
        """An environment with the copies, the seed and the device asked for."""
        if workers_wanted(settings):
            return WorkedEnv(self, settings)
        offered = {"num_envs": settings.get("num_envs", 1), "device": settings.get("device", "cpu")}
        made = [self._one(first_copy(), offered=offered)]
        with closed_on_failure(made):
            return self._adapted(made, settings)

    def _adapted(self, made: list[Any], settings: dict[str, Any]) -> TeamEnv:
        first = made[0]
        adapter = self._adapter_of(first, settings)
        settings = functions_resolved(adapter, settings)
        if interface_of(first) is Interface.VMAS:  # all copies are in the one
            return adapter(lambda **_: first, **settings)

        indices = itertools.count(first_copy() + 1)

        def one() -> Any:
            return made.pop() if made else self._one(next(indices))

        return adapter(one, **settings)

    def _adapter_of(self, first: Any, settings: Mapping[str, Any]) -> Callable[..., TeamEnv]:
        interface = interface_of(first)
        if interface is Interface.TEAM_ENV:
            raise ValueError(
                f"env={self.name} made a {type(first).__name__} with copies of its own: hand in what it adapts, a "
                "TeamEnv class, or the import path 'module:function' of a function that takes num_envs, seed and "
                "device"
            )
        adapter = FromMultiAgentEnv if interface is Interface.RLLIB else interface and adapter_for(interface)
        if adapter is None:
            raise ValueError(remedy(first, name=self.name))
        taken = registry.settings_of(adapter)
        for name in settings:
            if name not in taken:
                raise ValueError(f"{name} is no setting of {adapter.__name__}, which adapts {type(first).__name__}")
        return adapter

    def _one(self, vector_index: int, *, offered: Mapping[str, Any] | None = None) -> Any:
        place = vars(self.place)
        config = Noted(self.env_config, offered=offered or {}, vector_index=vector_index, **place)
        try:
            made = self.make(config) if takes_config(self.make) else self.make(**self.env_config)
            config.refuse_misspelt()
            return made
        except TypeError as error:
            raise ValueError(
                f"env={self.name} cannot be called with env_config={self.env_config}: {error}; hand in a TeamEnv "
                "class, or a function of env_config, such as lambda config: my_env(**config)"
            ) from error


def takes_config(make: Any) -> bool:
    """Tell whether an environment is made from one `env_config`, and not from settings by name as PettingZoo's are.

    That is so for RLlib's classes, and for functions whose first parameter must be given, or is called after it.
    """
    if isinstance(make, type) and issubclass(make, MultiAgentEnv):
        return True
    try:
        parameters = list(inspect.signature(make).parameters.values())
    except (TypeError, ValueError):
        return True
    first = next((p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)), None)
    if first is None:
        return False
    needed = first.kind is first.VAR_POSITIONAL or first.default is first.empty
    return needed or any(word in first.name.lower() for word in ("config", "cfg", "context", "ctx"))


class Noted(EnvContext):
    """An `env_config` that knows which of its keys were read.

    It has no keys but the user's; `offered` is told who asks for it by name, as vectorised environments do that must
    know how many copies to make, and where.
    """

    def __init__(self, env_config: Mapping[str, Any], *, offered: Mapping[str, Any], **place: Any):
        super().__init__(dict(env_config), **place)
        self.unread: set[Any] = set(dict.keys(self))
        self.offered = offered

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
        place = (self.worker_index, self.vector_index, self.remote, self.num_workers, self.recreated_worker)
        return EnvContext, (dict(self), *place)

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
