"""A user's own RLModule as the network of a policy."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor

from heliograph.envs.base import flat_observation, flat_size
from heliograph.experiments.choices import resolve
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.rllib.module import PolicyModule
from heliograph.types import Heard, Inputs, Tree

__all__ = ["Guest", "guest_choice", "is_guest"]


class Guest(Model):
    """Acts by an RLModule that knows nothing of messages: its `forward_train` puts out inputs of the distribution.

    `module_class` (or its import path) is built with the policy's own spaces; observations other than Box arrive flat,
    one-hot where they are discrete. The module neither speaks nor hears and has no memory; a value function of its own
    is not used. Actions are sampled by Heliograph, from forward_train in all phases, so that ratios start at 1.
    """

    communicates = False
    message_size = 0

    def __init__(
        self,
        spec: ModelSpec,
        *,
        module_class: Any,
        model_config: Mapping[str, Any] | None = None,
        catalog_class: Any = None,
    ):
        super().__init__(spec)
        self.flat = not isinstance(spec.observation_space, spaces.Box)
        self.module = RLModuleSpec(
            module_class=resolve("module", module_class),
            observation_space=_flat_space(spec.observation_space) if self.flat else spec.observation_space,
            action_space=spec.action_space,
            model_config=dict(model_config or {}),
            catalog_class=resolve("catalog", catalog_class),
        ).build()
        if self.module.is_stateful():
            raise ValueError(
                f"{type(self.module).__name__} is stateful: memories are Heliograph's own here; write a model "
                "(heliograph.models.base.Model) with a memory instead"
            )
        self.hidden_size = spec.action_inputs

    def encode(self, inputs: Inputs) -> Tensor:
        """The distribution inputs, which need nothing but the observation."""
        seen, space = inputs.observation, self.spec.observation_space
        seen = flat_observation(space, seen) if self.flat else seen.float()
        event = 1 if self.flat else len(space.shape)
        batch = seen.shape[: seen.dim() - event]
        out = self.module.forward_train({Columns.OBS: seen.flatten(0, len(batch) - 1)})
        if Columns.ACTION_DIST_INPUTS not in out:
            name, wanted = type(self.module).__name__, Columns.ACTION_DIST_INPUTS
            raise ValueError(f"{name}.forward_train puts out {sorted(out)}: it must hold {wanted!r}")
        return out[Columns.ACTION_DIST_INPUTS].unflatten(0, batch)

    def perceive(self, features: Tree, memory: Tensor, inbox: Heard | None) -> Perceived:
        """Pass the distribution inputs on."""
        return Perceived(hidden=features, memory=memory)

    def act(self, hidden: Tensor) -> Tensor:
        """The distribution inputs."""
        return hidden


def is_guest(module_class: Any) -> bool:
    """Tell whether this is an RLModule that must be wrapped: neither ours nor derived from ours."""
    return isinstance(module_class, type) and not issubclass(module_class, PolicyModule)


def guest_choice(spec: RLModuleSpec | None, *, model_config: Any = None) -> dict[str, Any]:
    """The model of a policy whose RLModule the user gave; nothing where it is Heliograph's own.

    `model_config` is that of all modules, for a specification that has none.
    """
    if spec is None or not is_guest(spec.module_class):
        return {}
    if not issubclass(spec.module_class, TorchRLModule):
        raise ValueError(f"rl_module: {spec.module_class.__name__} is no TorchRLModule, and Heliograph runs on torch")
    given = model_config if spec.model_config is None else spec.model_config
    settings = {"module_class": spec.module_class, "model_config": _plain(given)}
    return {"model": Guest, "model_settings": {**settings, "catalog_class": spec.catalog_class}}


def _plain(model_config: Any) -> dict[str, Any]:
    if model_config is None or isinstance(model_config, Mapping):
        return dict(model_config or {})
    return dataclasses.asdict(model_config)


def _flat_space(space: spaces.Space) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (flat_size(space),), np.float32)
