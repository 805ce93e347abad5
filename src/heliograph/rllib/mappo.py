"""MAPPO for teams: PPO with a centralised critic, and what its authors found to matter."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.tune.registry import register_trainable
from torch import Tensor

from heliograph.checks import check_number
from heliograph.rllib.actor_critic import Prepared
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.clipped import ClippedConfig, ClippedLearner
from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled

__all__ = ["CommMAPPO", "CommMAPPOConfig", "MAPPOLearner"]


class CommMAPPOConfig(ClippedConfig):
    """Configuration of MAPPO (Yu et al. 2022): PPO with a critic of the state, and a value loss that is held back.

    Values are learnt from the state of all agents (`critic="state"`), in units of a debiased running normaliser
    (`normalise_values`, `value_norm_decay`), with a Huber loss (`huber_delta`) of whichever is worse, the value or the
    value clipped to within `clip_param` of the old one (`clip_values`). Critics have layer norm, and begin orthogonal.
    One minibatch is the whole batch, ten epochs long. Defaults are those of the published code for particle tasks
    (github.com/marlbenchmark/on-policy, commit de66d7a, `train_mpe_spread.sh`; `train_mpe_comm.sh` has 15 epochs): 128
    copies of 25 steps. On channels whose messages are sampled these are part of each agent's ratio.

    Differences: gradients of actors and critics are clipped together, at one learning rate; models have no layer norm,
    begin with heads of gain 0.1 (0.01), and are not cut into chunks of 10 steps, but unrolled through whole rollouts;
    the critic has no memory; the normaliser moves once a batch, as far as once in each epoch; what is expected after
    an episode that its length cuts short counts (in the published particle tasks nothing comes after it).
    """

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or CommMAPPO)
        self.critic = "state"
        self.lr = 7e-4
        self.entropy_coeff = 0.01
        self.message_entropy_coeff = 0.01
        self.vf_loss_coeff = 1.0
        self.grad_clip = 10.0
        self.clip_values = True
        self.huber_delta: float | None = 10.0
        self.value_norm_decay = 0.99999
        self.num_epochs = 10
        self.train_batch_size_per_learner = 3200
        self.num_envs_per_env_runner = 128

    def training(
        self,
        *,
        lambda_: float = NotProvided,
        clip_param: float | None = NotProvided,
        clip_values: bool = NotProvided,
        huber_delta: float | None = NotProvided,
        value_norm_decay: float = NotProvided,
        entropy_coeff: Any = NotProvided,
        message_entropy_coeff: Any = NotProvided,
        target_kl: float | None = NotProvided,
        vf_loss_coeff: float = NotProvided,
        normalise_advantages: bool = NotProvided,
        mean_ratio: float = NotProvided,
        detach_gap: int | None = NotProvided,
        **kwargs: Any,
    ) -> "CommMAPPOConfig":
        """Set training settings: those of PPO, and of values.

        `clip_values`: values count as no better than they would be within `clip_param` of the old ones, in normalised
        units. `huber_delta`: errors beyond it count linearly (None: squared throughout). `value_norm_decay`: what is
        left of the normaliser's averages after an epoch.
        """
        super().training(**kwargs)
        self.take({k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")})
        return self

    def get_default_learner_class(self) -> type:
        """The learner of this algorithm."""
        return MAPPOLearner

    def critic_settings(self) -> dict[str, Any]:
        """Return what all critics have, layer norm, and the decay of a batch."""
        decay = self.value_norm_decay**self.num_epochs if self.normalise_values else None
        return {**super().critic_settings(), "decay": decay, "layer_norm": True}

    def idle(self, team: Team) -> dict[str, str]:
        """As of PPO, and what belongs to values that are normalised."""
        found = super().idle(team)
        if not self.normalise_values:
            found["value_norm_decay"] = "values are not normalised; set normalise_values, or leave it out"
        return found

    def check_numbers(self) -> None:
        """Refuse settings out of their range."""
        super().check_numbers()
        if self.huber_delta is not None:
            check_number("huber_delta", self.huber_delta, above=0)
        check_number("value_norm_decay", self.value_norm_decay, minimum=0, maximum=1)
        if self.value_norm_decay == 1:
            raise ValueError("value_norm_decay=1: the normaliser would never move; make it less")


class CommMAPPO(CommunicationAlgorithm):
    """MAPPO for teams; see `CommMAPPOConfig`."""

    @classmethod
    def get_default_config(cls) -> CommMAPPOConfig:
        """The default configuration."""
        return CommMAPPOConfig()


register_trainable("CommMAPPO", CommMAPPO)  # else Tune, given the name, would import all of RLlib's algorithms


class MAPPOLearner(ClippedLearner):
    """The joint PPO loss of a team, and MAPPO's loss of values."""

    def kept_values(self, values: Float[Tensor, "T B N"], rollout: Rollout) -> Float[Tensor, "T B N"] | None:
        """Return those that the critics put out, to be held against later ones."""
        if not self.config.clip_values or self.config.clip_param is None:
            return None
        return self._in_critics_units(values, rollout) if self.config.normalise_values else values

    def value_errors(self, rollout: Rollout, unrolled: Unrolled, part: Prepared) -> Float[Tensor, "T B N"]:
        """The worse of two: of the value, and of what it would be within reach of the old one."""
        values = self.present_values(rollout, unrolled)
        found = self._error(part.targets - values)
        if part.values is None:
            return found
        near = part.values + (values - part.values).clamp(-self.config.clip_param, self.config.clip_param)
        return torch.maximum(found, self._error(part.targets - near))

    def _error(self, difference: Tensor) -> Tensor:
        if self.config.huber_delta is None:
            return 0.5 * difference.square()
        return F.huber_loss(difference, torch.zeros_like(difference), delta=self.config.huber_delta, reduction="none")

    def _in_critics_units(self, values: Tensor, rollout: Rollout) -> Tensor:
        layout = self.team_module.team.layout
        found = {
            name: self.team_module[name].critic.moments.normalise(values[:, :, layout.slots(name)])
            for name in layout.policies
        }
        return layout.combine(found, lead=2, assignment=None if rollout.assignment is None else rollout.assignment[:-1])
