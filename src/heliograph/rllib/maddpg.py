"""MADDPG for teams: policies that climb critics which see what all agents know and do."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.tune.registry import register_trainable
from torch import Tensor, nn

from heliograph import distributions
from heliograph.checks import check_number
from heliograph.models.team_critics import JointCritic
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.off_policy import LIMITS, Limit, OffPolicyConfig, critic_of
from heliograph.rllib.off_policy_learner import OffPolicyLearner, TeamBatch
from heliograph.team.decisions import Decider, Outlook, decided
from heliograph.team.team import Team

__all__ = ["CommMADDPG", "CommMADDPGConfig", "MADDPGLearner"]

OWN_LIMITS = (
    Limit(
        name="messages that are sampled actions",
        why="critics are climbed by gradients, which such messages do not carry",
        remedy="channel='symbols' with gradient='straight_through' or 'gumbel', or one such as 'dru' or 'continuous'",
        holds=lambda config, team: not team.silent and team.channel.scored,
    ),
)


class CommMADDPGConfig(OffPolicyConfig):
    """Configuration of MADDPG (Lowe et al. 2017): each policy climbs a critic of what all agents know and do.

    Discrete actions, a task's own words among them, are Gumbel-softmax samples: one-hot where a critic sees them, with
    the gradient of the relaxed sample (straight through), at `temperature`; numbers of a Box are Gaussian samples. On
    channels that carry gradients those of hearers reach speakers. Defaults are the published ones: the paper's
    appendix and its code (github.com/openai/maddpg, commit 3ceefa0).

    Published, too: policies and critics of their own (`networks="separate"`, which agents that share a policy share
    here, told apart by their numbers) with two layers of 64.

    Differences: the code hands environments and critics relaxed samples, which discrete environments do not take;
    norms are clipped network by network, not weight by weight; updates are made after whole episodes, as many as the
    same env steps come to. Gaussian samples are as wide as the policy says, as in the code. With memories or messages
    whole episodes are replayed, and critics also see what agents remember and have heard.
    """

    limits = (*LIMITS, *OWN_LIMITS)

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or CommMADDPG)
        self.lr = 1e-2
        self.gamma = 0.95
        self.temperature = 1.0
        self.num_steps_sampled_before_learning_starts = 25_600

    def training(
        self,
        *,
        tau: float = NotProvided,
        q_size: int = NotProvided,
        replay_env_steps: int = NotProvided,
        env_steps_per_update: int = NotProvided,
        num_steps_sampled_before_learning_starts: int = NotProvided,
        logit_penalty: float = NotProvided,
        temperature: float = NotProvided,
        **kwargs: Any,
    ) -> "CommMADDPGConfig":
        """Set training settings; those that all algorithms with replay share are explained in `OffPolicyConfig`.

        `temperature`: of relaxed samples, through which gradients pass.
        """
        given = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        super().training(**kwargs)
        self.take(given)
        return self

    def get_default_learner_class(self) -> type:
        """The learner of this algorithm."""
        return MADDPGLearner

    def team_critic(self) -> Callable[[Team], nn.Module] | None:
        """One network for each policy, over all agents."""
        return functools.partial(critic_of, network=JointCritic, size=self.q_size)

    def idle(self, team: Team) -> dict[str, str]:
        """As of all with replay, and what belongs to choices."""
        found = super().idle(team)
        if not any(
            isinstance(policy.model.spec.action_space, distributions.DISCRETE) for policy in team.policies.values()
        ):
            found["temperature"] = "all actions are numbers, and none is relaxed; leave it out"
        return found

    def validate(self) -> None:
        """Check numbers, then the team."""
        check_number("temperature", self.temperature, above=0)
        super().validate()


class CommMADDPG(CommunicationAlgorithm):
    """MADDPG for teams; see `CommMADDPGConfig`."""

    @classmethod
    def get_default_config(cls) -> CommMADDPGConfig:
        """The default configuration."""
        return CommMADDPGConfig()


register_trainable("CommMADDPG", CommMADDPG)  # else Tune, given the name, would import all of RLlib's algorithms


class MADDPGLearner(OffPolicyLearner):
    """The losses of MADDPG: TD errors of the critics, and minus the values of what policies would do now."""

    critic: JointCritic

    def next_values(self, ahead: Outlook, valid: Tensor) -> dict[str, Tensor]:
        """Values of what the target policies would do."""
        values = self.target_critic(ahead.known, self._samples(ahead), valid=valid).values
        return {policy: value.squeeze(-1) for policy, value in values.items()}

    def critic_terms(self, batch: TeamBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Values of what was done."""
        found = self.critic(batch.now.known, self._done(batch), valid=batch.rollout.valid)
        return {policy: value.squeeze(-1) for policy, value in found.values.items()}, found.penalty

    def policy_terms(self, batch: TeamBatch) -> dict[str, Tensor]:
        """Minus each agent's value with its own action drawn anew, and the others' as they were."""
        fresh = self._samples(batch.now)
        found = self.critic(batch.now.known, self._done(batch), valid=batch.rollout.valid, instead=fresh).values
        loss = torch.zeros((), device=self._device)
        for policy, value in found.items():
            here = self.deciding(batch, policy)
            loss = loss - torch.where(here, value.squeeze(-1), 0.0).sum() / batch.num_env_steps
        return {"policy_loss": loss}

    def networks(self) -> Iterator[tuple[list[nn.Module], float | None]]:
        """Each policy, and each policy's critic."""
        yield from super().networks()
        for policy in self.deciders:
            yield [self.critic.first[policy], self.critic.rest[policy]], self.config.grad_clip

    def _done(self, batch: TeamBatch) -> Mapping[str, Tensor]:
        return self.features(decided(self.team_module.team, batch.rollout, self.deciders))

    def _samples(self, outlook: Outlook) -> dict[str, Tensor]:
        """Decisions drawn with gradients, as critics see them."""
        return {policy: self._sample(one, outlook.parts[policy]) for policy, one in self.deciders.items()}

    def _sample(self, decider: Decider, parts: tuple[Tensor, ...]) -> Tensor:
        if not decider.is_discrete:
            return distributions.gaussian_sample(parts[0], generator=self._stream)
        temperature = self.config.temperature
        relaxed = [
            distributions.straight_through_sample(p, temperature=temperature, generator=self._stream) for p in parts
        ]
        return torch.cat(relaxed, -1)
