"""Models that mix what several others say: order does not matter, nor who is not heard; sums worked by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gymnasium import spaces

from heliograph.models.attention import dot_products, weighted_sum, weights_of
from heliograph.models.base import Model, ModelSpec
from heliograph.models.commnet import CommNet
from heliograph.models.gacomm import GAComm
from heliograph.models.graph_attention import GraphAttention
from heliograph.models.magic import Magic
from heliograph.models.mean_field import MeanField
from heliograph.models.structure import taken_apart, total_size
from heliograph.models.tarmac import TarMAC
from heliograph.types import Choice, Heard, Inputs, Timing, Tree, map_tensors

AGENTS, SIZE = 5, 8
MODELS: dict[str, Callable[[ModelSpec], Model]] = {
    "commnet-mlp": lambda spec: CommNet(spec, size=SIZE, core="mlp", rounds=2),
    "commnet-sum": lambda spec: CommNet(spec, size=SIZE, core="mlp", combine="sum", skip=False),
    "commnet-rnn": lambda spec: CommNet(spec, size=SIZE, core="rnn"),
    "commnet-lstm": lambda spec: CommNet(spec, size=SIZE),
    "commnet-rnn-rounds": lambda spec: CommNet(spec, size=SIZE, core="rnn", rounds=3),
    "commnet-lstm-rounds": lambda spec: CommNet(spec, size=SIZE, rounds=2),
    "tarmac": lambda spec: TarMAC(spec, size=SIZE, signature_size=3, value_size=4),
    "tarmac-rounds": lambda spec: TarMAC(spec, size=SIZE, timing="same_step", rounds=2),
    "graph_attention": lambda spec: GraphAttention(spec, size=SIZE, heads=2, rounds=2),
    "magic": lambda spec: Magic(spec, size=SIZE, heads=2, encoder_heads=2, encoder_size=4),
    "magic-offered": lambda spec: Magic(spec, size=SIZE, heads=2, normalise="offered", self_loop="forced", rounds=3),
    "magic-complete": lambda spec: Magic(spec, size=SIZE, heads=1, complete="all", coders="both"),
    "gacomm": lambda spec: GAComm(spec, size=SIZE, hard_size=4),
    "gacomm-pairwise": lambda spec: GAComm(spec, size=SIZE, hard_attention="pairwise", values="hidden"),
    "mean_field": lambda spec: MeanField(spec, size=SIZE),
}
each_model = pytest.mark.parametrize("name", MODELS)


def built(name: str) -> Model:
    torch.manual_seed(0)
    space, actions = spaces.Box(-1.0, 1.0, (4,)), spaces.Discrete(3)
    model = MODELS[name](ModelSpec(observation_space=space, action_space=actions, num_agents=AGENTS, state_size=0))
    for weight in model.parameters():
        weight.data = 0.5 * torch.randn(weight.shape)
    return model


def conversation(
    model: Model, observation: torch.Tensor, memory: torch.Tensor, heard_of: torch.Tensor, *,
    order: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """Two steps in which all see the same again, hearing whom `heard_of` [A, A] allows: the last action inputs.

    What models draw is always the same; in the order of the agents, where they are permuted.
    """
    copies, generator = len(observation), torch.Generator().manual_seed(0)
    inputs = Inputs(
        observation=observation,
        last_action=torch.zeros(copies, AGENTS, 3),
    )
    said = torch.zeros(copies, AGENTS, model.message_size)
    mask = heard_of.expand(copies, -1, -1)
    for _ in range(2):
        inbox = Heard(messages=said.unsqueeze(1), mask=mask) if model.timing is Timing.NEXT_STEP else None
        out = model.perceive(model.encode(inputs), memory, inbox)
        hidden, memory = out.hidden, out.memory
        for r in range(model.rounds):
            words = model.speak(hidden, round_index=r)
            said = words if r == 0 else said
            if model.listens(r):
                draw = model.draw(tuple(mask.shape), round_index=r, choice=Choice.SAMPLED, generator=generator)
                draw = draw if draw is None or order is None else permuted_draw(draw, order)
                hidden = model.listen(hidden, Heard(messages=words.unsqueeze(1), mask=mask, round_index=r, draw=draw))
        memory = model.remember(hidden, memory) if model.remembers else memory
    return model.act(hidden)


def some_memory(model: Model, copies: int) -> Tree:
    joined = 0.5 * torch.randn(copies, AGENTS, total_size(model.memory_size))
    return taken_apart(joined, model.memory_size)


def permuted_draw(draw: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Noise of each hearer and sender, and of its own edge behind them."""
    return draw[:, order][:, :, [*order.tolist(), *range(AGENTS, draw.shape[-1])]]


def others() -> torch.Tensor:
    return ~torch.eye(AGENTS, dtype=torch.bool)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "gacomm"])
def test_permuting_agents_permutes_what_they_do(name: str) -> None:
    model, order = built(name), torch.randperm(AGENTS)
    seen, memory = torch.randn(6, AGENTS, 4), some_memory(model, 6)
    done = conversation(model, seen, memory, others())
    permuted = conversation(
        model, seen[:, order], map_tensors(lambda leaf: leaf[:, order], memory), others(), order=order
    )
    assert torch.allclose(permuted, done[:, order], atol=1e-5)


