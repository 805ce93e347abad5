"""MAGIC: attention and choices worked by hand, the paper's sizes, and gradients that reach the scheduler."""

import math
from typing import Any

import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph.distributions import logistic
from heliograph.models.attention import GraphHeads, chosen
from heliograph.models.base import ModelSpec
from heliograph.models.magic import Magic, Scheduler
from heliograph.models.structure import total_size
from heliograph.types import Choice, Heard, map_tensors
from tests.parts import make_sampler

SPEC = ModelSpec(
    observation_space=spaces.Box(-1.0, 1.0, (4,)), action_space=spaces.Discrete(3), num_agents=3, state_size=0
)
OWN, FIRST, SECOND = [0.0, 1.0], [math.log(3), 0.0], [math.log(2), 0.0]


def tiny(**settings: Any) -> Magic:
    """One round, one head, values as they are, scores by a message's first number, even logits of all edges."""
    model = Magic(SPEC, size=2, heads=1, rounds=1, encoder_size=2, encoder_heads=1, **settings)
    model.layers[0].values.weight.data = torch.eye(2)
    model.layers[0].scores.data = torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]])
    for scheduler in model.schedulers.values():
        scheduler.edge[-1].weight.data.zero_()
        scheduler.edge[-1].bias.data.zero_()
    return model


def heard(noise: list[float] | None = None, *, arrives: tuple[bool, bool] = (True, True)) -> Heard:
    """One hearer of two messages; a positive draw takes an edge, a negative one does not."""
    return Heard(
        messages=torch.tensor([[[FIRST, SECOND]]]),
        mask=torch.tensor([[list(arrives)]]),
        draw=None if noise is None else torch.tensor([[noise]]),
    )


def after(model: Magic, said: Heard) -> Tensor:
    """What comes of the first round for the hearer."""
    own = torch.tensor([[OWN]])
    return model.listen({"state": own, "last": own}, said)["last"][0, 0]


def found(model: Magic, said: Heard) -> list[float]:
    return after(model, said).tolist()


def test_attention_over_all_edges_by_hand() -> None:
    """Scores ln 3, ln 2 and 0 are weights 3/6, 2/6 and 1/6."""
    expected = (3 * math.log(3) + 2 * math.log(2)) / 6
    assert found(tiny(complete="all"), heard()) == pytest.approx([expected, 1 / 6])
    one_silent = heard(arrives=(True, False))
    assert found(tiny(complete="all"), one_silent) == pytest.approx([3 / 4 * math.log(3), 1 / 4])


@pytest.mark.parametrize(
    ("settings", "noise", "weights"),
    [
        ({}, [1.0, 1.0, 1.0], [3 / 6, 2 / 6, 1 / 6]),
        ({}, [1.0, -1.0, 1.0], [3 / 4, 0, 1 / 4]),
        ({}, [1.0, 1.0, -1.0], [3 / 5, 2 / 5, 0]),
        ({}, [-1.0, 1.0, -1.0], [0, 1, 0]),
        ({}, [-1.0, -1.0, -1.0], [0, 0, 0]),
        ({"self_loop": "forced"}, [1.0, -1.0, -1.0], [3 / 4, 0, 1 / 4]),
        ({"normalise": "offered"}, [1.0, -1.0, -1.0], [3 / 5, 0, 0]),
        ({"normalise": "offered"}, [-1.0, 1.0, 1.0], [0, 2 / 4, 1 / 4]),
    ],
)
def test_attention_over_the_edges_that_are_taken_by_hand(
    settings: dict[str, str], noise: list[float], weights: list[float]
) -> None:
    expected = [weights[0] * math.log(3) + weights[1] * math.log(2), weights[2]]
    assert found(tiny(**settings), heard(noise)) == pytest.approx(expected, abs=1e-6)


def test_two_values_of_a_code_by_hand() -> None:
    """Scores of x + y from sender y to hearer x, of the values 0 and ln 2: weights 1:2 for both."""
    heads = GraphHeads(1, 1, heads=2)
    heads.values.weight.data = torch.ones(2, 1)
    heads.scores.data = torch.ones(2, 2, 1)
    own, message = torch.zeros(1, 1, 1), torch.full((1, 1, 1, 1), math.log(2))
    codes = heads.among(own, message, torch.tensor([[[True]]]))
    assert codes.flatten().tolist() == pytest.approx([2 / 3 * math.log(2)] * 2)
    alone = heads.among(own, message, torch.tensor([[[False]]]))
    assert alone[0, 0, -1].item() == pytest.approx(0)


def test_where_all_hear_all_every_hearer_finds_the_same_codes() -> None:
    heads, said = GraphHeads(4, 3, heads=2), torch.randn(2, 5, 4)
    heads.scores.data.normal_()
    codes = heads.among(said, said.unsqueeze(1), ~torch.eye(5, dtype=torch.bool).expand(2, -1, -1))
    for hearer in range(5):
        for sender in set(range(5)) - {hearer}:
            assert torch.allclose(codes[:, hearer, sender], codes[:, sender, -1], atol=1e-6)


