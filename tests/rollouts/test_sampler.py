"""Sampling: fragments join, runs resume bit by bit, evaluation favours no episode, equal seeds give equal runs."""

import pytest
import torch

from heliograph.functional import clipped_policy_loss, masked_mean
from heliograph.rollouts.rollout import Keeping, Rollout
from heliograph.rollouts.sampler import Sampler, play_episodes, rounds
from heliograph.rollouts.statistics import episodes_of
from heliograph.testing.small_teams import ENVS
from heliograph.types import Choice, MessageForm, map_tensors, tensors_of
from tests.parts import MODELS, make_sampler, make_team

each_env = pytest.mark.parametrize("env", ENVS)


def equal(one: object, other: object) -> bool:
    a, b = tensors_of(one), tensors_of(other)
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def piece(rollout: Rollout, start: int, stop: int) -> list[object]:
    """What happened between two times."""
    happened = ["actions", "action_log_prob", "message_log_prob", "draws", "messages", "rewards", "terminated"]
    seen = ["observations", "state", "last_action", "observing"]
    slices = [map_tensors(lambda x: x[start:stop], getattr(rollout, name)) for name in happened]
    return slices + [map_tensors(lambda x: x[start : stop + 1], getattr(rollout, name)) for name in seen]


@each_env
@pytest.mark.parametrize("channel", ["dru", "symbols-score"])
@pytest.mark.parametrize("model", ["cnet", "chatter"])
def test_fragments_go_on_exactly_where_the_last_one_stopped(env: str, channel: str, model: str) -> None:
    one, parts = (make_sampler(env, model=MODELS[model], channel=channel) for _ in range(2))
    whole = one.fragment(12)
    start = 0
    for length in (3, 1, 8):
        part = parts.fragment(length)
        assert equal(piece(whole, start, start + length), piece(part, 0, length))
        start += length
    assert equal(one._state, parts._state)


@each_env
def test_unrolling_a_later_fragment_knows_what_was_said_before_it(env: str) -> None:
    sampler = make_sampler(env, model="cnet", channel="dru")
    for _ in range(4):
        rollout = sampler.fragment(3)
        unrolled = sampler.team.unroll(rollout)
        assert torch.allclose(unrolled.action_log_prob, rollout.action_log_prob, atol=1e-5)


@each_env
def test_a_saved_sampler_goes_on_bit_by_bit(env: str) -> None:
    sampler = make_sampler(env, channel="symbols-score")
    sampler.fragment(5)
    saved = sampler.get_state()
    sampler.take_finished()
    first, ended = sampler.fragment(7), sampler.take_finished()
    other = make_sampler(env, channel="symbols-score", seed=9)
    other.team.load_state_dict(sampler.team.state_dict())
    other.fragment(3)
    other.set_state(saved)
    other.take_finished()
    again, ended_again = other.fragment(7), other.take_finished()
    assert equal(first, again) and equal(ended.agent_returns, ended_again.agent_returns)
    assert equal(sampler.get_state()["team"], other.get_state()["team"])


def test_a_sampler_saved_before_it_started_starts_the_same() -> None:
    first, other = (make_sampler(seed=seed) for seed in (0, 3))
    other.team.load_state_dict(first.team.state_dict())
    other.env.set_state(first.env.get_state())
    other.set_state(first.get_state())
    assert equal(first.fragment(4), other.fragment(4))


class Unsaved(ENVS["identity"]):
    resumable = False


def test_an_environment_that_cannot_be_saved_starts_anew() -> None:
    world = Unsaved(num_envs=4)
    sampler = Sampler(world, make_team(world), seed=0)
    sampler.fragment(3)
    saved = sampler.get_state()
    assert saved["env"] is None
    sampler.set_state(saved)
    rollout = sampler.fragment(2)
    assert (rollout.observations["agent"][0].sum(-1) == 1).all(), "a first step, in which numbers are shown"


@each_env
def test_equal_seeds_give_equal_rollouts_and_others_do_not(env: str) -> None:
    one, again, other = (make_sampler(env, seed=s).fragment(6) for s in (1, 1, 2))
    assert equal(one, again) and not equal(one.draws, other.draws)


# ---- whole episodes -----------------------------------------------------------------------------------------------


@each_env
def test_episodes_begin_together_and_end_where_they_end(env: str) -> None:
    sampler = make_sampler(env, copies=32)
    sampler.fragment(3)
    rollout = sampler.episodes()
    assert rollout.valid[0].all() and not (rollout.valid[1:] & ~rollout.valid[:-1]).any()
    assert torch.equal((rollout.episode_over & rollout.valid).sum(0), torch.ones(32, dtype=torch.long))
    assert not (rollout.episode_over[:-1] & rollout.valid[1:]).any()
    assert not (rollout.speaking & ~rollout.valid.unsqueeze(-1)).any(), "nor does anybody speak after the end"


