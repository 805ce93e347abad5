"""Recurrent Q-learning for communicating teams: RIAL and DIAL, and values of whole teams by VDN and QMIX."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.tune.registry import register_trainable
from torch import Tensor

from heliograph import td
from heliograph.checks import check_number, check_positive, check_schedule
from heliograph.experiments.choices import RESERVED_POLICY, build_channel
from heliograph.experiments.curriculum import Points
from heliograph.models.mixer import AbstractMixer, Mixing
from heliograph.registry import UnknownNameError
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.compiling import NOT_COMPILED
from heliograph.rllib.config import CommunicationConfig, refuse_given
from heliograph.rllib.joint_values import Targets, Values, joint_targets, side_by_side_values, team_reward
from heliograph.rllib.learner import TeamLearner
from heliograph.rllib.optimisers import LeanRMSprop
from heliograph.rllib.peers import Averaged
from heliograph.rollouts.rollout import Rollout
from heliograph.team.team import Team
from heliograph.team.unroll import Unrolled

__all__ = ["CommDQN", "CommDQNConfig", "QLearner"]

TARGET = "target"
"""Key of a learner's state: weights of the target team, and the number of updates."""
BOOTSTRAPS = ("turn", "step")
HEADS = ("own", "average")
CLIPPED_BY = ("value", "global_norm")
PER_BATCH = ("train_batch_size_per_learner", "num_epochs", "minibatch_size")


