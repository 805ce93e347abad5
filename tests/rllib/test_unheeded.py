"""What RLlib offers and this path does not heed is refused, and never silently without effect."""

from typing import Any

import pytest

from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.stock_settings import attribute_of
from heliograph.rllib.unsupported_settings import UNHEEDED

OTHER = {
    "observation_filter": "MeanStdFilter",
    "clip_rewards": True,
    "input_": "episodes",
    "output": "episodes",
    "model": {"fcnet_hiddens": [32]},
    "gym_env_vectorize_mode": "async",
    "num_aggregator_actors_per_learner": 2,
    "enable_rl_module_and_learner": False,
    "enable_env_runner_and_connector_v2": False,
    "torch_compile_learner": True,
    "torch_compile_worker": True,
    "remote_worker_envs": True,
}


def config() -> CommPPOConfig:
    return CommPPOConfig().environment("identity").communication(model="cnet", channel="dru")


def other(name: str) -> Any:
    return OTHER.get(name, lambda *_: None)


@pytest.mark.parametrize("name", UNHEEDED)
def test_each_is_refused_with_a_remedy(name: str) -> None:
    given = config()
    setattr(given, attribute_of(name), other(name))
    with pytest.raises(ValueError, match=rf"^{name}=.* would have no effect: .*(;|, by )"):
        given.validate()


@pytest.mark.parametrize("name", UNHEEDED)
def test_each_is_refused_in_the_settings_of_evaluation(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^evaluation_config: {name}=.* would have no effect: "):
        config().evaluation(evaluation_config={"explore": False, name: other(name)}).validate()


def test_their_defaults_pass() -> None:
    config().evaluation(evaluation_config={"observation_filter": "NoFilter"}).validate()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.learners(learner_class=object), r"learner_class=.*must be a subclass of .*TeamLearner"),
        (lambda c: c.env_runners(env_runner_cls=dict), r"env_runner_cls=.*must be a subclass of .*TeamEnvRunner"),
    ],
)
def test_foreign_classes_are_refused(change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        change(config()).validate()


def test_own_subclasses_pass() -> None:
    class Learner(config().get_default_learner_class()):  # type: ignore[misc]
        pass

    class Runner(config().env_runner_cls):  # type: ignore[misc, name-defined]
        pass

    config().learners(learner_class=Learner).env_runners(env_runner_cls=Runner).validate()


def test_a_function_that_trains_nobody_is_remarked_upon() -> None:
    with pytest.warns(UserWarning, match="policies_to_train: trains none"):
        config().multi_agent(policies_to_train=lambda policy, batch: False).validate()
