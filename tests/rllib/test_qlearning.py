"""Q-learning: who teaches whom, who may act, the target team, learning in seconds, resuming."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph.registry import UnknownNameError
from heliograph.rllib.mapping import OwnNetwork
from heliograph.rllib.qlearning import CommDQNConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.rollout import Rollout
from heliograph.testing.mixed import Mixed

SMALL = {"size": 16}
CHANNELS = {"dru": {"bits": 1, "limit": None}, "symbols": {"vocabulary": 2}}
each_channel = pytest.mark.parametrize("channel", list(CHANNELS))


def config(env: Any = "switch_riddle", *, channel: str = "dru", copies: int = 16, **training: Any) -> CommDQNConfig:
    """A small configuration."""
    settings = CHANNELS.get(channel.split("+")[-1], {})
    return (
        CommDQNConfig()
        .environment(env)
        .communication(model="cnet", model_settings=SMALL, channel=channel, channel_settings=settings)
        .env_runners(num_envs_per_env_runner=copies)
        .training(**{"momentum": 0.05, **training})
        .debugging(seed=0)
    )


def own_networks(settings: CommDQNConfig) -> CommDQNConfig:
    """The same with a network for each agent."""
    settings.multi_agent(policies=set(settings.facts().agents), policy_mapping_fn=OwnNetwork())
    return settings


def sampled(trainer: LocalTrainer) -> Rollout:
    """One batch of whole episodes."""
    (rollout,) = trainer.env_runner.sample(num_timesteps=trainer.config.batch_env_steps())
    return rollout


def td_loss(trainer: LocalTrainer, rollout: Rollout, *, agent: int) -> Tensor:
    """The TD loss of one agent's actions alone."""
    learner, team = trainer.learner, trainer.team
    values = learner._of_actions(team, team.unroll(rollout), rollout)
    targets = learner.prepare(rollout)
    known = targets.known & values.asked
    return torch.where(known, (values.chosen - targets.action).square(), 0.0)[..., agent].sum()


@each_channel
def test_the_loss_of_the_listener_reaches_the_weights_of_the_speaker_in_dial_alone(channel: str) -> None:
    trainer = LocalTrainer(own_networks(config("identity", channel=channel)))
    loss = td_loss(trainer, sampled(trainer), agent=1)
    weights = dict(trainer.team.policies["agent_0"].named_parameters())
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    norms = {name: 0.0 if g is None else float(g.norm()) for name, g in zip(weights, found, strict=True)}
    if channel == "dru":
        assert norms["message_encoder.weight"] > 0 and norms["model.cells.0.weight_ih"] > 0
    else:
        assert max(norms.values()) == 0.0


@each_channel
def test_only_the_prisoner_in_the_room_acts_and_speaks(channel: str) -> None:
    trainer = LocalTrainer(config(channel=channel, copies=64))
    rollout, learner = sampled(trainer), trainer.learner
    counting = rollout.acting & rollout.valid.unsqueeze(-1)
    assert bool((rollout.acting.sum(-1) == 1).all()) and torch.equal(counting, rollout.speaking)
    unrolled = learner.target.unroll(rollout)
    assert torch.equal(learner._of_actions(trainer.team, unrolled, rollout).asked, rollout.acting)
    assert torch.equal(learner.prepare(rollout).known, counting)


def test_an_agent_bootstraps_from_its_own_next_turn() -> None:
    trainer = LocalTrainer(config(copies=256, gamma=0.5, epsilon=1.0))
    rollout = sampled(trainer)
    best = trainer.learner._of_actions(trainer.learner.target, trainer.learner.target.unroll(rollout), rollout).best
    targets, checked = trainer.learner.prepare(rollout), 0
    for copy_, agent in [(c, a) for c in range(256) for a in range(3)]:
        last = int(rollout.episode_over[:, copy_].int().argmax())
        turns = [t for t in range(last + 1) if rollout.acting[t, copy_, agent]]
        for i, t in enumerate(turns):
            until = turns[i + 1] if i + 1 < len(turns) else last + 1
            expected = rollout.rewards[t:until, copy_, agent].sum()
            if until <= last:
                expected, checked = expected + 0.5 * best[until, copy_, agent], checked + 1
            assert torch.allclose(targets.action[t, copy_, agent], expected)
    assert checked > 20


def test_agents_that_wait_are_worth_their_action_0_by_step() -> None:
    trainer = LocalTrainer(config(bootstrap="step"))
    rollout = sampled(trainer)
    values = trainer.learner._of_actions(trainer.team, trainer.team.unroll(rollout), rollout)
    waiting = ~rollout.acting
    assert bool(values.asked.all()) and torch.equal(values.best[waiting], values.chosen[waiting])


@each_channel
def test_the_target_team_starts_equal_and_follows_every_so_many_updates(channel: str) -> None:
    trainer = LocalTrainer(config(channel=channel, target_update_every=2))
    equal = []
    for _ in range(4):
        ours, theirs = trainer.team.state_dict(), trainer.learner.target.state_dict()
        equal.append(all(torch.equal(ours[key], theirs[key]) for key in ours))
        trainer.train()
    assert equal == [True, False, True, False]


