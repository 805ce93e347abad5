"""A sparse pattern, the same in all copies, beside a rule of hearing that differs from copy to copy."""

import torch

from heliograph.topologies.base import dense, fixed, intersect


def test_what_both_allow_is_heard_in_each_copy() -> None:
    rule = torch.rand(4, 3, 3) < 0.5
    pattern = fixed((torch.arange(3).unsqueeze(1) + torch.tensor([1])) % 3)
    for found in (intersect(dense(rule), pattern), intersect(pattern, dense(rule))):
        heard = torch.stack([rule[:, hearer, (hearer + 1) % 3] for hearer in range(3)], 1)
        assert found.senders is not None and found.senders.shape == (4, 3, 1)
        assert torch.equal(found.mask.squeeze(-1), heard)
