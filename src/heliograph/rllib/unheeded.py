"""Settings of RLlib that would have no effect here: each is refused, with what does the same."""

import functools
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

__all__ = ["UNHEEDED", "refuse_unheeded"]

CONNECTORS = (
    "connectors work on RLlib's episode objects, which this path never makes; normalise with "
    ".communication(normalise_observations=True), or transform inside the environment or the model's encode()"
)
STACK = "only RLlib's new API stack is there; leave it out"
COMPILED = "networks are not compiled here; leave it out"
COPIES = "copies are batched inside one environment: num_envs_per_env_runner says how many; leave it out"
UNHEEDED = {
    "env_to_module_connector": CONNECTORS,
    "module_to_env_connector": CONNECTORS,
    "learner_connector": CONNECTORS,
    "observation_filter": "filters are of the old API stack; use .communication(normalise_observations=True)",
    "clip_rewards": "rewards are learnt from as they are; use .communication(normalise_rewards=True), or clip them in "
    "the environment",
    "input_": "a team learns from its own rollouts alone; leave it out",
    "output": "there are no episode objects to write; record a corpus, by `heliograph record` or a callback",
    "model": "that dictionary is of the old API stack; use .communication(model=..., model_settings={...})",
    "torch_compile_learner": COMPILED,
    "torch_compile_worker": COMPILED,
    "gym_env_vectorize_mode": COPIES,
    "remote_worker_envs": COPIES,
    "num_aggregator_actors_per_learner": "nothing is aggregated here; leave it out",
    "enable_rl_module_and_learner": STACK,
    "enable_env_runner_and_connector_v2": STACK,
}
"""By the name that `AlgorithmConfig`'s methods take."""


def refuse_unheeded(config: Any) -> None:
    """Raise ValueError where a setting without effect is set, in the evaluation's own settings too."""
    evaluation = config.evaluation_config if isinstance(config.evaluation_config, dict) else {}
    for name, why in UNHEEDED.items():
        attribute, usual = _usual()[name]
        for where, value in (("", getattr(config, attribute)), ("evaluation_config: ", evaluation.get(name, usual))):
            if value != usual:
                raise ValueError(f"{where}{name}={value!r} would have no effect: {why}")
    _refuse_foreign(config)


@functools.cache
def _usual() -> dict[str, tuple[str, Any]]:
    """The attribute behind each setting, and its default."""
    usual = AlgorithmConfig()
    attributes = {name: name if hasattr(usual, name) else f"_{name}" for name in UNHEEDED}
    return {name: (attribute, getattr(usual, attribute)) for name, attribute in attributes.items()}


def _refuse_foreign(config: Any) -> None:
    """Refuse classes that cannot take the place of ours."""
    from heliograph.rllib.env_runner import TeamEnvRunner
    from heliograph.rllib.learner import TeamLearner  # which needs the module that calls this one

    for name, own in (("learner_class", TeamLearner), ("env_runner_cls", TeamEnvRunner)):
        given = getattr(config, name)
        if not (isinstance(given, type) and issubclass(given, own)):
            raise ValueError(f"{name}={given!r}: must be a subclass of {own.__module__}.{own.__name__}")
