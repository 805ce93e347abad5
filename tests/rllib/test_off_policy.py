"""MAAC and MADDPG: who sees what, who teaches whom, what is refused, schedules of updates, learning, resuming."""

import copy
import pathlib
from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph.experiments.settings import settings_from
from heliograph.rllib.maac import CommMAACConfig
from heliograph.rllib.maddpg import CommMADDPGConfig
from heliograph.rllib.mapping import OwnNetwork
from heliograph.rllib.off_policy import OffPolicyConfig
from heliograph.rllib.off_policy_learner import OffPolicyLearner, TeamBatch
from heliograph.rllib.runs.configured import config_of
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.team.decisions import decided, looking_ahead, looking_now
from tests.echoing import Echo

BOTH = (CommMAACConfig, CommMADDPGConfig)
each = pytest.mark.parametrize("kind", BOTH)
QUICK = {
    "train_batch_size_per_learner": 64, "num_steps_sampled_before_learning_starts": 64, "env_steps_per_update": 16,
    "replay_env_steps": 4096, "q_size": 32, "lr": 0.01,
}  # fmt: skip


def config(
    kind: Any, env: Any = Echo, *, channel: str = "none", model: str = "feedforward", copies: int = 64,
    env_settings: Any = None, channel_settings: Any = None, **training: Any,
) -> Any:  # fmt: skip
    made = kind().environment(env, env_config=env_settings or {})
    made.communication(
        model=model, model_settings={"size": 16}, channel=channel, channel_settings=channel_settings or {}
    )
    made.training(**{**QUICK, **training}).env_runners(num_envs_per_env_runner=copies)
    return made.debugging(seed=0)


def filled(made: OffPolicyConfig, *, episodes: int = 1) -> LocalTrainer:
    """A trainer whose replay has something in it, and whose weights are as they were."""
    trainer = LocalTrainer(made)
    for _ in range(episodes):
        (rollout,) = trainer.env_runner.sample(num_timesteps=1)
        trainer.learner.replay.add(rollout)
    return trainer


def batch(trainer: LocalTrainer, *, env_steps: int = 64) -> TeamBatch:
    learner = trainer.learner
    drawn = learner.replay.sample(env_steps, generator=torch.Generator().manual_seed(0))
    unrolled = trainer.team.unroll(drawn.rollout, as_heard=True)
    return TeamBatch(minibatch=drawn, unrolled=unrolled, now=looking_now(trainer.team, unrolled, drawn))


def returns(trainer: LocalTrainer, iterations: int) -> list[float]:
    return [trainer.train().env_runner["episode_return_mean"] for _ in range(iterations)]


# ---- learning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "iterations", "before", "after"),
    [
        (config(CommMAACConfig), 20, 0.4, 0.95),
        (config(CommMAACConfig, attention="uniform"), 20, 0.4, 0.95),
        (config(CommMADDPGConfig, env_settings={"agents": 2}, lr=0.02), 40, 0.4, 0.8),
        (config(CommMADDPGConfig, env_settings={"agents": 2, "numbers": True}), 25, 0.5, 0.85),
    ],
    ids=["maac", "uniform", "maddpg", "maddpg in a Box"],
)
def test_they_learn_a_game_of_one_step_in_seconds(
    made: OffPolicyConfig, iterations: int, before: float, after: float
) -> None:
    found = returns(LocalTrainer(made), iterations)
    assert found[0] < before and min(found[-3:]) > after, found


# ---- what is seen ---------------------------------------------------------------------------------------------------


@each
def test_what_is_expected_ahead_is_what_is_found_in_the_next_step(kind: Any) -> None:
    """Of episodes with memory and messages that are heard in the next step, under the same weights."""
    channel = "symbols" if kind is CommMAACConfig else "dru"
    trainer = filled(config(kind, "speaker_listener", channel=channel, model="cnet", env_settings={"rounds": 3}))
    one, team = batch(trainer), trainer.team
    ahead = looking_ahead(team, one.unrolled, one.minibatch)
    for policy in team.layout.policies:
        torch.testing.assert_close(ahead.known[policy][:-1], one.now.known[policy][1:])
        for later, now in zip(ahead.parts[policy], one.now.parts[policy], strict=True):
            torch.testing.assert_close(later[:-1], now[1:])


