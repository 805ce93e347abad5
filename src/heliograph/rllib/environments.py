"""Environments as RLlib users name them, turned into Heliograph's."""

import dataclasses
from typing import Any

from pettingzoo import AECEnv, ParallelEnv
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.tune.registry import ENV_CREATOR, _global_registry

from heliograph import registry
from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.stacked import closed_on_failure
from heliograph.envs.base import TeamEnv
from heliograph.experiment import EnvChoice
from heliograph.rllib.multi_agent_env import FromMultiAgentEnv

BASE_SETTINGS = ("time_limit", "talk_steps", "meaning_fn", "role_of", "speaking", "success_fn")
"""Keys of `env_config` that go to the adapter of a foreign environment, not to the environment."""


def env_choice(env: Any, env_config: dict[str, Any]) -> EnvChoice:
    """What `.environment(env, env_config=...)` means.

    `env` is a Heliograph name or class, a name registered with `tune.register_env`, a `MultiAgentEnv` class, or a
    function of `env_config` that makes a `MultiAgentEnv`, a PettingZoo environment, or a `TeamEnv` class.
    """
    if env is None:
        raise ValueError("no environment: call .environment('speaker_listener'), or any name, class or function")
    if isinstance(env, str) and (":" in env or env in registry.names("env")):
        return EnvChoice(env=env, settings=env_config)
    if isinstance(env, type) and issubclass(env, TeamEnv):
        return EnvChoice(env=env, settings=env_config)
    settings = {k: v for k, v in env_config.items() if k in BASE_SETTINGS}
    inner = {k: v for k, v in env_config.items() if k not in BASE_SETTINGS}
    return EnvChoice(env=Foreign(make=_creator(env), env_config=inner), settings=settings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foreign:
    """Makes the copies of an environment of another library, and adapts them."""

    make: Any
    env_config: dict[str, Any]

    def __call__(self, **settings: Any) -> TeamEnv:
        """An environment with the copies, the seed and the device asked for."""
        made = [self._one()]
        with closed_on_failure(made):
            return self._adapted(made, settings)

    def _adapted(self, made: list[Any], settings: dict[str, Any]) -> TeamEnv:
        first = made[0]

        def one() -> Any:
            return made.pop() if made else self._one()

        if isinstance(first, MultiAgentEnv):
            return FromMultiAgentEnv(one, **settings)
        if isinstance(first, (ParallelEnv, AECEnv)):
            return FromPettingZoo(one, **settings)
        if isinstance(first, TeamEnv):
            raise ValueError(
                f"env made a {type(first).__name__} with copies of its own: hand in what it adapts, a TeamEnv class, "
                "or the import path 'module:function' of a function that takes num_copies, seed and device"
            )
        raise ValueError(
            f"env made a {type(first).__name__}: must be a heliograph TeamEnv class, a PettingZoo ParallelEnv or "
            "AECEnv, or an RLlib MultiAgentEnv"
        )

    def _one(self) -> Any:
        try:
            return self.make(dict(self.env_config))
        except TypeError as error:
            raise ValueError(
                f"env={self.make!r} cannot be called with env_config={self.env_config}: {error}; hand in a function of "
                "env_config, such as lambda config: my_env(**config)"
            ) from error


def _creator(env: Any) -> Any:
    if isinstance(env, str):
        if _global_registry.contains(ENV_CREATOR, env):
            return _global_registry.get(ENV_CREATOR, env)
        raise registry.UnknownNameError(what="env", name=env, valid=registry.names("env"))
    if not callable(env):
        raise ValueError(f"env={env!r}: must be a name, a class, or a function of env_config (an instance is one copy)")
    return env
