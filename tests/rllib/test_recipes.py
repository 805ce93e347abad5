"""Recipes on the tasks of IC3Net, and on large teams, run: an iteration of each, with few copies and short episodes."""

from typing import Any

import pytest
import torch

from heliograph import registry
from heliograph.experiments.choices import build_team
from heliograph.experiments.settings import TrainSettings, control_of, settings_from
from heliograph.recipes.trainers import junction_published
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of
from heliograph.types import Choice, MessageForm

TASKS = ("graph_colouring", "levers", "predator_prey", "traffic_junction")
PUBLISHED_MODELS = ("commnet", "gacomm", "ic3net", "magic", "tarmac")
NAMES = [name for name in registry.names("recipe") if any(task in name for task in TASKS)]


def shortened(name: str) -> TrainSettings:
    """Two copies, four steps, the model small, and large teams too."""
    settings: dict[str, Any] = dict(registry.load("recipe", name)().settings)
    batch = {"num_envs_per_env_runner": 2, "train_batch_size_per_learner": 8}
    if settings["algorithm"] == "ppo":
        batch["minibatch_size"] = 8
    if "rollout_fragment_length" in settings["algorithm_settings"]:
        batch["rollout_fragment_length"] = 4
    own = {} if "levers" in name else {"steps": 4}
    own |= {"agents": 16} if "colouring" in name else {}
    return settings_from(
        {
            **settings,
            "env_settings": {**settings["env_settings"], **own},
            "model_settings": {**settings["model_settings"], "size": 8},
            "algorithm_settings": {**settings["algorithm_settings"], **batch},
        }
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_runs_for_an_iteration(name: str) -> None:
    progress = LocalTrainer(config_of(shortened(name))).train()
    assert progress.num_env_steps >= 8 and progress.learner["first_ratio_error"] <= 1e-5
    if "junction" in name:
        rates = {"easy": 0.1, "medium": 0.05, "hard": 0.02}
        assert progress.env_runner["curriculum_p_arrive"] == next(r for d, r in rates.items() if d in name)


def test_a_silent_control_has_the_same_task_and_curriculum() -> None:
    control = control_of(shortened("ic3net_traffic_junction_easy"), "silent")
    assert control.channel == "none" and control.curriculum and control.env_choice().settings["p_arrive"] == 0.3
    assert LocalTrainer(config_of(control)).train().num_env_steps == 8


def test_the_published_rate_rises_in_steps_of_a_hundredth() -> None:
    epoch = 80_000
    for difficulty, (first, second, last) in {"easy": (300, 350, 1250), "medium": (317, 384, 1250)}.items():
        points = junction_published(difficulty, mean_ratio=0.0)["curriculum"]["p_arrive"]["points"]
        low = points[0][1]
        assert points[1] == [first * epoch, round(low + 0.01, 2)] and points[2][0] == second * epoch
        assert points[-1] == [last * epoch, {"easy": 0.3, "medium": 0.2}[difficulty]]


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith(PUBLISHED_MODELS) and "colouring" not in n])
def test_messages_of_published_models_are_their_hidden_states_untouched(name: str) -> None:
    """A narrow or noisy channel between them would be another system."""
    config = config_of(settings_from(registry.load("recipe", name)().settings))
    team = build_team(config.choices(), config.facts(), seed=0)
    for policy in team.policies.values():
        message_encoder = getattr(policy.message_encoder, "message", policy.message_encoder)
        assert isinstance(message_encoder, torch.nn.Identity) and isinstance(policy.message_decoder, torch.nn.Identity)
    said = torch.randn(64, len(team.layout.agents), team.channel.input_size)
    draw = team.channel.sample(said, generator=None, choice=Choice.SAMPLED)
    message, _ = team.channel.send(said, draw=draw, form=MessageForm.TRAINING)
    carried = message.payload[message.payload.abs().sum(-1) > 0]
    assert len(carried) and bool(torch.isin(carried, said).all())
