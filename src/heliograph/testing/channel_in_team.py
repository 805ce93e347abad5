"""Checks of a channel in a small team: unrolling repeats what was done, speakers are taught, losses can be computed."""

import torch

from heliograph import registry
from heliograph.experiments.choices import TeamChoices
from heliograph.experiments.compatibility import build_loss
from heliograph.losses.base import LossBatch
from heliograph.testing.channel_checks import MakeChannel, made_channel
from heliograph.testing.contract import component_check, expect
from heliograph.testing.small_teams import small_sampler
from heliograph.types import Gradient

__all__ = ["check_first_ratio", "check_losses", "check_speakers_learn"]

RATIO = 1e-5


def _choices(make_channel: MakeChannel, *, model: str = "cnet", **settings: str) -> TeamChoices:
    return TeamChoices(model=model, model_settings={"size": 16, **settings}, channel=make_channel)


@component_check
def check_first_ratio(make_channel: MakeChannel) -> None:
    """A rollout computed again from its draws is the same, whether messages are heard in the step or in the next."""
    for choices in (_choices(make_channel), _choices(make_channel, model="commnet", core="mlp")):
        sampler = small_sampler("speaker_listener", choices)
        sampler.fragment(3)
        rollout = sampler.fragment(8)
        unrolled = sampler.team.unroll(rollout)
        for term in ("action_log_prob", "message_log_prob"):
            error = float(((getattr(unrolled, term) - getattr(rollout, term)).exp() - 1).abs().max().detach())
            words = f"the {term} of a rollout again from its draws, not {error:.1e} off with model {choices.model!r}"
            expect(error <= RATIO, words)


@component_check
def check_speakers_learn(make_channel: MakeChannel) -> None:
    """Listeners' loss teaches speakers where the gradient passes; where messages are actions their odds do."""
    channel = made_channel(make_channel)
    sampler = small_sampler("speaker_listener", _choices(make_channel))
    unrolled = sampler.team.unroll(sampler.fragment(2 * (1 + channel.delay_env_steps) + 4))
    speaker = list(sampler.team.policies["speaker"].parameters())
    passes = channel.gradient is Gradient.PATHWISE and not channel.is_garbled
    for term, agent, expected in (("action_log_prob", 1, passes), ("message_log_prob", 0, channel.scored)):
        loss = getattr(unrolled, term)[..., agent].sum()
        found = torch.autograd.grad(loss, speaker, allow_unused=True, retain_graph=True) if loss.requires_grad else ()
        taught = any(bool(gradient.any()) for gradient in found if gradient is not None)
        words = "a gradient" if expected else "no gradient"
        expect(taught == expected, f"{words} of the {term} of agent {agent} to the speaker (agent 0)")


@component_check
def check_losses(make_channel: MakeChannel) -> None:
    """Every auxiliary loss of this package whose needs the channel meets is a finite number."""
    channel = made_channel(make_channel)
    sampler = small_sampler("speaker_listener", _choices(make_channel))
    sampler.asks_oracle = True
    rollout = sampler.fragment(6)
    batch = LossBatch(rollout=rollout, unrolled=sampler.team.unroll(rollout), team=sampler.team)
    for name in registry.names("loss"):
        needs = registry.load("loss", name)
        if needs.needs_symbol_log_probs and channel.vocabulary is None:
            continue
        if needs.needs_silence and not channel.can_say_less:
            continue
        try:
            loss = build_loss(name, sampler.team, {})
        except ValueError:  # it says by itself that this channel is none for it, such as one of too many messages
            continue
        value = loss(batch)
        expect(value.shape == () and torch.isfinite(value), f"loss {name!r} to be one finite number, not {value}")