def test_shared_and_separate_offers_give_the_same() -> None:
    heads, mask = GraphHeads(4, 3, heads=2), torch.rand(2, 5, 6) > 0.5
    own, said = torch.randn(2, 5, 4), torch.randn(2, 1, 6, 4)
    apart = said.expand(-1, 5, -1, -1)
    assert torch.allclose(heads.among(own, said, mask), heads.among(own, apart, mask), atol=1e-6)
    one, two = heads(own, said), heads(own, apart)
    assert torch.allclose(one.scores, two.scores, atol=1e-6)
    assert torch.allclose(one.mixed(one.scores), two.mixed(one.scores), atol=1e-6)


def test_choices_are_as_frequent_as_their_probability_and_have_the_relaxed_gradient() -> None:
    logits = torch.tensor([0.0, math.log(3)]).expand(100_000, 2).clone().requires_grad_()
    noise = logistic((100_000,), generator=torch.Generator().manual_seed(0), device=torch.device("cpu"))
    taken = chosen(logits, noise=noise, temperature=1.0)
    assert float(taken.detach().mean()) == pytest.approx(0.75, abs=0.01)
    assert set(taken.round(decimals=5).tolist()) == {0.0, 1.0}
    (gradient,) = torch.autograd.grad(chosen(logits, noise=None, temperature=0.5).sum(), logits)
    p = torch.sigmoid(torch.tensor(2 * math.log(3)))
    assert gradient[0].tolist() == pytest.approx([float(-2 * p * (1 - p)), float(2 * p * (1 - p))])


@pytest.mark.parametrize("noise", [[1.0, -1.0, 1.0], [-1.0, -1.0, -1.0]])
def test_edges_that_were_not_taken_learn_too(noise: list[float]) -> None:
    model, said = tiny(), heard(noise)
    after(model, said)[0].backward()
    bias = model.schedulers["0"].edge[-1].bias.grad
    assert torch.isfinite(bias).all() and float(bias.abs().min()) > 0


def test_a_message_that_is_not_taken_is_not_heard() -> None:
    model = tiny()
    said = heard([50.0, -50.0, 50.0])
    other = heard([50.0, -50.0, 50.0])
    other.messages[..., 1, :] = 7.0
    assert found(model, said) == found(model, other)


def test_the_sizes_are_those_of_the_paper() -> None:
    model = Magic(SPEC)
    assert (total_size(model.hidden_size), model.message_size, model.rounds, len(model.schedulers)) == (256, 128, 2, 2)
    assert [tuple(layer.scores.shape) for layer in model.layers] == [(2, 4, 32), (2, 1, 128)]
    scheduler = model.schedulers["0"]
    assert isinstance(scheduler, Scheduler) and tuple(scheduler.encoder.scores.shape) == (2, 8, 32)
    shapes = [tuple(part.weight.shape) for part in scheduler.edge if isinstance(part, torch.nn.Linear)]
    assert shapes == [(16, 64), (16, 16), (2, 16)]


@pytest.mark.parametrize(
    ("complete", "scheduled"), [("none", ["0", "1"]), ("first", ["1"]), ("later", ["0"]), ("all", [])]
)
def test_rounds_that_take_all_edges_draw_nothing(complete: str, scheduled: list[str]) -> None:
    model = Magic(SPEC, size=4, complete=complete)
    assert list(model.schedulers) == scheduled
    for r in range(2):
        noise = model.draw((5, 3, 2), round_index=r, choice=Choice.SAMPLED, generator=None)
        assert (noise is not None) == (str(r) in scheduled) and (noise is None or noise.shape == (5, 3, 3))
        assert model.draw((5, 3, 2), round_index=r, choice=Choice.GREEDY, generator=None) is None


@pytest.mark.parametrize("env", ["mixed", "switch_riddle"])
def test_what_agents_do_teaches_every_scheduler(env: str) -> None:
    sampler = make_sampler(env, model="magic", channel="continuous-pathwise")
    rollout = sampler.fragment(8)
    sampler.team.unroll(rollout).action_log_prob.sum().backward()
    for policy in sampler.team.policies.values():
        for scheduler in policy.model.schedulers.values():
            assert all(float(weight.grad.abs().sum()) > 0 for weight in scheduler.parameters())
    rollout.listening = map_tensors(lambda noise: -noise, rollout.listening)
    assert not torch.allclose(sampler.team.unroll(rollout).action_log_prob, rollout.action_log_prob, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 10, "heads": 4}, "size=10, heads=4"),
        ({"complete": "second"}, "complete='second': must be 'none', 'first', 'later' or 'all'"),
        ({"self_loop": "none"}, "self_loop='none': must be 'learned' or 'forced'"),
        ({"normalise": "yes"}, "normalise='yes'"),
        ({"coders": "encoder"}, "coders='encoder'"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"encoder_size": 1}, "encoder_size=1"),
        ({"rounds": 0}, "rounds=0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Magic(SPEC, **settings)