class CommDQNConfig(CommunicationConfig):
    """Configuration of recurrent Q-learning on whole fresh episodes, without replay: RLlib's names, `.communication()`.

    On a channel whose messages are actions (`symbols`) it is RIAL: messages have a Q head of their own, and are chosen
    epsilon-greedily. On a differentiable channel (`dru`) it is DIAL: the listeners' loss reaches the speakers through
    the channel and through time. An update learns from one episode of each copy (`num_envs_per_env_runner`).
    Source: Foerster et al. 2016.

    With `mixing` the value of the whole team is learnt from the reward that all share, and made of its agents' values:
    their sum (VDN, Sunehag et al. 2018), or a network whose weights are made of the environment's state and never
    negative (QMIX, Rashid et al. 2018). Values of symbols are mixed beside those of actions, as if of further agents.
    Whoever may not act counts by the value of its action 0, who does not observe by 0. Both papers learn from a replay
    of 5,000 episodes with an epsilon that falls from 1; here an update learns from fresh episodes, by `epsilon` as set.
    """

    learns_values = True

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or CommDQN)
        self.lr = 5e-4
        self.gamma = 1.0
        self.epsilon: Any = 0.05
        self.target_update_every = 100
        self.momentum = 0.95
        self.rms_decay = 0.99
        self.bootstrap = "turn"
        self.message_bootstrap = "own"
        self.mixing: str | None = None
        self.grad_clip = 10.0
        self.grad_clip_by = "value"
        self.batch_mode = "complete_episodes"
        self.num_envs_per_env_runner = 32

    def training(
        self,
        *,
        epsilon: Any = NotProvided,
        target_update_every: int = NotProvided,
        momentum: float = NotProvided,
        rms_decay: float = NotProvided,
        bootstrap: str = NotProvided,
        message_bootstrap: str = NotProvided,
        mixing: str | None = NotProvided,
        **kwargs: Any,
    ) -> "CommDQNConfig":
        """Set training settings.

        `epsilon`: of epsilon-greedy actions, and apart from them messages, fixed or a schedule by env steps, as `lr`
        may be: [[0, 0.05], [1000000, 0.0]]. `target_update_every`: updates after which the target team takes over the
        weights. `momentum` and `rms_decay` of RMSProp. `bootstrap`: "turn", from an agent's own next turn, or "step",
        from the next step, where an agent that may not act is worth its action 0. `message_bootstrap`: a head's next
        value is its "own", or the "average" of both heads (`model_avg_q`). `mixing`: None, "vdn" or "qmix", see above.
        `grad_clip_by`: "value", each number as in the Lua code, or "global_norm".
        """
        why = "Q-learning makes one update of one episode of each copy; leave it out, and set num_envs_per_env_runner"
        refuse_given(kwargs, names=PER_BATCH, why=f"{why}, the episodes of an update")
        refuse_given(kwargs, names=("compile",), why=NOT_COMPILED)
        super().training(**kwargs)
        self.take({k: v for k, v in locals().items() if k not in ("self", "kwargs", "why", "__class__")})
        return self

    def get_default_learner_class(self) -> type:
        """The learner of this algorithm."""
        return QLearner

    def batch_env_steps(self) -> int:
        """One rollout of each env runner is enough, as it holds whole episodes."""
        return 1

    def exploration_epsilon(self, num_env_steps: int) -> float | None:
        """Epsilon of actions and messages."""
        if not isinstance(self.epsilon, Sequence):
            return self.epsilon
        points = tuple((start, value) for start, value in self.epsilon)
        return Points(by="env_steps", points=points).at(num_env_steps)

    def prepare_team(self, team: Team) -> None:
        """Have incoming messages normalised by the statistics of each step, in rollouts and in the loss."""
        for policy in team.policies.values():
            for norm in policy.message_norms():
                norm.per_step = True
                norm.train()

    def schedules(self) -> dict[str, Any]:
        """No coefficient follows a schedule."""
        return {}

    def value_mixing(self) -> Mixing | None:
        """Return what a team's value is made of its agents' values by; None where each learns by itself."""
        return None if self.mixing is None else Mixing(self.mixing)

    def build_optimizer(self, params: list[Tensor]) -> torch.optim.Optimizer:
        """RMSProp."""
        return LeanRMSprop(params, alpha=self.rms_decay, momentum=self.momentum)

    def idle(self, team: Team) -> dict[str, str]:
        """As of all algorithms, and what belongs to critics, to rewards that are scaled, and to values of messages."""
        found = super().idle(team)
        why = "Q-learning has no critic; leave it out, or choose algorithm 'ppo' or 'a2c'"
        found |= dict.fromkeys(("critic", "critic_size"), why)
        found["normalise_rewards"] = "Q-values are learnt from rewards as they are; leave it out, or choose 'ppo'"
        if self.facts().horizon == 1:
            why = "episodes have a single step, and no value comes later; leave it out"
            found |= dict.fromkeys(("gamma", "target_update_every"), why)
        if self.mixing is not None:
            why = f"mixing={self.mixing!r} learns one value of the team in each step; leave it out"
            found |= dict.fromkeys(("bootstrap", "message_bootstrap"), why)
        if self.value_mixing() is Mixing.QMIX:
            found.pop("freeze_team", None)
        if not team.channel.scored:
            found["message_bootstrap"] = "messages have no values of their own here; leave it out, or use 'symbols'"
        return found

    def validate(self) -> None:
        """Check numbers, and that there are finitely many actions and messages to have values of."""
        self._check_numbers()
        self._check_discrete()
        self._check_mixing()
        super().validate()

    def _check_numbers(self) -> None:
        for name in ("gamma", "momentum", "rms_decay"):
            check_number(name, getattr(self, name), minimum=0, maximum=1)
        check_schedule("epsilon", self.epsilon, minimum=0, maximum=1)
        check_positive("target_update_every", self.target_update_every)
        if self.grad_clip is not None:
            check_number("grad_clip", self.grad_clip, above=0)
        check_schedule("lr", self.lr, above=0)
        named = {"bootstrap": BOOTSTRAPS, "message_bootstrap": HEADS, "grad_clip_by": CLIPPED_BY}
        for name, valid in named.items():
            if getattr(self, name) not in valid:
                raise UnknownNameError(what=name, name=str(getattr(self, name)), valid=list(valid))
        if self.mixing is not None and self.mixing not in list(Mixing):
            raise UnknownNameError(what="mixing", name=str(self.mixing), valid=list(Mixing))

    def _check_mixing(self) -> None:
        if self.mixing is None:
            return
        facts, given = self.facts(), f"mixing={self.mixing!r}"
        if len(facts.agents) == 1:
            raise ValueError(f"{given}: the team has one agent, whose values are those of the team; leave it out")
        if len(facts.teams) > 1:
            teams = ", ".join(facts.teams)
            raise ValueError(f"{given}: there are several teams ({teams}), and no reward that all share; leave it out")
        if self.value_mixing() is Mixing.QMIX and not facts.state_size:
            raise ValueError(f"{given}: this environment's state is empty; give its views a state, or choose 'vdn'")

    def check_batch(self) -> None:
        """Raise ValueError where an update would not learn from whole episodes."""
        if self.batch_mode != "complete_episodes":
            raise ValueError(f"batch_mode={self.batch_mode!r}: Q-learning takes whole episodes, 'complete_episodes'")

    def _check_discrete(self) -> None:
        for role in self.facts().roles:
            if not isinstance(role.action_space, spaces.Discrete):
                raise ValueError(f"role {role.name!r} has action space {role.action_space}: Q-learning needs Discrete")
        choices = self.choices()
        channel = build_channel(choices.channel, choices.channel_settings)
        if channel.scored and (channel.vocabulary is None or channel.can_be_silent):
            raise ValueError(
                f"channel={choices.channel!r}, channel_settings={choices.channel_settings}: Q-learning chooses among "
                "finitely many messages; choose channel='symbols', or a gradient that passes through the channel"
            )
        if channel.scored and channel.spelling is not None:
            raise ValueError(
                f"channel={choices.channel!r}, channel_settings={choices.channel_settings}: Q-learning values each "
                "symbol of a word by itself, and these are chosen one after the other; choose spelling='apart' without "
                "eos, or gradient='gumbel'"
            )


