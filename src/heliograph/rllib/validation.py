"""What a configuration is held against before training starts: each check refuses one kind of setting, and names it."""

import functools
import math
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from gymnasium import spaces

from heliograph.checks import check_positive, check_schedule
from heliograph.envs.base import flat_size
from heliograph.experiments.choices import RESERVED_POLICY, build_channel, build_policy, resolve
from heliograph.experiments.compatibility import COPIES_IN_TRAINING, build_loss
from heliograph.hardware import memory_bytes
from heliograph.models.base import Model
from heliograph.models.structure import total_size
from heliograph.registry import UnknownNameError
from heliograph.rllib.alternating import Alternating
from heliograph.rllib.callbacks import never_called
from heliograph.storage.team_file import load_into
from heliograph.team.team import Team

if TYPE_CHECKING:
    from heliograph.rllib.config import CommunicationConfig

__all__ = [
    "bytes_of_a_step",
    "check_batch_sizes",
    "check_idle",
    "check_loaded",
    "check_loss_choices",
    "check_memory_needed",
    "check_trained",
    "warn_of_callbacks",
]

BYTES_OF_A_TURN = 32
"""What is kept at least of an agent in a step beside what it saw: masks, meaning, message, action and reward."""


def check_batch_sizes(config: "CommunicationConfig") -> None:
    """Raise ValueError where copies, fragments, batches and learners do not fit each other."""
    check_positive("num_envs_per_env_runner", config.num_envs_per_env_runner)
    if config.rollout_fragment_length != "auto":
        check_positive("rollout_fragment_length", config.rollout_fragment_length)
    config.check_batch()
    copies = config.num_envs_per_env_runner * max(1, config.num_env_runners)
    if copies < config.num_learners:
        raise ValueError(f"num_learners={config.num_learners}: more than there are copies to share ({copies})")


def check_memory_needed(config: "CommunicationConfig", team: Team) -> None:
    """Raise ValueError where critics, or what is seen in the steps of a batch, would not fit into memory."""
    size, step = config.critic_size, bytes_of_a_step(config)
    extra = size if config.critic != "hidden" else 0
    inputs = sum(1 + extra + _seen_by_critic(config, policy.model) for policy in team.policies.values())
    batch = config.train_batch_size_per_learner
    there = memory_bytes()
    for name, value, needed in (
        ("critic_size", size, 4 * COPIES_IN_TRAINING * size * inputs),
        ("train_batch_size_per_learner", batch, batch * step),
    ):
        if needed > there > 0:
            raise ValueError(
                f"{name}={value}: to train takes {needed / 1e9:,.0f} GB of memory, and this machine has "
                f"{there / 1e9:,.0f}; make it smaller"
            )


def bytes_of_a_step(config: "CommunicationConfig") -> int:
    """Return what is kept at least of an env step."""
    return sum(len(r.agents) * (BYTES_OF_A_TURN + _bytes(r.observation_space)) for r in config.facts().roles)


def _seen_by_critic(config: "CommunicationConfig", model: Model) -> int:
    if config.critic == "state":
        return config.facts().state_size
    return flat_size(model.spec.observation_space) if config.critic == "observation" else total_size(model.hidden_size)


def _bytes(space: spaces.Space) -> int:
    """Return what is kept of an observation: of a choice among many its number alone, of images their bytes."""
    if isinstance(space, spaces.Dict):
        return sum(_bytes(part) for part in space.spaces.values())
    return (1 if space.dtype == "uint8" else 4) * math.prod(space.shape or ())


def check_loss_choices(config: "CommunicationConfig") -> None:
    """Raise ValueError where a loss is given twice, its coefficient is no schedule, or it reads odds of values."""
    for name, times in Counter(loss.name for loss in config.losses).items():
        if times > 1:
            raise ValueError(f"losses: {name!r} is given {times} times; give it once")
    for loss in config.losses:
        check_schedule(f"coefficient of loss {loss.name!r}", loss.coefficient)
    if config.learns_values:
        _refuse_losses_of_odds(config)


def _refuse_losses_of_odds(config: "CommunicationConfig") -> None:
    choices = config.choices()
    scored = build_channel(choices.channel, choices.channel_settings).scored
    for loss in config.losses:
        made = resolve("loss", loss.loss)
        of_actions = getattr(made, "needs_action_log_probs", False)
        if of_actions or (scored and getattr(made, "needs_symbol_log_probs", False)):
            raise ValueError(
                f"loss {loss.name!r}: it reads the odds of {'actions' if of_actions else 'messages'}, and Q-learning "
                "has values in their place; leave it out, or choose algorithm 'ppo' or 'a2c'"
            )


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


def check_idle(config: "CommunicationConfig", team: Team) -> None:
    """Raise ValueError where a setting of the algorithm was given that changes nothing with the others and this team.

    A value that says what is so anyway, such as a coefficient of 0, passes.
    """
    if config.in_evaluation:
        return
    for name, why in config.idle(team).items():
        value = getattr(config, name)
        if value and value != _usual(type(config), name):
            raise ValueError(f"{name}={value!r} would have no effect: {why}")


def has_weights_of_nobody(config: "CommunicationConfig", team: Team) -> bool:
    """Tell whether something is learnt that belongs to no policy: a codebook, or the networks of losses."""
    losses = (build_loss(loss.loss, team, dict(loss.settings)) for loss in config.module_losses())
    return any(next(module.parameters(), None) is not None for module in (team.channel, *losses))


def scored_words(team: Team) -> bool:
    """Tell whether messages are chosen, as actions are, from odds that learning can change."""
    return team.channel.scored and not team.channel.has_fixed_entropy


@functools.cache
def _defaults(kind: Any) -> Mapping[str, Any]:
    return vars(kind())


def _usual(kind: Any, name: str) -> Any:
    return _defaults(kind)[name]


def warn_of_callbacks(config: "CommunicationConfig") -> None:
    """Warn of callbacks of RLlib that this path never calls."""
    for name in never_called(config):
        warnings.warn(
            f"callbacks: {name} is never called, as this path makes no episode objects; derive from "
            "heliograph.rllib.callbacks.TeamCallbacks and fill in on_episodes_end, which gets whole batches",
            stacklevel=2,
        )
