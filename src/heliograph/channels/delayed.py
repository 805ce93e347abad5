"""Delayed: messages arrive some env steps after they were said."""

import torch
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.channels.wrapper import Wrapper
from heliograph.checks import check_positive
from heliograph.types import Arrivals, Choice, Tree, map_tensors

__all__ = ["Delayed"]


class Delayed(Wrapper):
    """Wraps a channel: a message arrives `steps` env steps after it was said, beside the model's own timing.

    It is heard by whoever can hear its speaker when it arrives, also by agents that have joined since. Messages of an
    agent whose part ends before they arrive are gone. A message of a later round of the model arrives in the same
    round. `symbols` and `bits` are reported in the step in which they are said. Gradients flow back to the step in
    which a message was said, within a fragment.
    """

    def __init__(self, inner: Channel, *, steps: int = 1):
        super().__init__(inner)
        self.is_deterministic = inner.is_deterministic
        check_positive("steps", steps)
        self.steps = steps
        self.delay_env_steps = inner.delay_env_steps + steps

    def draw_own(self, channel_input: Tensor, *, generator: torch.Generator | None, choice: Choice) -> dict[str, Tree]:
        """Nothing: every message takes equally long."""
        return {}

    def own_state(self, num_envs: int, num_agents: int, device: torch.device, *, rounds: int) -> Tree:
        """For each round the messages on their way, `[B, steps, N, ...]`, the next to arrive first."""
        shape = (num_envs, self.steps, num_agents)
        return tuple(
            Arrivals(
                payload=torch.zeros(*shape, self.payload_size, device=device),
                bits=torch.zeros(shape, device=device),
                mask=torch.zeros(shape, dtype=torch.bool, device=device),
            )
            for _ in range(rounds)
        )

    def change_arrivals(
        self, arrivals: Arrivals, *, draw: dict[str, Tree], own: Tree, round_index: int
    ) -> tuple[Arrivals, Tree]:
        """The first of the queue; what comes in now goes to its end."""
        queue = own[round_index]
        now = map_tensors(lambda leaf: leaf[:, 0], queue)
        longer = map_tensors(lambda leaf, new: torch.cat([leaf[:, 1:], new.unsqueeze(1)], 1), queue, arrivals)
        return now, (*own[:round_index], longer, *own[round_index + 1 :])

    def cut_own(self, own: Tree, ended: Tensor) -> Tree:
        """The queues without messages of agents whose part has ended."""
        return tuple(
            Arrivals(payload=queue.payload, bits=queue.bits, mask=queue.mask & ~ended.unsqueeze(1)) for queue in own
        )