class CommDQN(CommunicationAlgorithm):
    """Recurrent Q-learning for communicating teams; see `CommDQNConfig`."""

    @classmethod
    def get_default_config(cls) -> CommDQNConfig:
        """The default configuration."""
        return CommDQNConfig()


register_trainable("CommDQN", CommDQN)  # else Tune, given the name, would import all of RLlib's algorithms to find it


class QLearner(TeamLearner):
    """The joint TD loss of a team, and its target: a second team with its own memory and messages."""

    target: Team

    def build(self) -> None:
        """Build modules and optimisers, and the target team with the same weights."""
        super().build()
        team = self.team_module.team
        if team.spells and team.rounds > 1:
            raise ValueError(f"the model exchanges {team.rounds} rounds of messages: Q-learning of symbols needs one")
        self.target = copy.deepcopy(team).requires_grad_(False)
        self.target_mixer = copy.deepcopy(self.mixer)
        if self.target_mixer is not None:
            self.target_mixer.requires_grad_(False)
        self.num_updates = 0

    @property
    def mixer(self) -> AbstractMixer | None:
        """The mixer that the team's value is made of its agents' values by."""
        return self.team_module[RESERVED_POLICY].mixer

    @property
    def takes_traces(self) -> bool:
        """Tell whether all policies learn all the time."""
        return self.config.policies_to_train is None and not self.config.freeze_team

    @torch.no_grad()
    def prepare(self, rollout: Rollout) -> Targets:
        """TD targets under the target team, which goes through the rollout by itself."""
        unrolled = self.target.unroll(rollout)
        actions, messages = self._of_actions(self.target, unrolled, rollout), None
        if self.target.spells:
            messages = self._of_messages(self.target, unrolled, rollout)
        final = None if unrolled.final is None else self._final(unrolled, rollout)
        if self.target_mixer is not None:
            return self._joint_targets(self.target_mixer, rollout, [actions, messages], final)
        action, known = self._targets(rollout, actions, messages, final)
        message = None if messages is None else self._targets(rollout, messages, actions, final)[0]
        return Targets(action=action, message=message, known=known & rollout.valid.unsqueeze(-1))

    def joint_loss(self, rollout: Rollout, unrolled: Unrolled, prepared: Targets, copies: Tensor) -> dict[str, Tensor]:
        """Squared TD errors of actions and chosen messages, summed over time, mean over agents and copies.

        Of a team's value where there is one, and then no mean over agents.
        """
        team = self.team_module.team
        actions = self._of_actions(team, unrolled, rollout)
        if self.mixer is not None:
            messages = self._of_messages(team, unrolled, rollout) if team.spells else None
            return self._joint_loss(self.mixer, rollout, [actions, messages], prepared)
        known, scale = prepared.known & actions.asked, 1 / (self._share(rollout) * len(team.layout.agents))
        td_loss = scale * torch.where(known, (actions.chosen - prepared.action).square(), 0.0).sum()
        message_loss = torch.zeros_like(td_loss)
        if prepared.message is not None:
            messages = self._of_messages(team, unrolled, rollout)
            errors = torch.where(prepared.known & messages.asked, messages.chosen - prepared.message, 0.0)
            message_loss = scale * errors.square().sum()
        means = self.peers.means({"mean_q": Averaged(actions.chosen.detach(), over=known)})
        return {"total_loss": td_loss + message_loss, "td_loss": td_loss, "message_td_loss": message_loss, **means}

    def _joint_targets(
        self, mixer: AbstractMixer, rollout: Rollout, heads: list[Values | None], final: Tensor | None
    ) -> Targets:
        """TD targets of the team's value; of messages nothing is known after an episode that was cut off."""
        asked = [head for head in heads if head is not None]
        best, after = side_by_side_values([(head.best, head.asked) for head in asked]), None
        if final is not None:
            after = torch.cat([final, *[torch.zeros_like(final) for _ in asked[1:]]], -1)
            after = mixer(after, rollout.final_state)
        rewards = team_reward(rollout, mixing=str(self.config.mixing))
        state = rollout.state[:-1]
        value, known = joint_targets(rollout, rewards, best=mixer(best, state), final=after, gamma=self.config.gamma)
        return Targets(action=value.unsqueeze(-1), message=None, known=known.unsqueeze(-1))

    def _joint_loss(
        self, mixer: AbstractMixer, rollout: Rollout, heads: list[Values | None], prepared: Targets
    ) -> dict[str, Tensor]:
        asked = [head for head in heads if head is not None]
        chosen = side_by_side_values([(head.chosen, head.asked) for head in asked])
        value = mixer(chosen, rollout.state[:-1]).unsqueeze(-1)
        errors = torch.where(prepared.known, value - prepared.action, 0.0)
        td_loss = errors.square().sum() / self._share(rollout)
        means = self.peers.means({"mean_q": Averaged(value.detach(), over=prepared.known)})
        return {"total_loss": td_loss, "td_loss": td_loss, "message_td_loss": torch.zeros_like(td_loss), **means}

    def _share(self, rollout: Rollout) -> float | Tensor:
        """The copies that a learner has, on average over all learners."""
        copies = float(rollout.num_envs)
        if self.config.num_learners <= 1:
            return copies
        return self.peers.agreed(torch.tensor(copies, device=rollout.rewards.device))

    def _epochs(self, rollout: Rollout, num_epochs: int, minibatch_size: int | None) -> list[dict[str, Tensor]]:
        self.num_updates += 1
        return self._at_once(rollout)

    def _after_epochs(self, rollout: Rollout) -> None:
        super()._after_epochs(rollout)
        if self.num_updates % self.config.target_update_every == 0:
            self.target.load_state_dict(self.team_module.team.state_dict())
            if self.mixer is not None and self.target_mixer is not None:
                self.target_mixer.load_state_dict(self.mixer.state_dict())

    # ---- values -----------------------------------------------------------------------------------------------

    def _of_actions(self, team: Team, unrolled: Unrolled, rollout: Rollout) -> Values:
        every_step = self.config.bootstrap == "step" or self.config.mixing is not None
        chosen, best = {}, {}
        for policy in team.layout.policies:
            values = team.policies[policy].model.act(unrolled.after[policy])
            action = team.layout.gather(policy, rollout.actions, lead=2)
            best[policy] = td.best_value(values, mask=team.layout.action_mask(policy, rollout.action_mask, lead=2))
            if every_step:
                may = rollout.acting[..., team.layout.slots(policy)]
                action = torch.where(may, action, 0)
                best[policy] = torch.where(may, best[policy], values[..., 0])
            chosen[policy] = td.chosen_value(values, action)
        assignment = None if rollout.assignment is None else rollout.assignment[:-1]
        both = [team.layout.combine(x, lead=2, assignment=assignment) for x in (chosen, best)]
        return Values(chosen=both[0], best=both[1], asked=rollout.observing[:-1] if every_step else rollout.acting)

    def _of_messages(self, team: Team, unrolled: Unrolled, rollout: Rollout) -> Values:
        """Values of RIAL's second head; where a message is several symbols, the mean over their values."""
        values = unrolled.channel_inputs[0].unflatten(-1, (team.channel.length, -1))
        said = rollout.messages[0].symbols
        chosen, best = td.chosen_value(values, said).mean(-1), td.best_value(values).mean(-1)
        return Values(chosen=chosen, best=best, asked=rollout.speaking & team.talks)

    def _final(self, unrolled: Unrolled, rollout: Rollout) -> Tensor:
        team, final = self.target, unrolled.final or {}
        best = {p: td.best_value(team.policies[p].model.act(x)) for p, x in final.items()}
        assignment = None if rollout.assignment is None else rollout.assignment[:-1]
        return team.layout.combine(best, lead=2, assignment=assignment)

    def _targets(
        self, rollout: Rollout, own: Values, other: Values | None, final: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Targets of a head that bootstraps from itself, and at turns where only the other one chooses from that."""
        value, turns = own.best, own.asked
        if other is not None:
            average, turns = self.config.message_bootstrap == "average", own.asked | other.asked
            value = td.bootstrap_value(
                own.best, other.best, available=own.asked, other_available=other.asked, average=average
            )
        found = td.td_targets(
            rollout.rewards,
            values=value,
            turns=turns,
            terminated=rollout.terminated,
            truncated=rollout.truncated,
            final_values=final,
            gamma=self.config.gamma,
        )
        return found.targets, found.known

    # ---- state ------------------------------------------------------------------------------------------------

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """The learner's state with that of the target team."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(TARGET, components, not_components):
            weights = {key: value.detach().clone() for key, value in self.target.state_dict().items()}
            state[TARGET] = {"weights": weights, "num_updates": self.num_updates}
            if self.target_mixer is not None:
                mixer = self.target_mixer.state_dict()
                state[TARGET]["mixer"] = {key: value.detach().clone() for key, value in mixer.items()}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over a state; where it has no target team, that of the weights."""
        super().set_state(state)
        if TARGET in state:
            self.target.load_state_dict(state[TARGET]["weights"])
            if self.target_mixer is not None:
                self.target_mixer.load_state_dict(state[TARGET].get("mixer", {}))
            self.num_updates = state[TARGET]["num_updates"]
