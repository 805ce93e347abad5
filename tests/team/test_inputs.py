"""What agents are shown of what they said."""

import torch

from heliograph.team.inputs import last_words
from heliograph.types import Edges, Inputs, Message, TeamStep
from tests.parts import make_sampler


def test_symbols_are_one_hot_and_silence_keeps_the_earlier_ones() -> None:
    symbols = torch.tensor([[[2], [1]]])
    previous = torch.tensor([[[1.0, 0, 0], [0, 0, 1.0]]])
    found = last_words(previous, symbols, vocabulary=3, speaking=torch.tensor([[True, False]]))
    assert found is not None and found.tolist() == [[[0, 0, 1], [0, 0, 1]]]
    assert last_words(None, symbols, vocabulary=3, speaking=torch.ones(1, 2, dtype=torch.bool)) is None


def test_agents_are_told_apart_within_their_policy() -> None:
    inputs = Inputs(observation=torch.zeros(2, 4, 3, 5), last_action=torch.zeros(2, 4, 3, 2))
    assert inputs.agent.shape == (2, 4, 3, 3) and torch.equal(inputs.agent[1, 2], torch.eye(3))


def test_speakers_remember_what_they_said_whatever_becomes_of_it_on_the_way() -> None:
    sampler = make_sampler("speaker_listener", copies=16, channel="symbols-score")
    sampler.reset()
    step, state = sampler._now
    said: list[Message] = []

    def lost(message: Message, step: TeamStep, edges: Edges) -> Message:
        said.append(message)
        nothing = torch.full_like(message.symbols, -1)
        return Message(payload=torch.zeros_like(message.payload), symbols=nothing, bits=message.bits * 0)

    acted = sampler.team.step(step, state, generator=sampler.generator, intervention=lost)
    assert float(acted.state.inbox.payload.abs().sum()) == 0
    words = torch.nn.functional.one_hot(said[0].symbols, sampler.team.channel.vocabulary).flatten(-2).float()
    assert torch.equal(acted.state.last_message[:, :1], words[:, :1])
