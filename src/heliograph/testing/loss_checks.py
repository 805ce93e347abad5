"""Checks of an auxiliary loss in small teams.

`make_loss` is a class (or `functools.partial(MyLoss, size=8)`), called with a team, or a function of a `LossBatch`.
`env` is a game that it can be computed in, a class of environments, where it is none of the usual ones.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from heliograph.experiments.choices import TeamChoices
from heliograph.losses.base import LossBatch
from heliograph.rollouts.rollout import Rollout, concatenate
from heliograph.rollouts.sampler import Sampler
from heliograph.testing.contract import MakeEnv, component_check, expect
from heliograph.testing.small_teams import ENVS, small_team
from heliograph.types import map_tensors, tensors_of

CHANNELS: dict[str, dict[str, Any]] = {
    "dru": {},
    "symbols": {"gradient": "score"},
    "continuous": {},
    "gated+dru": {},
    "none": {},
}
"""With and without symbols, gradients, silence, and messages at all."""
GAMES = ("speaker_listener", "switch_riddle", "mixed")
ROUNDING = 1e-4


@component_check
def check_value(make_loss: Any, *, env: MakeEnv | None = None) -> None:
    """One finite number on every channel that has what the loss declares to need.

    One that needs symbols or silence is 0 where nothing is carried: there is neither.
    """
    of_messages = _needs(make_loss, "needs_symbol_log_probs") or _needs(make_loss, "needs_silence")
    for channel, sampler, where in _samplers(make_loss, env):
        value = _loss_for(make_loss, sampler)(_batch(sampler, sampler.fragment(6)))
        _expect_number(value, where)
        expect(channel != "none" or not of_messages or float(value) == 0.0, f"0 {where}, where nothing is carried")


@component_check
def check_loss_gradient(make_loss: Any, *, env: MakeEnv | None = None) -> None:
    """Somebody is taught on some channel: weights of the team, or networks of the loss."""
    felt = []
    for channel, sampler, _ in _samplers(make_loss, env):
        loss = _loss_for(make_loss, sampler)
        value = loss(_batch(sampler, sampler.fragment(6)))
        weights = [*sampler.team.parameters(), *(loss.parameters() if isinstance(loss, nn.Module) else ())]
        weights = [weight for weight in weights if weight.requires_grad]
        found = torch.autograd.grad(value, weights, allow_unused=True) if value.requires_grad else ()
        gradients = [gradient for gradient in found if gradient is not None]
        expect(
            all(torch.isfinite(gradient).all() for gradient in gradients), f"finite gradients on channel {channel!r}"
        )
        felt.append(any(bool(gradient.any()) for gradient in gradients))
    expect(any(felt), "a gradient that is not 0, to the team or to networks of its own, on some channel")


@component_check
def check_repeatable(make_loss: Any, *, env: MakeEnv | None = None) -> None:
    """The same batch and random stream give the same value, and the batch stays as it was."""
    for _, sampler, where in _samplers(make_loss, env):
        loss, batch = _loss_for(make_loss, sampler), _batch(sampler, sampler.fragment(6))
        before = [tensor.detach().clone() for tensor in tensors_of(batch.rollout)]
        values = [_seeded(loss, batch) for _ in range(2)]
        expect(torch.equal(*values), f"the same value of the same batch {where}, not {values}")
        pairs = zip(before, tensors_of(batch.rollout), strict=True)
        expect(all(torch.equal(one, other) for one, other in pairs), "a rollout that the loss leaves as it is")


@component_check
def check_mean(make_loss: Any, *, env: MakeEnv | None = None) -> None:
    """A mean: a batch of everything twice has the same value, so that coefficients mean the same at every size."""
    for _, sampler, where in _samplers(make_loss, env):
        loss, rollout = _loss_for(make_loss, sampler), sampler.fragment(6)
        once = _seeded(loss, _batch(sampler, rollout))
        twice = _seeded(loss, _batch(sampler, concatenate([rollout, rollout])))
        words = f"the same value {where} of a batch of everything twice ({float(twice):.5f}), not {float(once):.5f}"
        expect(torch.allclose(once, twice, atol=ROUNDING, rtol=ROUNDING), words)


@component_check
def check_valid_steps(make_loss: Any, *, env: MakeEnv | None = None) -> None:
    """Return what comes after the end of an episode does not count: mask with `rollout.valid`."""
    for _, sampler, where in _samplers(make_loss, env, copies=32):
        rollout = sampler.episodes()
        late = ~rollout.valid
        if not bool(late.any()):
            continue
        loss, batch = _loss_for(make_loss, sampler), _batch(sampler, rollout)
        before = _seeded(loss, batch)
        noise = map_tensors(lambda seen, late=late: _late_changed(seen, late), rollout.observations)
        batch.rollout.observations = noise
        rollout.meaning = torch.where(late[..., None, None], 0, rollout.meaning)
        after = _seeded(loss, batch)
        expect(torch.allclose(before, after, atol=ROUNDING), f"steps after the end of an episode not to count {where}")


def _late_changed(seen: Tensor, late: Tensor) -> Tensor:
    """Observations `[T + 1, B, ...]` with others where the step is over, those to bootstrap from as they are."""
    changed = seen.clone()
    changed[:-1][late] = 1 - changed[:-1][late] if seen.dtype != torch.uint8 else 255 - changed[:-1][late]
    return changed


def _samplers(make_loss: Any, env: MakeEnv | None, *, copies: int = 6) -> Iterator[tuple[str, Sampler, str]]:
    """Teams on every channel that has what the loss needs, in every game, and how to call them."""
    games: dict[str, Callable[..., Any]] = {name: ENVS[name] for name in GAMES} if env is None else {"its game": env}
    for channel, settings in CHANNELS.items():
        for game, make in games.items():
            world = make(num_envs=copies, seed=0)
            choices = TeamChoices(channel=channel, channel_settings=settings, model_settings={"size": 16})
            team = small_team(world, choices)
            carries = not team.silent
            if carries and _needs(make_loss, "needs_symbol_log_probs") and team.channel.vocabulary is None:
                continue
            if carries and _needs(make_loss, "needs_silence") and not team.channel.can_say_less:
                continue
            sampler = Sampler(world, team, seed=0)
            sampler.asks_oracle = _needs(make_loss, "needs_oracle")
            yield channel, sampler, f"on channel {channel!r} in {game}"


def _needs(make_loss: Any, need: str) -> bool:
    given = make_loss.func if isinstance(make_loss, functools.partial) else make_loss
    return bool(getattr(given, need, False))


def _loss_for(make_loss: Any, sampler: Sampler) -> Any:
    """A loss for a team; its weights come from a seed of their own."""
    given = make_loss.func if isinstance(make_loss, functools.partial) else make_loss
    if not isinstance(given, type):
        return make_loss
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make_loss(sampler.team)


def _batch(sampler: Sampler, rollout: Rollout) -> LossBatch:
    return LossBatch(rollout=rollout, unrolled=sampler.team.unroll(rollout), team=sampler.team)


def _seeded(loss: Any, batch: LossBatch) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        value = loss(batch).detach()
    return value


def _expect_number(value: Any, where: str) -> None:
    shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
    expect(shape == [], f"one number {where}, a tensor of shape [], not {shape}")
    expect(value.is_floating_point() and torch.isfinite(value), f"a finite number {where}, not {value}")
