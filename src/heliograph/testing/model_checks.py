"""Checks of a model in small teams: sizes, and that unrolling a rollout repeats what was done.

`make_model` takes a `ModelSpec` and returns a fresh model: a class with default settings will do, or
`functools.partial(MyModel, size=16)`, as small as you can.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from heliograph.experiments.choices import TeamChoices
from heliograph.models.base import Model, ModelSpec
from heliograph.models.structure import Sizes, where_agents
from heliograph.rollouts.sampler import Sampler
from heliograph.team.inbox import by_step
from heliograph.team.inputs import recorded_inputs
from heliograph.team.policy import Policy
from heliograph.team.present_rows import perceived_rows, rows_by_step
from heliograph.testing.contract import component_check, expect
from heliograph.testing.small_teams import ENVS, all_close, seeded, small_sampler, steps_of
from heliograph.types import Heard, Timing, Tree, tensors_of

MakeModel = Callable[[ModelSpec], Model]

CHANNELS: dict[str, dict[str, Any]] = {
    "dru": {},
    "symbols": {"gradient": "score"},
    "continuous": {"gradient": "pathwise"},
    "none": {},
}
"""One channel of each kind of gradient."""


def sampler_of(make_model: MakeModel, env: str, channel: str = "dru", *, copies: int = 6, **more: Any) -> Sampler:
    """A team of the model in one of the small environments."""
    own = {key: more.pop(key) for key in ("topology",) if key in more}
    choices = TeamChoices(model=make_model, channel=channel, channel_settings=CHANNELS[channel], **own)
    return small_sampler(env, choices, copies=copies, **more)


@component_check
def check_sizes(make_model: MakeModel) -> None:
    """Hidden features, memory, channel inputs and actions have the declared sizes, in every environment."""
    for env in ENVS:
        sampler = sampler_of(make_model, env)
        unrolled = sampler.team.unroll(sampler.fragment(3))
        *_, (_, state) = steps_of(sampler.env, sampler.team, number=3)
        for name, policy in sampler.team.policies.items():
            model, hidden = policy.model, unrolled.before[name]
            expect(isinstance(model.timing, Timing) and model.rounds >= 1, "timing and at least one round")
            _expect_sizes("hidden", hidden, model.hidden_size)
            _expect_last("act(hidden)", model.act(hidden), model.spec.action_inputs)
            _expect_sizes("memory", state.memory[name], model.memory_size)
            if policy.communicates:
                _expect_channel_inputs(policy, hidden)


def _expect_channel_inputs(policy: Policy, hidden: Tree) -> None:
    spec = policy.model.spec
    assert policy.message_encoder is not None and policy.message_decoder is not None
    _expect_last(
        "build_message_encoder(...) of speak(hidden)",
        policy.channel_input(hidden, round_index=0),
        spec.channel_input_size,
    )
    payload = torch.zeros(*tensors_of(hidden)[0].shape[:-1], spec.payload_size)
    heard = policy.message_decoder(payload)
    expect(heard.shape[:-1] == payload.shape[:-1], "build_message_decoder(...) to keep all axes but the last")


def _expect_sizes(name: str, value: Tree, sizes: Sizes) -> None:
    if isinstance(sizes, int):
        expect(isinstance(value, Tensor), f"{name} to be one vector, as {name}_size={sizes} says")
        _expect_last(name, value, sizes)
        return
    keys = sorted(value) if isinstance(value, dict) else "one vector"
    expect(keys == sorted(sizes), f"{name} to be a dict of {sorted(sizes)}, as {name}_size says, not {keys}")
    for key, size in sizes.items():
        _expect_last(f"{name}[{key!r}]", value[key], size)


def _expect_last(name: str, value: Tensor, size: int) -> None:
    expect(value.shape[-1] == size, f"{name} of {size} numbers, not {value.shape[-1]}")


@component_check
def check_unrolling(make_model: MakeModel) -> None:
    """Unrolling a rollout repeats its log-probabilities and messages, in every environment and on every channel."""
    for env in ENVS:
        for channel in CHANNELS:
            sampler = sampler_of(make_model, env, channel)
            sampler.fragment(5)
            rollout = sampler.fragment(10)
            unrolled = sampler.team.unroll(rollout)
            where = f"in {env} on channel {channel!r} again from its draws, and no other randomness"
            expect(
                all_close(unrolled.action_log_prob, rollout.action_log_prob),
                f"the action_log_prob of a rollout {where}",
            )
            expect(all_close(unrolled.message_log_prob, rollout.message_log_prob), f"the message_log_prob {where}")
            for now, then in zip(unrolled.messages, rollout.messages, strict=True):
                said = rollout.speaking & sampler.team.talks
                expect(all_close(now.payload[said], then.payload[said]), f"the messages of a rollout {where}")
            all_of_it = [unrolled.before, unrolled.after, unrolled.action_entropy, unrolled.message_entropy]
            expect(all(torch.isfinite(x).all() for x in tensors_of(all_of_it)), "finite numbers")


@component_check
def check_copies_apart(make_model: MakeModel) -> None:
    """Copies do not mix: unrolling some of them gives what it gives for all."""
    for env in ENVS:
        sampler = sampler_of(make_model, env)
        rollout, some = sampler.fragment(9), torch.tensor([4, 1])
        whole, part = sampler.team.unroll(rollout), sampler.team.unroll(rollout.select(some))
        same = all_close(whole.action_log_prob[:, some], part.action_log_prob)
        expect(same, f"copies of {env} that do not change with the others beside them")


@component_check
def check_final_features(make_model: MakeModel) -> None:
    """Compare features of final observations with those of the next step, where an episode goes on.

    A value is asked of them.
    """
    for env, limit in (("speaker_listener", 5), ("switch_riddle", 2), ("mixed", 5)):
        sampler = sampler_of(make_model, env, copies=24, time_limit=limit)
        sampler.epsilon = 0.5  # so that not all episodes end before they are cut
        sampler.fragment(2)
        rollout = sampler.fragment(12)
        unrolled = sampler.team.unroll(rollout)
        assert unrolled.final is not None
        goes_on = rollout.observing[1:] & ~(rollout.terminated | rollout.truncated).any(-1, keepdim=True)
        for policy in sampler.team.layout.policies:
            mask = goes_on[:, :, sampler.team.layout.slots(policy)]
            final, following = (tensors_of(found[policy]) for found in (unrolled.final, unrolled.before))
            same = all(all_close(a[mask], b[1:][mask]) for a, b in zip(final, following, strict=True))
            expect(same, f"features of {policy!r} in {env} that the next step has too")


@component_check
def check_agents_apart(make_model: MakeModel) -> None:
    """A model that is `row_by_row` makes of rows of some agents what it makes of them among all."""
    for env in ENVS:
        sampler = sampler_of(make_model, env)
        sampler.fragment(4)
        rollout, layout, draw = sampler.fragment(3), sampler.team.layout, seeded(3)
        for name, policy in sampler.team.policies.items():
            model, num_agents = policy.model, len(layout.seats[name].slots)
            if not model.row_by_row:
                continue
            some = torch.rand(rollout.num_envs, num_agents, generator=draw) < 0.5
            memory = rollout.initial.memory[name]
            inbox = None
            if policy.communicates and model.timing is Timing.NEXT_STEP:
                mask = torch.rand(*some.shape, 3, generator=draw) < 0.5
                inbox = Heard(messages=torch.rand(*mask.shape, model.message_size, generator=draw), mask=mask)
            inputs = recorded_inputs(layout, name, rollout, steps=slice(2, 3))
            (rows,) = rows_by_step(policy, inputs, some.unsqueeze(0))
            (features,) = by_step(policy.encode(inputs))
            expected = model.perceive(features, memory, inbox)
            found, hidden = perceived_rows(model, rows, memory, inbox)
            where = f"of some agents in {env}, as row_by_row promises"
            expect(_alike(hidden.rows, rows.taken(expected.hidden)), f"the same hidden features {where}")
            expect(_alike(found.memory, where_agents(some, expected.memory, memory)), f"the same memory {where}")


def _alike(one: Tree, other: Tree) -> bool:
    return all(all_close(a, b) for a, b in zip(tensors_of(one), tensors_of(other), strict=True))
