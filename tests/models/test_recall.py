"""What agents are shown of what they said."""

import torch

from heliograph.models.recall import last_message
from heliograph.types import Message


def test_symbols_are_one_hot_silence_keeps_the_earlier_ones_and_no_symbol_is_zeros() -> None:
    symbols = torch.tensor([[[2], [1], [-1]]])
    said = Message(payload=torch.zeros(1, 3, 3), symbols=symbols, bits=torch.zeros(1, 3))
    previous = torch.tensor([[[1.0, 0, 0], [0, 0, 1.0], [1.0, 0, 0]]])
    found = last_message(previous, said, vocabulary=3, speaking=torch.tensor([[True, False, True]]))
    assert found is not None and found.tolist() == [[[0, 0, 1], [0, 0, 1], [0, 0, 0]]]
    assert last_message(None, said, vocabulary=3, speaking=torch.ones(1, 3, dtype=torch.bool)) is None
