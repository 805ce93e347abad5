"""Imitation of the scripted solver: what is counted, what is learnt, and who has no solver."""

import math

import pytest
import torch

from heliograph.envs.base import TeamEnv
from heliograph.envs.identity import Identity
from heliograph.losses.base import LossBatch
from heliograph.losses.imitation import Imitation
from heliograph.rllib.a2c import CommA2CConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.rollout import concatenate
from tests.parts import make_sampler


def config(env: object = "levers", **settings: object) -> CommA2CConfig:
    return (
        CommA2CConfig()
        .environment(env, env_config=settings)
        .communication(
            model="commnet",
            model_settings={"size": 32, "core": "mlp"},
            channel="continuous",
            losses=[("imitation", 10.0, {})],
        )
        .training(train_batch_size_per_learner=256, optimizer_name="adam", lr=3e-3)
        .env_runners(num_envs_per_env_runner=256)
        .debugging(seed=0)
    )


def test_a_team_that_knows_nothing_is_wrong_by_the_logarithm_of_its_choices() -> None:
    sampler = make_sampler("speaker_listener", copies=64)
    sampler.asks_oracle = True
    for policy in sampler.team.policies.values():
        for weight in policy.model.head.parameters():
            torch.nn.init.zeros_(weight)
    rollout = sampler.fragment(8)
    loss = Imitation(sampler.team)(LossBatch(rollout=rollout, unrolled=sampler.team.unroll(rollout), team=sampler.team))
    assert loss.item() == pytest.approx(math.log(rollout.actions["listener"].max().item() + 1), abs=1e-5)


def test_only_turns_to_act_count_and_parts_keep_what_the_solver_says() -> None:
    sampler = make_sampler("switch_riddle", copies=16)
    sampler.asks_oracle = True
    rollout = sampler.fragment(6)
    assert rollout.oracle is not None
    told = rollout.oracle["prisoner"]
    assert told.shape == rollout.actions["prisoner"].shape and not bool(told[~rollout.acting].any())
    copies = torch.tensor([3, 1])
    assert torch.equal(rollout.select(copies).oracle["prisoner"], told[:, copies])
    assert torch.equal(concatenate([rollout, rollout]).oracle["prisoner"], torch.cat([told, told], 1))

    def of(part):
        batch = LossBatch(rollout=part, unrolled=sampler.team.unroll(part), team=sampler.team)
        return Imitation(sampler.team)(batch).item()

    before = of(rollout)
    told[~rollout.acting] = 1
    assert of(rollout) == before
    told[rollout.acting] = 1 - told[rollout.acting]
    assert of(rollout) != pytest.approx(before, abs=1e-3)


def test_levers_are_learnt_from_the_solver() -> None:
    torch.manual_seed(0)
    trainer = LocalTrainer(config(levers=3, pool=6))
    returns = [trainer.train().env_runner["episode_return_mean"] for _ in range(120)]
    assert sum(returns[:5]) / 5 < 0.75 and sum(returns[-5:]) / 5 > 0.9


def test_an_environment_without_a_solver_is_refused() -> None:
    class Unsolved(Identity):
        oracle = TeamEnv.oracle

    with pytest.raises(ValueError, match=r"without one .*loss='imitation'; Unsolved of .*oracle\(\) is filled in"):
        config(Unsolved).validate()
    sampler = make_sampler("speaker_listener")
    rollout = sampler.fragment(2)
    batch = LossBatch(rollout=rollout, unrolled=sampler.team.unroll(rollout), team=sampler.team)
    with pytest.raises(ValueError, match="asks_oracle"):
        Imitation(sampler.team)(batch)
