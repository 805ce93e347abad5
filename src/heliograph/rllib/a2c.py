"""A2C for communicating teams, down to the setting of IC3Net's trainer."""

from typing import Any

import torch
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.tune.registry import register_trainable
from torch import Tensor

from heliograph.checks import check_choice, check_number
from heliograph.rllib.actor_critic import ActorCriticConfig, ActorCriticLearner, Prepared
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.compiling import NOT_COMPILED
from heliograph.rllib.config import refuse_given
from heliograph.rllib.optimisers import FusedAdam, LeanRMSprop
from heliograph.rllib.peers import Averaged
from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled

__all__ = ["A2CLearner", "CommA2C", "CommA2CConfig"]

OPTIMISERS = ("rmsprop", "adam")
MEANS = ("turn", "env_step")
ONE_UPDATE = ("num_epochs", "minibatch_size")


class CommA2CConfig(ActorCriticConfig):
    """Configuration of A2C on whole teams: one update of each batch, REINFORCE with a learnt baseline.

    Returns are sampled ones (`lambda_` 1) as far as the rollout reaches, and the value of what comes after; with
    `batch_mode="complete_episodes"`, or where a batch holds whole episodes, they are Monte Carlo returns.

    The trainer of Singh et al. 2019 (IC3Net) is `lr=1e-3, rms_decay=0.97, rms_epsilon=1e-6, gamma=1.0,
    vf_loss_coeff=0.02` (0.01 of the whole squared error in its code), `entropy_coeff=0.0, grad_clip=None,
    normalise_advantages=False, loss_mean="env_step", detach_gap=10, train_batch_size_per_learner=8000` (16 processes of
    500 steps), with `normalise_values=False`, `critic_size=0`, and `mean_ratio` 0 (IC3Net, IRIC) or 1 (CommNet, IC).
    Differences: single precision, and batches of equally many whole copies rather than episodes until 500 steps are
    full.
    """

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or CommA2C)
        self.lr = 1e-3
        self.lambda_ = 1.0
        self.entropy_coeff = 0.01
        self.message_entropy_coeff = 0.01
        self.grad_clip = 0.5
        self.optimizer_name = "rmsprop"
        self.rms_decay = 0.99
        self.rms_epsilon = 1e-5
        self.loss_mean = "turn"
        self.num_epochs = 1
        self.minibatch_size = None
        self.train_batch_size_per_learner = 4096

    def training(
        self,
        *,
        lambda_: float = NotProvided,
        entropy_coeff: Any = NotProvided,
        message_entropy_coeff: Any = NotProvided,
        vf_loss_coeff: float = NotProvided,
        normalise_advantages: bool = NotProvided,
        mean_ratio: float = NotProvided,
        detach_gap: int | None = NotProvided,
        optimizer_name: str = NotProvided,
        rms_decay: float = NotProvided,
        rms_epsilon: float = NotProvided,
        loss_mean: str = NotProvided,
        **kwargs: Any,
    ) -> "CommA2CConfig":
        """Set training settings; counts are in env steps (moves of the whole team).

        `lambda_` of GAE (1: sampled returns); `entropy_coeff` and `message_entropy_coeff` of actions and sampled
        messages, fixed or a schedule; `vf_loss_coeff` of half the squared error of values. `mean_ratio`: how much of
        the return that an agent is to raise is its team's mean (1) and not its own (0). `detach_gap`: no gradient
        crosses the ends of stretches of so many steps of a rollout (None: it reaches back to the first).
        `optimizer_name`: "rmsprop", with `rms_decay` and `rms_epsilon`, or "adam". `loss_mean`: losses are means over
        "turn"s, or, summed over agents, over "env_step"s.
        """
        refuse_given(kwargs, names=ONE_UPDATE, why="A2C makes one update of a whole batch; leave it out, or use ppo")
        refuse_given(kwargs, names=("compile",), why=NOT_COMPILED)
        super().training(**kwargs)
        self.take({k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")})
        return self

    def get_default_learner_class(self) -> type:
        """The learner of this algorithm."""
        return A2CLearner

    def validate(self) -> None:
        """Check sizes and coefficients."""
        self.check_numbers()
        check_choice("optimizer_name", self.optimizer_name, valid=OPTIMISERS)
        check_choice("loss_mean", self.loss_mean, valid=MEANS)
        check_number("rms_decay", self.rms_decay, minimum=0, maximum=1)
        check_number("rms_epsilon", self.rms_epsilon, above=0)
        super().validate()

    def idle(self, team: Team) -> dict[str, str]:
        """As of all actor-critics, and what belongs to the optimiser that was not chosen."""
        found = super().idle(team)
        if self.optimizer_name == "adam":
            why = "it is RMSProp's; use optimizer_name='rmsprop', or leave it out"
            found |= dict.fromkeys(("rms_decay", "rms_epsilon"), why)
        return found

    def build_optimizer(self, params: list[Tensor]) -> torch.optim.Optimizer:
        """RMSProp, or Adam in its fused form."""
        if self.optimizer_name == "adam":
            return FusedAdam(params, eps=1e-5)
        return LeanRMSprop(params, alpha=self.rms_decay, eps=self.rms_epsilon)


class CommA2C(CommunicationAlgorithm):
    """A2C for communicating teams; see `CommA2CConfig`."""

    @classmethod
    def get_default_config(cls) -> CommA2CConfig:
        """The default configuration."""
        return CommA2CConfig()


register_trainable("CommA2C", CommA2C)  # else Tune, given the name, would import all of RLlib's algorithms to find it


class A2CLearner(ActorCriticLearner):
    """The joint A2C loss of a team."""

    @property
    def takes_traces(self) -> bool:
        """Return whether batches are of whole episodes, and all policies learn all the time."""
        config = self.config
        return config.batch_mode == "complete_episodes" and config.policies_to_train is None and not config.freeze_team

    def joint_loss(self, rollout: Rollout, unrolled: Unrolled, prepared: Prepared, copies: Tensor) -> dict[str, Tensor]:
        """Policy loss of every deciding agent, value loss of every turn, entropy bonuses."""
        part = prepared.select(copies)
        known = part.known & part.counted
        deciding = known & self.deciding(rollout)
        log_prob = unrolled.action_log_prob + unrolled.message_log_prob
        terms = {
            "policy_loss": Averaged(-log_prob * part.advantages, over=deciding),
            "vf_loss": Averaged(self.value_errors(rollout, unrolled, part), over=known & part.trained),
            "entropy": Averaged(self.bonus("entropy", unrolled), over=known & rollout.acting),
            "message_entropy": Averaged(self.bonus("message_entropy", unrolled), over=known & rollout.speaking),
        }
        means = self.peers.means(terms, count=rollout.valid if self.config.loss_mean == "env_step" else None)
        moved = (log_prob - rollout.action_log_prob - rollout.message_log_prob).detach().exp() - 1
        return {
            "total_loss": self.total(means),
            **means,
            "ratio_error": torch.where(deciding, moved.abs(), 0.0).max(),
        }
