"""PPO (and, by its settings, A2C) for communicating teams."""

import dataclasses
from typing import Any

import torch
from jaxtyping import Float
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.tune.registry import register_trainable
from torch import Tensor

from heliograph import functional
from heliograph.checks import check_number, check_positive, check_schedule
from heliograph.envs.base import flat_observation
from heliograph.experiment import RESERVED_POLICY, build_layout
from heliograph.models.layout import agent_one_hot
from heliograph.models.presence import presence_in
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.learner import TeamLearner
from heliograph.rollout import Rollout
from heliograph.types import Tree, map_tensors
from heliograph.unrolled import Presence, Unrolled

__all__ = ["CommPPOConfig", "CommPPO", "PPOLearner"]  # noqa: RUF022 - the registry takes the first


class CommPPOConfig(CommunicationConfig):
    """Configuration of PPO on whole teams: RLlib's names, and `.communication()`.

    Each agent has a ratio of its own, over its action and (on ACTION channels) its message; gradients of pathwise
    channels flow from listeners to speakers. A2C is `num_epochs=1, minibatch_size=None, clip_param=None`.
    Source: Schulman et al. 2017; advantages over turns of each agent (`functional.gae_over_turns`).
    """

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or CommPPO)
        self.lr = 1e-3
        self.gamma = 0.99
        self.lambda_ = 0.95
        self.clip_param: float | None = 0.2
        self.entropy_coeff: Any = 0.05
        self.message_entropy_coeff: Any = 0.02
        self.target_kl: float | None = 0.2
        self.vf_loss_coeff = 0.5
        self.grad_clip = 0.5
        self.num_epochs = 4
        self.minibatch_size: int | None = 2048
        self.train_batch_size_per_learner = 4096

    def training(
        self,
        *,
        lambda_: float = NotProvided,
        clip_param: float | None = NotProvided,
        entropy_coeff: Any = NotProvided,
        message_entropy_coeff: Any = NotProvided,
        target_kl: float | None = NotProvided,
        vf_loss_coeff: float = NotProvided,
        **kwargs: Any,
    ) -> "CommPPOConfig":
        """Set training settings; counts are in env steps (moves of the whole team).

        `lambda_` of GAE; `clip_param` of the ratio (None: no clipping, A2C's loss); `entropy_coeff` and
        `message_entropy_coeff` of actions and sampled messages, fixed or a schedule; `target_kl`: an update ends early
        once the policies have moved so far (nats, None: never); `vf_loss_coeff` of the values.
        """
        super().training(**kwargs)
        given = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        for key, value in given.items():
            if value is not NotProvided:
                setattr(self, key, value)
        return self

    def get_default_learner_class(self) -> type:
        """The learner of this algorithm."""
        return PPOLearner

    def batch_env_steps(self) -> int:
        """Env steps that are sampled before each update."""
        return self.total_train_batch_size

    def validate(self) -> None:
        """Check sizes and coefficients."""
        self._check_numbers()
        super().validate()
        size, batch = self.minibatch_size, self.train_batch_size_per_learner
        if size is not None and size > batch:
            raise ValueError(
                f"minibatch_size={size} is larger than train_batch_size_per_learner={batch}: both count env steps"
            )

    def _check_numbers(self) -> None:
        for name in ("gamma", "lambda_"):
            check_number(name, getattr(self, name), minimum=0, maximum=1)
        for name in ("clip_param", "target_kl", "grad_clip"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=0)
        for name in ("entropy_coeff", "message_entropy_coeff"):
            check_schedule(name, getattr(self, name), minimum=0)
        check_number("vf_loss_coeff", self.vf_loss_coeff, minimum=0)
        check_positive("num_epochs", self.num_epochs)
        if self.minibatch_size is not None:
            check_positive("minibatch_size", self.minibatch_size)
        check_schedule("lr", self.lr, above=0)
        for policy in build_layout(self.choices(), self.facts()).policies:
            check_schedule(f"lr of policy {policy!r}", self.lr_of(policy), minimum=0)

    def schedules(self) -> dict[str, Any]:
        """Coefficients that may follow a schedule."""
        return {"entropy": self.entropy_coeff, "message_entropy": self.message_entropy_coeff}

    def build_optimizer(self, params: list[Tensor]) -> torch.optim.Optimizer:
        """Adam, its fused form."""
        return torch.optim.Adam(params, eps=1e-5, fused=True)


class CommPPO(CommunicationAlgorithm):
    """PPO for communicating teams; see `CommPPOConfig`."""

    @classmethod
    def get_default_config(cls) -> CommPPOConfig:
        """The default configuration."""
        return CommPPOConfig()


register_trainable("CommPPO", CommPPO)  # else Tune, given the name, would import all of RLlib's algorithms to find it