def test_short_episodes_are_not_favoured() -> None:
    """Told at once an episode of the riddle ends on day 1; taking the first to finish would see such ones alone."""
    sampler = make_sampler("switch_riddle", copies=50, channel="none")
    episodes, rollouts = play_episodes(sampler, 170, choice=Choice.SAMPLED)
    assert len(episodes) == 170 and [r.num_envs for r in rollouts] == [50, 50, 50, 20]
    expected = torch.cat([r.valid.sum(0) for r in rollouts])
    assert torch.equal(episodes.lengths, expected) and len(episodes.lengths.unique()) > 1
    many, _ = play_episodes(make_sampler("switch_riddle", copies=2000, channel="none"), 2000, choice=Choice.SAMPLED)
    error = float(many.lengths.float().std()) * (1 / 170 + 1 / 2000) ** 0.5
    assert abs(float(episodes.lengths.float().mean() - many.lengths.float().mean())) < 4 * error


@each_env
def test_what_was_seen_need_not_be_kept(env: str) -> None:
    (seen, said), (kept, slim) = zip(
        *(play_episodes(make_sampler(env, copies=6), 10, keeping=keeping) for keeping in Keeping), strict=True
    )
    assert equal(seen, said)
    for whole, lean in zip(kept, slim, strict=True):
        assert lean.observations == {} and lean.state.shape[-1] == 0 and lean.final_observations is None
        kept_fields = ("actions", "messages", "rewards", "valid", "speaking", "meaning")
        assert equal([getattr(whole, name) for name in kept_fields], [getattr(lean, name) for name in kept_fields])


def test_a_round_at_a_time_is_the_same_as_all_at_once() -> None:
    one_by_one = episodes_of(rounds(make_sampler("switch_riddle", copies=7), 20))
    assert equal(one_by_one, play_episodes(make_sampler("switch_riddle", copies=7), 20)[0]) and len(one_by_one) == 20


def test_returns_are_those_of_the_counted_episode_alone() -> None:
    rollout = make_sampler("mixed", copies=16).episodes()
    returns = torch.zeros(16, 6)
    for copy in range(16):
        length = int(rollout.valid[:, copy].sum())
        returns[copy] = rollout.rewards[:length, copy].sum(0)
    found = episodes_of([rollout])
    assert torch.allclose(found.agent_returns, returns) and torch.allclose(found.returns, returns.mean(1))


def test_finished_episodes_are_counted_once_with_their_success() -> None:
    sampler = make_sampler("speaker_listener", copies=10)
    sampler.fragment(5)
    assert len(sampler.take_finished()) == 0
    rollout = sampler.fragment(7)
    done = sampler.take_finished()
    assert len(done) == 20 and (done.lengths == 6).all() and len(sampler.take_finished()) == 0
    assert torch.equal(done.success, (done.returns == 3).float())
    assert torch.equal(done.agent_returns[:, 0], done.agent_returns[:, 1]) and rollout.num_steps == 7


def test_what_never_ends_is_refused() -> None:
    world = ENVS["identity"](num_envs=2)
    sampler = Sampler(world, make_team(world))
    world.advance, advance = lambda state, actions: _endless(*advance(state, actions)), world.advance
    with pytest.raises(ValueError, match="time_limit"):
        sampler.episodes()


def _endless(state, outcome):
    outcome.episode_over = torch.zeros_like(outcome.episode_over)
    return state, outcome


def test_interventions_are_told_which_copies_count() -> None:
    told = []

    def watch(message, step, edges, alive):
        told.append(alive.clone())
        return message

    sampler = make_sampler("switch_riddle", copies=16)
    rollout = sampler.episodes(form=MessageForm.EXECUTION, intervention=watch)
    assert torch.equal(torch.stack(told), rollout.valid)


# ---- golden numbers -----------------------------------------------------------------------------------------------


def test_first_losses_and_returns_of_a_seed() -> None:
    """Pinned: a change of these numbers is a change of what a seed means, and must be meant."""
    sampler = make_sampler("speaker_listener", channel="symbols-gumbel", copies=64, seed=0)
    optimiser = torch.optim.SGD(sampler.team.parameters(), lr=0.01)
    losses, returns = [], []
    for _ in range(3):
        rollout = sampler.fragment(6)
        unrolled = sampler.team.unroll(rollout)
        log_ratio = unrolled.action_log_prob - rollout.action_log_prob
        surrogate = clipped_policy_loss(log_ratio, rollout.rewards, clip=0.2)
        loss = masked_mean(surrogate, rollout.acting) - masked_mean(unrolled.action_entropy, rollout.acting)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        returns.append(sampler.take_finished().returns.mean().item())
    assert losses == pytest.approx(GOLDEN_LOSSES, abs=1e-4)
    assert returns == pytest.approx(GOLDEN_RETURNS, abs=1e-4)


GOLDEN_LOSSES = [-0.23204, -0.16402, -0.28936]
GOLDEN_RETURNS = [-0.75000, -1.03125, -0.75000]
