"""VDN and QMIX: mixers by hand and by property, targets of the team, a game that needs them, resuming."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph.envs.base import EnvState, Outcome, TeamEnv, View
from heliograph.models.mixer import Mixing, MonotonicMixer, SumMixer, build_mixer
from heliograph.registry import UnknownNameError
from heliograph.rllib.joint_values import team_reward
from heliograph.rllib.qlearning import CommDQNConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.types import Role
from tests.rllib.test_qlearning import config

BEST = {None: 7.0, "vdn": 7.0, "qmix": 8.0}
"""Returns of the two-step game in Rashid et al. 2018: only what is not a sum finds the joint action that pays 8."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Where(EnvState):
    """0: the first step; 1 and 2: the game that pays 7 anyway, and the one that pays 0, 1, 1 or 8."""

    game: Tensor


class TwoSteps(TeamEnv[Where]):
    """The two-step game of Rashid et al. 2018: the first agent chooses which of two games both then play."""

    def __init__(self, **base: Any):
        role = Role(
            name="agent", agents=("agent_0", "agent_1"), observation_space=spaces.Box(0, 1, (3,)),
            action_space=spaces.Discrete(2),
        )  # fmt: skip
        super().__init__((role,), **base)
        self.pay = torch.tensor([[[7.0, 7.0], [7.0, 7.0]], [[0.0, 1.0], [1.0, 8.0]]])

    @property
    def horizon(self) -> int:
        return 2 + self.talk_steps

    def start(self) -> Where:
        return Where(game=torch.zeros(self.num_envs, dtype=torch.long))

    def advance(self, state: Where, actions: dict[str, Tensor]) -> tuple[Where, Outcome]:
        one, other = actions["agent"].unbind(1)
        over = state.game > 0
        paid = torch.where(over, self.pay[(state.game - 1).clamp(min=0), one, other], 0.0)
        everyone = over[:, None].expand(-1, 2)
        return Where(game=1 + one), Outcome(rewards=paid[:, None].expand(-1, 2), terminated=everyone, episode_over=over)

    def observe(self, state: Where) -> View:
        seen = torch.nn.functional.one_hot(state.game, 3).float()
        present = torch.ones(self.num_envs, 2, dtype=torch.bool)
        meaning = torch.full((self.num_envs, 2, 1), -1)
        return View(
            observations={"agent": seen[:, None].expand(-1, 2, -1).contiguous()}, observing=present, acting=present,
            speaking=present, meaning=meaning, state=seen,
        )  # fmt: skip


def game(mixing: str | None, **training: Any) -> CommDQNConfig:
    """As in the paper: random play, and each agent tells itself from the other."""
    return (
        CommDQNConfig()
        .environment(TwoSteps)
        .communication(model="feedforward", model_settings={"size": 16}, channel="none")
        .env_runners(num_envs_per_env_runner=32)
        .training(
            mixing=mixing, epsilon=1.0, gamma=0.99, lr=1e-2, momentum=0.0, target_update_every=10,
            grad_clip_by="global_norm", **training,
        )
        .debugging(seed=0)
    )  # fmt: skip


# ---- mixers ----------------------------------------------------------------------------------------------------------


def test_the_sum_is_the_sum() -> None:
    assert SumMixer()(torch.tensor([[1.0, -2.0, 4.0]]), torch.zeros(1, 5)).tolist() == [3.0]


def test_a_mixer_by_hand() -> None:
    mixer = MonotonicMixer(num_values=2, state_size=1, embedding=2)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.zero_()
        mixer.first_weights.weight[:, 0] = torch.tensor([1.0, -2.0, 3.0, 0.0])  # of state 1: |W| = [[1, 2], [3, 0]]
        mixer.first_bias.bias[:] = torch.tensor([0.0, -1.0])
        mixer.last_weights.bias[:] = torch.tensor([-1.0, 2.0])
        mixer.last_bias[2].bias[:] = 0.5
    value = mixer(torch.tensor([[0.5, 0.25]]), torch.ones(1, 1))
    hidden = [0.5 * 1 + 0.25 * 3, 0.5 * 2 - 1]  # 1.25 and 0
    assert value.item() == pytest.approx(1 * hidden[0] + 2 * hidden[1] + 0.5)
    value = mixer(torch.tensor([[-1.0, 0.0]]), torch.ones(1, 1))
    assert value.item() == pytest.approx((math.exp(-1) - 1) + 2 * (math.exp(-3) - 1) + 0.5, abs=1e-6)


@pytest.mark.parametrize("mixing", list(Mixing))
def test_the_team_never_loses_by_what_an_agent_gains(mixing: Mixing) -> None:
    torch.manual_seed(0)
    mixer = build_mixer(mixing, num_values=4, state_size=3)
    values, state = torch.randn(500, 4).mul(3).requires_grad_(), torch.randn(500, 3) * 3
    (slopes,) = torch.autograd.grad(mixer(values, state).sum(), values)
    assert (slopes >= 0).all() and (slopes > 0).any()
    if mixing is Mixing.QMIX:
        assert slopes.std(0).min() > 0.01  # and by how much depends on the state


