"""A2C: its update next to the one of IC3Net's trainer written out, where gradients stop, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.experiments.settings import settings_from
from heliograph.rllib.a2c import CommA2CConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler

IC3NET = {
    "lr": 1e-3, "rms_decay": 0.97, "rms_epsilon": 1e-6, "gamma": 1.0, "vf_loss_coeff": 0.02, "entropy_coeff": 0.0,
    "message_entropy_coeff": 0.0, "grad_clip": None, "normalise_advantages": False, "loss_mean": "env_step",
    "detach_gap": 10, "train_batch_size_per_learner": 320,
}  # fmt: skip
VALUE_COEFFICIENT = 0.01
TALKING = TeamChoices(model="ic3net", model_settings={"size": 8}, channel="continuous")


def config(
    env: str = "traffic_junction", *, settings: dict | None = None, channel: str = "gated+continuous", **a2c: Any
):  # type: ignore[no-untyped-def]
    return (
        CommA2CConfig()
        .environment(env, env_config=settings or {})
        .communication(model="ic3net", model_settings={"size": 8}, channel=channel, normalise_values=False)
        .communication(critic_size=0)
        .env_runners(num_envs_per_env_runner=16)
        .training(**{**IC3NET, **a2c})
        .debugging(seed=0)
    )


def returns_of(rollout: Rollout, *, mean_ratio: float) -> Tensor:
    """As IC3Net's trainer computes them, going back through an episode of each copy."""
    found = torch.zeros_like(rollout.rewards)
    shared, own = torch.zeros_like(rollout.rewards[0]), torch.zeros_like(rollout.rewards[0])
    for t in reversed(range(rollout.num_steps)):
        goes_on = ~rollout.episode_over[t].unsqueeze(-1)
        lives = ~(rollout.terminated[t])
        shared = rollout.rewards[t] + shared * goes_on
        own = rollout.rewards[t] + own * goes_on * lives
        found[t] = mean_ratio * shared.mean(-1, keepdim=True) + (1 - mean_ratio) * own
    return found


