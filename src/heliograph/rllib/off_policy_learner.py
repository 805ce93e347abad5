"""The learner that MAAC and MADDPG share: replay, target networks, and steps of critics and policies in turn."""

import copy
import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from ray.rllib.utils.metrics import ALL_MODULES
from torch import Tensor, nn

from heliograph import functional
from heliograph.distributions import MASKED_LOGIT
from heliograph.experiments.choices import RESERVED_POLICY
from heliograph.losses.base import LossBatch
from heliograph.models.team_critics import TeamCritic, soft_update
from heliograph.rllib.learner import TeamLearner
from heliograph.rllib.module import TEAM_CRITIC
from heliograph.rollouts.replay import Minibatch, Replay
from heliograph.rollouts.rollout import Rollout
from heliograph.team.decisions import Outlook, deciders, looking_ahead, looking_now
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled

__all__ = ["OffPolicyLearner", "TeamBatch"]

OFF_POLICY = "off_policy"
"""Key of a learner's state: target networks, replay, the stream that draws from it, and counts."""
OUT_OF_REACH = MASKED_LOGIT / 2
"""Logits below are of what may not be chosen."""


@dataclasses.dataclass(kw_only=True)
class TeamBatch:
    """A minibatch, the team gone through it with gradients, and how it would decide in it."""

    minibatch: Minibatch
    unrolled: Unrolled
    now: Outlook

    @property
    def rollout(self) -> Rollout:
        """Decisions that were made."""
        return self.minibatch.rollout

    @property
    def num_env_steps(self) -> Tensor:
        """Return how many steps there really were."""
        return self.rollout.valid.sum().clamp(min=1)


