"""MAAC for teams: soft actor-critic with a critic that attends to what the others know and do."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.tune.registry import register_trainable
from torch import Tensor, nn

from heliograph import distributions, td
from heliograph.checks import check_choice, check_number, check_positive
from heliograph.models.team_critics import AttentionCritic
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.off_policy import LIMITS, Limit, OffPolicyConfig, acts_in_a_box, critic_of
from heliograph.rllib.off_policy_learner import OffPolicyLearner, TeamBatch
from heliograph.rollouts.rollout import Rollout
from heliograph.team.decisions import Outlook, decided, deciders, drawn
from heliograph.team.team import Team
from heliograph.types import Timing

__all__ = ["CommMAAC", "CommMAACConfig", "MAACLearner"]

ATTENTIONS = ("learnt", "uniform")
MOST_DECISIONS = 1024
"""Of an agent, all of which get a value."""


def _says_no_symbols(config: OffPolicyConfig, team: Team) -> bool:
    channel = team.channel
    return not team.silent and channel.scored and (channel.vocabulary is None or channel.can_be_silent)


def _is_heard_at_once(config: OffPolicyConfig, team: Team) -> bool:
    talking = [policy.model for policy in team.policies.values() if policy.communicates]
    early = all(model.timing is Timing.NEXT_STEP and model.rounds == 1 for model in talking)
    return team.spells and not early


def _decides_too_much(config: OffPolicyConfig, team: Team) -> bool:
    return not acts_in_a_box(team) and any(one.num_decisions > MOST_DECISIONS for one in deciders(team).values())


OWN_LIMITS = (
    Limit(
        name="a team of one agent",
        why="nobody is there to attend to",
        remedy="algorithm 'ppo', or an environment with more agents",
        holds=lambda config, team: len(team.layout.agents) == 1,
    ),
    Limit(
        name="actions in a Box",
        why="its baseline is the mean over all that an agent might do",
        remedy="actions that are Discrete or MultiDiscrete, or algorithm 'maddpg'",
        holds=lambda config, team: acts_in_a_box(team),
    ),
    Limit(
        name="sampled messages that are no plain symbols, such as a gate's, or vectors with gradient='score'",
        why="its baseline is the mean over all that an agent might say",
        remedy="channel='symbols', or one whose messages carry gradients, such as 'dru'",
        holds=_says_no_symbols,
    ),
    Limit(
        name="symbols that are heard in the step in which they are said",
        why="what the others do then follows from the symbol, and a baseline of it must not",
        remedy="a model that hears in the next step, such as 'cnet', or gradient='straight_through'",
        holds=_is_heard_at_once,
    ),
    Limit(
        name=f"more than {MOST_DECISIONS} decisions of an agent, actions times messages",
        why="each of them has a value of its own",
        remedy="a smaller vocabulary or action space, or algorithm 'maddpg'",
        holds=_decides_too_much,
    ),
)


class CommMAACConfig(OffPolicyConfig):
    """Configuration of MAAC (Iqbal and Sha 2019): soft actor-critic, and a critic with attention to the other agents.

    A decision is an action and, on `symbols`, what is said. A policy rises by what its sampled decision is worth more
    than the mean over all of its own, those of the others drawn from their present policies. On channels that carry
    gradients the policies' losses reach those who spoke. Defaults are the published ones: the paper's and those of its
    code (github.com/shariqiqbal2810/MAAC, commit 6174a01), which also standardises rewards over the whole replay
    (`standardise_rewards`): in those units an entropy of 1 nat is worth `entropy_coeff`, 1 / `reward_scale`.

    Published, too: policies of their own (`networks="separate"`) with two layers of 128 and inputs of unit variance
    (`normalise_observations`), and no messages (channel `none`, or the task's own).

    Differences: values expected after a step are means over an agent's own next decisions, not of a single one; the
    entropy there is discounted as the value is (the code subtracts it undiscounted, and after the end, too); several
    parts of an action (MultiDiscrete) are one decision; agents that share a policy share encoders, and are told apart
    by their numbers; updates are made after whole episodes, as many as the same env steps come to; inputs are
    normalised by running moments, not by those of each batch, which differ between a step and the next one. With
    memories or messages whole episodes are replayed, and critics also see what agents remember and have heard.
    """

    limits = (*LIMITS, *OWN_LIMITS)

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or CommMAAC)
        self.lr = 1e-3
        self.tau = 1e-3
        self.q_size = 128
        self.env_steps_per_update = 25
        self.entropy_coeff = 0.01
        self.attention = "learnt"
        self.attention_heads = 4
        self.attention_penalty = 1e-3
        self.standardise_rewards = True
        self.critic_grad_clip: float | None = 10.0
        self.critic_weight_decay = 1e-3

    def training(
        self,
        *,
        tau: float = NotProvided,
        q_size: int = NotProvided,
        replay_env_steps: int = NotProvided,
        env_steps_per_update: int = NotProvided,
        num_steps_sampled_before_learning_starts: int = NotProvided,
        logit_penalty: float = NotProvided,
        entropy_coeff: float = NotProvided,
        attention: str = NotProvided,
        attention_heads: int = NotProvided,
        attention_penalty: float = NotProvided,
        standardise_rewards: bool = NotProvided,
        critic_grad_clip: float | None = NotProvided,
        critic_weight_decay: float = NotProvided,
        **kwargs: Any,
    ) -> "CommMAACConfig":
        """Set training settings; those that all algorithms with replay share are explained in `OffPolicyConfig`.

        `entropy_coeff`: what a nat of entropy is worth. `attention`: "learnt", or "uniform", in which all others weigh
        the same; `attention_heads`: in how many ways; `attention_penalty`: of the mean square of its logits.
        `standardise_rewards`: learn from rewards with the mean and variance of all in the replay taken out, agent by
        agent. `critic_grad_clip`: norm to which the critic's gradient is clipped, times the number of agents;
        `critic_weight_decay`: of its optimiser.
        """
        given = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        super().training(**kwargs)
        self.take(given)
        return self

    def get_default_learner_class(self) -> type:
        """The learner of this algorithm."""
        return MAACLearner

    def team_critic(self) -> Callable[[Team], nn.Module] | None:
        """Attention over the agents of a team."""
        return functools.partial(
            critic_of, network=AttentionCritic, size=self.q_size, heads=self.attention_heads, attention=self.attention
        )

    def build_critic_optimizer(self, params: list[Tensor]) -> torch.optim.Optimizer:
        """Adam with weight decay."""
        return torch.optim.Adam(params, weight_decay=self.critic_weight_decay, fused=True)

    def idle(self, team: Team) -> dict[str, str]:
        """As of all with replay, and what belongs to attention that is learnt."""
        found = super().idle(team)
        if self.attention == "uniform":
            found["attention_penalty"] = "attention='uniform' has no logits; leave it out"
        if len(team.layout.agents) == 2:
            why = "there is one other agent, to which all attention goes; leave it out"
            found |= dict.fromkeys(("attention", "attention_penalty"), why)
        return found

    def validate(self) -> None:
        """Check numbers, then the team."""
        for name in ("entropy_coeff", "attention_penalty", "critic_weight_decay"):
            check_number(name, getattr(self, name), minimum=0)
        check_choice("attention", self.attention, valid=ATTENTIONS)
        check_positive("attention_heads", self.attention_heads)
        if self.q_size % self.attention_heads:
            raise ValueError(f"attention_heads={self.attention_heads}: must divide q_size={self.q_size}")
        if self.critic_grad_clip is not None:
            check_number("critic_grad_clip", self.critic_grad_clip, above=0)
        super().validate()


class CommMAAC(CommunicationAlgorithm):
    """MAAC for teams; see `CommMAACConfig`."""

    @classmethod
    def get_default_config(cls) -> CommMAACConfig:
        """The default configuration."""
        return CommMAACConfig()


register_trainable("CommMAAC", CommMAAC)  # else Tune, given the name, would import all of RLlib's algorithms to find it


class MAACLearner(OffPolicyLearner):
    """The losses of MAAC: a soft TD error of the critic, and a counterfactual advantage for the policies."""

    critic: AttentionCritic

    def rewards(self, rollout: Rollout) -> Tensor:
        """Standardised over all that is kept, agent by agent."""
        if not self.config.standardise_rewards:
            return rollout.rewards
        mean, std = self.replay.moments_of_rewards()
        return (rollout.rewards - mean) / std

    def next_values(self, ahead: Outlook, valid: Tensor) -> dict[str, Tensor]:
        """Means over an agent's own decisions, the others' drawn from their target policies, and entropies."""
        chosen = {policy: drawn(parts, generator=self._stream) for policy, parts in ahead.parts.items()}
        found = self.target_critic(ahead.known, self.features(chosen), valid=valid).values
        coefficient = self.config.entropy_coeff
        return {
            policy: td.soft_value(
                found[policy], distributions.joint_log_probs(ahead.parts[policy]), entropy_coeff=coefficient
            )
            for policy in found
        }

    def critic_terms(self, batch: TeamBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Values of what was decided, and of attention the penalty."""
        done, valid = decided(self.team_module.team, batch.rollout, self.deciders), batch.rollout.valid
        features = self.features(done)
        self.critic.track(batch.now.known, features, valid=valid)
        found = self.critic(batch.now.known, features, valid=valid)
        values = {
            policy: td.chosen_value(found.values[policy], distributions.joint_index(done[policy], one.sizes))
            for policy, one in self.deciders.items()
        }
        return values, self.config.attention_penalty * found.penalty

    def policy_terms(self, batch: TeamBatch) -> dict[str, Tensor]:
        """Log-probabilities of fresh decisions, weighed by how much better they are, and by how surprising."""
        fresh = {policy: drawn(parts, generator=self._stream) for policy, parts in batch.now.parts.items()}
        with torch.no_grad():
            found = self.critic(batch.now.known, self.features(fresh), valid=batch.rollout.valid).values
        loss = entropy = number = torch.zeros((), device=self._device)
        for policy, one in self.deciders.items():
            log_probs = distributions.joint_log_probs(batch.now.parts[policy])
            index = distributions.joint_index(fresh[policy], one.sizes)
            chosen = td.chosen_value(log_probs, index)
            gain = td.counterfactual_advantage(found[policy], log_probs.detach(), index)
            weight = self.config.entropy_coeff * chosen.detach() - gain
            here = self.deciding(batch, policy)
            loss = loss + torch.where(here, chosen * weight, 0.0).sum() / batch.num_env_steps
            entropy = entropy - torch.where(here, (log_probs.exp() * log_probs).sum(-1), 0.0).sum()
            number = number + here.sum()
        return {"policy_loss": loss, "entropy": entropy.detach() / number.clamp(min=1)}

    def networks(self) -> Iterator[tuple[list[nn.Module], float | None]]:
        """Each policy, and the critic as a whole."""
        yield from super().networks()
        limit = self.config.critic_grad_clip
        yield [self.critic], None if limit is None else limit * self.critic.num_agents
