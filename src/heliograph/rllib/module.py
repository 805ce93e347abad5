"""The team as an RLlib MultiRLModule: one RLModule per policy, and one, `team`, for what belongs to nobody."""

from abc import ABC
from collections.abc import Callable, Mapping
from typing import Any

import torch
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule, MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import nn

from heliograph.envs.base import flat_size
from heliograph.experiments.choices import (
    RESERVED_POLICY,
    EnvFacts,
    TeamChoices,
    assemble,
    build_channel,
    build_layout,
    build_policy,
)
from heliograph.models.blocks import RunningMoments
from heliograph.models.critic import Critic
from heliograph.models.mixer import AbstractMixer, Mixing, build_mixer
from heliograph.models.structure import total_size
from heliograph.team.policy import Policy
from heliograph.team.team import Team

TEAM_CRITIC = "critic"
"""Under which a critic of the whole team stands among the shared module's `team_critics`."""


class ExactModule(TorchRLModule, InferenceOnlyAPI, ABC):
    """Base of modules that are restored bit by bit: RLlib halves numbers of 64 bits, and counts wrap around."""

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """RLlib's, with buffers of 64 bits as they are."""
        state = super().get_state(*args, **kwargs)
        return state | {name: buffer.cpu().numpy().copy() for name, buffer in self._of_64_bits(state)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """RLlib's, with buffers of 64 bits as they were."""
        super().set_state(state)
        for name, buffer in self._of_64_bits(state):
            buffer.copy_(torch.as_tensor(state[name]))

    def _of_64_bits(self, state: Mapping[str, Any]) -> list[tuple[str, torch.Tensor]]:
        found = self.named_buffers()
        return [
            (name, buffer) for name, buffer in found if buffer.dtype in (torch.float64, torch.int64) and name in state
        ]


class PolicyModule(ExactModule):
    """One policy as an RLModule; its critic exists only where it learns.

    `model_config` holds `choices`, `facts`, `policy` and `critic`. Acting goes through the team, which alone knows who
    hears whom, so the forward methods of single modules refuse.
    """

    policy: Policy
    critic: Critic

    def setup(self) -> None:
        """Build the network and its critic."""
        config = self.model_config
        choices, facts, name = config["choices"], config["facts"], config["policy"]
        channel = build_channel(choices.channel, choices.channel_settings)
        self.policy = build_policy(choices, facts, name, channel=channel)
        self.critic = self._critic(config["critic"], facts)
        self.requires_grad_(self.policy.model.trainable)

    def get_non_inference_attributes(self) -> list[str]:
        """The critic."""
        return ["critic"]

    def _critic(self, chosen: Mapping[str, Any], facts: EnvFacts) -> Critic:
        spec = self.policy.model.spec
        sizes = {"state": facts.state_size, "observation": flat_size(spec.observation_space)}
        input_size = sizes.get(chosen["view"], total_size(self.policy.model.hidden_size))
        return Critic(**chosen, input_size=input_size, num_agents=spec.num_agents, state_size=facts.state_size)

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        raise RuntimeError("a Heliograph policy acts in its team: use TeamModule.team.step, or heliograph evaluate")


class SharedModule(ExactModule):
    """Record of what belongs to no policy: the channel, and only where it learns critics and networks of losses."""

    def setup(self) -> None:
        """Build the channel; losses, critics and mixers of the team are added once the team exists."""
        choices = self.model_config["choices"]
        self.channel = build_channel(choices.channel, choices.channel_settings)
        self.losses = nn.ModuleDict()
        self.team_critics = nn.ModuleDict()
        self.mixer: AbstractMixer | None = None
        self.reward_moments = RunningMoments(1)

    def get_non_inference_attributes(self) -> list[str]:
        """The networks of auxiliary losses, critics and mixers of the whole team, and the scale of rewards."""
        return ["losses", "team_critics", "mixer", "reward_moments"]

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        raise RuntimeError("the shared module has no forward pass of its own: use TeamModule.team")


class TeamModule(MultiRLModule):
    """All modules of a team, and the runtime (`team`) that runs them together."""

    team: Team

    def setup(self) -> None:
        """Build all modules, and the team over the same networks."""
        super().setup()
        shared = self._rl_modules[RESERVED_POLICY]
        config = shared.model_config
        policies = {name: self._rl_modules[name].policy for name in config["layout_policies"]}
        self.team = assemble(config["choices"], config["facts"], policies=policies, channel=shared.channel)
        if not shared.inference_only:
            for name, (cls, settings) in config["losses"].items():
                shared.losses[name] = cls(self.team, **settings)
            if config["team_critic"] is not None:
                shared.team_critics[TEAM_CRITIC] = config["team_critic"](self.team)
            if config["mixing"] is not None:
                heads = 2 if self.team.spells else 1
                facts = config["facts"]
                shared.mixer = build_mixer(
                    config["mixing"], num_values=heads * len(facts.agents), state_size=facts.state_size
                )

    def move_to(self, device: torch.device) -> None:
        """Move the runtime's own buffers along with the modules."""
        self.team.to(device)


def module_spec(
    choices: TeamChoices,
    facts: EnvFacts,
    *,
    critic: Mapping[str, Any],
    losses: dict[str, tuple[type, dict[str, Any]]],
    team_critic: Callable[[Team], nn.Module] | None = None,
    mixing: Mixing | None = None,
    inference_only: bool = False,
) -> MultiRLModuleSpec:
    """The specification of a team's modules; `critic` are settings of `Critic`, `team_critic` makes one of the team."""
    names = build_layout(choices, facts).policies
    layout = build_layout(choices, facts)
    specs = {
        name: RLModuleSpec(
            module_class=PolicyModule,
            observation_space=layout.seats[name].observation_space,
            action_space=layout.seats[name].action_space,
            inference_only=inference_only,
            model_config={"choices": choices, "facts": facts, "policy": name, "critic": critic},
        )
        for name in names
    }
    first = layout.seats[names[0]]
    specs[RESERVED_POLICY] = RLModuleSpec(
        module_class=SharedModule,
        observation_space=first.observation_space,
        action_space=first.action_space,
        inference_only=inference_only,
        model_config={
            "choices": choices,
            "facts": facts,
            "layout_policies": names,
            "losses": losses,
            "team_critic": team_critic,
            "mixing": mixing,
        },
    )
    return MultiRLModuleSpec(multi_rl_module_class=TeamModule, rl_module_specs=specs, inference_only=inference_only)
