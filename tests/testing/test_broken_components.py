"""The shipped checks catch components that break one promise each, and name component, check and expectation."""

import dataclasses
import functools
import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph import registry
from heliograph.analysis.measures.entropy import entropy
from heliograph.analysis.measures.language import resampled_by
from heliograph.analysis.measures.measure import Measure
from heliograph.analysis.measures.mutual_information import mutual_information
from heliograph.channels.dru import DRU
from heliograph.channels.symbols import Symbols
from heliograph.channels.wrapper import Wrapper
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import build_channel
from heliograph.losses.base import AuxiliaryLoss, LossBatch
from heliograph.models.cnet import CNet
from heliograph.models.feedforward import Feedforward
from heliograph.recipes.base import Recipe
from heliograph.testing import (
    LOSS_CHECKS,
    MODEL_CHECKS,
    ConformanceError,
    check_channel,
    check_loss,
    check_measure,
    check_model,
    check_recipe,
    check_topology,
)
from heliograph.topologies.base import Topology
from heliograph.types import Edges, Gradient, TeamStep


def fails(call: Any, *words: str) -> None:
    with pytest.raises(ConformanceError) as told:
        call()
    assert all(word in str(told.value) for word in words), str(told.value)


# ---- channels -------------------------------------------------------------------------------------------------------


class Oddless(DRU):
    def symbol_log_probs(self, channel_input):
        raise NotImplementedError("no odds here")


class Unnormalised(Symbols):
    def symbol_log_probs(self, channel_input):
        return channel_input.unflatten(-1, (self.length, -1))


class GlobalNoise(DRU):
    def sample(self, channel_input, *, generator, choice):
        return torch.randn(channel_input.shape)


class Leaky(DRU):
    def __init__(self):
        super().__init__(bits=2)
        self.gradient = Gradient.PATHWISE

    def send(self, channel_input, *, draw, form, state=None):
        message, state = super().send(channel_input, draw=draw, form=form, state=state)
        return dataclasses.replace(message, payload=message.payload.detach()), state


class Soft(DRU):
    def send(self, channel_input, *, draw, form, state=None):
        message, state = super().send(channel_input, draw=draw, form=form, state=state)
        return dataclasses.replace(message, payload=torch.sigmoid(channel_input)), state


class Free(DRU):
    def send(self, channel_input, *, draw, form, state=None):
        message, state = super().send(channel_input, draw=draw, form=form, state=state)
        return dataclasses.replace(message, bits=0 * message.bits), state


class Echo(DRU):
    def babble(self, like, *, generator):
        return self.send(like, draw=torch.zeros_like(like), form=None)[0]


class Unshifted(DRU):
    def shifted(self, payload, shift):
        return payload


class Averageless(DRU):
    def expected_payload(self, channel_input):
        return self.symbol_log_probs(channel_input).exp().flatten(-2)


class Warm(Symbols):
    """Its temperature is a plain number, which no checkpoint holds."""

    def schedule(self, num_env_steps):
        self.warmth = num_env_steps

    def send(self, channel_input, *, draw, form, state=None):
        message, state = super().send(channel_input, draw=draw, form=form, state=state)
        return dataclasses.replace(message, payload=message.payload + getattr(self, "warmth", 0)), state


class Late(Wrapper):
    """Says that it delays, and does not."""

    def __init__(self, inner):
        super().__init__(inner)
        self.delay_env_steps = 1

    def draw_own(self, channel_input, *, generator, choice):
        return {}


class Hoarder(Wrapper):
    """Holds back what was said for a step, whatever ends."""

    def __init__(self, inner):
        super().__init__(inner)
        self.delay_env_steps = 1

    def draw_own(self, channel_input, *, generator, choice):
        return {}

    def own_state(self, num_envs, num_agents, device, *, rounds):
        zeros = torch.zeros(num_envs, num_agents, device=device)
        return {"payload": zeros[..., None].expand(-1, -1, self.payload_size), "bits": zeros, "mask": zeros > 0}

    def change_arrivals(self, arrivals, *, draw, own, round_index):
        return dataclasses.replace(arrivals, **own), dict(vars(arrivals))


@pytest.mark.parametrize(
    ("make", "check", "expectation"),
    [
        (Oddless, "check_odds", "expected no exception, not NotImplementedError: no odds here (test_broken_comp"),
        (Unnormalised, "check_odds", "that sum to 1"),
        (GlobalNoise, "check_draws", "equal draws from generators of the same seed"),
        (Leaky, "check_gradient", "a gradient of the training form"),
        (Soft, "check_execution_form", "at most vocabulary=2 values"),
        (Free, "check_bits", "of every message that is sent"),
        (Echo, "check_babble", "does not depend on the channel input"),
        (Unshifted, "check_shifted", "shifted by 1"),
        (Averageless, "check_expected", "expected_payload of shape [64, 3, 2], not [64, 3, 4]"),
        (functools.partial(Warm, gradient="gumbel"), "check_saved", "must lie in a buffer"),
        (functools.partial(Late, DRU()), "check_state", "after 1 env steps"),
        (functools.partial(Hoarder, DRU()), "check_state", "nothing carried into another episode"),
    ],
)  # fmt: skip
def test_channels(make: Any, check: str, expectation: str) -> None:
    name = getattr(make, "__name__", None) or make.func.__name__
    fails(lambda: check_channel(make), name, f"fails {check}: expected", expectation)