def test_the_first_targets_are_reproducible() -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        trainer = LocalTrainer(config())
        found.append(trainer.learner.prepare(sampled(trainer)).action)
    assert torch.equal(*found) and float(found[0].abs().max()) > 0


@each_channel
def test_rollout_and_loss_send_the_same_messages(channel: str) -> None:
    trainer = LocalTrainer(config(channel=channel))
    trainer.train()
    rollout = sampled(trainer)
    again = trainer.team.unroll(rollout).messages[0].payload
    assert torch.allclose(again, rollout.messages[0].payload, atol=1e-5)


def test_what_an_agent_said_last_is_shown_to_it() -> None:
    settings = config(channel="symbols").communication(model_settings={**SMALL, "own_message": True})
    trainer = LocalTrainer(settings)
    rollout = sampled(trainer)
    said = torch.nn.functional.one_hot(rollout.messages[0].symbols, 2).flatten(-2).float()
    now = torch.where(rollout.speaking.unsqueeze(-1), said, rollout.last_message[:-1])
    ended = (rollout.terminated | rollout.truncated).unsqueeze(-1)
    assert torch.equal(rollout.last_message[1:], now.masked_fill(ended, 0.0))
    trainer.train()
    other = copy.copy(rollout)
    other.last_message = 1 - rollout.last_message
    hidden = [trainer.team.unroll(r).after["prisoner"] for r in (rollout, other)]
    assert not torch.allclose(*hidden)


@pytest.mark.parametrize(("channel", "greedy"), [("dru", 0.0), ("symbols", 0.0), ("symbols", 1.0)])
def test_epsilon_of_messages_and_actions(channel: str, greedy: float) -> None:
    """With epsilon 0 all is greedy in the values; with epsilon 1 actions and symbols are fair coins, drawn apart."""
    trainer = LocalTrainer(config(channel=channel, epsilon=greedy, copies=512))
    rollout = sampled(trainer)
    unrolled = trainer.team.unroll(rollout)
    values = trainer.team.policies["prisoner"].model.act(unrolled.after["prisoner"])
    best = (values.argmax(-1) == rollout.actions["prisoner"]).float().mean()
    assert best == 1.0 if greedy == 0.0 else 0.45 < best < 0.55
    if channel == "symbols" and greedy:
        said = rollout.messages[0].symbols[..., 0]
        assert 0.45 < said.float().mean() < 0.55
        assert 0.45 < (said == rollout.actions["prisoner"]).float().mean() < 0.55


def test_epsilon_follows_its_schedule_and_a_resumed_run_stays_on_it(tmp_path: Any) -> None:
    made = [LocalTrainer(config(epsilon=[[0, 0.5], [400, 0.0]])) for _ in range(2)]
    first, resumed = made
    done = first.train().num_env_steps
    first.save(tmp_path / "state.safetensors")
    resumed.restore(tmp_path / "state.safetensors")
    for trainer in made:
        trainer.train()
        assert trainer.env_runner.sampler is not None
        assert trainer.env_runner.sampler.epsilon == pytest.approx(0.5 * (1 - done / 400))
    assert first.config.exploration_epsilon(10**9) == 0.0


@each_channel
def test_a_team_learns_to_talk_in_seconds(channel: str) -> None:
    torch.manual_seed(0)
    settings = config("identity", channel=channel, copies=64, lr=3e-3, target_update_every=10)
    trainer, returns = LocalTrainer(settings.communication(model_settings={"size": 32})), [0.0]
    while len(returns) < 250 and sum(returns[-5:]) / 5 < 0.93:
        returns.append(trainer.train().env_runner["episode_return_mean"])
    assert sum(returns[-5:]) / 5 >= 0.93, returns[-20:]


def test_dial_learns_to_tell_more_than_the_colour_of_digits_in_seconds() -> None:
    """Telling the colour, the local optimum, would be worth 1 without exploration."""
    torch.manual_seed(0)
    settings = config("colour_digit", copies=64, lr=[[0, 1e-4], [6400, 2e-3]])
    settings.communication(model_settings={"size": 32, "layers": 1, "observation_layers": 2})
    trainer, returns = LocalTrainer(settings), [0.0]
    while len(returns) < 400 and sum(returns[-5:]) / 5 < 1.3:
        returns.append(trainer.train().env_runner["episode_return_mean"])
    assert sum(returns[-5:]) / 5 >= 1.3, returns[-20:]