def test_whoever_is_not_asked_chooses_the_first_and_words_are_decisions_on_symbols() -> None:
    trainer = filled(config(CommMAACConfig, "identity", channel="symbols", model="cnet"))
    one, learner = batch(trainer), trainer.learner
    decider = learner.deciders["agent"]
    assert decider.sizes == [2, 4] and decider.num_decisions == 8
    action, word = (part.softmax(-1) for part in one.now.parts["agent"])
    assert torch.equal(action[0], torch.eye(2)[0].expand_as(action[0])) and bool((word[0] < 1).all())
    assert torch.equal(word[1], torch.eye(4)[0].expand_as(word[1])) and bool((action[1] < 1).all())
    done = decided(trainer.team, one.rollout, learner.deciders)["agent"]
    assert torch.equal(done[0, ..., 1], one.rollout.messages[0].symbols[0, ..., 0]) and not done[1, ..., 1].any()
    assert torch.equal(done[1, ..., 0], one.rollout.actions["agent"][1]) and not done[0, ..., 0].any()


def test_targets_of_whole_episodes_by_hand() -> None:
    """Identity: nothing is paid for speaking, and nothing comes after the answer."""
    trainer = filled(
        config(CommMAACConfig, "identity", channel="dru", model="cnet", standardise_rewards=False, gamma=0.5)
    )
    learner, one = trainer.learner, batch(trainer)
    found = learner.targets(one)
    assert bool(found.known.all())
    torch.testing.assert_close(found.targets[1], one.rollout.rewards[1])
    unrolled = learner.target.unroll(one.rollout, as_heard=True)
    ahead = looking_ahead(learner.target, unrolled, one.minibatch)
    values = learner.next_values(ahead, one.rollout.valid)["agent"]
    assert not torch.equal(values[0], values[1])
    torch.testing.assert_close(found.targets[0], 0.5 * values[0], atol=0.2, rtol=0)  # others are drawn anew


def test_rewards_are_standardised_by_the_replay() -> None:
    learner = filled(config(CommMAACConfig), episodes=3).learner
    kept = learner.replay.rollout.rewards[0, : learner.replay.number]
    drawn = learner.replay.sample(4000, generator=torch.Generator().manual_seed(0)).rollout
    found = learner.rewards(drawn)
    torch.testing.assert_close(found, (drawn.rewards - kept.mean(0)) / kept.std(0, correction=0))
    assert abs(float(found.mean())) < 0.1 and float(found.std()) == pytest.approx(1, abs=0.1)


# ---- who teaches whom -----------------------------------------------------------------------------------------------


def norms(loss: Tensor, module: torch.nn.Module) -> float:
    weights = [p for p in module.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)
    return sum(0.0 if g is None else float(g.norm()) for g in found)


@each
@pytest.mark.parametrize("channel", ["dru", "none"])
def test_losses_of_listeners_reach_speakers_through_the_channel_and_never_the_critic(kind: Any, channel: str) -> None:
    trainer = filled(config(kind, "speaker_listener", channel=channel, model="cnet"))
    one, learner = batch(trainer), trainer.learner
    learner.critic.requires_grad_(False)
    loss = learner.policy_terms(one)["policy_loss"]
    learner.critic.requires_grad_(True)
    assert norms(loss, trainer.team.policies["listener"]) > 0
    reached = norms(loss, trainer.team.policies["speaker"].model)
    assert (reached > 0) == (channel == "dru")
    assert norms(loss, learner.critic) == 0
    values, penalty = learner.critic_terms(one)
    total = sum(value.sum() for value in values.values()) + penalty
    assert norms(total, learner.critic) > 0
    assert norms(total, trainer.team) == 0


def test_the_gradient_of_shared_parts_is_divided_by_the_number_of_agents() -> None:
    trainer = filled(config(CommMAACConfig, critic_grad_clip=None))
    learner = trainer.learner
    learner.apply_gradients = lambda gradients: None
    values, _ = learner.critic_terms(batch(trainer))
    loss = values["agent"].square().mean()
    weights = dict(learner.critic.named_parameters())
    whole = dict(zip(weights, torch.autograd.grad(loss, list(weights.values()), retain_graph=True), strict=True))
    learner._descend({"total_loss": loss})
    for name, share in (("key.weight", 3), ("of_both.agent.weight", 3), ("heads_of.agent.0.weight", 1)):
        assert whole[name].any()
        torch.testing.assert_close(weights[name].grad * share, whole[name])


