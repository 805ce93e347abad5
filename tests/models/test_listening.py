"""Models that draw lots as they listen: draws are recorded, cut with the rollout, and replayed."""

import pytest
import torch
from torch import Tensor, nn

from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import PolicyChoice, TeamChoices, build_team, facts_of
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso
from heliograph.models.graph_attention import GraphAttention
from heliograph.rollouts.rollout import Rollout, concatenate
from heliograph.rollouts.sampler import Sampler
from heliograph.rollouts.split_episodes import folded
from heliograph.testing.small_teams import stir
from heliograph.types import Choice, Heard, Inputs, Timing, Tree, map_tensors, tensors_of
from tests.parts import Chatter, make_sampler


class Doubter(Model):
    """Each hearer takes each message with a weight that it draws; two rounds."""

    timing = Timing.SAME_STEP
    rounds = 2

    def __init__(self, spec: ModelSpec, *, size: int = 16):
        super().__init__(spec)
        self.hidden_size = self.message_size = self.memory_size = size
        self.torso = InputTorso(spec, size)
        self.cell = nn.GRUCell(size, size)
        self.head = nn.Linear(size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        return self.torso(inputs)

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        state = self.cell(features.flatten(0, 1), memory.flatten(0, 1)).view_as(memory)
        return Perceived(hidden=state, memory=state)

    def draw(self, shape, *, round_index: int, choice: Choice, generator) -> Tree:
        return torch.randn(shape, generator=generator) if choice is Choice.SAMPLED else None

    def listen(self, hidden: Tensor, heard: Heard) -> Tensor:
        weight = heard.mask.float() if heard.draw is None else heard.mask * heard.draw
        return torch.tanh(hidden + (weight.unsqueeze(-1) * heard.messages).sum(-2))

    def act(self, hidden: Tensor) -> Tensor:
        return self.head(hidden)


def unrolled(sampler: Sampler, rollout: Rollout) -> Tensor:
    return sampler.team.unroll(rollout).action_log_prob


each_env = pytest.mark.parametrize("env", ["speaker_listener", "switch_riddle", "mixed"])


@each_env
def test_what_was_drawn_is_replayed(env: str) -> None:
    sampler = make_sampler(env, model=Doubter)
    sampler.fragment(3)
    rollout = sampler.fragment(8)
    assert len(rollout.listening) == 2 and [set(r) for r in rollout.listening] == [set(sampler.team.policies)] * 2
    assert torch.allclose(unrolled(sampler, rollout), rollout.action_log_prob, atol=1e-5)
    other = map_tensors(torch.randn_like, rollout.listening)
    rollout.listening = other
    assert not torch.allclose(unrolled(sampler, rollout), rollout.action_log_prob, atol=1e-3), "or draws do not matter"


@each_env
def test_draws_are_cut_and_put_together_with_the_rest(env: str) -> None:
    sampler = make_sampler(env, model=Doubter, copies=6)
    rollout = sampler.fragment(6)
    whole = rollout.action_log_prob
    some = torch.tensor([4, 1, 3])
    assert torch.allclose(unrolled(sampler, rollout.select(some)), whole[:, some], atol=1e-5)
    parts = list(rollout.chunks(4))
    assert torch.allclose(torch.cat([unrolled(sampler, part) for part in parts], 1), whole, atol=1e-5)
    assert torch.allclose(unrolled(sampler, concatenate(parts)), whole, atol=1e-5)
    assert tensors_of(rollout.to(torch.device("meta")).listening)[0].is_meta


def test_folded_rollouts_keep_their_draws() -> None:
    sampler = make_sampler("speaker_listener", model=Doubter, copies=3)
    rollout = sampler.fragment(2 * sampler.env.horizon)
    narrow = folded(rollout)
    assert narrow.num_steps == sampler.env.horizon
    assert torch.allclose(unrolled(sampler, narrow), narrow.action_log_prob, atol=1e-5)


def test_draws_come_from_the_generator_of_the_sampler() -> None:
    one, again, other = (make_sampler("mixed", model=Doubter, seed=s).fragment(4).listening for s in (1, 1, 2))
    same = [torch.equal(a, b) for a, b in zip(tensors_of(one), tensors_of(again), strict=True)]
    assert all(same) and not torch.equal(tensors_of(one)[0], tensors_of(other)[0])


def test_a_greedy_team_draws_nothing() -> None:
    sampler = make_sampler("mixed", model=Doubter)
    rollout = sampler.fragment(4, choice=Choice.GREEDY)
    assert tensors_of(rollout.listening) == []
    assert torch.allclose(unrolled(sampler, rollout), rollout.action_log_prob, atol=1e-5)


def test_models_without_draws_record_none() -> None:
    assert tensors_of(make_sampler("mixed", model=Chatter).fragment(3).listening) == []


def test_nobody_listens_after_its_last_round() -> None:
    world = SpeakerListener(num_envs=8)
    policies = {
        "speaker": PolicyChoice(agents=("speaker_0",), model=Chatter),
        "listener": PolicyChoice(agents=("listener_0",), model=GraphAttention, model_settings={"size": 8, "heads": 2}),
    }
    sampler = Sampler(world, stir(build_team(TeamChoices(policies=policies), facts_of(world), seed=0)))
    rollout = sampler.fragment(6)
    assert sampler.team.rounds == 2 and [set(r) for r in rollout.listening] == [{"speaker", "listener"}, {"speaker"}]
    assert torch.allclose(unrolled(sampler, rollout), rollout.action_log_prob, atol=1e-5)
