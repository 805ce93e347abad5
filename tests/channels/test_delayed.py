"""Delays: a message arrives exactly so many steps after it was said, once, and never in another episode."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.experiments.choices import build_channel
from heliograph.rollouts.split_episodes import folded
from heliograph.testing.small_teams import steps_of
from heliograph.types import Choice, tensors_of
from tests.channels.arrivals import Queue, built, inboxes, message, step_by_step, stream, transited
from tests.parts import Chatter, make_sampler, make_team, replaced

YES, NO = True, False


def test_four_steps_by_hand() -> None:
    """Two agents, two steps late. Agent 1 is silent in step 1; the part of agent 0 ends after step 1."""
    speaking = torch.tensor([[[YES, YES]], [[YES, NO]], [[YES, YES]], [[YES, YES]], [[YES, YES]], [[NO, NO]]])
    ended = torch.zeros(6, 1, 2, dtype=torch.bool)
    ended[1, 0, 0] = True
    said = [(message(torch.tensor([[[10.0 + t], [20.0 + t]]]), bits=float(t)), speaking[t]) for t in range(6)]
    found = transited(built("delayed", steps=2), said, ended=ended)
    assert [a.mask.tolist()[0] for a in found] == [[NO, NO], [NO, NO], [NO, YES], [NO, NO], [YES, YES], [YES, YES]]
    assert [a.payload[0, 1, 0].item() for a in found[2:]] == [20.0, 21.0, 22.0, 23.0]
    assert [a.payload[0, 0, 0].item() for a in found[4:]] == [12.0, 13.0]
    assert [a.bits[0, 1].item() for a in found[2:]] == [0.0, 1.0, 2.0, 3.0]


@settings(deadline=None, max_examples=60)
@given(
    steps=st.integers(1, 4),
    flags=st.lists(st.tuples(*[st.booleans()] * 6), min_size=1, max_size=9),
)
def test_whatever_is_said_arrives_once_or_its_speaker_has_left(steps: int, flags: list[tuple[bool, ...]]) -> None:
    speaking, ended = torch.tensor(flags).view(-1, 2, 1, 3).transpose(0, 1)
    said = [(message(torch.full((1, 3, 1), float(t))), speaking[t]) for t in range(len(flags))]
    found = transited(built("delayed", steps=steps), said, ended=ended)
    for t, arrivals in enumerate(found):
        for n in range(3):
            due = t >= steps and bool(speaking[t - steps, 0, n]) and not bool(ended[t - steps : t, 0, n].any())
            assert bool(arrivals.mask[0, n]) == due
            assert not due or arrivals.payload[0, n, 0] == t - steps


def test_delays_add_up() -> None:
    channel = build_channel("delayed+garbled+delayed+dru", {"steps": 2})
    assert channel.delay_env_steps == 4
    said = [(message(torch.full((1, 2, 2), float(t))), torch.ones(1, 2, dtype=torch.bool)) for t in range(6)]
    found = transited(channel, said)
    assert [bool(a.mask.all()) for a in found] == [NO, NO, NO, NO, YES, YES] and (found[5].payload == 1).all()


def test_rounds_have_queues_of_their_own() -> None:
    channel = built("delayed", steps=1)
    state = channel.initial_state(1, 1, torch.device("cpu"), rounds=2)
    everyone = torch.ones(1, 1, dtype=torch.bool)
    for t in range(3):
        for r in range(2):
            words = message(torch.full((1, 1, 1), 10.0 * t + r))
            draw = {"said": torch.zeros(1, 1, 1)}
            arrivals, state = channel.transit(words, speaking=everyone, draw=draw, state=state, round_index=r)
            assert bool(arrivals.mask) == (t > 0)
            assert t == 0 or arrivals.payload.item() == 10.0 * (t - 1) + r


@pytest.mark.parametrize("env", ["mixed", "predator_prey", "switch_riddle"])
@pytest.mark.parametrize("steps", [1, 3])
def test_inboxes_of_teams_over_the_ends_of_episodes(env: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stepped and unrolled, every inbox holds what plain loops over the recorded messages put there, and no more."""
    limit = {"env": {"time_limit": 5}} if env == "predator_prey" else {}
    sampler = make_sampler(env, copies=4, channel="delayed+dru", channel_settings={"steps": steps}, **limit)
    rollout, states = step_by_step(sampler, 20)
    ended = rollout.terminated | rollout.truncated
    assert ended.any() and (env != "mixed" or not rollout.speaking.all())
    unrolled = sampler.team.unroll(rollout)
    if env != "switch_riddle":  # there the environment decides who hears whom, anew in every step
        inbox = unrolled.steps[0].state.inbox
        hearers = rollout.static_edges.mask.expand(4, -1, -1)
        expected = inboxes(Queue(rollout, delay=steps), hearers=hearers)
        for step, waiting in zip(unrolled.steps, expected, strict=True):
            inbox = step.state.inbox
            assert {tuple(key) for key in inbox.mask.nonzero().tolist()} == set(waiting)
            for (b, hearer, sender), payload in waiting.items():
                held = inbox.payload[b, sender] if inbox.payload.dim() == 3 else inbox.payload[b, hearer, sender]
                assert torch.allclose(held, payload, atol=1e-6)
    assert torch.allclose(unrolled.action_log_prob, rollout.action_log_prob, atol=1e-5)
    for module in ("act", "unroll"):  # what absent agents would say is nobody's
        monkeypatch.setattr(f"heliograph.team.{module}.worth_packing", lambda model, observing: False)
    for t, (step, expected) in enumerate(zip(sampler.team.unroll(rollout).steps, states, strict=True)):
        edges = rollout.static_edges or dataclasses.replace(
            rollout.edges, senders=rollout.edges.senders[t], mask=rollout.edges.mask[t]
        )
        cut = sampler.team.cut(step.state, ended[t], edges)
        found = {"channel": cut.channel, "waiting": cut.inbox.mask}
        for mine, theirs in zip(tensors_of(found), tensors_of(expected), strict=True):
            assert torch.allclose(mine.float(), theirs.float(), atol=1e-6)