def test_a_channel_that_keeps_its_promises_passes() -> None:
    check_channel(functools.partial(build_channel, "gated+noisy+symbols", {"vocabulary": 3}))


# ---- models ---------------------------------------------------------------------------------------------------------


class Dicey(Feedforward):
    def act(self, hidden):
        return super().act(hidden) + torch.rand(hidden.shape[:-1]).unsqueeze(-1) * torch.arange(self.spec.action_inputs)


class Peeping(Feedforward):
    """Looks at what the first of all agents sees in another copy."""

    def encode(self, inputs):
        return super().encode(inputs) + inputs.state.mean(-1)[..., None, None]


class Mixing(Feedforward):
    def perceive(self, features, memory, inbox):
        found = super().perceive(features, memory, inbox)
        return dataclasses.replace(found, hidden=found.hidden - found.hidden.mean(0, keepdim=True))


class Forgetful(CNet):
    """Says that it remembers, and does not."""

    def perceive(self, features, memory, inbox):
        found = super().perceive(features, torch.zeros_like(memory), inbox)
        return dataclasses.replace(found, memory=torch.zeros_like(memory))


class Narrow(Feedforward):
    def __init__(self, spec, *, size: int = 16):
        super().__init__(spec, size=size)
        self.hidden_size = size + 1


@pytest.mark.parametrize(
    ("make", "check", "expectation"),
    [
        (functools.partial(Dicey, size=16), "check_unrolling", "again from its draws"),
        (functools.partial(Peeping, size=16), "check_knowledge", "agents that know only what they see"),
        (functools.partial(Mixing, size=16), "check_copies_apart", "do not change with the others beside them"),
        (functools.partial(Forgetful, size=16), "check_memory", "memory_size > 0 exactly where"),
        (functools.partial(Narrow, size=16), "check_sizes", "hidden of 17 numbers, not 16"),
    ],
)
def test_models(make: Any, check: str, expectation: str) -> None:
    fails(lambda: MODEL_CHECKS[check](make), f"{make.func.__name__}(size=16) fails {check}: expected", expectation)


# ---- topologies -----------------------------------------------------------------------------------------------------


class Twice(Topology):
    """Everyone hears agent 0 twice."""

    def pattern(self, step: TeamStep) -> Edges:
        shape = (1, step.speaking.shape[1], 2)
        return Edges(senders=torch.zeros(shape, dtype=torch.long), mask=torch.ones(shape, dtype=torch.bool))


class Moving(Topology):
    """Draws whom one hears, and calls itself static."""

    def pattern(self, step: TeamStep) -> Edges:
        return Edges(senders=None, mask=torch.rand(1, *step.speaking.shape[1:] * 2) < 0.5)


class Deaf(Topology):
    hears_nobody = True

    def pattern(self, step: TeamStep) -> Edges:
        number = step.speaking.shape[1]
        return Edges(senders=None, mask=~torch.eye(number, dtype=torch.bool)[None])


class Lawless(Deaf):
    hears_nobody = False
    yields_to_env = True

    def pattern(self, step: TeamStep) -> Edges:
        number = step.speaking.shape[1]
        if step.hearing is not None:
            step.hearing.mask[:] = False
        return Edges(senders=None, mask=torch.ones(1, number, number, dtype=torch.int64))


@pytest.mark.parametrize(
    ("make", "check", "expectation"),
    [
        (Twice, "check_edges", "nobody to hear another twice"),
        (Moving, "check_static", "the same edges of the same step"),
        (Deaf, "check_edges", "as it declares hears_nobody"),
        (Lawless, "check_edges", "a mask of torch.bool, not torch.int64"),
    ],
)
def test_topologies(make: Any, check: str, expectation: str) -> None:
    fails(lambda: check_topology(make), f"{make.__name__} fails {check}: expected", expectation)


# ---- losses ---------------------------------------------------------------------------------------------------------


class Summed(AuxiliaryLoss):
    def forward(self, batch: LossBatch) -> Tensor:
        return -batch.unrolled.action_log_prob.sum()


class Endless(AuxiliaryLoss):
    """Learns from what is seen when the episode is over, too."""

    def forward(self, batch: LossBatch) -> Tensor:
        seen = next(iter(batch.rollout.observations.values()))
        seen = seen["clock"] if isinstance(seen, dict) else seen
        return seen.float().mean() * batch.unrolled.action_entropy.mean()


