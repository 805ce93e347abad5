"""What PPO and A2C share: settings, critics, advantages over turns, and who of a batch is trained."""

import dataclasses
from abc import ABC
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph import functional
from heliograph.checks import check_choice, check_number, check_positive, check_schedule
from heliograph.envs.base import flat_observation
from heliograph.experiments.choices import RESERVED_POLICY, build_layout
from heliograph.models.structure import side_by_side
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.learner import TeamLearner
from heliograph.rllib.validation import scored_words
from heliograph.rollouts.rollout import Rollout
from heliograph.team.participation import Participation, presence_in
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled
from heliograph.types import Gradient, Tree, map_tensors

__all__ = ["ActorCriticConfig", "ActorCriticLearner", "Prepared"]

CLIPPED_BY = ("global_norm", "value")


class ActorCriticConfig(CommunicationConfig, ABC):
    """Settings that algorithms with a policy gradient and critics have; each lists them in its `training`."""

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        self.gamma = 0.99
        self.lambda_ = 0.95
        self.entropy_coeff: Any = 0.0
        self.message_entropy_coeff: Any = 0.0
        self.vf_loss_coeff = 0.5
        self.normalise_advantages = True
        self.mean_ratio = 0.0
        self.detach_gap: int | None = None

    def batch_env_steps(self) -> int:
        """Env steps that are sampled before each update."""
        return self.total_train_batch_size

    def schedules(self) -> dict[str, Any]:
        """Coefficients that may follow a schedule."""
        return {"entropy": self.entropy_coeff, "message_entropy": self.message_entropy_coeff}

    def idle(self, team: Team) -> dict[str, str]:
        """As of all algorithms, and what belongs to sampled messages, to later steps and to other agents."""
        found = super().idle(team)
        if not scored_words(team):
            why = "messages are not chosen from odds that learning changes; leave it out, or use 'symbols' or a gate"
            found["message_entropy_coeff"] = why
        if self.facts().horizon == 1:
            why = "episodes have a single step, and no reward comes later; leave it out"
            found |= dict.fromkeys(("gamma", "lambda_", "detach_gap"), why)
        if max(Counter(self.facts().team_of_agent).values()) == 1:
            found["mean_ratio"] = "each agent is a team of its own, whose mean is its own return; leave it out"
        return found

    def prepare_team(self, team: Team) -> None:
        """Set where gradients through time stop."""
        team.detach_gap = self.detach_gap

    def check_numbers(self) -> None:
        """Refuse settings out of their range."""
        for name in ("gamma", "lambda_", "mean_ratio"):
            check_number(name, getattr(self, name), minimum=0, maximum=1)
        if self.grad_clip is not None:
            check_number("grad_clip", self.grad_clip, above=0)
        check_choice("grad_clip_by", self.grad_clip_by, valid=CLIPPED_BY)
        if self.detach_gap is not None:
            check_positive("detach_gap", self.detach_gap)
        for name in ("entropy_coeff", "message_entropy_coeff"):
            check_schedule(name, getattr(self, name), minimum=0)
        if "state" in self.critic and not self.facts().state_size:
            raise ValueError(f"critic={self.critic!r}: this environment's state is empty; give its views a state")
        check_number("vf_loss_coeff", self.vf_loss_coeff, minimum=0)
        check_schedule("lr", self.lr, above=0)
        for policy in build_layout(self.choices(), self.facts()).policies:
            check_schedule(f"lr of policy {policy!r}", self.lr_of(policy), minimum=0)


@dataclasses.dataclass(kw_only=True)
class Prepared:
    """Values that all epochs share: advantages (normalised) and value targets of known turns, and whose losses count.

    `trained` are agents whose policy learns, and so do their values. `counted` are those whose policy losses and
    entropies count (see `counted_losses`): frozen hearers teach trained speakers by theirs. `values` are those that the
    critics put out before the first epoch, in their own units, where an algorithm holds later ones against them.
    """

    advantages: Float[Tensor, "T B N"]
    targets: Float[Tensor, "T B N"]
    known: Bool[Tensor, "T B N"]
    trained: Bool[Tensor, "T B N"]
    counted: Bool[Tensor, "T B N"]
    values: Float[Tensor, "T B N"] | None = None

    def select(self, copies: Tensor) -> "Prepared":
        """Those of some copies."""
        return map_tensors(lambda leaf: leaf.index_select(1, copies), self)