@each_model
def test_who_is_not_heard_changes_nobody_and_who_is_does(name: str) -> None:
    model = built(name)
    seen, memory = torch.randn(6, AGENTS, 4), some_memory(model, 6)
    other = seen.clone()
    other[:, 0] += 1.0
    unheard = others()
    unheard[:, 0] = False
    rest = slice(1, None)
    for heard_of, same in ((unheard, True), (others(), False)):
        one, two = (conversation(model, x, memory, heard_of)[:, rest] for x in (seen, other))
        assert torch.allclose(one, two, atol=1e-5) is same
    assert torch.isfinite(conversation(model, seen, memory, torch.zeros_like(unheard))).all()


def test_attention_is_a_softmax_over_what_arrives() -> None:
    query, keys = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[[2.0, 5.0], [0.0, 1.0], [9.0, 9.0]]]])
    mask = torch.tensor([[[True, True, False]]])
    weights = weights_of(dot_products(query, keys), mask)
    share = 1 / (1 + torch.exp(torch.tensor(-2.0)))
    assert torch.allclose(weights, torch.stack([share, 1 - share, torch.tensor(0.0)]).view(1, 1, 3))
    values = torch.tensor([[[[1.0], [3.0], [100.0]]]])
    assert weighted_sum(weights, values).item() == pytest.approx(float(share + 3 * (1 - share)))
    assert weights_of(dot_products(query, keys), torch.zeros_like(mask)).abs().sum() == 0


def test_shared_and_separate_offers_give_the_same() -> None:
    query, keys = torch.randn(3, 4, 5), torch.randn(3, 1, 6, 5)
    apart = keys.expand(-1, 4, -1, -1)
    mask = torch.rand(3, 4, 6) > 0.4
    one, two = (weights_of(dot_products(query, k), mask) for k in (keys, apart))
    assert torch.allclose(one, two, atol=1e-6)
    assert torch.allclose(weighted_sum(one, keys), weighted_sum(one, apart), atol=1e-6)


def test_a_commnet_layer_by_hand() -> None:
    """h' = tanh(H h + C c + S h0) with weights of 1/2: half of own, of the others' mean, and of first."""
    model = built("commnet-mlp")
    assert isinstance(model, CommNet)
    for layer in (*model.own, *model.others, *model.skips):
        layer.weight.data = 0.5 * torch.eye(SIZE)
        if layer.bias is not None:
            layer.bias.data.zero_()
    state, first = torch.randn(1, AGENTS, SIZE), torch.randn(1, AGENTS, SIZE)
    heard = Heard(messages=state.unsqueeze(1), mask=others().unsqueeze(0), round_index=1)
    found = model.listen({"state": state, "first": first}, heard)
    mean = (state.sum(1, keepdim=True) - state) / (AGENTS - 1)
    assert torch.allclose(found["state"], torch.tanh((state + mean + first) / 2), atol=1e-5)
    assert torch.equal(found["first"], first)


@pytest.mark.parametrize("core", ["rnn", "lstm"])
def test_later_rounds_of_a_recurrent_commnet_run_its_core_again_and_are_remembered(core: str) -> None:
    model = built(f"commnet-{core}-rounds")
    assert isinstance(model, CommNet)
    features, memory = torch.randn(2, AGENTS, SIZE), some_memory(model, 2)
    once = model.perceive(features, memory, None)
    heard = Heard(messages=torch.randn(2, 1, AGENTS, SIZE), mask=others().expand(2, -1, -1), round_index=1)
    twice = model.listen(once.hidden, heard)
    x = torch.cat([features, heard.mean()], -1).flatten(0, 1)
    past = [once.memory[name].flatten(0, 1) for name in model.memory_size]
    kept = (model.cell(x, past[0]),) if core == "rnn" else model.cell(x, tuple(past))
    remembered = model.remember(twice, once.memory)
    for name, expected in zip(model.memory_size, kept, strict=True):
        assert torch.allclose(remembered[name].flatten(0, 1), expected, atol=1e-6)
    assert torch.equal(model.speak(twice, round_index=1).flatten(0, 1), kept[0])
    assert not torch.allclose(model.act(twice), model.act(once.hidden), atol=1e-3)


def test_tarmac_hears_itself_where_nobody_else_speaks() -> None:
    model = built("tarmac")
    assert isinstance(model, TarMAC)
    hidden = torch.randn(2, AGENTS, SIZE)
    nobody = Heard(messages=torch.randn(2, 1, AGENTS, 7), mask=torch.zeros(2, AGENTS, AGENTS, dtype=torch.bool))
    own = model.message(hidden)[..., 3:]
    assert torch.allclose(model.attended(hidden, nobody), own, atol=1e-6)
    assert torch.allclose(model.attended(hidden, None), own)


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        (CommNet, {"core": "gru"}, "core='gru': must be 'mlp', 'rnn' or 'lstm'"),
        (CommNet, {"rounds": 0}, "rounds=0"),
        (CommNet, {"combine": "max"}, "combine='max'"),
        (TarMAC, {"rounds": 2}, "rounds=2: there is one from step to step"),
        (TarMAC, {"timing": "later"}, "timing='later': must be 'next_step' or 'same_step'"),
        (GraphAttention, {"size": 10, "heads": 4}, "size=10, heads=4"),
        (MeanField, {"size": 0}, "size=0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model: Any, settings: dict[str, Any], words: str) -> None:
    spec = ModelSpec(
        observation_space=spaces.Box(-1.0, 1.0, (4,)), action_space=spaces.Discrete(3), num_agents=2, state_size=0
    )
    with pytest.raises(ValueError, match=words):
        model(spec, **settings)
