"""Interventions on some messages replace those and no others, and say how many they really replaced."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.evaluate import interventions_table, play_run
from heliograph.analysis.interventions import Messages, intervention, shuffled
from heliograph.analysis.targeted import Heed, Late, OfSymbol, OnEdge, Target, heeded, targeted_table
from heliograph.registry import UnknownNameError
from heliograph.rollouts.rollout import Keeping
from heliograph.types import Message
from tests.analysis.crowd import crowd_run, repeating
from tests.analysis.teams import collapsed, scripted_run
from tests.analysis.test_hearers import run_of
from tests.analysis.test_interventions import FULL, numbered, step_of
from tests.analysis.test_team_verdicts import run_of as spied_run

EDGE = Target(sender="speaker_0", hearer="listener_0")


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_shuffled_messages_are_a_cycle_of_all_that_was_said(seed: int) -> None:
    copies = 20
    generator = torch.Generator().manual_seed(seed)
    alive = torch.rand(copies, generator=generator) < 0.7
    speaking = torch.rand((copies, 2), generator=generator) < 0.8
    found = shuffled(seed=seed)(numbered(copies), step_of(copies, speaking=speaking), FULL, alive).symbols[..., 0]
    own, counted = numbered(copies).symbols[..., 0], speaking & alive[:, None]
    assert torch.equal(found[~counted], own[~counted])
    assert sorted(found[counted].tolist()) == sorted(own[counted].tolist())
    assert int(counted.sum()) < 2 or not (found == own)[counted].any()


def test_shuffling_mixes_senders_and_is_played_by_name() -> None:
    found = shuffled(seed=0)(
        numbered(40), step_of(40, speaking=torch.ones(40, 2, dtype=torch.bool)), FULL, torch.ones(40).bool()
    )
    assert ((found.symbols[..., 0] % 2) != torch.tensor([0, 1])).any()
    run = scripted_run()
    assert intervention("shuffled", channel=run.team.channel) is not None
    played = play_run(run, num_episodes=200, messages=Messages.SHUFFLED)
    assert played.replaced(run.team)["replaced_share"] == pytest.approx(2 / 3, abs=0.1)


def test_the_only_edge_is_all_there_is() -> None:
    """Speaker and listener have one edge: replacing it, its sender, or everything is the same, seed by seed."""
    run = scripted_run()
    rows = targeted_table(run, [Target(), Target(sender="speaker_0"), EDGE], num_episodes=300)
    whole = next(r for r in interventions_table(run, num_episodes=300) if r["messages"] == "resampled")
    keys = ("episode_return_mean", "difference_mean", "num_replaced", "changed_share")
    for row in rows:
        assert {key: row[key] for key in keys} == {key: whole[key] for key in keys}
        assert row["heeded"] == "heeded"
    assert [row["target"] for row in rows] == ["all", "sender=speaker_0", "sender=speaker_0 hearer=listener_0"]
    assert rows[1]["replaced_share"] == pytest.approx(2 / 3, abs=0.1) == rows[2]["replaced_share"]


def test_one_edge_of_a_crowd_is_heeded() -> None:
    """Slot 1 does as slot 0 says; what the others say, and what others hear, changes nothing."""
    run = crowd_run(repeating, size=4)
    targets = [
        Target(sender="r0_0", hearer="r0_1"), Target(sender="r0_0", hearer="r0_2"), Target(sender="r0_0"),
        Target(sender="r0_3"),
    ]  # fmt: skip
    rows = targeted_table(run, targets, num_episodes=200, messages=Messages.NOISE)
    assert [row["difference_mean"] < -0.5 for row in rows] == [True, False, True, False]
    assert rows[0]["episode_return_mean"] == rows[2]["episode_return_mean"]
    assert rows[1]["num_replaced"] > 100 and rows[1]["difference_mean"] == 0.0
    assert rows[0]["num_replaced"] == rows[1]["num_replaced"] == rows[2]["num_replaced"]


def test_a_rival_is_misled_alone() -> None:
    """Bob and the eavesdropper guess what Alice says: the one misled guesses wrong, the other does not."""
    run = spied_run()
    to_bob, to_eve = targeted_table(
        run, [Target(sender="alice", hearer=hearer) for hearer in ("bob", "eve")], num_episodes=60
    )
    assert to_bob["team_returns_mean"]["spies"] == 1.0 and to_bob["team_returns_mean"]["ours"] < 0.0
    assert to_eve["team_returns_mean"]["spies"] < 0.6 and to_eve["team_returns_mean"]["ours"] > 1.4


def test_one_edge_counts_what_one_hearer_hears() -> None:
    run = crowd_run(repeating, size=4)
    made: list[OnEdge] = []

    def narrowed(inner) -> OnEdge:
        made.append(OnEdge(inner, sender=0, hearer=1))
        return made[0]

    played = play_run(run, num_episodes=70, num_envs=50, messages="zeroed", narrowed=narrowed, keeping=Keeping.SAID)
    assert played.replaced(run.team)["num_replaced"] == 0  # everybody but slot 1 hears what was said
    assert made[0].taken(played.rollouts) == {"num_replaced": 70, "replaced_share": 1.0}


@pytest.mark.parametrize("name", ["next step", "rounds", "delay", "loss", "nearest"])
def test_an_edge_whose_messages_stay_as_they_are_changes_nothing(name: str) -> None:
    """Whatever the timing of the model and the way of the channel, and with inboxes of each hearer's own."""
    run = run_of(name)
    sender, hearer = 0, 1
    how = {"delay_env_steps": run.team.channel.delay_env_steps, "rounds": run.team.rounds}

    def same(message, step, edges, alive) -> Message:
        return message

    def narrowed(inner) -> OnEdge:
        return OnEdge(same, sender=sender, hearer=hearer, **how)

    plain = play_run(run, num_episodes=20)
    edged = play_run(run, num_episodes=20, messages="zeroed", narrowed=narrowed)
    assert torch.allclose(plain.rollouts[0].action_log_prob, edged.rollouts[0].action_log_prob, atol=1e-6)