# ---- targets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixing", ["vdn", "qmix"])
def test_targets_and_loss_are_those_of_the_team(mixing: str) -> None:
    torch.manual_seed(1)
    trainer = LocalTrainer(game(mixing))
    learner = trainer.learner
    (rollout,) = trainer.env_runner.sample(num_timesteps=1)
    prepared = learner.prepare(rollout)
    with torch.no_grad():
        q = learner.target.policies["agent"].model.act(learner.target.unroll(rollout).after["agent"])
        best, chosen = q.amax(-1), q.gather(-1, rollout.actions["agent"][..., None])[..., 0]
        follows = learner.target_mixer(best[1], rollout.state[1])
        value = learner.target_mixer(chosen, rollout.state[:-1])
    expected = torch.stack([0.99 * follows, rollout.rewards[1, :, 0]])
    assert torch.allclose(prepared.action[..., 0], expected, atol=1e-5) and bool(prepared.known.all())
    copies = torch.arange(rollout.num_envs)
    loss = learner.joint_loss(rollout, trainer.team.unroll(rollout), prepared, copies)["td_loss"].detach()
    assert float(loss) == pytest.approx(float((value - expected).square().sum() / 32), rel=1e-4)


def test_symbols_have_values_that_are_mixed_and_learn() -> None:
    trainer = LocalTrainer(config(channel="symbols", mixing="qmix"))
    assert trainer.learner.mixer.num_values == 6  # three prisoners, each with an action and a message
    before = {key: value.clone() for key, value in trainer.learner.mixer.state_dict().items()}
    trainer.train()
    assert any(not torch.equal(before[key], value) for key, value in trainer.learner.mixer.state_dict().items())
    encoder = [p.grad for name, p in trainer.team.named_parameters() if "message_encoder" in name]
    assert any(grad is not None and float(grad.norm()) > 0 for grad in encoder)


def test_a_time_limit_bootstraps_from_what_was_seen_last() -> None:
    trainer = LocalTrainer(game("qmix").environment(TwoSteps, env_config={"time_limit": 1}))
    (rollout,) = trainer.env_runner.sample(num_timesteps=1)
    prepared, learner = trainer.learner.prepare(rollout), trainer.learner
    assert bool((prepared.action[0] != 0).all())  # nothing was paid yet
    final = learner._final(learner.target.unroll(rollout), rollout)
    expected = 0.99 * learner.target_mixer(final[0], rollout.final_state[0])
    assert torch.allclose(prepared.action[0, :, 0], expected, atol=1e-5)


# ---- learning --------------------------------------------------------------------------------------------------------


def greedy_return(trainer: LocalTrainer) -> float:
    played, _ = play_episodes(Sampler(TwoSteps(num_envs=2), trainer.team, epsilon=0.0), 2)
    return float(played.agent_returns.mean())


@pytest.mark.parametrize("mixing", [None, "vdn", "qmix"])
def test_only_the_monotonic_mixer_finds_the_joint_action_of_the_two_step_game(mixing: str | None) -> None:
    torch.manual_seed(0)
    trainer = LocalTrainer(game(mixing))
    for _ in range(120):
        trainer.train()
    assert greedy_return(trainer) == BEST[mixing]


@pytest.mark.parametrize("mixing", ["vdn", "qmix"])
def test_resumed_equals_uninterrupted_target_mixer_too(mixing: str, tmp_path: Any) -> None:
    made = [LocalTrainer(game(mixing).training(target_update_every=3)) for _ in range(2)]
    whole, resumed = made
    for _ in range(2):
        whole.train()
    whole.save(tmp_path / "state.safetensors")
    resumed.restore(tmp_path / "state.safetensors")
    for trainer in made:
        for _ in range(2):
            trainer.train()
    pairs = [(a.state_dict(), b.state_dict()) for a, b in (
        (whole.team, resumed.team), (whole.learner.mixer, resumed.learner.mixer),
        (whole.learner.target_mixer, resumed.learner.target_mixer),
    )]  # fmt: skip
    assert all(torch.equal(value, other[key]) for one, other in pairs for key, value in one.items())
    if mixing == "qmix":
        assert not torch.equal(whole.learner.mixer.first_bias.bias, whole.learner.target_mixer.first_bias.bias)


# ---- what is refused -------------------------------------------------------------------------------------------------


class PaidApart(TwoSteps):
    def advance(self, state: Where, actions: dict[str, Tensor]) -> tuple[Where, Outcome]:
        state, outcome = super().advance(state, actions)
        return state, dataclasses.replace(outcome, rewards=outcome.rewards * torch.tensor([1.0, 2.0]))


BAD = [
    (lambda: game("sum"), UnknownNameError, "unknown mixing 'sum'"),
    (lambda: game("vdn", bootstrap="step"), ValueError, "bootstrap='step' would have no effect: mixing='vdn' learns"),
    (lambda: config("mpe_tag", mixing="vdn"), ValueError, "several teams"),
]


@pytest.mark.parametrize(("make", "error", "words"), BAD)
def test_bad_input_is_refused_before_training(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        LocalTrainer(make())


def test_a_team_that_is_paid_apart_is_refused_with_what_it_was_paid() -> None:
    trainer = LocalTrainer(game("vdn").environment(PaidApart))
    (rollout,) = trainer.env_runner.sample(num_timesteps=1)
    with pytest.raises(
        ValueError, match=r"mixing='vdn': agents were paid differently in one step \(\[\d\.0, \d+\.0\]\)"
    ):
        team_reward(rollout, mixing="vdn")