class OffPolicyLearner(TeamLearner, ABC):
    """Base of learners with replay: fills in losses of critics and of policies, which are stepped one after the other.

    The target team goes through what is replayed by itself; messages are heard there, too, as they were heard then.
    """

    target: Team

    def build(self) -> None:
        """Build modules and optimisers, target networks with the same weights, and an empty replay."""
        super().build()
        team = self.team_module.team
        self.deciders = deciders(team)
        self.target = copy.deepcopy(team).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.replay = Replay(num_env_steps=self.config.replay_env_steps, length=self.config.replay_length(team))
        self.num_updates = self._owed_env_steps = 0
        self._stream = torch.Generator()
        self._stream.manual_seed(0 if self.config.seed is None else int(self.config.seed))

    @property
    def critic(self) -> TeamCritic:
        """The critic of all agents."""
        return self.team_module[RESERVED_POLICY].team_critics[TEAM_CRITIC]

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """As of all; the critic of the team has an optimiser of its own."""
        if module_id != RESERVED_POLICY:
            super().configure_optimizers_for_module(module_id, config)
            return
        critic = list(self.critic.parameters())
        held, lr = {id(p) for p in critic}, self.config.lr_of(module_id)
        rest = [p for p in self.get_parameters(self._module[module_id]) if p.requires_grad and id(p) not in held]
        both = (("critic", critic, self.config.build_critic_optimizer), ("rest", rest, self.config.build_optimizer))
        for name, params, build in both:
            if params:
                self.register_optimizer(
                    module_id=module_id,
                    optimizer_name=name,
                    optimizer=build(params),
                    params=params,
                    lr_or_lr_schedule=lr,
                )

    # ---- what algorithms fill in ------------------------------------------------------------------------------

    @abstractmethod
    def next_values(self, ahead: Outlook, valid: Tensor) -> dict[str, Tensor]:
        """Return what is to be expected after each step, by policy `[T, B, A]`, in the eyes of the target networks."""

    @abstractmethod
    def critic_terms(self, batch: TeamBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Values of what was decided, by policy `[T, B, A]`, and a penalty to be added to the critics' loss."""

    @abstractmethod
    def policy_terms(self, batch: TeamBatch) -> dict[str, Tensor]:
        """The loss of the policies under "policy_loss", and what to log; gradients of critics are switched off."""

    def rewards(self, rollout: Rollout) -> Tensor:
        """The rewards that are learnt from; by default those that were paid."""
        return rollout.rewards

    # ---- updating ---------------------------------------------------------------------------------------------

    def prepare(self, rollout: Rollout) -> Any:
        """Nothing: targets are computed for what is drawn."""

    def joint_loss(self, rollout: Rollout, unrolled: Unrolled, prepared: Any, copies: Tensor) -> dict[str, Tensor]:
        """Refuses: critics and policies are stepped one after the other."""
        raise RuntimeError("an algorithm with replay has two losses: critic_terms and policy_terms")

    def _epochs(self, rollout: Rollout, num_epochs: int, minibatch_size: int | None) -> list[dict[str, Tensor]]:
        self.replay.add(rollout)
        if self._env_steps < self.config.num_steps_sampled_before_learning_starts:
            return []
        per = self.config.env_steps_per_update
        due, self._owed_env_steps = divmod(self._owed_env_steps + rollout.env_steps(), per)
        return [self._update_once() for _ in range(due)]

    def _update_once(self) -> dict[str, Tensor]:
        drawn = self.replay.sample(self.config.train_batch_size_per_learner, generator=self._stream)
        team = self.team_module.team
        unrolled = team.unroll(drawn.rollout, as_heard=True)
        batch = TeamBatch(minibatch=drawn, unrolled=unrolled, now=looking_now(team, unrolled, drawn))
        values, td_loss = self._critic_step(batch)
        self.critic.requires_grad_(False)
        terms = self.policy_terms(batch)
        self.critic.requires_grad_(True)
        total = terms["policy_loss"] + self.config.logit_penalty * self._mean_square(batch)
        for loss in self.config.losses:
            value = self._auxiliary(loss, LossBatch(rollout=drawn.rollout, unrolled=unrolled, team=team))
            terms[f"loss_{loss.name}"] = value.detach()
            total = total + self._coefficient(loss.name) * value
        norm = self._descend({**terms, "total_loss": total})
        soft_update(self.target, team, tau=self.config.tau)
        soft_update(self.target_critic, self.critic, tau=self.config.tau)
        self.num_updates += 1
        logged = {"total_loss": total + td_loss, "td_loss": td_loss, "mean_q": values, **terms, "gradient_norm": norm}
        return {key: value.detach() for key, value in logged.items()}

    def _critic_step(self, batch: TeamBatch) -> tuple[Tensor, Tensor]:
        """The mean value and the TD loss before the step: squared errors, summed over agents, mean over env steps."""
        targets = self.targets(batch)
        values, penalty = self.critic_terms(batch)
        found = self.team_module.team.layout.combine(values, lead=2)
        known = targets.known & batch.rollout.valid.unsqueeze(-1)
        errors = torch.where(known, (found - targets.targets).square(), 0.0)
        td_loss = errors.sum() / batch.num_env_steps
        mean = torch.where(known, found, 0.0).sum() / known.sum().clamp(min=1)
        self._descend({"td_loss": td_loss, "total_loss": td_loss + penalty})
        return mean.detach(), td_loss.detach()

    @torch.no_grad()
    def targets(self, batch: TeamBatch) -> functional.Advantages:
        """Rewards until an agent's own next turn, and what is to be expected there."""
        rollout = batch.rollout
        unrolled = self.target.unroll(rollout, as_heard=True)
        ahead = looking_ahead(self.target, unrolled, batch.minibatch)
        values = self.target.layout.combine(self.next_values(ahead, rollout.valid), lead=2)
        return functional.gae_over_turns(
            self.rewards(rollout) * rollout.valid.unsqueeze(-1),
            values=torch.cat([torch.zeros_like(values[:1]), values]),
            turns=rollout.observing,
            terminated=rollout.terminated,
            truncated=rollout.truncated,
            final_values=values,
            gamma=self.config.gamma,
            lambda_=0.0,
        )

    def deciding(self, batch: TeamBatch, policy: str) -> Tensor:
        """Mask of the agents of a policy that had something to decide `[T, B, A]`."""
        rollout, team = batch.rollout, self.team_module.team
        asked = rollout.acting | (rollout.speaking & team.talks) if team.spells else rollout.acting
        return (asked & rollout.valid.unsqueeze(-1))[:, :, team.layout.slots(policy)]

    def features(self, decisions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Decisions of each policy as critics see them."""
        return {policy: one.features(decisions[policy]) for policy, one in self.deciders.items()}

    def _mean_square(self, batch: TeamBatch) -> Tensor:
        """Square of what policies put out: mean over numbers and env steps, summed over agents."""
        team = self.team_module.team
        total = torch.zeros((), device=self._device)
        for policy in team.layout.policies:
            here = self.deciding(batch, policy)
            parts = torch.cat([p.masked_fill(p < OUT_OF_REACH, 0.0) for p in batch.now.parts[policy]], -1)
            total = total + torch.where(here, parts.square().mean(-1), 0.0).sum() / batch.num_env_steps
        return total

    def _descend(self, terms: dict[str, Tensor]) -> Tensor:
        """Step what the total loss has gradients of, each network's clipped by itself; the norm of all before that."""
        gradients = self.compute_gradients({ALL_MODULES: terms["total_loss"]})
        gradients = {key: grad for key, grad in gradients.items() if grad is not None}
        for parameter in self.critic.shared_parameters():
            if parameter.grad is not None:
                parameter.grad.div_(self.critic.num_agents)
        norm = self._combine(gradients)
        if not math.isfinite(float(norm) + float(terms["total_loss"].detach())):
            self._diverged(terms, gradients)
        for network, limit in self.networks():
            self._clip_network(network, limit)
        self.apply_gradients(gradients)
        return norm

    def networks(self) -> Iterator[tuple[list[nn.Module], float | None]]:
        """Return what is clipped together, and to which norm (None: not at all)."""
        for module_id, module in self.team_module.items():
            if module_id != RESERVED_POLICY:
                yield [module], self.config.grad_clip

    def _clip_network(self, modules: list[nn.Module], limit: float | None) -> None:
        gradients = [p.grad for module in modules for p in module.parameters() if p.grad is not None]
        if limit is None or not gradients:
            return
        if self.config.grad_clip_by == "value":
            for gradient in gradients:
                gradient.clamp_(-limit, limit)
            return
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        share = (limit / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(share)

    def _apply_freezing(self) -> None:
        super()._apply_freezing()
        self.critic.requires_grad_(True).train()

    # ---- state ------------------------------------------------------------------------------------------------

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """The learner's state with target networks, replay, and the stream that draws from it."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(OFF_POLICY, components, not_components):
            networks = {"team": self.target, "critic": self.target_critic}
            state[OFF_POLICY] = {
                "targets": {name: _copied(network.state_dict()) for name, network in networks.items()},
                "replay": self.replay.get_state(),
                "stream": self._stream.get_state(),
                "num_updates": self.num_updates,
                "owed_env_steps": self._owed_env_steps,
            }
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over a state; where it has only weights, targets and replay stay as they are."""
        super().set_state(state)
        if OFF_POLICY in state:
            own = state[OFF_POLICY]
            self.target.load_state_dict(own["targets"]["team"])
            self.target_critic.load_state_dict(own["targets"]["critic"])
            self.replay.set_state(own["replay"])
            self._stream.set_state(own["stream"])
            self.num_updates, self._owed_env_steps = own["num_updates"], own["owed_env_steps"]


def _copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in weights.items()}
