"""All settings of RLlib's AlgorithmConfig are classified, and those that are heeded change what they should."""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Unpack

import pytest
import torch
from gymnasium import spaces
from ray._common.deprecation import DEPRECATED_VALUE
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.policy.policy import PolicySpec
from torch import Tensor, nn

from heliograph.envs.base import BaseSettings
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import build_layout
from heliograph.registry import UnknownNameError
from heliograph.rllib.a2c import CommA2CConfig
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.learner import TeamLearner
from heliograph.rllib.ppo import CommPPOConfig, PPOLearner
from heliograph.rllib.qlearning import CommDQNConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.stock_settings import OWN_STATE, SETTINGS, Effect, Heeded, attribute_of

Change = Callable[[CommPPOConfig], Any]


class Halved(PPOLearner):
    """Learns half as fast."""

    def compute_gradients(self, *args: Any, **kwargs: Any) -> Any:
        return {key: 0.001 * grad for key, grad in super().compute_gradients(*args, **kwargs).items()}


class OneGoalMore(SpeakerListener):
    """Another environment."""

    def __init__(self, *, goals: int = 3, rounds: int = 1, **base: Unpack[BaseSettings]):
        super().__init__(goals=goals + 1, rounds=rounds, **base)


class OneLayer(TorchRLModule):
    """A user's own module."""

    def setup(self) -> None:
        self.net = nn.Linear(self.observation_space.shape[0], int(self.action_space.n))

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {Columns.ACTION_DIST_INPUTS: self.model_config.get("gain", 1.0) * self.net(batch[Columns.OBS])}


def config(kind: type[CommunicationConfig] = CommPPOConfig) -> Any:
    made = (
        kind()
        .environment("speaker_listener", env_config={"goals": 3, "rounds": 3})
        .communication(model="feedforward", model_settings={"size": 8}, channel="symbols")
        .env_runners(num_envs_per_env_runner=16)
        .debugging(seed=0, log_level="ERROR")
    )
    sizes = {CommPPOConfig: {"train_batch_size_per_learner": 64, "minibatch_size": 32}, CommDQNConfig: {}}
    return made.training(**sizes.get(kind, {"train_batch_size_per_learner": 64}))


def weights(made: CommunicationConfig, *, updates: int = 2) -> dict[str, Tensor]:
    trainer = LocalTrainer(made)
    for _ in range(updates):
        trainer.train()
    return {key: value.detach().clone() for key, value in trainer.team.named_parameters()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.fixture(scope="module")
def usual() -> dict[str, Tensor]:
    return weights(config())


# ---- the table ------------------------------------------------------------------------------------------------------


def parameters() -> dict[str, str]:
    """What the methods of AlgorithmConfig take, without what RLlib has given up itself, and which method it is."""
    found = {}
    for method, function in inspect.getmembers(AlgorithmConfig, inspect.isfunction):
        takes = inspect.signature(function).parameters
        if not method.startswith("_") and any(p.default is NotProvided for p in takes.values()):
            found |= {name: method for name, p in takes.items() if p.default is NotProvided}
    return found


def test_every_setting_of_the_installed_ray_is_classified() -> None:
    attributes = {
        name
        for name, value in vars(AlgorithmConfig()).items()
        if name not in OWN_STATE and not (type(value) is int and value == DEPRECATED_VALUE)
    }
    assert set(parameters()) - set(SETTINGS) == set()
    assert attributes - {attribute_of(name) for name in SETTINGS} == set()
    assert set(SETTINGS) - set(parameters()) - attributes == set()


def test_what_rllib_has_given_up_is_refused() -> None:
    for name in ("worker_cls", "policy_map_cache", "enable_connectors", "min_iter_time_s"):
        with pytest.raises(ValueError, match=f"^{name}=.* would have no effect"):
            config().update_from_dict({name: 3}).validate()


def test_names_that_nobody_has_are_refused() -> None:
    """RLlib sets any attribute, and Tune and `evaluation_config` set them by name."""
    with pytest.raises(ValueError, match=r"^unknown setting 'clip_parameter' .*did you mean 'clip_param'"):
        config().update_from_dict({"clip_parameter": 0.1}).validate()
    with pytest.raises(ValueError, match=r"^evaluation_config: unknown setting 'explor' .*did you mean 'explore'"):
        config().evaluation(evaluation_config={"explor": False}).validate()


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("lr", 0.5, "learns nothing"),
        ("gamma", 0.5, "learns nothing"),
        ("clip_param", 0.5, "learns nothing"),
        ("num_env_runners", 2, "evaluation_num_env_runners"),
        ("batch_mode", "complete_episodes", "evaluation_duration_unit"),
        ("evaluation_duration", 3, r"\.evaluation\(\) itself"),
    ],
)
def test_evaluation_refuses_what_it_does_not_use(name: str, value: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=rf"^evaluation_config: {name}=.* would have no effect: .*{remedy}"):
        config().evaluation(evaluation_config={"explore": False, name: value}).validate()


