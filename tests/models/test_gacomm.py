"""GA-Comm: both attentions worked by hand, sequences without those who are not heard, gradients to the choice."""

import math
from typing import Any

import pytest
import torch
from gymnasium import spaces

from heliograph.models.base import ModelSpec
from heliograph.models.gacomm import GAComm, Sequence
from heliograph.models.structure import side_by_side, taken_apart, total_size
from heliograph.types import Choice, Heard, map_tensors
from tests.parts import make_sampler

SPEC = ModelSpec(
    observation_space=spaces.Box(-1.0, 1.0, (4,)), action_space=spaces.Discrete(3), num_agents=3, state_size=0
)


def tiny(**settings: Any) -> GAComm:
    """Queries, keys and values are the hidden states; even logits of all edges."""
    model = GAComm(SPEC, size=2, hard_size=2, key_size=2, value_size=2, **settings)
    for layer in (model.query, model.key, model.value[0]):
        layer.weight.data = torch.eye(2)
    out = model.edge.out if isinstance(model.edge, Sequence) else model.edge[-1]
    out.weight.data.zero_()
    out.bias.data.zero_()
    return model


@pytest.mark.parametrize("hard_attention", ["sequence", "pairwise"])
@pytest.mark.parametrize(
    ("noise", "arrives", "weights"),
    [
        ([1.0, 1.0], [True, True], [3 / 5, 2 / 5]),
        ([1.0, -1.0], [True, True], [3 / 5, 0]),
        ([-1.0, 1.0], [True, True], [0, 2 / 5]),
        ([1.0, 1.0], [False, True], [0, 1]),
        ([-1.0, -1.0], [True, True], [0, 0]),
        ([1.0, 1.0], [False, False], [0, 0]),
    ],
)
def test_both_attentions_by_hand(
    hard_attention: str, noise: list[float], arrives: list[bool], weights: list[float]
) -> None:
    """Scores (sqrt 2, 0) . (ln 3, .) / sqrt 2 = ln 3, and ln 2; negative numbers do not pass the ReLU of values."""
    said = torch.tensor([[[[math.log(3), -5.0], [math.log(2), 1.0]]]])
    heard = Heard(messages=said, mask=torch.tensor([[arrives]]), draw=torch.tensor([[noise]]))
    state = torch.tensor([[[math.sqrt(2), 0.0, 0.0, 0.0]]])
    model = tiny(hard_attention=hard_attention)
    after = model.listen(taken_apart(state, model.hidden_size), heard)
    found = side_by_side(after, model.hidden_size)[0, 0]
    told = [weights[0] * math.log(3) + weights[1] * math.log(2), weights[1]]
    assert found.tolist() == pytest.approx([math.sqrt(2), 0, *told], abs=1e-6)


@pytest.mark.parametrize("kept", [[0, 1, 2, 3], [1, 3], [2], [0, 3]])
def test_a_sequence_is_read_as_if_those_who_are_not_heard_were_not_there(kept: list[int]) -> None:
    reader, pairs = Sequence(3, 5), torch.randn(1, 2, 4, 3)
    mask = torch.zeros(1, 2, 4, dtype=torch.bool)
    mask[:, 1, kept] = True
    found = reader(pairs, mask)
    alone = reader.out(reader.lstm(pairs[:, 1, kept])[0])
    assert torch.allclose(found[:, 1, kept], alone, atol=1e-6) and torch.isfinite(found).all()


def test_the_order_of_agents_matters_to_the_sequence_alone() -> None:
    order, said = torch.tensor([2, 0, 1]), torch.randn(4, 3, 8)
    mask = ~torch.eye(3, dtype=torch.bool).expand(4, -1, -1)
    noise, same = torch.randn(4, 3, 3), {}
    for kind in ("sequence", "pairwise"):
        model = GAComm(SPEC, size=8, hard_attention=kind, hard_size=6)
        logits = torch.stack(
            [
                model.taken(x, Heard(messages=x.unsqueeze(1), mask=mask, draw=z))
                for x, z in ((said, noise), (said[:, order], noise[:, order][:, :, order]))
            ]
        )
        gradients = [torch.autograd.grad(x.sum(), model.edge.parameters(), retain_graph=True) for x in logits]
        same[kind] = all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))
    assert same == {"sequence": False, "pairwise": True}


def test_the_sizes_are_those_of_the_public_codes() -> None:
    model = GAComm(SPEC)
    assert (total_size(model.hidden_size), model.message_size, model.key.weight.shape[0]) == (128 + 32, 128, 32)
    assert isinstance(model.edge, Sequence) and model.edge.lstm.bidirectional
    assert (model.edge.lstm.input_size, model.edge.lstm.hidden_size) == (256, 128)
    assert total_size(GAComm(SPEC, values="hidden").hidden_size) == 256


def test_a_greedy_choice_draws_nothing() -> None:
    model = GAComm(SPEC, size=4)
    assert model.draw((5, 3, 2), round_index=0, choice=Choice.GREEDY, generator=None) is None
    assert model.draw((5, 3, 2), round_index=0, choice=Choice.SAMPLED, generator=None).shape == (5, 3, 2)


@pytest.mark.parametrize("hard_attention", ["sequence", "pairwise"])
def test_what_agents_do_teaches_hard_and_soft_attention(hard_attention: str) -> None:
    settings = {"hard_attention": hard_attention}
    sampler = make_sampler("mixed", model="gacomm", channel="continuous-pathwise", model_settings=settings)
    rollout = sampler.fragment(8)
    sampler.team.unroll(rollout).action_log_prob.sum().backward()
    for policy in sampler.team.policies.values():
        for part in (policy.model.edge, policy.model.value):
            assert all(float(weight.grad.abs().sum()) > 0 for weight in part.parameters())
    rollout.listening = map_tensors(lambda noise: -noise, rollout.listening)
    assert not torch.allclose(sampler.team.unroll(rollout).action_log_prob, rollout.action_log_prob, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hard_attention": "lstm"}, "hard_attention='lstm': must be 'sequence' or 'pairwise'"),
        ({"values": "none"}, "values='none'"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"key_size": 0}, "key_size=0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GAComm(SPEC, **settings)
