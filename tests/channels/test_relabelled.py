"""Symbols under other names: for whole episodes, in training only, and not those that end words."""

import pytest
import torch

from heliograph.channels.relabelled import Relabelled
from heliograph.channels.symbols import Symbols
from heliograph.experiments.choices import build_channel
from heliograph.types import Choice, MessageForm


def heard(channel: Relabelled, symbols: torch.Tensor, state, *, seed: int, form=MessageForm.TRAINING):
    """The symbols that hearers get of [B, N, L] that were said, and the state after."""
    channel_input = 30.0 * torch.nn.functional.one_hot(symbols, channel.vocabulary).flatten(-2).float()
    draw = channel.sample(channel_input, generator=torch.Generator().manual_seed(seed), choice=Choice.GREEDY)
    message, state = channel.send(channel_input, draw=draw, form=form, state=state)
    assert torch.equal(message.symbols, symbols), "what was said is reported as it was said"
    return message.payload.unflatten(-1, (*symbols.shape[-1:], -1)).argmax(-1), state


def test_an_episode_has_one_permutation_and_the_next_another() -> None:
    channel, device = Relabelled(Symbols(vocabulary=4, length=4)), torch.device("cpu")
    said = torch.arange(4).expand(200, 2, 4)
    first, state = heard(channel, said, channel.initial_state(200, 2, device), seed=0)
    assert torch.equal(first.sort(-1).values, said) and torch.equal(first[:, 0], first[:, 1])
    again, state = heard(channel, said, state, seed=1)
    assert torch.equal(first, again), "the same names for the whole episode"
    ended = torch.zeros(200, 2, dtype=torch.bool)
    ended[:100] = True
    later, _ = heard(channel, said, channel.cut(state, ended), seed=2)
    assert torch.equal(later[100:], first[100:]) and not torch.equal(later[:100], first[:100])
    share = (first[:, 0, 0] == 0).float().mean()
    assert 0.15 < share < 0.35, "each symbol is any other equally often"


def test_nothing_is_renamed_when_deployed_or_outside_of_the_share() -> None:
    said = torch.arange(4).expand(400, 1, 4)
    channel = Relabelled(Symbols(vocabulary=4, length=4), share=0.25)
    start = channel.initial_state(400, 1, torch.device("cpu"))
    plain, _ = heard(channel, said, start, seed=0, form=MessageForm.EXECUTION)
    assert torch.equal(plain, said)
    found, _ = heard(channel, said, start, seed=0)
    assert 0.2 < (found != said).any(-1).float().mean() < 0.3


def test_the_end_of_a_word_keeps_its_name() -> None:
    channel = build_channel("relabelled+symbols", {"vocabulary": 4, "length": 3, "eos": True, "spelling_size": 8})
    words = torch.tensor([[2, 0, 0], [1, 3, 0]]).expand(50, 2, 3)
    guide = channel.guide({"said": words})
    channel_input = torch.cat([torch.zeros(50, 2, 12), guide.flatten(-2)], -1)
    draw = channel.sample(channel_input, generator=torch.Generator().manual_seed(0), choice=Choice.SAMPLED)
    message, _ = channel.send(channel_input, draw=draw, form=MessageForm.TRAINING)
    payload = message.payload.unflatten(-1, (3, 4))
    assert payload[:, 0].sum(-1).tolist() == [[1, 1, 0]] * 50 and payload[:, 0, 1].argmax(-1).eq(0).all()
    assert payload[:, 0, 0].argmax(-1).unique().tolist() == [1, 2, 3]


def test_what_has_no_names_is_refused() -> None:
    for name in ("dru", "continuous", "vq"):
        with pytest.raises(ValueError, match="does not say its symbols as one-hot vectors"):
            build_channel(f"relabelled+{name}", {})
    with pytest.raises(ValueError, match="share=0"):
        build_channel("relabelled+symbols", {"share": 0.0})
