"""What MAAC and MADDPG share: settings of replay and of critics of the whole team, and which teams they can train."""

import dataclasses
from abc import ABC
from collections.abc import Callable
from typing import Any

import torch
from gymnasium import spaces
from ray.rllib.algorithms.algorithm_config import NotProvided
from torch import Tensor, nn

from heliograph.checks import check_choice, check_number, check_positive, check_schedule
from heliograph.hardware import memory_bytes
from heliograph.models.team_critics import CriticSeat
from heliograph.rllib.config import CommunicationConfig, refuse_given
from heliograph.rllib.validation import bytes_of_a_step
from heliograph.team.decisions import carries, deciders
from heliograph.team.team import Team

__all__ = ["LIMITS", "Limit", "OffPolicyConfig", "acts_in_a_box", "critic_of"]

PER_EPOCH = ("num_epochs", "minibatch_size")
CLIPPED_BY = ("global_norm", "value")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limit:
    """A team that an algorithm cannot train, why, and what to choose instead; `holds` tells where it is the case."""

    name: str
    why: str
    remedy: str
    holds: Callable[["OffPolicyConfig", Team], bool]


def _forgets_nothing_known(config: "OffPolicyConfig", team: Team) -> bool:
    return carries(team) and config.longest_episode() is None


LIMITS = (
    Limit(
        name="an agent that several policies may play",
        why="a critic of all agents knows each by its policy",
        remedy="policies with agents of their own",
        holds=lambda config, team: not team.layout.constant,
    ),
    Limit(
        name="a memory or messages, and episodes of which nobody knows how long they may be",
        why="whole episodes are replayed then, of at most so many env steps",
        remedy="a time_limit of the environment (env.time_limit)",
        holds=_forgets_nothing_known,
    ),
    Limit(
        name="several learners",
        why="what was done is kept by one",
        remedy="num_learners=0 or 1",
        holds=lambda config, team: config.num_learners > 1,
    ),
)
"""Limits of all algorithms with replay; each has more of its own. docs/combinations.md shows them."""


