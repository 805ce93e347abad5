"""PPO for communicating teams."""

from typing import Any

import torch
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.tune.registry import register_trainable
from torch import Tensor

from heliograph import functional
from heliograph.checks import check_kind, check_number, check_positive
from heliograph.rllib.actor_critic import ActorCriticConfig, ActorCriticLearner, Prepared
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.compiling import check_compiler
from heliograph.rllib.optimisers import FusedAdam
from heliograph.rllib.peers import Averaged
from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled

__all__ = ["CommPPO", "CommPPOConfig", "PPOLearner"]


class CommPPOConfig(ActorCriticConfig):
    """Configuration of PPO on whole teams: RLlib's names, and `.communication()`.

    Each agent has a ratio of its own, over its action and (on ACTION channels) its message; gradients of pathwise
    channels flow from listeners to speakers.
    Source: Schulman et al. 2017; advantages over turns of each agent (`functional.gae_over_turns`).
    """

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or CommPPO)
        self.lr = 1e-3
        self.clip_param: float | None = 0.2
        self.entropy_coeff = 0.05
        self.message_entropy_coeff = 0.02
        self.target_kl: float | None = 0.2
        self.grad_clip = 0.5
        self.num_epochs = 4
        self.minibatch_size: int | None = 2048
        self.train_batch_size_per_learner = 4096
        self.compile = False

    def training(
        self,
        *,
        lambda_: float = NotProvided,
        clip_param: float | None = NotProvided,
        entropy_coeff: Any = NotProvided,
        message_entropy_coeff: Any = NotProvided,
        target_kl: float | None = NotProvided,
        vf_loss_coeff: float = NotProvided,
        normalise_advantages: bool = NotProvided,
        mean_ratio: float = NotProvided,
        detach_gap: int | None = NotProvided,
        compile: bool = NotProvided,
        **kwargs: Any,
    ) -> "CommPPOConfig":
        """Set training settings; counts are in env steps (moves of the whole team).

        `lambda_` of GAE; `clip_param` of the ratio (None: no clipping, A2C's loss); `entropy_coeff` and
        `message_entropy_coeff` of actions and sampled messages, fixed or a schedule; `target_kl`: an update ends early
        once the policies have moved so far (nats, None: never); `vf_loss_coeff` of the values. `mean_ratio`: how much
        of the return that an agent is to raise is its team's mean (1) and not its own (0). `detach_gap`: no gradient
        crosses the ends of stretches of so many steps of a rollout (None: it reaches back to the first). `compile`: the
        loss of a minibatch and its gradients are compiled by torch in the first update, which takes a minute or more
        and needs a C++ compiler; results are the same to rounding.
        """
        super().training(**kwargs)
        self.take({k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")})
        return self

    def get_default_learner_class(self) -> type:
        """The learner of this algorithm."""
        return PPOLearner

    def validate(self) -> None:
        """Check sizes and coefficients."""
        self.check_numbers()
        if self.compile:
            self._check_compilable()
        super().validate()
        size, batch = self.minibatch_size, self.train_batch_size_per_learner
        if size is not None and size > batch:
            raise ValueError(
                f"minibatch_size={size} is larger than train_batch_size_per_learner={batch}: both count env steps; "
                "make minibatch_size smaller or the batch larger"
            )

    def _check_compilable(self) -> None:
        """Refuse what no graph is made of, and machines without a compiler."""
        check_kind("compile", self.compile, bool, what="the algorithm")
        instead = "use compile=False, or"
        if self.num_learners > 1:
            why = "learners ask each other for numbers in the midst of a loss, which no graph holds"
            raise ValueError(f"compile=True, num_learners={self.num_learners}: {why}; {instead} num_learners=1")
        if self.num_gpus_per_learner:
            why = "losses are compiled for the CPU, by a C++ compiler"
            raise ValueError(f"compile=True, num_gpus_per_learner={self.num_gpus_per_learner}: {why}; {instead} no GPU")
        check_compiler()

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


class CommPPO(CommunicationAlgorithm):
    """PPO for communicating teams; see `CommPPOConfig`."""

    @classmethod
    def get_default_config(cls) -> CommPPOConfig:
        """The default configuration."""
        return CommPPOConfig()


register_trainable("CommPPO", CommPPO)  # else Tune, given the name, would import all of RLlib's algorithms to find it


class PPOLearner(ActorCriticLearner):
    """The joint PPO loss of a team."""

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
            "vf_loss": Averaged(self.value_errors(rollout, unrolled, part.targets), over=known & part.trained),
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
