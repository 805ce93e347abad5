"""Large teams: on sparse topologies twice the agents cost twice as much, in whatever a step or an unrolling makes."""

import pytest
import torch

from heliograph import registry
from heliograph.envs.graph_colouring import GraphColouring
from heliograph.experiments.choices import TeamChoices, build_team, build_topology, facts_of
from heliograph.experiments.settings import settings_from
from heliograph.models.critic import Critic
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of
from heliograph.rollouts.sampler import Sampler
from tests.counting import Counted
from tests.topologies.test_topologies import placed

FEW, MANY = 256, 512
SPARSE = {
    "exponential": {}, "grid": {"columns": 16}, "nearest": {"number": 4}, "none": {}, "random": {"degree": 4},
    "radius": {"radius": 0.05, "at_most": 4}, "ring": {"reach": 2},
}  # fmt: skip
ROUNDING = 1.05
"""Shares of the cost that do not depend on the agents make it grow by a little less than twice, logarithms by more."""


SMALL: dict[str, dict[str, int]] = {"gacomm": {"size": 8, "hard_size": 8}}


def counted(num_agents: int, *, model: str) -> tuple[Counted, Counted]:
    """Two steps of a team, and unrolling them with gradients."""
    env = GraphColouring(agents=num_agents, num_envs=1, steps=4)
    facts = facts_of(env)
    choices = TeamChoices(
        model=model, model_settings=SMALL.get(model, {"size": 8}), channel="continuous", topology="given"
    )
    team = build_team(choices, facts, seed=0)
    sampler = Sampler(env, team, seed=0)
    sampler.fragment(1)
    with Counted() as stepping:
        rollout = sampler.fragment(2)
    with Counted() as learning:
        scores = team.unroll(rollout).scores
        total = scores.action_log_prob.sum() + scores.message_log_prob.sum()
        total.backward()
    return stepping, learning


@pytest.mark.parametrize("model", [name for name in registry.names("model") if name != "scripted"])
def test_models_cost_in_proportion_to_the_edges(model: str) -> None:
    for few, many in zip(*(counted(n, model=model) for n in (FEW, MANY)), strict=True):
        assert many.operations == few.operations
        assert many.numbers <= 2 * few.numbers * ROUNDING
        assert many.largest <= 2 * few.largest * ROUNDING


@pytest.mark.parametrize("name", SPARSE)
def test_topologies_cost_in_proportion_to_the_edges(name: str) -> None:
    """Their own tensors hold a few numbers for each edge (K of `exponential` grows by one when N doubles)."""
    torch.manual_seed(0)
    step = placed(*map(tuple, torch.rand(MANY, 2).tolist()))
    with Counted() as counter:
        edges = build_topology(name, SPARSE[name]).edges(step)
    slots = edges.mask[0].numel()
    assert edges.senders is not None and edges.mask.shape[-1] <= 10
    assert counter.largest <= 3 * max(slots * edges.mask.shape[-1], MANY)


def test_a_critic_of_the_state_computes_what_all_agents_share_once() -> None:
    critic = Critic(view="state", input_size=6, num_agents=MANY, size=8)
    state = torch.randn(2, 3, 6)
    with Counted() as counter:
        values = critic(state)
    each = torch.cat([state.unsqueeze(2).expand(-1, -1, MANY, -1), torch.eye(MANY).expand(2, 3, -1, -1)], -1)
    assert torch.allclose(values, critic.net(each).squeeze(-1), atol=1e-5)
    assert counter.largest <= values.numel() * 8


def test_a_critic_of_features_and_state_computes_the_states_part_once() -> None:
    critic = Critic(view="hidden+state", input_size=5, num_agents=MANY, size=8, state_size=6)
    features, state = torch.randn(2, 3, MANY, 5), torch.randn(2, 3, 6)
    with Counted() as counter:
        values = critic(features, state)
    each = torch.cat([features, state.unsqueeze(2).expand(-1, -1, MANY, -1)], -1)
    assert torch.allclose(values, critic.net(each).squeeze(-1), atol=1e-5)
    assert counter.largest <= values.numel() * 8


@pytest.mark.parametrize("critic", ["hidden", "state", "hidden+state"])
def test_an_update_costs_in_proportion_to_the_agents(critic: str) -> None:
    found = []
    for number in (FEW, MANY):
        settings = settings_from(
            {
                "env": "graph_colouring", "env_settings": {"agents": number}, "topology": "given", "critic": critic,
                "model": "mean_field", "model_settings": {"size": 8}, "critic_size": 8,
                "algorithm_settings": {
                    "num_envs_per_env_runner": 1, "train_batch_size_per_learner": 2, "rollout_fragment_length": 2,
                    "minibatch_size": 2, "num_epochs": 1,
                },
            }
        )  # fmt: skip
        trainer = LocalTrainer(config_of(settings))
        with Counted() as counter:
            trainer.train()
        found.append(counter)
    assert found[1].numbers <= 2 * found[0].numbers * ROUNDING and found[1].largest <= 2 * found[0].largest
