"""Populations: who meets whom, that they learn, are saved and go on bit by bit, and who begins anew."""

import pathlib

import numpy as np
import pytest
import torch

from heliograph import CommPPOConfig, LocalTrainer, registry
from heliograph.analysis.members import member_table
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_population, build_team, facts_for, meetings_of
from heliograph.experiments.settings import settings_from
from heliograph.populations.base import Population
from heliograph.registry import UnknownNameError
from heliograph.rllib.newcomers import due
from heliograph.storage.run_folder import read_run

NAMES = registry.names("population")
FACTS = facts_for(EnvChoice(env="speaker_listener"))


def rule(name: str, **settings) -> Population:
    found = build_population(TeamChoices(population=name, population_settings=settings))
    assert found is not None
    return found


def drawn(name: str, number: int, *, agents: int = 2, seed: int = 0, **settings) -> torch.Tensor:
    return rule(name, **settings).draw(number, num_agents=agents, generator=torch.Generator().manual_seed(seed))


def test_the_populations_of_this_package_are_exactly_these() -> None:
    assert NAMES == ["all", "community_graph", "pairs", "sampled", "with_age"]


@pytest.mark.parametrize("name", NAMES)
def test_every_member_plays_every_role_and_draws_go_on_where_they_were_saved(name: str) -> None:
    found = drawn(name, 4000, agents=3)
    assert found.shape == (4000, 3) and all(found[:, n].unique().tolist() == [0, 1, 2, 3] for n in range(3))
    assert torch.equal(found, drawn(name, 4000, agents=3))
    meetings = [meetings_of(TeamChoices(population=name), FACTS, seed=5) for _ in range(2)]
    first, second = meetings
    assert first is not None and second is not None
    first(7)
    second.set_state(first.get_state())
    found = first(50)
    assert torch.equal(found, second(50))
    speaks = [role.name == "speaker" for role in FACTS.roles]
    assert found[:, speaks.index(True)].max() - found[:, speaks.index(True)].min() == 3
    assert sorted(found.unique().tolist()) == list(range(8)), "four policies for each of two roles"


def test_who_meets_whom() -> None:
    pairs = drawn("pairs", 1000)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    cells = torch.bincount(4 * drawn("all", 32 * 16)[:, 0] + drawn("all", 32 * 16)[:, 1], minlength=16)
    assert cells.tolist() == [32] * 16
    sampled = drawn("sampled", 16_000)
    cells = torch.bincount(4 * sampled[:, 0] + sampled[:, 1], minlength=16) / 16_000
    assert (cells - 1 / 16).abs().max() < 0.01
    graph = drawn("community_graph", 10_000, size=6, communities=3, between=0.3)
    away = (graph[:, 0] % 3 != graph[:, 1] % 3).float().mean()
    assert abs(float(away) - 0.3) < 0.02
    alone = drawn("community_graph", 1000, size=6, communities=3, between=0.0)
    assert (alone[:, 0] % 3 == alone[:, 1] % 3).all()


def test_the_oldest_begins_anew() -> None:
    assert [due(n, every=2, size=3) for n in range(1, 9)] == [None, 0, None, 1, None, 2, None, 0]
    assert due(5, every=0, size=3) is None


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("pairs", {"size": 1}, "size=1: a population has at least 2 members"),
        ("with_age", {"size": 1}, "name a replace_role"),
        ("with_age", {"replace_every": 0}, "replace_every=0"),
        ("community_graph", {"size": 4, "communities": 3}, "communities=3: must divide size=4"),
        ("community_graph", {"between": 1.5}, "between=1.5"),
        ("everybody", {}, "unknown population 'everybody'"),
        ("pairs", {"members": 3}, "setting of population 'pairs' 'members'"),
    ],
)
def test_bad_settings_are_refused(name: str, settings: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        rule(name, **settings)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="1,048,576 combinations"):
        drawn("all", 1, agents=10)
    with pytest.raises(ValueError, match="name a population too"):
        build_population(TeamChoices(population_settings={"size": 3}))
    with pytest.raises(ValueError, match="its members are the policies"):
        settings_from({"population": "all", "networks": "separate"})
    with pytest.raises(UnknownNameError, match="role to be replaced 'hearer'"):
        settings = {"replace_role": "hearer"}
        build_team(TeamChoices(population="with_age", population_settings=settings), FACTS)


def config(name: str, **settings) -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment("speaker_listener", env_config={"goals": 2})
        .communication(
            model="feedforward", model_settings={"size": 16}, channel="symbols", channel_settings={"vocabulary": 2},
            population=name, population_settings={"size": 2, **settings},
        )
        .env_runners(num_envs_per_env_runner=256)
        .training(train_batch_size_per_learner=512, minibatch_size=256, num_epochs=4, lr=2e-2, entropy_coeff=0.02)
        .debugging(seed=0)
    )  # fmt: skip


@pytest.fixture(scope="module")
def learnt() -> LocalTrainer:
    trainer = LocalTrainer(config("all"))
    for _ in range(24):
        trainer.train()
    return trainer


def test_all_members_learn_one_language(learnt: LocalTrainer, tmp_path: pathlib.Path) -> None:
    table = member_table(learnt.run(), num_episodes=50)
    assert table.returns.shape == (2, 2) and table.returns.min() > 0.9, table.returns
    learnt.save_run(tmp_path / "run", evaluation_episodes=None)
    again = member_table(read_run(tmp_path / "run"), num_episodes=50)
    assert np.array_equal(again.returns, table.returns)


def test_training_goes_on_bit_by_bit_through_a_replacement(tmp_path: pathlib.Path) -> None:
    settings = {"replace_every": 2, "replace_role": "listener"}
    whole, first, second = (LocalTrainer(config("with_age", **settings)) for _ in range(3))
    first.train()
    first.save(tmp_path / "state.safetensors")
    second.restore(tmp_path / "state.safetensors")
    before = {key: value.clone() for key, value in second.team.policies["listener_0"].state_dict().items()}
    for _ in range(3):
        second.train()
    for _ in range(4):
        whole.train()
    one, other = whole.team.state_dict(), second.team.state_dict()
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    after = second.team.policies["listener_0"].state_dict()
    assert not any(torch.equal(before[key], after[key]) for key in before if key.endswith("head.weight"))
