"""Settings that change nothing in a combination are refused by name; controls, defaults and old teams are not."""

import pathlib
from typing import Any

import pytest

from heliograph import registry
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.experiments.compatibility import rehearse
from heliograph.experiments.effects import IDLE
from heliograph.experiments.settings import control_of, settings_from
from heliograph.rllib.a2c import CommA2CConfig
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.qlearning import CommDQNConfig
from heliograph.rllib.runs.train import config_of
from heliograph.testing import check_recipe

PREY = {"size": 3, "predators": 4, "steps": 4}
SMALL = {"size": 8}


def team(**given: Any) -> Any:
    """A team that hears within three steps, with what is given in the place of what is usual."""
    env = EnvChoice(env=given.pop("env", "predator_prey"), settings=given.pop("env_settings", PREY))
    losses = given.pop("losses", [])
    given.setdefault("model", "feedforward")
    if given["model"] != "scripted":
        given["model_settings"] = {**SMALL, **given.get("model_settings", {})}
    return rehearse(env, TeamChoices(**given), losses)


COMPONENTS: dict[str, dict[str, Any]] = {
    "temperature=2.0": {"channel": "symbols", "channel_settings": {"temperature": 2.0}},
    "final_temperature=0.5": {
        "channel": "symbols", "channel_settings": {"gradient": "gumbel", "final_temperature": 0.5},
    },
    "anneal_env_steps=100": {"channel": "noisy+symbols", "channel_settings": {"anneal_env_steps": 100}},
    "anneal_env_steps=9": {"channel": "garbled+dru", "channel_settings": {"anneal_env_steps": 9}},
    "limit=1.0": {"channel_settings": {"sigma": 0.0, "limit": 1.0}},
    "temperature=0.5": {"channel": "lossy+vq", "channel_settings": {"temperature": 0.5}},
    "skip=False": {"model": "commnet", "model_settings": {"skip": False}},
    "value_size=8": {"model": "gacomm", "model_settings": {"values": "hidden", "value_size": 8}},
    "encoder_size=8": {"model": "magic", "model_settings": {"complete": "all", "encoder_size": 8}},
    "normalise='offered'": {"model": "magic", "model_settings": {"complete": "all", "normalise": "offered"}},
    "heads=2": {"model": "magic", "model_settings": {"rounds": 1, "heads": 2}},
    "complete='later'": {"model": "magic", "model_settings": {"rounds": 1, "complete": "later"}},
    "own_message=True": {"model": "cnet", "model_settings": {"own_message": True}},
    "time_limit=9": {"env_settings": {**PREY, "time_limit": 9}},
    "topology='ring'": {"channel": "none", "topology": "ring"},
    "reach=3": {"topology": "ring", "topology_settings": {"reach": 3}, "env_settings": {**PREY, "predators": 3}},
    "seed=5": {"topology": "random", "topology_settings": {"degree": 3, "seed": 5}},
    "normalise_observations=True": {
        "env": "levers", "env_settings": {}, "channel": "none", "normalise_observations": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("said", [said for said in COMPONENTS if said != "normalise_observations=True"])
def test_of_components(said: str) -> None:
    with pytest.raises(ValueError, match="would have no effect") as told:
        team(**COMPONENTS[said])
    assert str(told.value).startswith(said) and ("; " in str(told.value))


@pytest.mark.parametrize(
    "given",
    [
        {"channel": "symbols", "channel_settings": {"temperature": 1.0}},
        {"channel": "symbols", "channel_settings": {"gradient": "gumbel", "temperature": 2.0}},
        {"channel": "vq", "channel_settings": {"temperature": 0.5}, "losses": [("positive_signalling", {})]},
        {"model": "commnet", "model_settings": {"core": "mlp", "skip": False}},
        {"model": "magic", "model_settings": {"complete": "all", "self_loop": "forced"}},
        {"channel_settings": {"sigma": 0.0, "limit": None}},
        {"topology": "ring", "topology_settings": {"reach": 2}},
        {"channel": "none"},
    ],
)
def test_of_components_these_pass(given: dict[str, Any]) -> None:
    team(**given)


def config(kind: type, *, channel: str = "dru", env: Any = ("predator_prey", PREY), **communication: Any) -> Any:
    made = kind().environment(env[0], env_config=env[1])
    made.communication(model="commnet", model_settings={**SMALL, "core": "mlp"}, channel=channel, **communication)
    return made.env_runners(num_envs_per_env_runner=8)


ALGORITHMS: dict[str, Any] = {
    "message_entropy_coeff=0.5": lambda: config(CommPPOConfig).training(message_entropy_coeff=0.5),
    "message_entropy_coeff=0.4": lambda: config(
        CommA2CConfig, channel="continuous", channel_settings={"gradient": "score"}
    ).training(message_entropy_coeff=0.4),
    "message_entropy_coeff=0.3": lambda: config(CommPPOConfig, channel="none").training(message_entropy_coeff=0.3),
    "gamma=0.5": lambda: config(CommPPOConfig, env=("levers", {})).training(gamma=0.5),
    "lambda_=0.5": lambda: config(CommPPOConfig, env=("levers", {})).training(lambda_=0.5),
    "clip_param=0.5": lambda: config(CommPPOConfig).training(num_epochs=1, minibatch_size=None, clip_param=0.5),
    "target_kl=0.5": lambda: config(CommPPOConfig).training(num_epochs=1, minibatch_size=4096, target_kl=0.5),
    "grad_clip_by='value'": lambda: config(CommPPOConfig).training(grad_clip=None, grad_clip_by="value"),
    "rms_decay=0.5": lambda: config(CommA2CConfig).training(optimizer_name="adam", rms_decay=0.5),
    "rms_epsilon=0.5": lambda: config(CommA2CConfig).training(optimizer_name="adam", rms_epsilon=0.5),
    "rollout_fragment_length=4": lambda: config(CommA2CConfig).env_runners(
        batch_mode="complete_episodes", rollout_fragment_length=4
    ),
    "rollout_fragment_length=5": lambda: config(CommDQNConfig).env_runners(rollout_fragment_length=5),
    "critic='state'": lambda: config(CommDQNConfig, critic="state"),
    "critic_size=8": lambda: config(CommDQNConfig, critic_size=8),
    "normalise_rewards=True": lambda: config(CommDQNConfig, normalise_rewards=True),
    "message_bootstrap='average'": lambda: config(CommDQNConfig).training(message_bootstrap="average"),
    "epsilon=0.3": lambda: config(CommDQNConfig).training(epsilon=0.3).env_runners(explore=False),
    "freeze_team=True": lambda: config(CommPPOConfig, freeze_team=True),
    "mean_ratio=1.0": lambda: config(
        CommPPOConfig, env=("predator_prey", {**PREY, "predators": 1}), channel="none"
    ).training(mean_ratio=1.0),
}


@pytest.mark.parametrize("said", ALGORITHMS)
def test_of_algorithms(said: str) -> None:
    with pytest.raises(ValueError, match="would have no effect") as told:
        ALGORITHMS[said]().validate()
    assert str(told.value).startswith(said)


@pytest.mark.parametrize(
    "made",
    [
        lambda: config(CommPPOConfig).training(message_entropy_coeff=0.0),
        lambda: config(CommPPOConfig, channel="gated+continuous").training(message_entropy_coeff=0.5),
        lambda: config(CommPPOConfig, channel="symbols").training(message_entropy_coeff=[[0, 0.5], [100, 0.0]]),
        lambda: config(CommDQNConfig, channel="symbols").training(message_bootstrap="average"),
        lambda: config(CommPPOConfig, channel="vq", freeze_team=True),
        lambda: config(
            CommPPOConfig, channel="symbols", freeze_team=True,
            channel_settings={"gradient": "gumbel", "final_temperature": 0.5, "anneal_env_steps": 9},
        ),
        lambda: config(CommDQNConfig, critic_size=0, normalise_values=False),
    ],
)  # fmt: skip
def test_of_algorithms_these_pass(made: Any) -> None:
    made().validate()


def test_clipping_by_a_norm_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="grad_clip_by='norm': must be 'global_norm' or 'value'"):
        config(CommPPOConfig).training(grad_clip_by="norm").validate()


def test_a_model_that_hears_in_the_next_step_of_episodes_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing would ever be heard"):
        team(env="levers", env_settings={})
    team(env="levers", env_settings={"talk_steps": 1})


TALKATIVE = {
    "env": "predator_prey", "env_settings": PREY, "model": "cnet", "model_settings": {**SMALL, "own_message": True},
    "channel": "symbols", "channel_settings": {"vocabulary": 3}, "topology": "ring", "topology_settings": {"reach": 2},
    "losses": ["reconstruction"], "freeze_team": True,
    "algorithm_settings": {"message_entropy_coeff": 0.5, "num_envs_per_env_runner": 8},
}  # fmt: skip


RIAL = {"algorithm": "qlearning", "algorithm_settings": {"message_bootstrap": "average"}}


@pytest.mark.parametrize("kind", ["silent", "garbled"])
@pytest.mark.parametrize("change", [{}, RIAL])
def test_controls_are_made_without_what_means_nothing_to_them(kind: str, change: dict[str, Any]) -> None:
    settings = settings_from({**TALKATIVE, **change})
    config_of(settings).validate()
    control = control_of(settings, kind)
    config_of(control).validate()
    assert control.model_settings == settings.model_settings and control.losses == settings.losses
    assert (control.topology == "full") == (kind == "silent")


@pytest.mark.parametrize("name", registry.names("recipe"))
def test_recipes_conform_and_have_no_setting_without_effect(name: str) -> None:
    recipe = registry.load("recipe", name)
    check_recipe(recipe, env_settings={"agents": 16} if recipe().settings["env"] == "graph_colouring" else None)


def test_a_team_that_was_trained_with_one_can_still_be_built() -> None:
    env = build_env(EnvChoice(env="predator_prey", settings=PREY), num_envs=1)
    old = TeamChoices(model="magic", model_settings={**SMALL, "complete": "all", "encoder_size": 8})
    assert build_team(old, facts_of(env)) is not None


def test_the_table_is_documented() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "combinations.md").read_text()
    for idle in IDLE:
        assert f"| `{idle.setting}` | {idle.where} | {idle.why} |" in page
