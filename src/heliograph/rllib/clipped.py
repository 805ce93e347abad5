"""What PPO and MAPPO share: the clipped surrogate of whole teams, epochs over minibatches, and their settings."""

from abc import ABC

import torch
from torch import Tensor

from heliograph import functional
from heliograph.checks import check_number, check_positive
from heliograph.rllib.actor_critic import ActorCriticConfig, ActorCriticLearner, Prepared
from heliograph.rllib.optimisers import FusedAdam
from heliograph.rllib.peers import Averaged
from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled

__all__ = ["ClippedConfig", "ClippedLearner"]


class ClippedConfig(ActorCriticConfig, ABC):
    """Settings that algorithms with a clipped ratio have; each lists them in its `training`."""

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        self.clip_param: float | None = 0.2
        self.target_kl: float | None = None
        self.minibatch_size: int | None = None

    def validate(self) -> None:
        """Check sizes and coefficients."""
        self.check_numbers()
        super().validate()
        size, batch = self.minibatch_size, self.train_batch_size_per_learner
        if size is not None and size > batch:
            raise ValueError(
                f"minibatch_size={size} is larger than train_batch_size_per_learner={batch}: both count env steps; "
                "make minibatch_size smaller or the batch larger"
            )

    def idle(self, team: Team) -> dict[str, str]:
        """As of all actor-critics, and what compares policies that move between minibatches."""
        found = super().idle(team)
        batch, size = self.train_batch_size_per_learner, self.minibatch_size
        if self.num_epochs == 1 and (size is None or round(batch / size) <= 1):
            why = "there is one minibatch in one epoch, and before it no policy has moved; use more, or leave it out"
            found |= dict.fromkeys(("clip_param", "target_kl"), why)
        return found

    def check_numbers(self) -> None:
        """Refuse settings out of their range."""
        super().check_numbers()
        for name in ("clip_param", "target_kl"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=0)
        check_positive("num_epochs", self.num_epochs)
        if self.minibatch_size is not None:
            check_positive("minibatch_size", self.minibatch_size)

    def build_optimizer(self, params: list[Tensor]) -> torch.optim.Optimizer:
        """Adam, its fused form."""
        return FusedAdam(params, eps=1e-5)


class ClippedLearner(ActorCriticLearner, ABC):
    """Base of learners with the joint clipped loss of a team."""

    def joint_loss(self, rollout: Rollout, unrolled: Unrolled, prepared: Prepared, copies: Tensor) -> dict[str, Tensor]:
        """Clipped policy loss of every deciding agent, value loss of every turn, entropy bonuses."""
        part = prepared.select(copies)
        known = part.known & part.counted
        deciding = known & self.deciding(rollout)
        log_ratio = (unrolled.action_log_prob - rollout.action_log_prob) + (
            unrolled.message_log_prob - rollout.message_log_prob
        )
        moved, clip = log_ratio.detach().exp() - 1, self.config.clip_param or float("inf")
        terms = {
            "policy_loss": Averaged(self._surrogate(log_ratio, part.advantages), over=deciding),
            "vf_loss": Averaged(self.value_errors(rollout, unrolled, part), over=known & part.trained),
            "entropy": Averaged(self.bonus("entropy", unrolled), over=known & rollout.acting),
            "message_entropy": Averaged(self.bonus("message_entropy", unrolled), over=known & rollout.speaking),
            "mean_kl": Averaged(moved - log_ratio.detach(), over=deciding),
            "clip_fraction": Averaged((moved.abs() > clip).float(), over=deciding),
        }
        means = self.peers.means(terms)
        means["mean_kl"] = self.peers.agreed(means["mean_kl"])
        return {
            "total_loss": self.total(means),
            **means,
            "ratio_error": torch.where(deciding, moved.abs(), 0.0).max(),
        }

    def is_enough(self, terms: dict[str, Tensor]) -> bool:
        """Tell whether the policies have moved so far from those that sampled that the batch is used up."""
        return self.config.target_kl is not None and float(terms["mean_kl"]) > self.config.target_kl

    def _surrogate(self, log_ratio: Tensor, advantages: Tensor) -> Tensor:
        if self.config.clip_param is None:
            return -log_ratio * advantages
        return functional.clipped_policy_loss(log_ratio, advantages, clip=self.config.clip_param)
