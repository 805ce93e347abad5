"""What a configuration is held against before training starts: each check refuses one kind of setting, and names it."""

import warnings
from collections import Counter
from typing import TYPE_CHECKING

import torch

from heliograph.checks import check_positive, check_schedule
from heliograph.experiment import RESERVED_POLICY, build_channel, build_policy
from heliograph.registry import UnknownNameError
from heliograph.rllib.callbacks import never_called
from heliograph.rllib.turns import Alternating
from heliograph.sharing import load_into

if TYPE_CHECKING:
    from heliograph.rllib.config import CommunicationConfig

__all__ = ["check_loaded", "check_losses", "check_sizes", "check_trained", "warn_of_callbacks"]


def check_sizes(config: "CommunicationConfig") -> None:
    """Raise ValueError where copies, fragments, batches and learners do not fit each other."""
    check_positive("num_envs_per_env_runner", config.num_envs_per_env_runner)
    if config.rollout_fragment_length != "auto":
        check_positive("rollout_fragment_length", config.rollout_fragment_length)
    config.check_batch()
    copies = config.num_envs_per_env_runner * max(1, config.num_env_runners)
    if copies < config.num_learners:
        raise ValueError(f"num_learners={config.num_learners}: more than there are copies to share ({copies})")


def check_losses(config: "CommunicationConfig") -> None:
    """Raise ValueError where an auxiliary loss is given twice, or its coefficient is no schedule."""
    for name, times in Counter(loss.name for loss in config.losses).items():
        if times > 1:
            raise ValueError(f"losses: {name!r} is given {times} times; give it once")
    for loss in config.losses:
        check_schedule(f"coefficient of loss {loss.name!r}", loss.coefficient)


def check_trained(config: "CommunicationConfig", policies: list[str]) -> None:
    """Raise ValueError where `policies_to_train` is empty or names a policy that is not there."""
    trained = config.policies_to_train
    trained = trained.policies if isinstance(trained, Alternating) else trained
    if callable(trained) and not any(trained(name, None) for name in policies):
        warnings.warn("policies_to_train: trains none of the policies as things are", stacklevel=2)
    if not isinstance(trained, (list, tuple, set)):
        return
    if not trained:
        raise ValueError("policies_to_train is empty: nothing would be trained; name at least one policy")
    for name in trained:
        if name not in policies:
            raise UnknownNameError(what="policy in policies_to_train", name=name, valid=policies)


def check_loaded(config: "CommunicationConfig", policies: list[str]) -> None:
    """Raise ValueError where modules or weights are given for a policy that is not there, or do not fit theirs."""
    for name in config.user_modules():
        if name not in (*policies, RESERVED_POLICY):
            raise UnknownNameError(what="module", name=name, valid=[*policies, RESERVED_POLICY])
    choices = config.choices()
    channel = build_channel(choices.channel, choices.channel_settings)
    for name, loaded in config.loaded_policies().items():
        if name not in policies:
            raise UnknownNameError(what="policy in load_policies", name=name, valid=policies)
        with torch.random.fork_rng(devices=[]):
            load_into(build_policy(choices, config.facts(), name, channel=channel), loaded, name=name)


def warn_of_callbacks(config: "CommunicationConfig") -> None:
    """Warn of callbacks of RLlib that this path never calls."""
    for name in never_called(config):
        warnings.warn(
            f"callbacks: {name} is never called, as this path makes no episode objects; derive from "
            "heliograph.rllib.callbacks.TeamCallbacks and fill in on_episodes_end, which gets whole batches",
            stacklevel=2,
        )
