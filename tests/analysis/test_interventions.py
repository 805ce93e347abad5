"""Interventions replace what they say they do and nothing else; on a perfect code they have known effects."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.evaluate import evaluate, interventions_table, play_run
from heliograph.analysis.interventions import Messages, cycle_within, intervention, resampled, swapped
from heliograph.experiments.choices import build_env
from heliograph.types import Edges, Message, TeamStep
from tests.analysis.teams import collapsed, perfect_bits, scripted_run

GUESS = -1 / 3


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 1000))
def test_a_cycle_permutes_each_group_and_leaves_only_singletons(groups: list[int], seed: int) -> None:
    group = torch.tensor(groups)
    source = cycle_within(group, torch.rand(len(groups), generator=torch.Generator().manual_seed(seed)))
    assert sorted(source.tolist()) == list(range(len(groups)))
    assert torch.equal(group[source], group)
    stays = source == torch.arange(len(groups))
    assert stays.tolist() == [groups.count(g) == 1 for g in groups]


def test_every_cycle_is_equally_likely() -> None:
    generator = torch.Generator().manual_seed(0)
    counts: dict[tuple, int] = {}
    for _ in range(1200):
        source = tuple(cycle_within(torch.zeros(4, dtype=torch.long), torch.rand(4, generator=generator)).tolist())
        counts[source] = counts.get(source, 0) + 1
    assert len(counts) == math.factorial(3)
    assert min(counts.values()) > 140


def step_of(copies: int, **fields) -> TeamStep:
    env = build_env(scripted_run().env, num_envs=copies, seed=0)
    step = env.reset()
    for name, value in fields.items():
        setattr(step, name, value)
    return step


def numbered(copies: int) -> Message:
    """Each message is its own number."""
    ids = torch.arange(copies * 2).view(copies, 2)
    return Message(payload=ids[..., None].float(), symbols=ids[..., None], bits=ids.float())


FULL = Edges(senders=None, mask=~torch.eye(2, dtype=torch.bool)[None])


@pytest.mark.parametrize("make", [resampled, swapped])
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_messages_come_from_the_same_sender_of_another_living_copy(make, seed: int) -> None:
    copies = 40
    generator = torch.Generator().manual_seed(seed)
    alive = torch.rand(copies, generator=generator) < 0.7
    speaking = torch.rand((copies, 2), generator=generator) < 0.8
    step = step_of(copies, speaking=speaking, meaning=torch.randint(3, (copies, 2, 1), generator=generator))
    message = make(seed=seed)(numbered(copies), step, FULL, alive)
    ids = message.symbols[..., 0]
    assert torch.equal(ids.float(), message.payload[..., 0])
    assert torch.equal(ids.float(), message.bits)
    own = numbered(copies).symbols[..., 0]
    counted = speaking & alive[:, None]
    assert torch.equal(ids[~counted], own[~counted])
    assert not (ids == own)[counted].any() or make is swapped
    source = ids // 2
    assert torch.equal(ids % 2, own % 2)
    assert counted.flatten()[ids[counted]].all()
    if make is swapped:
        assert torch.equal(step.meaning.flatten(0, 1)[ids[counted], 0], step.meaning[counted][:, 0])
    assert source.shape == (copies, 2)


def test_messages_to_other_hearers_are_not_mixed_in_either_form_of_edges() -> None:
    mask = FULL.mask.repeat(20, 1, 1)
    mask[::2, 1, 0] = False
    step = step_of(20)
    alive = torch.ones(20, dtype=torch.bool)
    senders = torch.tensor([[1, 0], [0, 1]]).expand(20, -1, -1)
    sparse = Edges(senders=senders, mask=mask.gather(2, senders))
    found = [resampled(seed=5)(numbered(20), step, edges, alive) for edges in (Edges(senders=None, mask=mask), sparse)]
    assert torch.equal(found[0].symbols, found[1].symbols)
    source = found[0].symbols[:, 0, 0] // 2
    assert torch.equal(source % 2, torch.arange(20) % 2)
    assert (source != torch.arange(20)).all()


def test_as_sent_is_no_intervention() -> None:
    channel = scripted_run().team.channel
    assert intervention(Messages.AS_SENT, channel=channel) is None
    with pytest.raises(ValueError, match="'swopped'"):
        intervention("swopped", channel=channel)


@pytest.mark.parametrize(("function", "channel"), [("perfect", "symbols"), ("perfect_bits", "dru")])
def test_effects_on_a_perfect_code(function: str, channel: str) -> None:
    run = scripted_run(f"tests.analysis.teams:{function}", channel=channel)
    rows = {row["messages"]: row for row in interventions_table(run, num_episodes=900)}
    assert rows["as-sent"]["episode_return_mean"] == rows["swapped"]["episode_return_mean"] == 1.0
    assert rows["swapped"]["difference_mean"] == rows["swapped"]["difference_se"] == 0.0
    resampled_row = rows["resampled"]
    assert abs(resampled_row["episode_return_mean"] - GUESS) < 3 * resampled_row["episode_return_se"]
    assert resampled_row["difference_mean"] == pytest.approx(resampled_row["episode_return_mean"] - 1)
    assert abs(rows["zeroed"]["episode_return_mean"] - GUESS) < 4 * rows["zeroed"]["episode_return_se"]
    assert rows["noise"]["episode_return_mean"] < 0.2


def test_swapping_changes_no_episode() -> None:
    run = scripted_run(perfect_bits, channel="dru", rounds=3)
    one, other = (play_run(run, num_episodes=200, messages=m).episodes for m in (Messages.AS_SENT, Messages.SWAPPED))
    assert torch.equal(one.agent_returns, other.agent_returns)


def test_replaced_messages_tell_nothing_and_cost_what_they_are() -> None:
    run = scripted_run()
    assert evaluate(run, num_episodes=600)["mutual_information_bits"] > 1.5
    replaced = evaluate(run, num_episodes=600, messages=Messages.RESAMPLED)
    assert replaced["heard_mutual_information_bits"] < 0.02
    assert replaced["heard_entropy_bits"] == pytest.approx(replaced["entropy_bits"])
    zeroed = evaluate(run, num_episodes=600, messages=Messages.ZEROED)
    assert (zeroed["heard_bits_per_message"], zeroed["heard_entropy_bits"]) == (0.0, 0.0)
    assert evaluate(run, num_episodes=600, messages=Messages.NOISE)["heard_entropy_bits"] > 1.9


@pytest.mark.parametrize("kind", [kind for kind in Messages if kind is not Messages.AS_SENT])
def test_bits_of_what_was_said_are_told_apart_from_those_of_what_was_heard(kind: Messages) -> None:
    """What the speaker says does not depend on what hearers get; only the latter is called heard."""
    run = scripted_run()
    said, replaced = (evaluate(run, num_episodes=300, messages=messages) for messages in (Messages.AS_SENT, kind))
    own = ("bits_per_message", "entropy_bits", "mutual_information_bits", "mutual_information_baseline_bits")
    assert {key: said[key] for key in own} == {key: replaced[key] for key in own}
    assert not [key for key in said if key.startswith("heard_")] and "replaced_share" not in said


def test_the_share_that_is_really_replaced() -> None:
    """Of three goals the next in a cycle is another in two thirds of all cases; equal meanings have equal words."""
    rows = {row["messages"]: row for row in interventions_table(scripted_run(), num_episodes=900)}
    assert rows["as-sent"]["replaced_share"] == rows["swapped"]["replaced_share"] == 0.0
    assert rows["resampled"]["replaced_share"] == pytest.approx(2 / 3, abs=0.05)
    assert rows["noise"]["replaced_share"] == pytest.approx(3 / 4, abs=0.05)
    assert rows["zeroed"]["replaced_share"] == 1.0
    assert rows["resampled"]["changed_share"] == pytest.approx(rows["resampled"]["replaced_share"])
    assert rows["as-sent"]["changed_share"] == rows["swapped"]["changed_share"] == 0.0
    constant = {row["messages"]: row for row in interventions_table(scripted_run(collapsed), num_episodes=60)}
    assert constant["resampled"]["replaced_share"] == 0.0


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000))
def test_an_audience_of_its_own_protects_no_message(seed: int) -> None:
    """Every copy has other hearers: messages come from those with other ones, and none stays."""
    copies = 9
    mask = torch.tensor([[[bool(i >> j & 1)] * 2 for j in range(4)] for i in range(copies)])
    edges = Edges(senders=torch.tensor([0, 1]).expand(copies, 4, -1), mask=mask)
    speaking = torch.ones(copies, 4, dtype=torch.bool)
    step = step_of(copies, speaking=speaking, meaning=torch.zeros(copies, 4, 1, dtype=torch.long))
    ids = torch.arange(copies * 4).view(copies, 4)
    message = Message(payload=ids[..., None].float(), symbols=ids[..., None], bits=ids.float())
    found = resampled(seed=seed)(message, step, edges, torch.ones(copies, dtype=torch.bool)).symbols[..., 0]
    assert torch.equal(found % 4, ids % 4) and bool((found != ids).all())
    assert sorted(found.flatten().tolist()) == ids.flatten().tolist()


def test_interventions_are_decided_by_their_seed() -> None:
    run = scripted_run()
    returns = [
        play_run(run, num_episodes=100, messages=Messages.RESAMPLED, seed=seed).episodes.returns for seed in (1, 1, 2)
    ]
    assert torch.equal(returns[0], returns[1])
    assert not torch.equal(returns[0], returns[2])
