"""What all Heliograph algorithms add to RLlib's AlgorithmConfig: the method `.communication()` and the team behind."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.connectors.learner import LearnerConnectorPipeline
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID
from torch import nn

from heliograph import registry
from heliograph.checks import check_kind, check_number, check_positive
from heliograph.experiments.choices import (
    RESERVED_POLICY,
    EnvChoice,
    EnvFacts,
    PolicyChoice,
    TeamChoices,
    build_layout,
    facts_for,
    resolve,
)
from heliograph.experiments.compatibility import rehearse
from heliograph.experiments.curriculum import Schedule, check_fits, schedules_of, task_settings
from heliograph.experiments.settings import SAMPLED
from heliograph.experiments.team_settings import (
    CHOSEN,
    TeamSettings,
    checked_team_settings,
    takes_team_settings,
)
from heliograph.importing import absolute_names
from heliograph.models.mixer import Mixing
from heliograph.rllib.alternating import Alternating
from heliograph.rllib.custom_module import guest_choice, is_guest
from heliograph.rllib.devices import check_gpus, threads_for
from heliograph.rllib.env_runner import TeamEnvRunner
from heliograph.rllib.environments import ADAPTER_SETTINGS, env_choice, taken_together
from heliograph.rllib.given_weights import is_shared, loaded_policy
from heliograph.rllib.lessons import check_lessons
from heliograph.rllib.loss_choice import LossChoice, as_loss
from heliograph.rllib.mapping import PolicyMapping, RoleMapping, probe
from heliograph.rllib.module import PolicyModule, module_spec
from heliograph.rllib.per_policy import as_specs, check_modules, check_own_lr, check_policies, lr_of, own_choice
from heliograph.rllib.unsupported_settings import refuse_unheeded
from heliograph.rllib.validation import (
    check_batch_sizes,
    check_idle,
    check_loaded,
    check_loss_choices,
    check_memory_needed,
    check_trained,
    has_weights_of_nobody,
    warn_of_callbacks,
)
from heliograph.storage.team_file import LoadedPolicy
from heliograph.team.team import Team


class CommunicationConfig(AlgorithmConfig):
    """Base of the configurations of Heliograph's algorithms; everything but `.communication()` keeps RLlib's names."""

    torch_num_threads: int | None
    learns_values: ClassVar[bool] = False
    """Whether the team's outputs are values of actions and messages, and no odds, which some losses read."""

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        self.model_choice: dict[str, Any] = {}
        self.critic, self.critic_size = "hidden", 64
        self.torch_num_threads = None
        self.take({**TeamSettings().beside(), **TeamSettings().lessons()})
        self.losses: list[LossChoice] = []
        self.load_policies: dict[str, LoadedPolicy] = {}
        self.curriculum: dict[str, Schedule] = {}
        self.env_runner_cls = TeamEnvRunner
        self.num_env_runners = 0
        self.num_envs_per_env_runner = 256
        self.rollout_fragment_length = "auto"
        self.explore = True
        self.evaluation_config = {"explore": False}
        self._facts: tuple[str, EnvFacts] | None = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A pickle that names the class as `module:Name`, so that processes of Ray find one of the user's own."""
        cls = type(self)
        if cls.__module__ == "__main__" or "." in cls.__qualname__:
            return super().__reduce_ex__(protocol)
        return _blank, (f"{cls.__module__}:{cls.__qualname__}",), vars(self)

    def environment(self, *args: Any, curriculum: Mapping[str, Any] = NotProvided, **settings: Any) -> Any:
        """As in RLlib, and settings of the adapters by name, as in `env_config`: `meaning_fn`, `time_limit`, ...

        `curriculum`: schedules of settings of the environment while the team trains, by name.

        {"p_arrive": [[0, 0.1], [1_000_000, 0.3]]} counts env steps. Others are {"by": "iteration", "points": ...}, and
        {"by": "metric", "metric": "success_rate", "at_least": 0.9, "values": [0.1, 0.2, 0.3]}: see `Points` and
        `Stages`. What schedules end at is the task: evaluation plays that.
        """
        if curriculum is not NotProvided:
            self.curriculum = schedules_of(curriculum or {}, metrics=SAMPLED)
        stock = list(inspect.signature(AlgorithmConfig.environment).parameters)
        own = {name: settings.pop(name) for name in list(settings) if name not in stock}
        if own:
            valid = [*ADAPTER_SETTINGS, "curriculum", *stock[1:]]
            settings["env_config"] = taken_together(settings.get("env_config", {}), own, valid=valid)
        super().environment(*absolute_names(args), **absolute_names(settings))
        return self

    def env_runners(self, **settings: Any) -> "CommunicationConfig":
        """As in RLlib; counts are checked here, so that the message names the setting."""
        if "num_envs_per_env_runner" in settings:
            check_positive("num_envs_per_env_runner", settings["num_envs_per_env_runner"])
        if settings.get("rollout_fragment_length", "auto") != "auto":
            check_positive("rollout_fragment_length", settings["rollout_fragment_length"])
        super().env_runners(**settings)
        return self

    def multi_agent(self, **settings: Any) -> "CommunicationConfig":
        """As in RLlib; `policies_to_train` may also be an `Alternating`."""
        if isinstance(trained := settings.get("policies_to_train"), str):
            raise ValueError(f"policies_to_train={trained!r}: must be a list of names, such as [{trained!r}]")
        if "policies" in settings:
            settings["policies"] = as_specs(settings["policies"])
        return super().multi_agent(**settings)

    @takes_team_settings
    def communication(self, **given: Any) -> "CommunicationConfig":
        """Choose model, channel and topology, and what else belongs to the team; what is not given stays as it is.

        Raises TypeError for a setting that there is not, ValueError for a value that a setting does not take.
        """
        given = checked_team_settings({name: value for name, value in given.items() if value is not NotProvided})
        self.model_choice.update({key: given.pop(key) for key in CHOSEN if key in given})
        if "losses" in given:
            given["losses"] = [as_loss(loss) for loss in given["losses"]]
        if "load_policies" in given:
            given["load_policies"] = {
                name: loaded_policy(source, name) for name, source in given["load_policies"].items()
            }
        self.take(given)
        return self

    def take(self, given: Mapping[str, Any]) -> None:
        """Set those settings that were given."""
        for key, value in given.items():
            if value is not NotProvided:
                setattr(self, key, value)

    # ---- what the settings come to ----------------------------------------------------------------------------

    def env_choice(self, changes: Mapping[str, Any] | None = None) -> EnvChoice:
        """The environment as Heliograph builds it: with what its curriculum ends at, and what is in `changes`."""
        settings = task_settings(self.env_config or {}, self.curriculum)
        return env_choice(self.env, {**settings, **(changes or {})})

    def facts(self) -> EnvFacts:
        """Roles, spaces and sizes of the environment, read off one copy and remembered."""
        key = repr((self.env, self.env_config, self.curriculum))
        if self._facts is None or self._facts[0] != key:
            facts = facts_for(self.env_choice())
            object.__setattr__(self, "_facts", (key, facts))
            return facts
        return self._facts[1]

    def policy_mapping(self) -> PolicyMapping | None:
        """Return who plays whom where the user says so; None for the default, one policy per role."""
        names = set(self.policies)
        if names <= {DEFAULT_POLICY_ID} or isinstance(self.policy_mapping_fn, RoleMapping):
            return None
        return probe(self.policy_mapping_fn, ids=self.facts().ids_by_name, policies=sorted(names))

    def choices(self) -> TeamChoices:
        """Model, channel, topology and policies of the team."""
        return TeamChoices(
            **self.model_choice,
            policies=self._policy_choices(),
            normalise_observations=self.normalise_observations,
        )

    def lr_of(self, policy: str) -> Any:
        """The learning rate (or schedule) of a policy."""
        return lr_of(self, policy)

    def takes_model_config(self) -> bool:
        """Tell whether `.rl_module(model_config=...)` reaches a module of the user's."""
        return any(is_guest(own.module_class) and own.model_config is None for own in self.user_modules().values())

    def fragment_length(self) -> int:
        """Env steps of each copy in one rollout: as set, or what fills the batch, in whole episodes where they fit."""
        if isinstance(self.rollout_fragment_length, int):
            return self.rollout_fragment_length
        copies = self.num_envs_per_env_runner * max(1, self.num_env_runners)
        steps = max(1, round(self.total_train_batch_size / copies))
        horizon = self.facts().horizon
        if horizon is None or self.batch_mode == "complete_episodes":
            return steps
        return steps - steps % horizon if steps >= horizon else steps

    def is_trained(self, policy: str, *, num_env_steps: int = 0) -> bool:
        """Tell whether a policy (or the shared module) is trained in an update after so many env steps."""
        if policy == RESERVED_POLICY:
            return not self.freeze_team
        chosen = self.policies_to_train
        if isinstance(chosen, Alternating):
            return chosen.trains(policy, num_env_steps=num_env_steps)
        if chosen is None:
            return True
        return bool(chosen(policy, None)) if callable(chosen) else policy in chosen

    # ---- what algorithms differ in ------------------------------------------------------------------------------

    def exploration_epsilon(self, num_env_steps: int) -> float | None:
        """Epsilon of epsilon-greedy sampling, where the team's outputs are values; None where they are logits."""
        return None

    def prepare_team(self, team: Team) -> None:
        """Set in a team that trains or samples what the algorithm wants of it; by default nothing."""

    def critic_settings(self) -> dict[str, Any]:
        """Settings of each policy's `Critic`."""
        return {"view": self.critic, "size": self.critic_size}

    def team_critic(self) -> Callable[[Team], nn.Module] | None:
        """Return what makes a critic of the whole team; None where there is none."""
        return None

    def check_team(self, team: Team) -> None:
        """Raise ValueError where the algorithm cannot train such a team; by default it trains any."""

    def idle(self, team: Team) -> dict[str, str]:
        """Settings of the algorithm that change nothing with the others and this team, and why; see `check_idle`."""
        found = {}
        if self.batch_mode == "complete_episodes":
            found["rollout_fragment_length"] = "rollouts hold whole episodes with batch_mode='complete_episodes'"
        if self.grad_clip is None:
            found["grad_clip_by"] = "gradients are not clipped; set grad_clip too, or leave it out"
        if not (has_weights_of_nobody(self, team) or team.channel.anneal_env_steps):
            found["freeze_team"] = "neither the channel nor a loss has weights that belong to no policy; leave it out"
        if not self.explore:
            found["epsilon"] = "nobody explores with explore=False; leave it out"
        return {name: why for name, why in found.items() if hasattr(self, name)}

    # ---- what RLlib asks ---------------------------------------------------------------------------------------

    def get_multi_rl_module_spec(
        self, *, env: Any = None, spaces: Any = None, inference_only: bool = False, **kwargs: Any
    ) -> MultiRLModuleSpec:
        """The team's modules; spaces come from the environment itself."""
        losses = {loss.name: (loss.resolved(), dict(loss.settings)) for loss in self.module_losses()}
        choices, facts = self.choices(), self.facts()
        more: dict[str, Any] = {"critic": self.critic_settings(), "team_critic": self.team_critic()}
        more["mixing"] = self.value_mixing()
        return self._with_user_modules(
            module_spec(choices, facts, losses=losses, inference_only=inference_only, **more)
        )

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """The class of one policy's module."""
        return RLModuleSpec(module_class=PolicyModule)

    def build_learner_connector(self, *args: Any, **kwargs: Any) -> LearnerConnectorPipeline:
        """A pipeline of nothing: learners are given rollouts, and to make each usual piece walks the whole stack."""
        return LearnerConnectorPipeline(connectors=[])

    def value_mixing(self) -> Mixing | None:
        """Return what a team's value is made of its agents' values by; None where it has none."""
        return None

    def module_losses(self) -> list[LossChoice]:
        """Auxiliary losses that are modules of their own: classes, also by name or path."""
        return [loss for loss in self.losses if isinstance(loss.resolved(), type)]

    def validate(self) -> None:
        """Check everything that can be checked before training starts."""
        refuse_unheeded(self)
        check_kind("seed", self.seed, int | None, what="the run")
        warn_of_callbacks(self)
        seats = build_layout(self.choices(), self.facts()).seats
        policies = list(seats)
        check_policies(self, seats)
        check_modules(self, seats)
        check_trained(self, policies)
        check_loaded(self, policies)
        if self.policy_mapping() is None:
            roles = {agent: role.name for role in self.facts().roles for agent in role.agents}
            self.multi_agent(policies=set(policies), policy_mapping_fn=RoleMapping(roles=roles))
        check_fits(self.curriculum, self.env_choice)
        check_number("critic_size", self.critic_size, minimum=0)
        check_batch_sizes(self)
        check_loss_choices(self)
        check_gpus(self)
        team = rehearse(self.env_choice(), self.choices(), [(loss.loss, dict(loss.settings)) for loss in self.losses])
        self.check_team(team)
        check_lessons(self, team)
        check_memory_needed(self, team)
        check_own_lr(self, team)
        check_idle(self, team)
        self.torch_num_threads = threads_for(team, given=self.torch_num_threads)
        super().validate()

    def check_batch(self) -> None:
        """Raise ValueError where the batch of an update is not what the algorithm learns from."""
        check_positive("train_batch_size_per_learner", self.train_batch_size_per_learner)
        copies = self.num_envs_per_env_runner * max(1, self.num_env_runners)
        if copies > self.total_train_batch_size and not self.in_evaluation:
            raise ValueError(
                f"train_batch_size_per_learner={self.train_batch_size_per_learner}: smaller than one step of all "
                f"{copies} copies; make it larger, or num_envs_per_env_runner={self.num_envs_per_env_runner} smaller"
            )

    def _policy_choices(self) -> dict[str, PolicyChoice] | None:
        mapping, modules = self.policy_mapping(), self.user_modules()
        if mapping is None and not any(is_guest(module.module_class) for module in modules.values()):
            return None
        seats = {role.name: role.agents for role in self.facts().roles} if mapping is None else mapping.seats
        guests = {name: guest_choice(modules.get(name), model_config=self._model_config) for name in seats}
        own = {name: {**({} if mapping is None else own_choice(self, name)), **guests[name]} for name in seats}
        return {name: PolicyChoice(agents=agents, **own[name]) for name, agents in seats.items()}

    def user_modules(self) -> dict[str, RLModuleSpec]:
        """Return what `.rl_module()` was given, by policy; one specification alone is for all of them."""
        given = self._rl_module_spec
        if isinstance(given, RLModuleSpec):
            return {role.name: given for role in self.facts().roles}
        return dict(given.rl_module_specs) if isinstance(given, MultiRLModuleSpec) else {}

    def _with_user_modules(self, spec: MultiRLModuleSpec) -> MultiRLModuleSpec:
        for name, own in self.user_modules().items():
            if name not in spec.rl_module_specs:
                raise registry.UnknownNameError(what="module", name=name, valid=list(spec.rl_module_specs))
            if own.module_class is not None and not is_guest(own.module_class):
                spec.rl_module_specs[name].module_class = own.module_class
            if own.load_state_path and not is_shared(own.load_state_path):
                spec.rl_module_specs[name].load_state_path = own.load_state_path
        return spec

    def loaded_policies(self) -> dict[str, LoadedPolicy]:
        """Policies that begin with weights of another run, those that an RLModuleSpec's `load_state_path` names too."""
        paths = {name: spec.load_state_path for name, spec in self.user_modules().items() if spec.load_state_path}
        named = {name: loaded_policy(path, name) for name, path in paths.items() if is_shared(path)}
        return {**named, **self.load_policies}


def _blank(name: str) -> CommunicationConfig:
    """A configuration of the class that is named, to be filled with what was pickled."""
    cls = resolve("algorithm", name)
    return cls.__new__(cls)


def refuse_given(given: Mapping[str, Any], *, names: Iterable[str], why: str) -> None:
    """Refuse settings of RLlib that have no meaning for an algorithm."""
    for name in names:
        if given.get(name, NotProvided) is not NotProvided:
            raise ValueError(f"{name}={given[name]}: {why}")