@each_channel
def test_resumed_equals_uninterrupted_target_team_too(channel: str, tmp_path: Any) -> None:
    made = [LocalTrainer(config(channel=channel, target_update_every=3)) for _ in range(2)]
    whole, resumed = made
    for _ in range(2):
        whole.train()
    whole.save(tmp_path / "state.safetensors")
    resumed.restore(tmp_path / "state.safetensors")
    for trainer in made:
        for _ in range(2):
            trainer.train()
    for a, b in ((whole.team, resumed.team), (whole.learner.target, resumed.learner.target)):
        assert all(torch.equal(x, b.state_dict()[key]) for key, x in a.state_dict().items())
    assert whole.learner.num_updates == resumed.learner.num_updates == 4


@pytest.mark.parametrize("channel", ["garbled+dru", "garbled+symbols", "none"])
@pytest.mark.parametrize("apart", [False, True])
def test_controls_and_separate_networks_train(channel: str, apart: bool) -> None:
    settings = own_networks(config(channel=channel)) if apart else config(channel=channel)
    trainer = LocalTrainer(settings)
    assert trainer.train().learner["gradient_norm"] > 0
    assert len(trainer.team.policies) == (3 if apart else 1)


def test_messages_are_normalised_by_the_step_in_training_and_by_running_statistics_else() -> None:
    trainer = LocalTrainer(config())
    for team in (trainer.team, trainer.env_runner.module.team, trainer.learner.target):
        (norm,) = team.policies["prisoner"].message_norms()
        assert norm.per_step and norm.training
    payload, mask = torch.tensor([0.0, 2.0, 7.0, 9.0]).view(4, 1, 1, 1), torch.ones(4, 1, 1, dtype=torch.bool)
    mask[3] = False
    expected = (payload - 3) / torch.tensor(26 / 3).sqrt()
    assert torch.allclose(norm(payload, arriving=mask), expected, atol=1e-4)
    assert torch.allclose(norm.eval()(payload, arriving=mask), payload, atol=1e-4)


def test_a_time_limit_bootstraps_from_the_last_observation() -> None:
    trainer = LocalTrainer(config().environment("switch_riddle", env_config={"time_limit": 2}))
    rollout = sampled(trainer)
    cut = rollout.truncated & rollout.acting & rollout.valid.unsqueeze(-1)
    assert bool(cut.any())
    targets = trainer.learner.prepare(rollout)
    assert bool((targets.action[cut] != rollout.rewards[cut]).all())
    trainer.train()


BAD = [
    (lambda: config(epsilon=1.5), ValueError, "epsilon=1.5"),
    (lambda: config(target_update_every=0), ValueError, "target_update_every=0"),
    (lambda: config(bootstrap="turns"), UnknownNameError, "'turn'"),
    (lambda: config(message_bootstrap="both"), UnknownNameError, "average"),
    (lambda: config(grad_clip_by="norm"), UnknownNameError, "global_norm"),
    (lambda: config(minibatch_size=32), ValueError, "num_envs_per_env_runner"),
    (lambda: config().env_runners(batch_mode="truncate_episodes"), ValueError, "batch_mode='truncate_episodes'"),
    (lambda: config(epsilon=[[0, 1.5], [9, 0.0]]), ValueError, "epsilon=1.5: must be .* at most 1"),
    (lambda: config(epsilon=[[0, 0.1], [0, 0.0]]), ValueError, "steps rising"),
    (lambda: config(Mixed), ValueError, "Q-learning needs Discrete"),
    (
        lambda: config().communication(channel="continuous", channel_settings={"gradient": "score"}),
        ValueError,
        "finitely many messages",
    ),
    (
        lambda: config().communication(channel="symbols", channel_settings={"eos": True}),
        ValueError,
        "Q-learning values each symbol of a word by itself",
    ),
    (lambda: config("speaker_listener").communication(losses=["imitation"]), ValueError, "the odds of actions"),
    (
        lambda: config(channel="symbols").communication(losses=["positive_signalling"]),
        ValueError,
        "the odds of messages",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), BAD)
def test_bad_input_is_refused_before_training(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        LocalTrainer(make())


def test_dial_may_have_a_loss_on_the_odds_of_its_bits() -> None:
    found = LocalTrainer(config().communication(losses=["positive_signalling"])).train()
    assert "loss_positive_signalling" in found.learner


def test_statistics_by_step_are_those_of_the_messages_heard_then() -> None:
    settings = config().communication(model="cnet", model_settings={**SMALL, "message_norm": "by_step"})
    trainer = LocalTrainer(settings)
    (norm,) = trainer.team.policies["prisoner"].message_norms()
    norm.momentum, rollout = 1.0, sampled(trainer)
    trainer.learner.update([rollout])
    assert norm.mean.shape == (6, 1) and float(norm.mean[0]) == 0.0 and float(norm.variance[0]) == 1.0
    for step in range(1, min(6, rollout.num_steps + 1)):
        said = rollout.messages[0].payload[step - 1][rollout.speaking[step - 1] & rollout.valid[step - 1, :, None]]
        assert float(norm.mean[step]) == pytest.approx(float(said.mean()), abs=1e-6)
        assert float(norm.variance[step]) == pytest.approx(float(said.var(correction=0)), abs=1e-6)