@pytest.mark.parametrize("mean_ratio", [0.0, 0.5, 1.0])
def test_an_update_is_that_of_the_published_trainer(mean_ratio: float) -> None:
    trainer = LocalTrainer(config(settings={"p_arrive": 0.5}, mean_ratio=mean_ratio))
    rollout = trainer.env_runner.sample(num_timesteps=320)[0]
    assert rollout.num_steps == 20 and rollout.terminated[:-1].any() and rollout.episode_over[-1].all()
    module = trainer.learner.module["car"]
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    unrolled = trainer.team.unroll(rollout)
    values = module.critic(unrolled.before["car"][:-1])
    returns, alive = returns_of(rollout, mean_ratio=mean_ratio), rollout.observing[:-1]
    log_prob = unrolled.action_log_prob + unrolled.message_log_prob
    action_loss = (-(returns - values.detach()) * log_prob * alive).sum()
    value_loss = ((values - returns).square() * alive).sum()
    gradients = torch.autograd.grad(
        action_loss + VALUE_COEFFICIENT * value_loss, list(module.parameters()), allow_unused=True
    )
    trainer.learner.update(episodes=[rollout], timesteps={})
    for (name, parameter), gradient in zip(module.named_parameters(), gradients, strict=True):
        g = torch.zeros_like(parameter) if gradient is None else gradient / (20 * 16)
        step = 1e-3 * g / ((0.03 * g.square()).sqrt() + 1e-6)
        torch.testing.assert_close(parameter.detach(), before[name] - step, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("gap", [None, 2, 3])
def test_gradients_stop_where_a_stretch_ends(gap: int | None) -> None:
    env = build_env(EnvChoice(env="predator_prey", settings={"mode": "cooperative", "steps": 6}), num_envs=4)
    team = build_team(TALKING, facts_of(env), seed=0)
    team.detach_gap = gap
    rollout = Sampler(env, team).fragment(6)
    seen = rollout.observations["predator"].requires_grad_()
    after = team.unroll(rollout).after["predator"]
    for t in range(6):
        (found,) = torch.autograd.grad(after[t].sum(), seen, retain_graph=True)
        reached = found.abs().sum((1, 2, 3)) > 0
        first = 0 if gap is None else t - t % gap
        assert reached.tolist() == [first <= s <= t for s in range(7)]


def test_no_gradient_passes_from_hearers_to_what_was_said_before_the_gap() -> None:
    env = build_env(EnvChoice(env="predator_prey", settings={"mode": "cooperative", "steps": 4}), num_envs=4)
    team = build_team(TALKING, facts_of(env), seed=0)
    rollout = Sampler(env, team).fragment(4)
    passed = {}
    for gap in (None, 2):
        team.detach_gap = gap
        unrolled = team.unroll(rollout)
        hearers = unrolled.after["predator"][2].sum()
        found = torch.autograd.grad(hearers, unrolled.steps[1].messages[0].payload, allow_unused=True)[0]
        passed[gap] = found is not None and bool(found.abs().sum() > 0)
    assert passed == {None: True, 2: False}


def test_the_first_ratio_is_one_and_all_settings_train() -> None:
    usual = {"rms_decay": 0.99, "rms_epsilon": 1e-5}  # Adam has neither
    others = {"optimizer_name": "adam", "loss_mean": "turn", "normalise_advantages": True, "grad_clip": 0.5}
    for changes in ({}, usual | others):
        learner = LocalTrainer(config(settings={"vision": 0}, **changes)).train().learner
        assert learner["first_ratio_error"] <= 1e-5 and learner["gradient_norm"] > 0


def test_whole_episodes_of_different_length_make_one_batch() -> None:
    given = config("predator_prey", settings={"size": 2, "predators": 2, "steps": 40}, train_batch_size_per_learner=100)
    trainer = LocalTrainer(given.env_runners(batch_mode="complete_episodes", num_envs_per_env_runner=2))
    rollouts = trainer.env_runner.sample(num_timesteps=100)
    assert len({r.num_steps for r in rollouts}) > 1
    learner = trainer.learner.update(episodes=rollouts, timesteps={})["__all_modules__"]
    assert learner["first_ratio_error"].peek() <= 1e-5


def test_a2c_learns_to_talk_in_seconds() -> None:
    given = (
        CommA2CConfig()
        .environment("speaker_listener", env_config={"goals": 2, "rounds": 1})
        .communication(model="cnet", model_settings={"size": 32}, channel="dru")
        .env_runners(num_envs_per_env_runner=512)
        .training(train_batch_size_per_learner=1024, lr=3e-3)
        .debugging(seed=0)
    )
    trainer = LocalTrainer(given)
    assert any(trainer.train().env_runner["episode_return_mean"] > 0.8 for _ in range(80))


def test_it_is_an_algorithm_of_runs() -> None:
    chosen = {"env": "traffic_junction", "algorithm": "a2c", "model": "ic3net", "channel": "continuous"}
    given = config_of(settings_from({**chosen, "algorithm_settings": {**IC3NET, "mean_ratio": 1.0}}))
    assert isinstance(given, CommA2CConfig) and given.mean_ratio == 1.0 and given.grad_clip is None
    assert (CommA2CConfig().num_epochs, CommA2CConfig().minibatch_size) == (1, None)


def test_a_mixture_of_returns_with_values_needs_agents_that_stay() -> None:
    mixed = {"mean_ratio": 0.5, "lambda_": 0.9}
    with pytest.raises(ValueError, match=r"mean_ratio=0\.5, lambda_=0\.9: here agents leave"):
        LocalTrainer(config(settings={"vision": 0}, **mixed)).train()


BAD = [
    ({"detach_gap": 0}, "detach_gap=0"),
    ({"mean_ratio": 1.5}, "mean_ratio=1.5"),
    ({"optimizer_name": "sgd"}, "optimizer_name='sgd'"),
    ({"loss_mean": "step"}, "loss_mean='step'"),
    ({"rms_decay": 2.0}, "rms_decay=2.0"),
    ({"num_epochs": 2}, "num_epochs=2: A2C makes one update"),
    ({"minibatch_size": 10}, "minibatch_size=10"),
    ({"entropy_coeff": -1.0}, "entropy_coeff=-1.0"),
]


@pytest.mark.parametrize(("changes", "words"), BAD)
def test_bad_settings_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        config(settings={"vision": 0}, **changes).validate()