def test_what_others_say_before_an_episode_ends_changes_nothing_after_it() -> None:
    """Two copies differ in what was said in the last steps of their episodes, and in nothing after them."""
    for ending, same in ((True, True), (False, False)):
        sampler = make_sampler("mixed", copies=2, channel="delayed+dru", channel_settings={"steps": 2})
        team = sampler.team
        step, state = steps_of(sampler.env, team, number=2)[1]
        step = replaced(step, speaking=torch.ones_like(step.speaking), observing=torch.ones_like(step.observing))
        found = []
        for seed in (1, 2):
            said = team.step(step, state, generator=stream(seed))
            everyone = torch.full_like(step.terminated, ending)
            now = team.cut(said.state, everyone, said.edges)
            now = dataclasses.replace(now, memory=state.memory, inbox=state.inbox, last_action=state.last_action)
            for _ in range(2):
                acted = team.step(step, now, generator=stream(3), choice=Choice.GREEDY)
                now = dataclasses.replace(acted.state, memory=state.memory, last_action=state.last_action)
            inbox = acted.state.inbox
            found.append(inbox.payload * inbox.mask.unsqueeze(-1))
        assert torch.equal(*found) == same


@pytest.mark.parametrize("model", ["cnet", Chatter])
def test_a_hearer_hears_late(model) -> None:
    """On a channel that delays by two, what is said moves the hearer two steps later than it does without."""
    heard_in = {}
    for delay in (0, 2):
        name = "delayed+dru" if delay else "dru"
        extra = {"channel_settings": {"steps": 2}} if delay else {}
        sampler = make_sampler("identity", copies=8, model=model, channel=name, **extra)
        step, state = steps_of(sampler.env, sampler.team, number=1)[0]
        speaks = replaced(
            step, speaking=torch.tensor([[True, False]]).expand(8, 2), acting=torch.ones_like(step.acting)
        )
        hears = replaced(speaks, speaking=torch.zeros_like(step.speaking))
        found = []
        for seed in (1, 2):
            acted, now = [], state
            for t in range(5):
                seen, noise = (hears, stream(9)) if t else (speaks, stream(seed))
                acted.append(sampler.team.step(seen, now, generator=noise, choice=Choice.GREEDY))
                now = acted[-1].state
            found.append([a.action_log_prob[:, 1] for a in acted])
        differs = [not torch.equal(one, two) for one, two in zip(*found, strict=True)]
        heard_in[delay] = differs.index(True)
    assert heard_in[2] == heard_in[0] + 2


def test_gradients_flow_back_to_the_step_in_which_a_message_was_said() -> None:
    sampler = make_sampler("mixed", channel="delayed+dru", channel_settings={"steps": 3}, copies=8)
    rollout = sampler.fragment(6)
    unrolled = sampler.team.unroll(rollout)
    late = unrolled.after["driver"][4].sum()
    slopes = torch.autograd.grad(late, [step.channel_inputs[0] for step in unrolled.steps[:4]], allow_unused=True)
    assert [slope is not None and bool(slope.abs().sum() > 0) for slope in slopes] == [YES, NO, NO, NO]


def test_what_is_on_its_way_keeps_episodes_from_being_folded() -> None:
    rollout = make_sampler("identity", channel="delayed+dru").fragment(8)
    assert folded(rollout) is rollout
    plain = make_sampler("identity", channel="dru").fragment(8)
    assert folded(plain).num_steps == 2


def test_queues_are_cut_and_shuffled_with_their_copies() -> None:
    sampler = make_sampler("mixed", channel="delayed+dru", channel_settings={"steps": 2}, copies=6)
    sampler.fragment(5)
    rollout = sampler.fragment(7)
    part = rollout.select(torch.tensor([4, 1]))
    whole, some = (sampler.team.unroll(r).action_log_prob for r in (rollout, part))
    assert torch.allclose(whole[:, [4, 1]], some, atol=1e-5)
    assert (rollout.initial.channel["own"][0].mask.any(1)).any(), "nothing was on its way"


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_bad_settings_are_refused(steps) -> None:
    with pytest.raises(ValueError, match=f"steps={steps}.* whole number"):
        build_channel("delayed+dru", {"steps": steps})


def test_teams_on_a_channel_that_delays_are_built_by_name() -> None:
    sampler = make_sampler("identity", channel="delayed+dru")
    assert make_team(sampler.env, channel="delayed+dru").channel.steps == 1