@pytest.mark.parametrize("name", ["next step", "same step", "delay"])
def test_an_edge_changes_its_hearer_first(name: str) -> None:
    run = run_of(name)
    how = {"delay_env_steps": run.team.channel.delay_env_steps, "rounds": run.team.rounds}
    plain = play_run(run, num_episodes=20).rollouts[0]
    whole = play_run(run, num_episodes=20, messages="zeroed", senders=torch.tensor([True, False, False])).rollouts[0]
    edged = play_run(
        run, num_episodes=20, messages="zeroed", narrowed=lambda inner: OnEdge(inner, sender=0, hearer=1, **how)
    ).rollouts[0]
    read = (whole.action_log_prob - plain.action_log_prob).abs().amax((1, 2)).gt(1e-6).nonzero()[0].item()
    now = [rollout.action_log_prob[read] for rollout in (plain, whole, edged)]
    assert torch.allclose(now[2][:, 1], now[1][:, 1], atol=1e-6)  # the hearer as if all heard it
    assert torch.allclose(now[2][:, [0, 2]], now[0][:, [0, 2]], atol=1e-6)  # the others as if nobody did
    assert not torch.allclose(now[0][:, 1], now[1][:, 1], atol=1e-6)


def test_one_symbol_alone() -> None:
    run = scripted_run()
    one, never = targeted_table(run, [Target(symbol=1), Target(symbol=3)], num_episodes=600)
    assert one["replaced_share"] == pytest.approx(2 / 9, abs=0.04) and one["heeded"] == "heeded"
    assert one["difference_mean"] == pytest.approx(-2 * one["replaced_share"], abs=1e-6)
    assert (never["num_replaced"], never["difference_mean"]) == (0, 0.0)
    assert never["heeded"] == "unknown" and "only 0 messages" in never["heeded_means"]


def test_one_place_of_a_word() -> None:
    message = Message(payload=torch.zeros(1, 2, 1), symbols=torch.tensor([[[1, 2], [2, 1]]]), bits=torch.zeros(1, 2))

    def other(message, step, edges, alive) -> Message:
        return Message(payload=message.payload + 1, symbols=message.symbols + 5, bits=message.bits)

    alive = torch.ones(1, dtype=torch.bool)
    for place, replaced in ((None, [True, True]), (0, [False, True]), (1, [True, False])):
        found = OfSymbol(other, 2, place)(message, step_of(1), FULL, alive)
        assert (found.payload[0, :, 0] > 0).tolist() == replaced


def test_messages_that_come_too_late() -> None:
    """With one message an episode there is none before it; with several goals a round the last one's is heard."""
    (single,) = targeted_table(scripted_run(), [Target(late=1)], num_episodes=60)
    assert single["num_replaced"] == 0 and single["heeded"] == "unknown" and single["messages"] == "late"
    (several,) = targeted_table(scripted_run(rounds=3), [Target(late=2)], num_episodes=300)
    assert several["replaced_share"] == pytest.approx(4 / 9, abs=0.05)
    assert several["difference_mean"] == pytest.approx(-8 / 3, abs=0.3) and several["heeded"] == "heeded"


def test_what_was_said_in_another_episode_is_forgotten() -> None:
    late, alive = Late(1, rounds=1), torch.ones(3, dtype=torch.bool)
    step = step_of(3, speaking=torch.ones(3, 2, dtype=torch.bool))
    first, second = numbered(3), Message(**{k: v + 100 for k, v in vars(numbered(3)).items()})
    assert torch.equal(late(first, step, FULL, alive).symbols, first.symbols)
    assert torch.equal(late(second, step, FULL, alive).symbols, first.symbols)
    late.restart()
    assert torch.equal(late(second, step, FULL, alive).symbols, second.symbols)


def test_verdicts_need_messages_that_were_replaced() -> None:
    assert heeded({"num_replaced": 29, "changed_share": 0.5})[0] is Heed.UNKNOWN
    assert heeded({"num_replaced": 30, "changed_share": 0.5})[0] is Heed.YES
    assert heeded({"num_replaced": 30, "changed_share": 0.0})[0] is Heed.NO
    (row,) = targeted_table(scripted_run(collapsed), [Target()], num_episodes=100)
    assert row["heeded"] == "unknown" and row["replaced_share"] == 0.0


@pytest.mark.parametrize(
    ("given", "told"),
    [({"hearer": "a"}, "without a sender"), ({"place": 1}, "without a symbol"), ({"late": 0}, "late=0")],
)
def test_targets_that_make_no_sense_are_refused(given: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Target(**given)


def test_names_and_kinds_that_are_none_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="speaker_0"):
        targeted_table(scripted_run(), [Target(sender="speaker")], num_episodes=5)
    with pytest.raises(ValueError, match="replaces nothing"):
        targeted_table(scripted_run(), [Target()], messages="as-sent")
    with pytest.raises(ValueError, match="vectors"):
        targeted_table(scripted_run(channel="continuous"), [Target(symbol=1)], num_episodes=5)
