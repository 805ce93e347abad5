"""Networks run only in steps in which somebody takes part."""

import torch

from heliograph.team.participation import Participation, presence_in, present_now
from tests.parts import make_sampler


def test_of_two_who_take_turns_each_is_present_in_its_own() -> None:
    sampler = make_sampler("speaker_listener", copies=4, channel="dru")
    team, rollout = sampler.team, sampler.fragment(sampler.env.horizon)
    horizon = rollout.num_steps
    turns = [bool(t % 2) for t in range(horizon)]
    found = presence_in(rollout, team.layout)
    assert found["speaker"].steps == (*(not turn for turn in turns), False)
    assert found["listener"].steps == (*turns, False)
    assert found["listener"].span == slice(1, horizon)
    assert present_now(rollout.observing[0], team.layout) == {"speaker": True, "listener": False}


def test_the_step_to_bootstrap_from_counts_where_a_part_goes_on() -> None:
    sampler = make_sampler("speaker_listener", copies=4, channel="dru")
    rollout = sampler.fragment(sampler.env.horizon - 1)
    assert presence_in(rollout, sampler.team.layout)["listener"].steps[-1]


def test_encoders_see_no_other_steps() -> None:
    sampler = make_sampler("speaker_listener", copies=4, channel="dru")
    rollout = sampler.fragment(sampler.env.horizon)
    seen: list[tuple[int, ...]] = []
    sampler.team.policies["speaker"].model.torso.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape)))
    sampler.team.unroll(rollout)
    assert [shape[0] for shape in seen] == [sampler.env.horizon - 1]


def test_values_are_padded_with_zeros() -> None:
    here = Participation(steps=(False, True, True, False))
    assert here.padded(torch.ones(2, 3), num_steps=4).sum(1).tolist() == [0, 3, 3, 0]
    nowhere = Participation(steps=(False, False))
    assert nowhere.span == slice(0, 0)
    assert nowhere.padded(torch.ones(0, 3), num_steps=2).tolist() == [[0, 0, 0], [0, 0, 0]]
