"""A rollout recomputed under the present weights: hidden features, messages, and scores of what was done."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from heliograph.rollout import Advanced
from heliograph.types import Message, map_tensors

__all__ = ["Presence", "Scores", "Unrolled"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Presence:
    """Whether any agent of a policy observes in each step: T of them and one to bootstrap from."""

    steps: tuple[bool, ...]

    @property
    def span(self) -> slice:
        """From the first such step to the last."""
        first = self.steps.index(True) if any(self.steps) else 0
        last = max((t for t, here in enumerate(self.steps) if here), default=-1)
        return slice(first, last + 1)

    def padded(self, values: Tensor, *, num_steps: int) -> Tensor:
        """Values of the span, with zeros before and after it."""
        before, after = self.span.start, num_steps - self.span.stop
        if not before and not after:
            return values
        return F.pad(values, [0, 0] * (values.dim() - 1) + [before, after])


@dataclasses.dataclass(kw_only=True)
class Scores:
    """How likely recorded actions and messages are under the present weights; entropies in nats."""

    action_log_prob: Float[Tensor, "T B N"]
    action_entropy: Float[Tensor, "T B N"]
    message_log_prob: Float[Tensor, "T B N"]
    message_entropy: Float[Tensor, "T B N"]


@dataclasses.dataclass(kw_only=True)
class Unrolled:
    """The `T` steps of a team that were recomputed, and what is made of them when it is first asked for.

    `last` are hidden features in the step to bootstrap from, `finals` those of final observations after each step where
    episodes were truncated (else empty). `presence` tells in which steps any agent of a policy observes; hidden
    features of other steps are zeros.
    """

    steps: list[Advanced]
    last: Mapping[str, Float[Tensor, "B _A _H"]]
    finals: list[dict[str, Float[Tensor, "B _A _H"]]]
    presence: Mapping[str, Presence]
    score: Callable[["Unrolled"], Scores]

    def before_in(self, policy: str, steps: slice) -> Float[Tensor, "t B A H"]:
        """Hidden features of a policy in some of the T + 1 steps, before anyone spoke."""
        return _stacked([*(step.before[policy] for step in self.steps), self.last[policy]], steps)

    def after_in(self, policy: str, steps: slice) -> Float[Tensor, "t B A H"]:
        """Hidden features of a policy in some of the T steps, after listening."""
        return _stacked([step.after[policy] for step in self.steps], steps)

    @functools.cached_property
    def before(self) -> dict[str, Float[Tensor, "T1 B _A _H"]]:
        """Hidden features of each policy before anyone spoke; the last step is to bootstrap from."""
        return {policy: self.before_in(policy, slice(None)) for policy in self.last}

    @functools.cached_property
    def after(self) -> dict[str, Float[Tensor, "T B _A _H"]]:
        """Hidden features of each policy after listening."""
        return {policy: self.after_in(policy, slice(None)) for policy in self.last}

    @functools.cached_property
    def final(self) -> dict[str, Float[Tensor, "T B _A _H"]] | None:
        """Hidden features of final observations; None where no episode was truncated."""
        return {p: torch.stack([found[p] for found in self.finals]) for p in self.last} if self.finals else None

    @functools.cached_property
    def intents(self) -> tuple[Float[Tensor, "T B N C"], ...]:
        """What went into the channel, one tensor a round."""
        return tuple(torch.stack(of_round) for of_round in zip(*(step.intents for step in self.steps), strict=True))

    @functools.cached_property
    def messages(self) -> tuple[Message, ...]:
        """What came out of it, one message a round."""
        rounds = zip(*(step.messages for step in self.steps), strict=True)
        return tuple(map_tensors(lambda *leaves: torch.stack(leaves), *of_round) for of_round in rounds)

    @functools.cached_property
    def scores(self) -> Scores:
        """Log-probabilities and entropies of actions and messages."""
        return self.score(self)

    @property
    def action_log_prob(self) -> Float[Tensor, "T B N"]:
        """Of the action of each agent that acted."""
        return self.scores.action_log_prob

    @property
    def action_entropy(self) -> Float[Tensor, "T B N"]:
        """Of the action distribution of each agent that acted."""
        return self.scores.action_entropy

    @property
    def message_log_prob(self) -> Float[Tensor, "T B N"]:
        """Of each agent's messages, where messages are actions."""
        return self.scores.message_log_prob

    @property
    def message_entropy(self) -> Float[Tensor, "T B N"]:
        """Of each agent's messages, where messages are actions."""
        return self.scores.message_entropy


def _stacked(values: list[Tensor], steps: slice) -> Tensor:
    chosen = values[steps]
    return torch.stack(chosen) if chosen else values[0].unsqueeze(0)[:0]