@each
def test_frozen_policies_stay_and_the_others_and_all_critics_learn(kind: Any) -> None:
    made = config(kind, "speaker_listener", channel="dru", model="cnet").multi_agent(policies_to_train=["speaker"])
    trainer = LocalTrainer(made)
    before = copy.deepcopy({name: module.state_dict() for name, module in trainer.learner.module.items()})
    returns(trainer, 3)
    moved = {
        name: any(not torch.equal(value, before[name][key]) for key, value in module.state_dict().items())
        for name, module in trainer.learner.module.items()
    }
    assert moved == {"speaker": True, "listener": False, "team": True}


@each
def test_gradients_are_clipped_network_by_network(kind: Any) -> None:
    trainer = LocalTrainer(config(kind, env_settings={"agents": 2}, grad_clip=1e-3))
    made = trainer.config.multi_agent(policies={"agent_0", "agent_1"}, policy_mapping_fn=OwnNetwork())
    trainer = filled(made)
    one, learner = batch(trainer), trainer.learner
    learner.apply_gradients = lambda gradients: None
    learner.critic.requires_grad_(False)
    loss = 100 * learner.policy_terms(one)["policy_loss"]
    learner.critic.requires_grad_(True)
    learner._descend({"total_loss": loss})
    for name in ("agent_0", "agent_1"):
        weights = [p.grad for p in learner.module[name].parameters() if p.grad is not None]
        assert float(torch.stack([w.norm() for w in weights]).norm()) == pytest.approx(1e-3, rel=0.01)


# ---- when and what -------------------------------------------------------------------------------------------------


@each
def test_there_is_one_update_for_every_so_many_env_steps_once_learning_starts(kind: Any) -> None:
    trainer = LocalTrainer(config(kind, num_steps_sampled_before_learning_starts=150, env_steps_per_update=40))
    found, logged = [], []
    for _ in range(5):  # 64 env steps each
        logged.append("td_loss" in trainer.train().learner)
        found.append(trainer.learner.num_updates)
    assert found == [0, 0, 1, 3, 4] and logged == [False, False, True, True, True]


@each
def test_the_targets_follow_slowly(kind: Any) -> None:
    trainer = LocalTrainer(config(kind, "identity", model="silent", copies=32, tau=0.5, env_steps_per_update=64))
    learner = trainer.learner
    before = copy.deepcopy(dict(learner.target_critic.named_parameters()))
    trainer.train()
    for name, weight in learner.target_critic.named_parameters():
        torch.testing.assert_close(weight, (before[name] + dict(learner.critic.named_parameters())[name]) / 2)


@pytest.mark.parametrize(
    ("kind", "channel", "settings"),
    [(CommMAACConfig, "symbols", {}), (CommMADDPGConfig, "symbols", {"gradient": "straight_through"})],
)
def test_a_resumed_run_is_the_uninterrupted_one(kind: Any, channel: str, settings: Any, tmp_path: Any) -> None:
    def made() -> LocalTrainer:
        small = {"replay_env_steps": 200, "train_batch_size_per_learner": 32}
        return LocalTrainer(
            config(kind, "identity", channel=channel, channel_settings=settings, model="cnet", copies=20, **small)
        )

    whole, first, second = made(), made(), made()
    returns(whole, 9)
    returns(first, 6)
    first.save(tmp_path / "state")
    returns(second, 1)  # it had another past
    second.restore(tmp_path / "state")
    returns(second, 3)
    one, other = whole.get_state(), second.get_state()
    left, right = flat(one), flat(other)
    assert left.keys() == right.keys() and whole.learner.num_updates == 20
    different = [key for key in left if not torch.equal(left[key], right[key])]
    assert not different


