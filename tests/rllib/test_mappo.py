"""MAPPO: its critic, the loss of values by hand, what is held against what, learning, resuming."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from heliograph.models.critic import DebiasedMoments
from heliograph.rllib.actor_critic import Prepared
from heliograph.rllib.mappo import CommMAPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from tests.echoing import Echo


def config(env: Any = Echo, *, channel: str = "none", model: str = "feedforward", **training: Any) -> CommMAPPOConfig:
    made = (
        CommMAPPOConfig()
        .environment(env)
        .communication(model=model, model_settings={"size": 16}, channel=channel, critic_size=16)
    )
    made.training(**{"lr": 1e-2, "num_epochs": 4, "train_batch_size_per_learner": 128, **training})
    return made.env_runners(num_envs_per_env_runner=64).debugging(seed=0)


def test_it_learns_a_game_of_one_step_in_seconds() -> None:
    trainer = LocalTrainer(config())
    found = [trainer.train().env_runner["episode_return_mean"] for _ in range(20)]
    assert found[0] < 0.45 and min(found[-3:]) > 0.9, found


def test_its_critic_sees_the_state_with_layer_norm_and_begins_orthogonal() -> None:
    trainer = LocalTrainer(config())
    critic = trainer.learner.module["agent"].critic
    assert critic.view == "state" and isinstance(critic.moments, DebiasedMoments)
    assert isinstance(critic.input_norm, nn.LayerNorm) and critic.input_norm.normalized_shape == (9,)
    inner = critic.net[3].weight
    torch.testing.assert_close(inner @ inner.T, 2 * torch.eye(16), atol=1e-5, rtol=0)
    assert critic.moments.decay == pytest.approx(0.99999**4)


def prepared(targets: Tensor, old: Tensor | None) -> Prepared:
    yes = torch.ones_like(targets, dtype=torch.bool)
    return Prepared(advantages=targets, targets=targets, known=yes, trained=yes, counted=yes, values=old)


@pytest.mark.parametrize(
    ("value", "target", "old", "expected"),
    [
        (0.5, 1.0, 0.4, 0.5 * 0.5**2),  # within 0.2 of the old one: half the squared error
        (0.9, 1.0, 0.2, 0.5 * 0.6**2),  # as if it were 0.4 only
        (0.9, 0.1, 0.2, 0.5 * 0.8**2),  # it is worse than 0.4 would be
        (0.0, 9.0, 0.0, 2 * (9 - 1)),  # beyond the delta of 2: 2 (9 - 2 / 2)
    ],
)
def test_the_loss_of_values_by_hand(value: float, target: float, old: float, expected: float, monkeypatch: Any) -> None:
    learner = LocalTrainer(config(huber_delta=2.0)).learner
    monkeypatch.setattr(learner, "present_values", lambda rollout, unrolled: torch.full((1, 1, 1), value))
    part = prepared(torch.full((1, 1, 1), target), torch.full((1, 1, 1), old))
    assert learner.value_errors(None, None, part).item() == pytest.approx(expected)


def test_old_values_are_those_that_the_critics_put_out() -> None:
    trainer = LocalTrainer(config("identity", channel="dru", model="cnet"))
    learner = trainer.learner
    learner._env_steps = 0
    for _ in range(2):
        (rollout,) = trainer.env_runner.sample(num_timesteps=128)
        with torch.no_grad():
            raw = learner.present_values(rollout, trainer.team.unroll(rollout))
        torch.testing.assert_close(learner.prepare(rollout).values, raw, atol=1e-4, rtol=1e-4)


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Any) -> None:
    whole, first, second = (LocalTrainer(config("identity", channel="dru", model="cnet")) for _ in range(3))
    for trainer, updates in ((whole, 3), (first, 2), (second, 1)):
        for _ in range(updates):
            trainer.train()
    first.save(tmp_path / "state")
    second.restore(tmp_path / "state")
    second.train()
    for name, module in whole.learner.module.items():
        other = second.learner.module[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in module.state_dict().items()), name


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ("huber_delta=0", {"huber_delta": 0}),
        ("value_norm_decay=1", {"value_norm_decay": 1}),
    ],
)
def test_settings_that_make_no_sense_are_named(said: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as told:
        config(**settings).validate()
    assert str(told.value).startswith(said)
