"""Rollouts are cut along the copies and put together again, all fields in step."""

import dataclasses
import pickle

import pytest
import torch

from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.rollouts.rollout import Rollout, concatenate, fill_final
from heliograph.rollouts.sampler import Sampler
from heliograph.types import map_tensors, tensors_of
from tests.parts import make_sampler


def equal(one: object, other: object) -> bool:
    a, b = tensors_of(one), tensors_of(other)
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(params=["speaker_listener", "switch_riddle", "mixed"])
def rollout(request: pytest.FixtureRequest) -> Rollout:
    return make_sampler(request.param, copies=8, channel="symbols-score").fragment(7)


def test_sizes(rollout: Rollout) -> None:
    assert (rollout.num_steps, rollout.num_envs) == (7, 8)
    assert rollout.env_steps() == len(rollout) == 56
    assert rollout.agent_steps() == int(rollout.observing[:-1].sum())


def test_parts_cover_all_copies_once(rollout: Rollout) -> None:
    parts = list(rollout.split(4, generator=torch.Generator().manual_seed(0)))
    assert [len(p) for p in parts] == [2] * 4 and sorted(torch.cat(parts).tolist()) == list(range(8))
    assert torch.cat(parts).tolist() != list(range(8))
    ragged = list(rollout.split(3))
    assert [len(p) for p in ragged] == [2] * 3 and len(set(torch.cat(ragged).tolist())) == 6


def test_what_was_split_can_be_concatenated(rollout: Rollout) -> None:
    order = torch.tensor([3, 0, 7, 1, 2, 6, 5, 4])
    parts = [rollout.select(order[:3]), rollout.select(order[3:])]
    whole = concatenate(parts)
    assert whole.num_envs == 8 and equal(whole, rollout.select(order))
    assert equal(whole.select(order.argsort()), rollout)
    assert concatenate([rollout]) is rollout


def test_selection_keeps_every_field_in_step(rollout: Rollout) -> None:
    part = rollout.select(torch.tensor([5]))
    assert part.num_envs == 1 and torch.equal(part.rewards[:, 0], rollout.rewards[:, 5])
    for name in ("observations", "last_action", "actions", "messages", "draws", "info"):
        assert equal(map_tensors(lambda x: x[:, 5:6], getattr(rollout, name)), getattr(part, name)), name
    assert equal(map_tensors(lambda x: x[5:6], rollout.initial), part.initial)


def test_gradients_do_not_depend_on_the_cut() -> None:
    sampler = make_sampler("speaker_listener", copies=8)
    rollout = sampler.fragment(6)
    weights = list(sampler.team.parameters())

    def gradient(part: Rollout) -> list[torch.Tensor]:
        loss = sampler.team.unroll(part).action_log_prob.sum()
        return torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)

    whole = gradient(rollout)
    halves = [gradient(rollout.select(i)) for i in torch.arange(8).split(4)]
    for a, b, c in zip(whole, *halves, strict=True):
        assert torch.allclose(a, b + c, atol=1e-4, rtol=1e-4)


def test_final_observations_are_filled_in_where_only_some_rollouts_have_them() -> None:
    cut = make_sampler("speaker_listener", env={"time_limit": 3}).fragment(4)
    whole = make_sampler("speaker_listener", env={"time_limit": 60}).fragment(4)
    assert cut.final_observations is not None and whole.final_observations is None
    both = concatenate([cut, whole])
    assert both.num_envs == 12
    assert equal(both.select(torch.arange(6)).final_observations, cut.final_observations)
    assert equal(both.select(torch.arange(6, 12)).final_observations, fill_final(whole).final_observations)


def test_a_rollout_stays_where_it_is(rollout: Rollout) -> None:
    assert rollout.to(torch.device("cpu")) is rollout


def test_steps_after_the_end_do_not_count() -> None:
    rollout = make_sampler("switch_riddle", copies=32).episodes()
    lengths = rollout.valid.sum(0)
    assert rollout.env_steps() == int(lengths.sum()) < rollout.num_steps * 32
    assert dataclasses.is_dataclass(rollout)


def test_chunks_are_the_copies_in_order_and_share_memory() -> None:
    rollout = make_sampler("speaker_listener", copies=5, channel="dru").fragment(4)
    parts = list(rollout.chunks(2))
    assert [part.num_envs for part in parts] == [2, 2, 1]
    for part, copies in zip(parts, torch.arange(5).split(2), strict=True):
        same = zip(tensors_of(part), tensors_of(rollout.select(copies)), strict=True)
        assert all(torch.equal(a, b) for a, b in same)
    assert parts[0].rewards.data_ptr() == rollout.rewards.data_ptr()


def test_rollouts_of_whole_episodes_of_different_length_lie_side_by_side() -> None:
    settings = {"mode": "mixed", "size": 2, "predators": 2, "steps": 30}
    env = build_env(EnvChoice(env="predator_prey", settings=settings), num_envs=3)
    choices = TeamChoices(model="ic3net", model_settings={"size": 8}, channel="continuous")
    team = build_team(choices, facts_of(env), seed=0)
    sampler = Sampler(env, team)
    rollouts = [sampler.episodes() for _ in range(4)]
    lengths = [r.num_steps for r in rollouts]
    assert len(set(lengths)) > 1
    whole = concatenate(rollouts)
    assert whole.num_steps == max(lengths) and whole.num_envs == 12
    assert whole.env_steps() == sum(r.env_steps() for r in rollouts)
    for index, r in enumerate(rollouts):
        part = whole.select(torch.arange(3 * index, 3 * index + 3))
        assert torch.equal(part.rewards[: r.num_steps], r.rewards)
        assert torch.equal(part.observations["predator"][: r.num_steps + 1], r.observations["predator"])
        assert not part.valid[r.num_steps :].any()
    said = team.unroll(whole).action_log_prob
    apart = torch.cat([team.unroll(r).action_log_prob[:3] for r in rollouts], 1)
    counts = whole.valid[:3].unsqueeze(-1)  # nobody asks what agents would do whose episode has ended
    torch.testing.assert_close(said[:3] * counts, apart * counts)


def test_a_part_is_taken_as_it_is_asked_for_and_travels_without_the_whole(rollout: Rollout) -> None:
    part = rollout.select(torch.tensor([4, 1]))
    assert "rewards" not in vars(part) and torch.equal(part.rewards, rollout.rewards[:, [4, 1]])
    assert part.rewards is part.rewards and part.num_envs == 2
    with pytest.raises(AttributeError, match="no attribute 'reward'"):
        part.reward  # noqa: B018
    sent = pickle.loads(pickle.dumps(part))
    assert "_source" not in vars(sent) and equal(sent, part)
    assert equal(dataclasses.replace(part, info={}).actions, part.actions)