# ---- what is heeded by learning -------------------------------------------------------------------------------------


def half_schedule(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)


def own_listener() -> MultiRLModuleSpec:
    return MultiRLModuleSpec(rl_module_specs={"listener": RLModuleSpec(module_class=OneLayer)})


LEARNING: dict[str, Change] = {
    "env": lambda c: c.update_from_dict({"env": OneGoalMore}),
    "env_config": lambda c: c.environment(env_config={"goals": 4}),
    "policies": lambda c: c.multi_agent(
        policies={"a", "b"}, policy_mapping_fn=lambda agent, episode: "a" if agent.startswith("speaker") else "b"
    ),
    "policy_mapping_fn": lambda c: c.multi_agent(
        policies={"b", "a"}, policy_mapping_fn=lambda agent, episode: "b" if agent.startswith("speaker") else "a"
    ),
    "policies_to_train": lambda c: c.multi_agent(policies_to_train=["listener"]),
    "rl_module_spec": lambda c: c.rl_module(rl_module_spec=own_listener()),
    "algorithm_config_overrides_per_module": lambda c: c.rl_module(
        algorithm_config_overrides_per_module={"speaker": CommPPOConfig.overrides(lr=0.0)}
    ),
    "explore": lambda c: c.env_runners(explore=False),
    "num_envs_per_env_runner": lambda c: c.env_runners(num_envs_per_env_runner=32),
    "rollout_fragment_length": lambda c: c.env_runners(rollout_fragment_length=3),
    "batch_mode": lambda c: c.env_runners(batch_mode="complete_episodes"),
    "learner_class": lambda c: c.learners(learner_class=Halved),
    "gamma": lambda c: c.training(gamma=0.5),
    "lr": lambda c: c.training(lr=1e-2),
    "grad_clip": lambda c: c.training(grad_clip=0.01),
    "grad_clip_by": lambda c: c.training(grad_clip=0.01, grad_clip_by="value"),
    "train_batch_size_per_learner": lambda c: c.training(train_batch_size_per_learner=128),
    "num_epochs": lambda c: c.training(num_epochs=2),
    "minibatch_size": lambda c: c.training(minibatch_size=64),
    "seed": lambda c: c.debugging(seed=1),
    "_torch_lr_scheduler_classes": lambda c: c.experimental(_torch_lr_scheduler_classes=[half_schedule]),
}
NEEDS_PROCESSES = {"num_env_runners", "num_learners"}
"""tests/rllib/test_algorithm.py has them."""


def test_every_setting_that_learning_heeds_is_shown() -> None:
    heeded = {n for n, s in SETTINGS.items() if isinstance(s, Heeded) and s.effect is Effect.LEARNING}
    assert heeded == set(LEARNING) | NEEDS_PROCESSES


@pytest.mark.parametrize("name", LEARNING)
def test_it_changes_weights(name: str, usual: dict[str, Tensor]) -> None:
    changed = config()
    LEARNING[name](changed)
    assert not same(weights(changed), usual)


def test_the_same_settings_give_the_same_weights(usual: dict[str, Tensor]) -> None:
    assert same(weights(config()), usual)


# ---- single policies ------------------------------------------------------------------------------------------------

BY_ROLE = {"policy_mapping_fn": lambda agent, episode: agent.split("_")[0]}


def overridden(**overrides: Any) -> CommPPOConfig:
    return config().rl_module(algorithm_config_overrides_per_module={"speaker": CommPPOConfig.overrides(**overrides)})


def specified(speaker: Any) -> CommPPOConfig:
    return config().multi_agent(policies={"speaker": speaker, "listener": PolicySpec()}, **BY_ROLE)