class ActorCriticLearner(TeamLearner, ABC):
    """Base of learners with critics: `prepare` is written here, `joint_loss` is theirs."""

    @torch.no_grad()
    def prepare(self, rollout: Rollout) -> Prepared:
        """Values of all turns under the present weights, then advantages over turns."""
        self._check_mixture(rollout)
        values, final = self._values_in_chunks(rollout)
        gae = functional.gae_of_teams(
            self._scaled_rewards(rollout) * rollout.valid.unsqueeze(-1),
            values=values,
            turns=rollout.observing,
            terminated=rollout.terminated,
            truncated=rollout.truncated,
            episode_over=rollout.episode_over,
            final_values=final,
            gamma=self.config.gamma,
            lambda_=self.config.lambda_,
            mean_ratio=self.config.mean_ratio,
            team_of_agent=self.team_module.team.team_of_agent,
        )
        known = gae.known & rollout.valid.unsqueeze(-1)
        own_values = self.kept_values(values[:-1], rollout)
        targets = self._normalised_targets(gae.targets, known, rollout)
        trained = self._trained(rollout)
        counted = self._counted(trained, rollout)
        advantages = self._normalised_advantages(gae.advantages, known & counted & self.deciding(rollout))
        return Prepared(
            advantages=advantages, targets=targets, known=known, trained=trained, counted=counted, values=own_values
        )

    def kept_values(self, values: Float[Tensor, "T B N"], rollout: Rollout) -> Float[Tensor, "T B N"] | None:
        """Return what to keep of the values before the first epoch, given in units of rewards; by default nothing."""
        return None

    def _check_mixture(self, rollout: Rollout) -> None:
        """One value stands for an agent's own return and its team's only where both end at once."""
        ratio, lambda_ = self.config.mean_ratio, self.config.lambda_
        if lambda_ == 1 or ratio in (0, 1):
            return
        if bool(((rollout.terminated | rollout.truncated) & ~rollout.episode_over.unsqueeze(-1)).any()):
            raise ValueError(
                f"mean_ratio={ratio}, lambda_={lambda_}: here agents leave before the episode ends, and a value cannot "
                "stand for both an agent's own return and its team's; use mean_ratio 0 or 1, or lambda_=1.0"
            )

    def value_errors(self, rollout: Rollout, unrolled: Unrolled, part: Prepared) -> Float[Tensor, "T B N"]:
        """The loss of each value: by default half its squared error."""
        return 0.5 * (self.present_values(rollout, unrolled) - part.targets).square()

    def present_values(self, rollout: Rollout, unrolled: Unrolled) -> Float[Tensor, "T B N"]:
        """Return what the critics put out now, in their own units."""
        return self._values(rollout, unrolled, normalised=True, presence=unrolled.presence)[0][:-1]

    def bonus(self, name: str, unrolled: Unrolled) -> Float[Tensor, "T B N"]:
        """An entropy of actions or messages; without gradient where it does not count."""
        values = unrolled.action_entropy if name == "entropy" else unrolled.message_entropy
        return values if self.counts(name) else values.detach()

    def total(self, means: dict[str, Tensor]) -> Tensor:
        """The loss to be minimised."""
        total = means["policy_loss"] + self.config.vf_loss_coeff * means["vf_loss"]
        for name in ("entropy", "message_entropy"):
            total = total - self._coefficient(name) * means[name] if self.counts(name) else total
        return total

    def _normalised_advantages(self, advantages: Tensor, deciding: Tensor) -> Tensor:
        if not self.config.normalise_advantages:
            return advantages
        mean, variance, _ = self.peers.moments(advantages.unsqueeze(-1), deciding)
        return (advantages - mean) * torch.rsqrt(variance + 1e-8)

    # ---- values -----------------------------------------------------------------------------------------------

    def _values_in_chunks(self, rollout: Rollout) -> tuple[Tensor, Tensor | None]:
        """Values of all steps, a minibatch at a time; the team itself runs only where a critic looks into it."""
        size = max(1, (self.config.minibatch_size or rollout.env_steps()) // rollout.num_steps)
        team = self.team_module.team
        inside = any(self.team_module[name].critic.looks_inside for name in team.layout.policies)
        if inside and rollout.trace is not None:
            traced = team.traced(rollout)
            return self._values(rollout, traced, normalised=False, presence=traced.presence)
        presence, pairs = presence_in(rollout, team.layout), []
        for chunk in rollout.chunks(size):
            unrolled = team.unroll(chunk, presence=presence) if inside else None
            pairs.append(self._values(chunk, unrolled, normalised=False, presence=presence))
        final = None if pairs[0][1] is None else torch.cat([p[1] for p in pairs], 1)
        return torch.cat([p[0] for p in pairs], 1), final

    def _values(
        self, rollout: Rollout, unrolled: Unrolled | None, *, normalised: bool, presence: Mapping[str, Participation]
    ) -> tuple[Tensor, Tensor | None]:
        layout, values, finals = self.team_module.team.layout, {}, {}
        asked = any(self.team_module[name].critic.sees_state for name in layout.policies)
        state, last = (rollout.state, rollout.final_state) if asked else (None, None)
        for name in layout.policies:
            critic = self.team_module[name].critic
            values[name] = self._present_values(name, presence[name], unrolled, rollout, state)
            if rollout.final_observations is not None:
                hidden = unrolled.final if critic.looks_inside and unrolled is not None else None
                finals[name] = self._values_from(name, hidden, rollout.final_observations, last)
            if not normalised and self.config.normalise_values:
                values[name] = critic.moments.restore(values[name])
                finals = {k: critic.moments.restore(v) if k == name else v for k, v in finals.items()}
        assignment = rollout.assignment
        whole = layout.combine(values, lead=2, assignment=assignment)
        ends = None if assignment is None else assignment[:-1]
        return whole, layout.combine(finals, lead=2, assignment=ends) if finals else None

    def _present_values(
        self, name: str, here: Participation, unrolled: Unrolled | None, rollout: Rollout, state: Tensor | None
    ) -> Tensor:
        """Values of the steps in which a policy's agents observe; zeros elsewhere."""
        critic, span = self.team_module[name].critic, here.span
        observations, state = map_tensors(lambda leaf: leaf[span], (rollout.observations, state))
        rows = unrolled.rows_in(name, span) if critic.view == "hidden" and unrolled is not None else None
        if rows is not None:
            size = self.team_module[name].policy.model.hidden_size
            values = rows.alone(critic(side_by_side(rows.rows, size)))
            return here.padded(values, num_steps=rollout.num_steps + 1)
        hidden = {name: unrolled.before_in(name, span)} if critic.looks_inside and unrolled is not None else None
        found = self._values_from(name, hidden, observations, state)
        return here.padded(found, num_steps=rollout.num_steps + 1)

    def _values_from(self, name: str, hidden: Tree | None, observations: Tree, state: Tensor | None) -> Tensor:
        layout, critic = self.team_module.team.layout, self.team_module[name].critic
        if hidden is not None:
            size = self.team_module[name].policy.model.hidden_size
            return critic(side_by_side(hidden[name], size), state)
        if critic.view == "state" and state is not None:
            return critic(state)
        space = layout.seats[name].observation_space
        return critic(flat_observation(space, layout.gather(name, observations, lead=2)))

    def _normalised_targets(self, targets: Tensor, known: Tensor, rollout: Rollout) -> Tensor:
        if not self.config.normalise_values:
            return targets
        layout, found = self.team_module.team.layout, {}
        assignment = None if rollout.assignment is None else rollout.assignment[:-1]
        for index, name in enumerate(layout.policies):
            slots, critic = layout.slots(name), self.team_module[name].critic
            mine = known if assignment is None else known & (assignment == index)
            if self.is_trained(name):
                critic.moments.merge(*self.peers.moments(targets[:, :, slots].unsqueeze(-1), mine[:, :, slots]))
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
        moments.merge(*self.peers.moments(torch.stack(returns).unsqueeze(-1), valid))
        return rollout.rewards * torch.rsqrt(moments.variance + 1e-8)

    # ---- masks ------------------------------------------------------------------------------------------------

    def deciding(self, rollout: Rollout) -> Tensor:
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

    def _counted(self, trained: Tensor, rollout: Rollout) -> Bool[Tensor, "T B N"]:
        """Agents whose policy losses and entropies count."""
        team = self.team_module.team
        if not team.rounds or team.channel.gradient is not Gradient.PATHWISE:
            return trained
        talks = team.talking(0, None if rollout.assignment is None else rollout.assignment[:-1])
        return functional.counted_losses(trained, talks=talks.expand_as(trained), team_of_agent=team.team_of_agent)
