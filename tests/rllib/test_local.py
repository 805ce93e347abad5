"""The env runner, the learner and PPO without Ray: learning, freezing, mapping, normalising, resuming."""

import copy
import dataclasses
import pathlib
import re
from typing import Any

import pytest
import ray
import torch
from ray.rllib.policy.policy import PolicySpec

from heliograph.models.critic import VIEWS
from heliograph.models.scripted import ScriptedOutput, say_symbol
from heliograph.registry import UnknownNameError
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.testing.mixed import Mixed

SMALL = {"size": 16}


def config(env: Any = "speaker_listener", *, settings: dict | None = None, **communication: Any) -> CommPPOConfig:
    """A small configuration: 32 copies, batches of 256 env steps."""
    chosen = {"model": "cnet", "model_settings": SMALL, "channel": "dru", **communication}
    return (
        CommPPOConfig()
        .environment(env, env_config=settings or {})
        .communication(**chosen)
        .env_runners(num_envs_per_env_runner=32)
        .training(train_batch_size_per_learner=256, minibatch_size=128, num_epochs=2)
        .debugging(seed=0)
    )


def weights(trainer: LocalTrainer, policy: str) -> dict[str, torch.Tensor]:
    """A copy of all weights and buffers of one module."""
    return {key: value.clone() for key, value in trainer.learner.module[policy].state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that differ."""
    return [key for key in before if not torch.equal(before[key], after[key])]


@pytest.mark.parametrize("channel", ["dru", "symbols", "continuous", "none", "garbled+dru", "delayed+lossy+gated+dru"])
def test_the_first_ratio_of_every_batch_is_one(channel: str) -> None:
    trainer = LocalTrainer(config(settings={"rounds": 2}, channel=channel))
    started = ray.is_initialized()
    errors = [trainer.train().learner["first_ratio_error"] for _ in range(3)]
    assert ray.is_initialized() == started
    assert max(errors) <= 1e-5


def test_the_first_ratio_is_one_where_agents_leave_and_spaces_differ() -> None:
    trainer = LocalTrainer(config(Mixed, channel="symbols"))
    assert max(trainer.train().learner["first_ratio_error"] for _ in range(3)) <= 1e-5


@pytest.mark.parametrize("model", ["magic", "gacomm"])
def test_the_first_ratio_is_one_where_models_draw_lots(model: str) -> None:
    trainer = LocalTrainer(config(Mixed, model=model, channel="continuous"))
    assert max(trainer.train().learner["first_ratio_error"] for _ in range(2)) <= 1e-5


@pytest.mark.parametrize("channel", ["dru", "symbols"])
def test_a_team_learns_to_talk_in_seconds(channel: str) -> None:
    settings = config(model_settings={"size": 32}, channel=channel)
    settings.training(train_batch_size_per_learner=2048, minibatch_size=512, num_epochs=4, lr=2e-3)
    trainer = LocalTrainer(settings.env_runners(num_envs_per_env_runner=512))
    best = max(trainer.train().env_runner["episode_return_mean"] for _ in range(35))
    assert best > 0.8


def test_same_seed_same_weights() -> None:
    first, second = (LocalTrainer(config()) for _ in range(2))
    for trainer in (first, second):
        torch.manual_seed(7)
        trainer.train()
    assert not changed(weights(first, "speaker"), weights(second, "speaker"))


def test_golden_first_losses() -> None:
    """The first losses of a fixed configuration: a change here is a change of the algorithm, to be made on purpose."""
    trainer = LocalTrainer(config())
    learner = trainer.train().learner
    assert learner["policy_loss"] == pytest.approx(0.0, abs=0.02)
    assert learner["entropy"] == pytest.approx(1.0986, abs=2e-3)
    assert learner["vf_loss"] == pytest.approx(0.5, abs=0.1)


def test_a_frozen_listener_stays_bit_identical_while_gradients_pass_through_it() -> None:
    trainer = LocalTrainer(config().multi_agent(policies_to_train=["speaker"]))
    before = {name: weights(trainer, name) for name in ("speaker", "listener")}
    for _ in range(2):
        trainer.train()
    assert not changed(before["listener"], weights(trainer, "listener"))
    assert any(key.startswith("policy") for key in changed(before["speaker"], weights(trainer, "speaker")))


def test_training_alternates_where_policies_to_train_is_a_function() -> None:
    turn = {"now": "speaker"}
    settings = config(channel="symbols").multi_agent(policies_to_train=lambda name, batch: name == turn["now"])
    trainer = LocalTrainer(settings)
    for name, other in (("speaker", "listener"), ("listener", "speaker")):
        turn["now"] = name
        before = weights(trainer, other)
        trainer.train()
        assert not changed(before, weights(trainer, other))


def test_policies_as_a_set_with_a_mapping() -> None:
    settings = config("identity").multi_agent(
        policies={"left", "right"}, policy_mapping_fn=lambda agent, episode: "left" if agent == "agent_0" else "right"
    )
    trainer = LocalTrainer(settings)
    trainer.train()
    assert set(trainer.learner.module.keys()) == {"left", "right", "team"}


def test_policy_specs_may_override_model_and_learning_rate() -> None:
    specs = {
        "speaker": PolicySpec(config={"model": "feedforward", "model_settings": {"size": 8}, "lr": 0.0}),
        "listener": PolicySpec(),
    }
    settings = config().multi_agent(policies=specs, policy_mapping_fn=lambda agent, episode: agent.split("_")[0])
    trainer = LocalTrainer(settings)
    assert type(trainer.team.policies["speaker"].model).__name__ == "Feedforward"
    before = weights(trainer, "speaker")
    trainer.train()
    moved = changed(before, weights(trainer, "speaker"))
    assert all("moments" in key or "mean" in key or "variance" in key for key in moved)


def test_who_plays_whom_may_change_with_the_episode() -> None:
    settings = config("identity").multi_agent(
        policies={"a", "b"}, policy_mapping_fn=lambda agent, episode: "ab"[(int(episode.id_, 16) + int(agent[-1])) % 2]
    )
    trainer = LocalTrainer(settings)
    rollout = trainer.env_runner.sample()[0]
    assert rollout.assignment is not None and 0.2 < rollout.assignment.float().mean() < 0.8
    assert torch.equal(rollout.assignment[..., 0], 1 - rollout.assignment[..., 1])
    assert trainer.train().learner["first_ratio_error"] <= 1e-5


def test_normalisers_follow_the_data_and_leave_the_ratio_at_one() -> None:
    chosen = {"normalise_observations": True, "normalise_rewards": True, "normalise_values": True}
    trainer = LocalTrainer(config(Mixed, channel="symbols", **chosen))
    errors = [trainer.train().learner["first_ratio_error"] for _ in range(3)]
    assert max(errors) <= 1e-5
    shared = trainer.learner.module["team"]
    assert float(shared.reward_moments.count) > 0
    normalisers = [p.normaliser for p in trainer.team.policies.values()]
    assert any(float(m.count) > 0 for n in normalisers for m in n.moments.values())


def test_runners_get_the_normalisers_of_the_learner() -> None:
    trainer = LocalTrainer(config(normalise_observations=True))
    trainer.train()
    ours, theirs = trainer.team.state_dict(), trainer.env_runner.module.team.state_dict()
    assert not changed(ours, theirs)


@pytest.mark.parametrize("critic", VIEWS)
def test_critics_see_what_they_are_given(critic: str) -> None:
    trainer = LocalTrainer(config(critic=critic))
    assert trainer.learner.module["speaker"].critic.view == critic
    assert not hasattr(trainer.env_runner.module["speaker"], "critic")
    trainer.train()


@pytest.mark.parametrize("critic", ["state", "hidden+state"])
def test_a_critic_of_an_empty_state_is_refused(critic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(critic=critic)
    facts = dataclasses.replace(settings.facts(), state_size=0)
    monkeypatch.setattr(settings, "facts", lambda: facts)
    with pytest.raises(ValueError, match=f"critic={re.escape(repr(critic))}: this environment's state is empty"):
        settings.check_numbers()


def test_a2c_is_a_setting() -> None:
    settings = config(channel="symbols").training(num_epochs=1, minibatch_size=None, clip_param=None, target_kl=None)
    learner = LocalTrainer(settings).train().learner
    assert learner["clip_fraction"] == 0.0


def test_losses_have_coefficients_and_schedules() -> None:
    def constant(batch: Any) -> torch.Tensor:
        return batch.unrolled.messages[0].payload.mean()

    losses = [("reconstruction", 0.5), (constant, [[0, 1.0], [256, 0.0]])]
    trainer = LocalTrainer(config(losses=losses))
    learner = trainer.train().learner
    assert learner["loss_reconstruction"] > 0 and 0 < learner["loss_constant"] < 1
    assert trainer.learner._coefficient("constant") == 0.0
    assert trainer.learner._coefficient("reconstruction") == 0.5


def test_reconstruction_trains_decoders_that_runners_do_not_carry() -> None:
    trainer = LocalTrainer(config(losses=["reconstruction"]))
    before = weights(trainer, "team")
    trainer.train()
    assert any(key.startswith("losses") for key in changed(before, weights(trainer, "team")))
    assert not any("losses" in key for key in trainer.env_runner.module["team"].state_dict())


def test_resumed_equals_uninterrupted() -> None:
    whole, half = LocalTrainer(config(channel="symbols")), LocalTrainer(config(channel="symbols"))
    half.set_state(copy.deepcopy(whole.get_state()))
    for trainer in (whole, half):
        trainer.train()
    state = copy.deepcopy(half.get_state())
    resumed = LocalTrainer(config(channel="symbols"))
    resumed.set_state(state)
    expected, found = whole.train(), resumed.train()
    assert expected.env_runner["episode_return_mean"] == found.env_runner["episode_return_mean"]
    for name in ("speaker", "listener", "team"):
        assert not changed(weights(whole, name), weights(resumed, name))


def test_messages_on_their_way_are_saved_and_go_on(tmp_path: pathlib.Path) -> None:
    def made() -> LocalTrainer:
        return LocalTrainer(config(settings={"rounds": 3}, channel="delayed+noisy+dru"))

    whole, resumed = made(), made()
    whole.env_runner.sampler.fragment(1)  # so that batches end within episodes
    whole.train()
    whole.save(tmp_path / "state")
    resumed.restore(tmp_path / "state")
    assert whole.env_runner.sampler.get_state()["team"].channel["own"][0].mask.any(), "nothing is on its way"
    expected, found = whole.train(), resumed.train()
    assert expected.env_runner["episode_return_mean"] == found.env_runner["episode_return_mean"]
    for name in ("speaker", "listener", "team"):
        assert not changed(weights(whole, name), weights(resumed, name))


def test_whole_episodes() -> None:
    settings = config("switch_riddle", settings={"prisoners": 3}, channel_settings={"bits": 1})
    rollouts = LocalTrainer(settings.env_runners(batch_mode="complete_episodes")).env_runner.sample()
    assert all(bool((r.episode_over & r.valid).any(0).all()) for r in rollouts)


def test_evaluation_plays_as_many_episodes_as_asked_for() -> None:
    trainer = LocalTrainer(config())
    trainer.env_runner.sample(num_episodes=45, explore=False)
    assert trainer.env_runner.get_metrics()["num_episodes"].peek() == 45


def test_speakers_that_say_nothing_raise_a_warning() -> None:
    babbling = LocalTrainer(config(channel="symbols")).train().env_runner
    assert (babbling["protocol_babbling"], babbling["protocol_collapsed"]) == (1.0, 0.0)
    trainer = LocalTrainer(config(channel="dru"))
    with torch.no_grad():
        for team in (trainer.team, trainer.env_runner.module.team):
            team.policies["speaker"].message_encoder.weight.zero_()
            team.policies["speaker"].message_encoder.bias.fill_(3.0)
    collapsed = trainer.train().env_runner
    assert (collapsed["protocol_babbling"], collapsed["protocol_collapsed"]) == (0.0, 1.0)


def say_goal(inputs: Any, memory: torch.Tensor, heard: Any) -> ScriptedOutput:
    """Say the goal as a symbol; there is nothing to do."""
    goal = inputs.observation.argmax(-1)
    actions = torch.zeros(*goal.shape, 1)
    return ScriptedOutput(action_inputs=actions, channel_input=say_symbol(goal, 4), memory=memory)


def test_a_scripted_speaker_teaches_a_listener() -> None:
    specs = {
        "speaker": PolicySpec(config={"model": "scripted", "model_settings": {"function": say_goal}}),
        "listener": PolicySpec(),
    }
    settings = config(channel="symbols").multi_agent(
        policies=specs, policy_mapping_fn=lambda agent, episode: agent.split("_")[0]
    )
    settings.training(train_batch_size_per_learner=1024, minibatch_size=256, num_epochs=4, lr=3e-3)
    trainer = LocalTrainer(settings.env_runners(num_envs_per_env_runner=256))
    best = max(trainer.train().env_runner["episode_return_mean"] for _ in range(25))
    assert best > 0.9


@pytest.mark.parametrize("maker", ["make_speaker_listener", "make_reference"])
@pytest.mark.parametrize("builtin_symbols", [True, False])
def test_particle_environments_train_through_this_path(maker: str, builtin_symbols: bool) -> None:
    chosen = {"builtin_symbols": builtin_symbols}
    settings = config(f"heliograph.adapters.mpe:{maker}", settings=chosen, channel="symbols")
    settings.env_runners(num_envs_per_env_runner=8).training(train_batch_size_per_learner=400, minibatch_size=200)
    progress = LocalTrainer(settings).train()
    assert progress.learner["first_ratio_error"] <= 1e-5 and progress.env_runner["episode_len_mean"] == 25
    assert progress.env_runner["num_meanings"] == 3 and progress.env_runner["entropy_bits"] > 1


BAD = [
    (lambda: config("speaker_listner"), UnknownNameError, "speaker_listener"),
    (lambda: config(model="cnett"), UnknownNameError, "cnet"),
    (lambda: config(channel="dur"), UnknownNameError, "dru"),
    (lambda: config(channel_settings={"bit": 2}), UnknownNameError, "bits"),
    (lambda: config(model_settings={"sice": 2}), UnknownNameError, "size"),
    (lambda: config(settings={"goal": 3}), UnknownNameError, "goals"),
    (lambda: config(losses=["reconstructon"]), UnknownNameError, "reconstruction"),
    (lambda: config(critic="states"), UnknownNameError, "state"),
    (lambda: config().multi_agent(policies_to_train=["speeker"]), UnknownNameError, "speaker"),
    (lambda: config().multi_agent(policies_to_train=[]), ValueError, "policies_to_train is empty"),
    (lambda: config().training(minibatch_size=512), ValueError, "minibatch_size=512"),
    (lambda: config().training(gamma=1.5), ValueError, "gamma=1.5"),
    (lambda: config().env_runners(env_to_module_connector=lambda env: None), ValueError, "connector"),
    (lambda: config().env_runners(num_env_runners=2), ValueError, "num_env_runners=2"),
]


@pytest.mark.parametrize(("make", "error", "words"), BAD)
def test_bad_input_is_refused_before_training(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        LocalTrainer(make())


def test_an_environment_that_fails_is_named() -> None:
    trainer = LocalTrainer(config())

    def broken(state: Any, actions: Any) -> Any:
        raise ArithmeticError("the cage is open")

    trainer.env_runner.env.advance = broken
    with pytest.raises(RuntimeError, match=r"env runner failed in env step 1 of SpeakerListener: Arith.*the cage"):
        trainer.train()


def test_a_loss_must_be_one_number() -> None:
    def each(batch: Any) -> torch.Tensor:
        return batch.unrolled.messages[0].payload.mean(-1)[0, :, 0]

    with pytest.raises(ValueError, match=r"'each' returned a tensor of shape \[2\] .*: must be one number"):
        LocalTrainer(config(losses=[each])).train()


def test_losses_that_diverge_stop_training() -> None:
    def nothing(batch: Any) -> torch.Tensor:
        return torch.tensor(float("nan"))

    with pytest.raises(FloatingPointError, match="lower lr"):
        LocalTrainer(config(losses=[nothing])).train()