@pytest.mark.parametrize(
    "made",
    [
        lambda: overridden(lr=0.0),
        lambda: specified(PolicySpec(config={"lr": 0.0})),
        lambda: specified((None, None, None, {"lr": 0.0})),
    ],
    ids=["overrides", "spec", "tuple"],
)
@pytest.mark.parametrize("kind", [CommPPOConfig, CommA2CConfig, CommDQNConfig])
def test_a_learning_rate_of_one_policy(made: Any, kind: type, usual: dict[str, Tensor]) -> None:
    change = made()
    given = config(kind)
    given.policies, given.policy_mapping_fn = change.policies, change.policy_mapping_fn
    given.algorithm_config_overrides_per_module = change.algorithm_config_overrides_per_module
    trainer = LocalTrainer(given)
    before = {key: value.detach().clone() for key, value in trainer.team.named_parameters()}
    trainer.train()
    moved = {key for key, value in trainer.team.named_parameters() if not torch.equal(value, before[key])}
    assert moved and all("listener" in key for key in moved)


def of_listener(**given: Any) -> MultiRLModuleSpec:
    return MultiRLModuleSpec(rl_module_specs={"listener": RLModuleSpec(**given)})


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: overridden(gamma=0.5), r"per_module: gamma=0.5 of 'speaker' would have no effect: .*lr alone"),
        (lambda: overridden(model={}), r"per_module: model=\{\} of 'speaker' would have no effect: .*PolicySpec"),
        (lambda: specified(PolicySpec(policy_class=int)), "PolicySpec of 'speaker': policy_class=.*no effect"),
        (
            lambda: specified(PolicySpec(observation_space=spaces.Discrete(3))),
            "PolicySpec of 'speaker': observation_space=.*no effect: the environment's are used",
        ),
        (lambda: specified(PolicySpec(config={"lr": 0.1})).rl_module(
            algorithm_config_overrides_per_module={"speaker": {"lr": 0.2}}), r"lr=0.2 in .*lr=0.1 in .*give it one"),
        (
            lambda: config().multi_agent(policies={"default_policy": PolicySpec(config={"lr": 0.0})}),
            "PolicySpec of 'default_policy': config=.* no effect: no agent is mapped",
        ),
        (
            lambda: overridden(lr=0.1).multi_agent(policies_to_train=["listener"]),
            r"lr=0.1 of 'speaker' would have no effect: it is not among policies_to_train",
        ),
        (
            lambda: config().rl_module(algorithm_config_overrides_per_module={"team": {"lr": 0.1}}),
            "lr=0.1 of 'team' would have no effect: neither the channel nor a loss",
        ),
        (lambda: config().rl_module(model_config={"gain": 2.0}), r"model_config=.*\.communication\(model_settings"),
        (lambda: config().rl_module(rl_module_spec=of_listener(model_config={"gain": 2.0})),
         "rl_module_spec of 'listener': model_config=.*no effect"),
        (lambda: config().rl_module(rl_module_spec=of_listener(module_class=OneLayer, learner_only=True)),
         "rl_module_spec of 'listener': learner_only=True would have no effect"),
        (lambda: config().rl_module(rl_module_spec=of_listener(
            module_class=OneLayer, action_space=spaces.Discrete(9))), "action_space=Discrete.9. would have no effect"),
        (lambda: config().rl_module(rl_module_spec=MultiRLModuleSpec(
            rl_module_specs={}, modules_to_load={"listener"})), "MultiRLModuleSpec: modules_to_load=.*no effect"),
    ],
)  # fmt: skip
def test_of_single_policies_the_rest_is_refused(made: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made().validate()


def test_an_override_of_nobody_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'speaker'"):
        config().rl_module(algorithm_config_overrides_per_module={"speakr": {"lr": 0.0}}).validate()


def test_spaces_that_are_those_of_the_environment_pass() -> None:
    given = config()
    seat = build_layout(given.choices(), given.facts()).seats["speaker"]
    specified(PolicySpec(None, seat.observation_space, seat.action_space, {})).validate()


def test_model_config_reaches_modules_of_the_user() -> None:
    given = config().rl_module(rl_module_spec=own_listener())
    plain = weights(copy.deepcopy(given))
    assert not same(weights(given.rl_module(model_config={"gain": 3.0})), plain)


# ---- what is heeded otherwise ---------------------------------------------------------------------------------------


def test_learning_rates_of_policies_pass_where_they_learn_by_turns() -> None:
    from heliograph.rllib.alternating import Alternating

    by_turns = Alternating(["speaker", "listener"], num_env_steps=64)
    overridden(lr=0.1).multi_agent(policies_to_train=by_turns).validate()


def test_a_learner_of_ones_own_gets_its_dictionary() -> None:
    assert issubclass(Halved, TeamLearner)
    config().learners(learner_class=Halved, learner_config_dict={"pace": 2}).validate()
    with pytest.raises(ValueError, match=r"learner_config_dict=.*set learner_class too"):
        config().learners(learner_config_dict={"pace": 2}).validate()