@dataclasses.dataclass(kw_only=True)
class Prepared:
    """What all epochs share: advantages (normalised) and value targets of known turns."""

    advantages: Float[Tensor, "T B N"]
    targets: Float[Tensor, "T B N"]
    known: Tensor
    trained: Tensor

    def select(self, copies: Tensor) -> "Prepared":
        """Those of some copies."""
        chosen = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Prepared(**{k: v.index_select(1, copies) for k, v in chosen.items()})


class PPOLearner(TeamLearner):
    """The joint PPO loss of a team."""

    @torch.no_grad()
    def prepare(self, rollout: Rollout) -> Prepared:
        """Values of all turns under the present weights, then advantages over turns."""
        values, final = self._values_in_chunks(rollout)
        rewards = self._scaled_rewards(rollout)
        gae = functional.gae_over_turns(
            rewards * rollout.valid.unsqueeze(-1),
            values=values,
            turns=rollout.observing,
            terminated=rollout.terminated,
            truncated=rollout.truncated,
            final_values=final,
            gamma=self.config.gamma,
            lambda_=self.config.lambda_,
        )
        known = gae.known & rollout.valid.unsqueeze(-1)
        targets = self._normalised_targets(gae.targets, known, rollout)
        deciding = known & self._deciding(rollout)
        mean, variance, _ = self.moments(gae.advantages.unsqueeze(-1), deciding)
        advantages = (gae.advantages - mean) * torch.rsqrt(variance + 1e-8)
        return Prepared(advantages=advantages, targets=targets, known=known, trained=self._trained(rollout))

    def joint_loss(
        self, rollout: Rollout, unrolled: Unrolled, prepared: Prepared, copies: Tensor
    ) -> dict[str, Tensor]:
        """Clipped policy loss of every deciding agent, value loss of every turn, entropy bonuses."""
        part = prepared.select(copies)
        known = part.known & part.trained
        deciding = known & self._deciding(rollout)
        log_ratio = (unrolled.action_log_prob - rollout.action_log_prob) + (
            unrolled.message_log_prob - rollout.message_log_prob
        )
        policy_loss = self.mean(self._surrogate(log_ratio, part.advantages), deciding)
        values, _ = self._values(rollout, unrolled, normalised=True)
        value_loss = self.mean(0.5 * (values[:-1] - part.targets).square(), known)
        entropy = self.mean(unrolled.action_entropy, known & rollout.acting)
        message_entropy = self.mean(unrolled.message_entropy, known & rollout.speaking)
        total = policy_loss + self.config.vf_loss_coeff * value_loss
        total = total - self._coefficient("entropy") * entropy
        total = total - self._coefficient("message_entropy") * message_entropy
        return {
            "total_loss": total,
            "policy_loss": policy_loss,
            "vf_loss": value_loss,
            "entropy": entropy,
            "message_entropy": message_entropy,
            **self._diagnostics(log_ratio.detach(), deciding),
        }

    def is_enough(self, terms: dict[str, Tensor]) -> bool:
        """Whether the policies have moved so far from those that sampled that the batch is used up."""
        return self.config.target_kl is not None and float(terms["mean_kl"]) > self.config.target_kl

    def _surrogate(self, log_ratio: Tensor, advantages: Tensor) -> Tensor:
        if self.config.clip_param is None:
            return -log_ratio * advantages
        return functional.clipped_policy_loss(log_ratio, advantages, clip=self.config.clip_param)

    def _diagnostics(self, log_ratio: Tensor, mask: Tensor) -> dict[str, Tensor]:
        ratio = log_ratio.exp()
        clip = self.config.clip_param or float("inf")
        return {
            "mean_kl": self.agreed(self.mean(ratio - 1 - log_ratio, mask)),
            "clip_fraction": self.mean(((ratio - 1).abs() > clip).float(), mask),
            "ratio_error": torch.where(mask, (ratio - 1).abs(), 0.0).max(),
        }

    # ---- values -----------------------------------------------------------------------------------------------

    def _values_in_chunks(self, rollout: Rollout) -> tuple[Tensor, Tensor | None]:
        """Values of all steps, a minibatch at a time; the team itself runs only where a critic looks into it."""
        size = max(1, (self.config.minibatch_size or rollout.env_steps()) // rollout.num_steps)
        team = self.team_module.team
        inside = any(self.team_module[name].critic.view == "hidden" for name in team.layout.policies)
        pairs = [self._values(c, team.unroll(c) if inside else None, normalised=False) for c in rollout.chunks(size)]
        final = None if pairs[0][1] is None else torch.cat([p[1] for p in pairs], 1)
        return torch.cat([p[0] for p in pairs], 1), final

    def _values(
        self, rollout: Rollout, unrolled: Unrolled | None, *, normalised: bool
    ) -> tuple[Tensor, Tensor | None]:
        layout, values, finals = self.team_module.team.layout, {}, {}
        presence = presence_in(rollout, layout) if unrolled is None else unrolled.presence
        for name in layout.policies:
            critic = self.team_module[name].critic
            values[name] = self._present_values(name, presence[name], unrolled, rollout)
            if rollout.final_observations is not None:
                hidden = unrolled.final if critic.view == "hidden" and unrolled is not None else None
                seen, state = rollout.final_observations, rollout.final_state
                finals[name] = critic(self._critic_input(name, hidden, seen, state), self._agent(name))
            if not normalised and self.config.normalise_values:
                values[name] = critic.moments.restore(values[name])
                finals = {k: critic.moments.restore(v) if k == name else v for k, v in finals.items()}
        assignment = rollout.assignment
        whole = layout.combine(values, lead=2, assignment=assignment)
        ends = None if assignment is None else assignment[:-1]
        return whole, layout.combine(finals, lead=2, assignment=ends) if finals else None

    def _present_values(self, name: str, here: Presence, unrolled: Unrolled | None, rollout: Rollout) -> Tensor:
        """Of the steps in which a policy's agents observe; zeros elsewhere."""
        critic, span = self.team_module[name].critic, here.span
        observations, state = map_tensors(lambda leaf: leaf[span], (rollout.observations, rollout.state))
        looks_inside = critic.view == "hidden"
        hidden = {name: unrolled.before_in(name, span)} if looks_inside and unrolled is not None else None
        found = critic(self._critic_input(name, hidden, observations, state), self._agent(name))
        return here.padded(found, num_steps=rollout.num_steps + 1)

    def _agent(self, name: str) -> Tensor:
        layout = self.team_module.team.layout
        return agent_one_hot(len(layout.seats[name].slots), lead=(1, 1), device=self._device)

    def _critic_input(self, name: str, hidden: Tree | None, observations: Tree, state: Tensor | None) -> Tensor:
        layout, view = self.team_module.team.layout, self.team_module[name].critic.view
        if hidden is not None:
            return hidden[name]
        if view == "state" and state is not None:
            return state.unsqueeze(-2).expand(*state.shape[:-1], len(layout.seats[name].slots), -1)
        return flat_observation(layout.seats[name].observation_space, layout.gather(name, observations, lead=2))

    def _normalised_targets(self, targets: Tensor, known: Tensor, rollout: Rollout) -> Tensor:
        if not self.config.normalise_values:
            return targets
        layout, found = self.team_module.team.layout, {}
        assignment = None if rollout.assignment is None else rollout.assignment[:-1]
        for index, name in enumerate(layout.policies):
            slots, critic = layout.slots(name), self.team_module[name].critic
            mine = known if assignment is None else known & (assignment == index)
            if self.is_trained(name):
                critic.moments.merge(*self.moments(targets[:, :, slots].unsqueeze(-1), mine[:, :, slots]))
            found[name] = critic.moments.normalise(targets[:, :, slots])
        return layout.combine(found, lead=2, assignment=assignment)

    def _scaled_rewards(self, rollout: Rollout) -> Tensor:
        if not self.config.normalise_rewards:
            return rollout.rewards
        total, returns = torch.zeros_like(rollout.rewards[0]), []
        for t in range(rollout.num_steps):
            total = rollout.rewards[t] + self.config.gamma * total
            returns.append(total)
            total = torch.where(rollout.terminated[t] | rollout.truncated[t], 0.0, total)
        moments = self.team_module[RESERVED_POLICY].reward_moments
        valid = rollout.valid.unsqueeze(-1).expand_as(rollout.rewards)
        moments.merge(*self.moments(torch.stack(returns).unsqueeze(-1), valid))
        return rollout.rewards * torch.rsqrt(moments.variance + 1e-8)

    # ---- masks ------------------------------------------------------------------------------------------------

    def _deciding(self, rollout: Rollout) -> Tensor:
        """Agents whose own log-probability the step depends on: they act, or say a sampled message."""
        team = self.team_module.team
        if team.channel.scored and team.rounds:
            return rollout.acting | (rollout.speaking & team.talks)
        return rollout.acting

    def _trained(self, rollout: Rollout) -> Tensor:
        layout = self.team_module.team.layout
        flags = torch.tensor([self.is_trained(name) for name in layout.policies], device=rollout.rewards.device)
        if rollout.assignment is not None:
            return flags[rollout.assignment[:-1]]
        return flags[layout.default_assignment().to(flags.device)].expand_as(rollout.rewards)