class OffPolicyConfig(CommunicationConfig, ABC):
    """Settings that algorithms with replay and critics of the whole team have; each lists them in its `training`."""

    limits: tuple[Limit, ...] = LIMITS

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        self.gamma = 0.99
        self.tau = 0.01
        self.q_size = 64
        self.replay_env_steps = 1_000_000
        self.env_steps_per_update = 100
        self.num_steps_sampled_before_learning_starts = 1024
        self.logit_penalty = 1e-3
        self.train_batch_size_per_learner = 1024
        self.num_epochs = 1
        self.grad_clip = 0.5
        self.batch_mode = "complete_episodes"
        self.num_envs_per_env_runner = 12

    def training(
        self,
        *,
        tau: float = NotProvided,
        q_size: int = NotProvided,
        replay_env_steps: int = NotProvided,
        env_steps_per_update: int = NotProvided,
        num_steps_sampled_before_learning_starts: int = NotProvided,
        logit_penalty: float = NotProvided,
        **kwargs: Any,
    ) -> Any:
        """Set training settings; counts are in env steps (moves of the whole team).

        `train_batch_size_per_learner` are drawn from the last `replay_env_steps` for an update; there is one update for
        every `env_steps_per_update` that are sampled, from `num_steps_sampled_before_learning_starts` on. `tau`: how
        far target networks move in each. `q_size`: units of each hidden layer of the critics. `logit_penalty`: of the
        mean square of what policies put out. `grad_clip`: of each policy, and of each critic.
        """
        refuse_given(kwargs, names=PER_EPOCH, why="each update learns once from what it draws; leave it out")
        super().training(**kwargs)
        self.take({k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")})
        return self

    def batch_env_steps(self) -> int:
        """One rollout of each env runner is enough, as it holds whole episodes."""
        return 1

    def longest_episode(self) -> int | None:
        """Env steps of the longest episode; None where there is no limit."""
        return self.facts().horizon or self.env_choice().settings.get("time_limit")

    def replay_length(self, team: Team) -> int:
        """Env steps of what is replayed: whole episodes where a team carries something from step to step."""
        return (self.longest_episode() or 1) if carries(team) else 1

    def schedules(self) -> dict[str, Any]:
        """No coefficient follows a schedule."""
        return {}

    def build_optimizer(self, params: list[Tensor]) -> torch.optim.Optimizer:
        """Adam, its fused form."""
        return torch.optim.Adam(params, fused=True)

    def build_critic_optimizer(self, params: list[Tensor]) -> torch.optim.Optimizer:
        """Optimiser of the critics; by default as of policies."""
        return self.build_optimizer(params)

    def idle(self, team: Team) -> dict[str, str]:
        """As of all algorithms, and what belongs to critics of single agents and their values."""
        found = super().idle(team)
        why = "there is a critic of all agents; set q_size, or choose algorithm 'ppo' or 'mappo'"
        found |= dict.fromkeys(("critic", "critic_size"), why)
        found["normalise_rewards"] = "Q-values are learnt from rewards as they are drawn; leave it out, or choose 'ppo'"
        if self.facts().horizon == 1:
            found |= dict.fromkeys(
                ("gamma", "tau"), "episodes have a single step, and no value comes later; leave it out"
            )
        return found

    def validate(self) -> None:
        """Check numbers, then the team."""
        for name in ("gamma", "tau"):
            check_number(name, getattr(self, name), minimum=0, maximum=1)
        for name in ("q_size", "replay_env_steps", "env_steps_per_update"):
            check_positive(name, getattr(self, name))
        for name in ("num_steps_sampled_before_learning_starts", "logit_penalty"):
            check_number(name, getattr(self, name), minimum=0)
        if self.grad_clip is not None:
            check_number("grad_clip", self.grad_clip, above=0)
        check_choice("grad_clip_by", self.grad_clip_by, valid=CLIPPED_BY)
        check_schedule("lr", self.lr, above=0)
        super().validate()

    def check_batch(self) -> None:
        """Raise ValueError where an update would not learn from whole episodes, or from more than is kept."""
        if self.batch_mode != "complete_episodes":
            raise ValueError(f"batch_mode={self.batch_mode!r}: whole episodes are replayed, 'complete_episodes'")
        check_positive("train_batch_size_per_learner", self.train_batch_size_per_learner)
        for name in ("train_batch_size_per_learner", "num_steps_sampled_before_learning_starts"):
            if getattr(self, name) > self.replay_env_steps:
                raise ValueError(f"{name}={getattr(self, name)}: more than replay_env_steps={self.replay_env_steps}")
        needed, there = 2 * self.replay_env_steps * bytes_of_a_step(self), memory_bytes()
        if needed > there > 0:
            raise ValueError(
                f"replay_env_steps={self.replay_env_steps}: to keep so many takes {needed / 1e9:,.0f} GB of memory, "
                f"and this machine has {there / 1e9:,.0f}; make it smaller"
            )

    def check_team(self, team: Team) -> None:
        """Raise ValueError where one of the limits is met."""
        name = type(self).__name__.removeprefix("Comm").removesuffix("Config")
        for limit in self.limits:
            if limit.holds(self, team):
                chosen = self.choices()
                told = f"model={chosen.model!r}, channel={chosen.channel!r}, channel_settings={chosen.channel_settings}"
                raise ValueError(f"{name} and {limit.name} ({told}): {limit.why}; choose {limit.remedy}")


def critic_of(team: Team, *, network: Callable[..., nn.Module], **settings: Any) -> nn.Module:
    """The critic of a team: a network over what it must know of each policy, with settings of its own."""
    return network(_seats_of(team), **settings)


def _seats_of(team: Team) -> dict[str, CriticSeat]:
    return {
        policy: CriticSeat(
            num_agents=one.num_agents,
            known_size=one.known_size,
            decision_size=one.num_features,
            num_decisions=one.num_decisions,
        )
        for policy, one in deciders(team).items()
    }


def acts_in_a_box(team: Team) -> bool:
    """Tell whether some agents choose numbers."""
    return any(isinstance(seats.action_space, spaces.Box) for seats in team.layout.seats.values())