class Restless(AuxiliaryLoss):
    def forward(self, batch: LossBatch) -> Tensor:
        return random.random() * batch.unrolled.action_entropy.mean()


class Wordy(AuxiliaryLoss):
    """Does not say that it needs symbols."""

    def forward(self, batch: LossBatch) -> Tensor:
        return batch.team.channel.symbol_log_probs(batch.unrolled.channel_inputs[0]).mean()


def idle(batch: LossBatch) -> Tensor:
    return batch.rollout.rewards.mean()


def many(batch: LossBatch) -> Tensor:
    return batch.unrolled.action_entropy.mean(-1)


@pytest.mark.parametrize(
    ("make", "check", "expectation"),
    [
        (Summed, "check_mean", "of a batch of everything twice"),
        (Endless, "check_valid_steps", "steps after the end of an episode not to count"),
        (Restless, "check_repeatable", "the same value of the same batch"),
        (Wordy, "check_value", "NotImplementedError: Continuous has no symbols"),
        (idle, "check_loss_gradient", "a gradient that is not 0"),
        (many, "check_value", "one number on channel 'dru' in speaker_listener"),
    ],
)
def test_losses(make: Any, check: str, expectation: str) -> None:
    fails(lambda: LOSS_CHECKS[check](make), f"{make.__name__} fails {check}: expected", expectation)


def test_a_function_and_one_that_declares_what_it_needs_pass() -> None:
    class Honest(Wordy):
        needs_symbol_log_probs = True

        def forward(self, batch: LossBatch) -> Tensor:
            if batch.team.silent:
                return torch.zeros(())
            said = batch.rollout.speaking & batch.rollout.valid.unsqueeze(-1) & batch.team.talks
            log_probs = batch.team.channel.symbol_log_probs(batch.unrolled.channel_inputs[0])
            return torch.where(said, log_probs[..., 0].mean(-1), 0.0).sum() / said.sum().clamp(min=1)

    check_loss(Honest, env=SpeakerListener)


def test_all_checks_are_run() -> None:
    fails(lambda: check_model(functools.partial(Narrow, size=16)), "Narrow(size=16) fails check_sizes")
    fails(lambda: check_loss(many, env=SpeakerListener), "many fails check_value")


# ---- measures and recipes -------------------------------------------------------------------------------------------


def greatest(messages: Any, meanings: Any) -> float:
    return float(max(symbol for row in messages for symbol in row) - len(meanings))


def never(messages: Any) -> float:
    return math.nan


def lenient(messages: Any) -> float:
    return entropy(messages) if len(messages) else 0.0


def of_lists(messages: list[list[int]]) -> float:
    return entropy(messages) if isinstance(messages, list) else 0.0


FORGETFUL = Measure(
    name="forgetful", function=mutual_information,
    resampling=resampled_by(lambda said: mutual_information(said.words.ids(), said.meant) + 1.0, whole=True),
)  # fmt: skip


def of_teapots(teapots: Any) -> float:
    return float(len(teapots))


@pytest.mark.parametrize(
    ("measure", "check", "expectation"),
    [
        (Measure(name="beyond", function=entropy, range=(0.0, 1.0)), "check_declaration", "a value from 0.0 to 1.0"),
        (FORGETFUL, "check_resampling", "in another order, not"),
        (of_teapots, "check_result", "or one that declares an example"),
        (greatest, "check_names", "the same of other names"),
        (never, "check_result", "finite numbers"),
        (lenient, "check_refusals", "ValueError where there is no message"),
        (of_lists, "check_kinds_of_rows", "of arrays the same as of lists"),
    ],
)
def test_measures(measure: Any, check: str, expectation: str) -> None:
    name = measure.name if isinstance(measure, Measure) else measure.__name__
    fails(lambda: check_measure(measure), f"{name} fails {check}: expected", expectation)


speaker_listener_dru = registry.load("recipe", "speaker_listener_dru")


def misnamed() -> Recipe:
    return speaker_listener_dru()


def aimless() -> Recipe:
    return dataclasses.replace(speaker_listener_dru(), name="aimless", target={})


def impossible() -> Recipe:
    settings = {**speaker_listener_dru().settings, "channel_settings": {"bitz": 3}}
    return dataclasses.replace(speaker_listener_dru(), name="impossible", settings=settings)


@pytest.mark.parametrize(
    ("recipe", "check", "expectation"),
    [
        (misnamed, "check_goal", "the name of its function, 'misnamed', not 'speaker_listener_dru'"),
        (aimless, "check_goal", "a goal, in target or at_most"),
        (impossible, "check_trainable", "UnknownNameError: unknown setting of channel 'dru' 'bitz'"),
    ],
)
def test_recipes(recipe: Any, check: str, expectation: str) -> None:
    fails(lambda: check_recipe(recipe), f"{recipe.__name__} fails {check}: expected", expectation)
