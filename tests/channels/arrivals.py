"""What should arrive, worked out slowly: plain loops over recorded messages, to hold teams against."""

import dataclasses

import torch
from torch import Tensor

from heliograph.channels.base import Channel
from heliograph.experiments.choices import build_channel
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.types import Arrivals, Choice, Message, Tree


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def message(payload: Tensor, *, bits: float | Tensor = 1.0) -> Message:
    """Messages `[B, N, P]` that cost `bits` each."""
    cost = bits if isinstance(bits, Tensor) else torch.full(payload.shape[:-1], bits)
    return Message(payload=payload, symbols=None, bits=cost)


def built(name: str, **settings) -> Channel:
    """The wrappers of a name around a vector of one number: `built("delayed", steps=2)`."""
    return build_channel(f"{name}+continuous", {"size": 1, **settings})


@dataclasses.dataclass
class Queue:
    """Which of recorded messages arrive when, by the rules of the wrappers' docstrings."""

    rollout: Rollout
    delay: int = 0
    drop: str | None = None

    def arrives(self, t: int, b: int, n: int) -> bool:
        """Whether what agent n said `delay` steps ago arrives now."""
        said, ended = t - self.delay, self.rollout.terminated | self.rollout.truncated
        if said < 0 or not self.rollout.speaking[said, b, n]:
            return False
        if self.drop and self.rollout.draws[0]["lost"][t, b, n]:
            return False
        return not bool(ended[said:t, b, n].any())


def inboxes(queue: Queue, *, hearers: Tensor) -> list[dict[tuple[int, int, int], Tensor]]:
    """For each step, before anything is cut, the unread messages of each copy, hearer and sender (NEXT_STEP models)."""
    rollout, waiting, found = queue.rollout, {}, []
    ended = rollout.terminated | rollout.truncated
    for t in range(rollout.num_steps):
        waiting = {key: value for key, value in waiting.items() if not rollout.observing[t, key[0], key[1]]}
        for b, hearer, sender in hearers.nonzero().tolist():
            if queue.arrives(t, b, sender):
                waiting[b, hearer, sender] = rollout.messages[0].payload[t - queue.delay, b, sender]
        found.append(waiting)
        waiting = {k: v for k, v in waiting.items() if not (ended[t, k[0], k[1]] or ended[t, k[0], k[2]])}
    return found


def step_by_step(sampler: Sampler, number: int) -> tuple[Rollout, list[Tree]]:
    """A rollout, and the channel's state and the inbox masks after each step as the sampler has them, cut."""
    sampler.reset()
    state, found = sampler.get_state(), []
    for _ in range(number):
        sampler.fragment(1)
        now = sampler._now[1]
        found.append({"channel": now.channel, "waiting": now.inbox.mask})
    sampler.set_state(state)
    return sampler.fragment(number), found


def transited(channel: Channel, said: list[tuple[Message, Tensor]], *, ended: Tensor | None = None) -> list[Arrivals]:
    """What arrives in each step, one round each; after step t the parts `ended[t]` [B, N] end."""
    num_envs, num_agents = said[0][1].shape
    state, found = channel.initial_state(num_envs, num_agents, torch.device("cpu")), []
    for t, (words, speaking) in enumerate(said):
        channel_input = torch.zeros(num_envs, num_agents, channel.input_size)
        draw = channel.sample(channel_input, generator=stream(t), choice=Choice.GREEDY)
        arrivals, state = channel.transit(words, speaking=speaking, draw=draw, state=state)
        found.append(arrivals)
        if ended is not None:
            state = channel.cut(state, ended[t])
    return found