def flat(state: Any, path: str = "") -> dict[str, Tensor]:
    """All tensors of a state by where they stand."""
    if isinstance(state, Tensor):
        return {path: state}
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, (list, tuple)) else ()
    return {key: value for name, part in items for key, value in flat(part, f"{path}.{name}").items()}


# ---- what is refused ------------------------------------------------------------------------------------------------


REFUSED = {
    "an agent that several policies may play": lambda: config(BOTH[0], "identity").multi_agent(
        policies={"one", "two"}, policy_mapping_fn=lambda agent, episode: "one" if hash(episode) % 2 else "two"
    ),
    "a memory or messages, and episodes": lambda: config(BOTH[1], Endless, model="silent"),
    "several learners": lambda: config(BOTH[0]).learners(num_learners=2),
    "a team of one agent": lambda: config(BOTH[0], env_settings={"agents": 1}),
    "actions in a Box": lambda: config(BOTH[0], env_settings={"numbers": True}),
    "sampled messages that are no plain symbols": lambda: config(
        BOTH[0], "identity", channel="continuous", channel_settings={"gradient": "score"}
    ),
    "symbols that are heard in the step": lambda: config(
        BOTH[0], "identity", channel="symbols", model="graph_attention"
    ),
    "more than 1024 decisions": lambda: config(
        BOTH[0], "identity", channel="symbols", channel_settings={"vocabulary": 30, "length": 2}
    ),
    "messages that are sampled actions": lambda: config(BOTH[1], "identity", channel="symbols"),
}


class Endless(Echo):
    """Nobody knows how long."""

    @property
    def horizon(self) -> None:  # type: ignore[override]
        """Perhaps for ever."""
        return


@pytest.mark.parametrize("said", REFUSED)
def test_teams_that_cannot_be_trained_are_refused_before_training(said: str) -> None:
    with pytest.raises(ValueError, match=f"(MAAC|MADDPG) and {said}.*choose"):
        REFUSED[said]().validate()


def test_every_limit_is_tried() -> None:
    names = {limit.name for kind in BOTH for limit in kind.limits}
    assert len(names) == len(REFUSED) and all(any(name.startswith(said) for name in names) for said in REFUSED)


def test_every_limit_is_documented() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "off_policy.md").read_text()
    for limit in {limit.name: limit for kind in BOTH for limit in kind.limits}.values():
        assert f", {limit.name} | refused | {limit.why} | {limit.remedy} |" in page


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ("attention='none': must be", {"attention": "none"}),
        ("attention_heads=5: must divide q_size=32", {"attention_heads": 5}),
        ("train_batch_size_per_learner=64: more than replay_env_steps=32", {"replay_env_steps": 32}),
        ("replay_env_steps=10000000000000: to keep so many", {"replay_env_steps": 10**13}),
        ("attention_penalty=0.5 would have no effect", {"attention": "uniform", "attention_penalty": 0.5}),
        ("gamma=0.5 would have no effect", {"gamma": 0.5}),
        ("tau=-1", {"tau": -1}),
    ],
)
def test_settings_that_make_no_sense_are_named(said: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as told:
        config(CommMAACConfig, **settings).validate()
    assert str(told.value).startswith(said)


@pytest.mark.parametrize("name", ["num_epochs", "minibatch_size"])
def test_epochs_and_minibatches_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=2: each update learns once"):
        CommMADDPGConfig().training(**{name: 2})


def test_fragments_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_mode='truncate_episodes': whole episodes are replayed"):
        config(CommMAACConfig).env_runners(batch_mode="truncate_episodes").validate()


@pytest.mark.parametrize("name", ["maac", "maddpg", "mappo"])
def test_they_go_by_name_with_settings_and_leave_critics_to_the_algorithm(name: str) -> None:
    made = config_of(settings_from({"env": "identity", "algorithm": name, "model": "feedforward", "channel": "none"}))
    assert made.critic == ("state" if name == "mappo" else "hidden") and made.critic_size == 64
    asked = config_of(settings_from({"env": "identity", "algorithm": name, "critic": "hidden+state"}))
    assert asked.critic == "hidden+state"


def test_the_learner_is_the_one_for_replay() -> None:
    assert all(issubclass(kind().learner_class, OffPolicyLearner) for kind in BOTH)
