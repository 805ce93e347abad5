"""Particle tasks: step by step those of mpe2, what is said and by whom, what scripts score, what is drawn."""

import dataclasses
import functools
from typing import Any

import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph import registry
from heliograph.envs.mpe_adversary import MPEAdversary
from heliograph.envs.mpe_crypto import MPECrypto
from heliograph.envs.mpe_reference import MPEReference
from heliograph.envs.mpe_speaker_listener import MPESpeakerListener
from heliograph.envs.mpe_spread import MPESpread
from heliograph.envs.mpe_tag import MPETag
from heliograph.envs.mpe_world_comm import MPEWorldComm
from heliograph.envs.particle_physics import _press_all, contact_forces, moved, pairs_of, rest_points, yielding
from heliograph.envs.particle_scores import simulated_scores
from heliograph.envs.particle_task import ParticleTask
from heliograph.envs.scene import Shape
from heliograph.experiments.choices import TeamChoices
from heliograph.rollouts.sampler import Sampler
from heliograph.testing.small_teams import small_team
from tests.envs.mpe2_twin import NAMES, WITH_WORDS, Apart, played_together

TOLERANCE = 1e-5
SLOW = {"mpe_world_comm"}
"""Whose original takes long."""


@functools.cache
def beside_the_original(name: str, *, continuous: bool) -> Apart:
    return played_together(name, copies=8 if name in SLOW else 20, continuous=continuous)


def assert_equal(apart: Apart) -> None:
    assert max(apart.observations, apart.rewards, apart.states) < TOLERANCE and apart.ends == 0, apart


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_that_of_mpe2(name: str, continuous: bool) -> None:
    assert_equal(beside_the_original(name, continuous=continuous))


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("mpe_spread", {"N": 5, "local_ratio": 0.1}, {"agents": 5, "local_ratio": 0.1}),
        ("mpe_reference", {"local_ratio": 0.9}, {"local_ratio": 0.9}),
        ("mpe_adversary", {"N": 4}, {"agents": 4}),
        (
            "mpe_tag",
            {"num_good": 3, "num_adversaries": 2, "num_obstacles": 1},
            {"good": 3, "adversaries": 2, "obstacles": 1},
        ),
        (
            "mpe_world_comm",
            {"num_good": 1, "num_adversaries": 3, "num_obstacles": 2, "num_food": 1, "num_forests": 3},
            {"good": 1, "adversaries": 3, "obstacles": 2, "food": 1, "forests": 3},
        ),
    ],
)
def test_so_it_is_with_other_settings(name: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    assert_equal(played_together(name, copies=5, continuous=False, theirs=theirs, **ours))


def test_what_was_compared_has_collisions_catches_and_leavers() -> None:
    spread, tag, world = (
        torch.stack(beside_the_original(name, continuous=False).paid)
        for name in ("mpe_spread", "mpe_tag", "mpe_world_comm")
    )
    assert (spread[..., 0] != spread[..., 1]).sum() > 10  # who touches is paid otherwise than who does not
    assert (tag[..., 0] >= 10).sum() > 5 and (world[..., 0] > 4).any()
    assert ((tag[..., 3] < 0) & (tag[..., 0] == 0)).any() and (world[..., 4] > 1.5).any()


# ---- physics ---------------------------------------------------------------------------------------------------------


def column(*points: tuple[float, float]) -> Tensor:
    return torch.tensor(points, dtype=torch.float64)[..., None]


def test_a_push_is_felt_one_step_late_and_whoever_coasts_comes_to_rest_where_it_was_told() -> None:
    place, velocity = moved(column((0.1, 0.2)), column((0.0, 0.0)), column((5.0, 0.0)))
    assert place.flatten().tolist() == [0.1, 0.2] and velocity.flatten().tolist() == [0.5, 0.0]
    told = rest_points(place.permute(2, 0, 1), velocity.permute(2, 0, 1))
    for _ in range(200):
        place, velocity = moved(place, velocity, torch.zeros_like(velocity))
    assert place.flatten().tolist() == pytest.approx(told.flatten().tolist())
    assert told.flatten().tolist() == pytest.approx([0.3, 0.2])


def test_particles_press_each_other_apart_equally_and_those_in_one_place_do_not() -> None:
    pairs = pairs_of(3, device=torch.device("cpu"))
    place = column((0.0, 0.0), (0.1, 0.0), (0.0, 0.0))
    force = contact_forces(place, pairs, reach=torch.full((3, 1), 0.3, dtype=torch.float64))[..., 0]
    assert force.sum(0).abs().max() < 1e-12
    assert force[1].tolist() == pytest.approx([2 * 100 * 0.2, 0.0])  # two discs, each 0.2 deep, 100 for each unit


@pytest.mark.parametrize("masses", [(1.0, 1.0, 1.0, 1.0), (1.0, 2.0, 1.0, 3.0)])
def test_only_near_ones_are_asked_and_the_forces_are_those_of_all(masses: tuple[float, ...]) -> None:
    pairs = pairs_of(4, device=torch.device("cpu"))
    place = torch.rand(4, 2, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    how = {
        "reach": torch.rand(len(pairs[0]), 1, dtype=torch.float64) / 3,
        "yielding": yielding(torch.tensor(masses, dtype=torch.float64).view(-1, 1, 1), pairs),
    }
    apart = place[pairs[0]] - place[pairs[1]]
    everyone = _press_all(torch.zeros_like(place), apart, pairs, **how)
    before = torch.ones_like(place)
    found = contact_forces(place, pairs, **how, onto=before)
    assert found is before and torch.allclose(found - 1, everyone, atol=1e-12)
    assert 0.1 < float((everyone.abs() > 1e-12).double().mean()) < 1


def test_what_is_seen_at_once_is_what_is_seen_part_by_part() -> None:
    for env in (MPESpread(agents=4, num_envs=64), MPETag(good=2, num_envs=64)):
        env.reset()
        for _ in range(3):
            env.step(env.oracle(env.state))
        parts = env.seen(env.state)
        for role, shown in env.view().observations.items():
            apart = torch.cat([part.float() for part in parts[role]], 1).permute(2, 0, 1)
            assert torch.allclose(shown, apart, atol=1e-6)


def test_nobody_is_faster_than_allowed() -> None:
    _, velocity = moved(
        column((0, 0)), column((3.0, 4.0)), column((0, 0)), max_speed=torch.ones(1, 1, 1, dtype=torch.float64)
    )
    assert velocity.flatten().tolist() == pytest.approx([0.6, 0.8])


# ---- what is said ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sizes", "speakers", "actions"),
    [
        ("mpe_speaker_listener", [3, 8], ["speaker_0"], [1, 5]),
        ("mpe_reference", [11], ["agent_0", "agent_1"], [5]),
        ("mpe_crypto", [1, 4, 8], ["alice_0"], [4, 4, 1]),
        ("mpe_world_comm", [30, 30, 28], ["leadadversary_0"], [5, 5, 5]),
    ],
)
def test_through_a_channel_the_words_of_the_task_are_neither_seen_nor_chosen(
    name: str, sizes: list[int], speakers: list[str], actions: list[int]
) -> None:
    env: ParticleTask = registry.load("env", name)(num_envs=2)
    step = env.reset()
    assert [role.observation_space.shape[0] for role in env.roles] == sizes
    assert [role.action_space.n for role in env.roles] == actions
    assert [agent for agent, speaks in zip(env.agents, step.speaking[0], strict=True) if speaks] == speakers
    assert [actions[slot] > 1 for slot in range(len(actions))] == [
        bool(step.acting[0, env.slots(role.name)].all()) for role in env.roles
    ]


def test_the_leader_is_heard_by_its_own_team_alone_and_tells_who_hides_where() -> None:
    env = MPEWorldComm(num_envs=1)
    env.reset()
    wood = torch.tensor([[-0.5, -0.5], [0.5, 0.5]], dtype=torch.float64)
    place = torch.zeros_like(env.state.place)
    place[0, :4, 0] = 9.0
    place[0, 4], place[0, 5] = wood[1], torch.tensor([0.0, -9.0])
    landmark = torch.cat([env.state.landmark[:, :3], wood[None]], 1)
    env.state = dataclasses.replace(env.state, place=place, landmark=landmark)
    step = env.view()
    assert step.hearing is not None and step.hearing.mask[0, :, 0].tolist() == [False, True, True, True, False, False]
    assert step.meaning[0].tolist() == [[2, 0], *[[-1, -1]] * 5]
    ways = step.observations["adversary"][0, 0, 14:24].view(5, 2)  # the leader, two others, two agents
    assert ways[3].tolist() == [0.0, 0.0] and ways[4].tolist() == pytest.approx([-9.0, -9.0])
    assert step.observations["leadadversary"][0, 0, 20:22].tolist() == pytest.approx([-8.5, 0.5])


def test_a_word_is_heard_in_the_next_observation_and_an_older_one_is_gone() -> None:
    env = MPESpeakerListener(words="task")
    heard = []
    for word in (2, 0):
        env.reset() if not heard else None
        step = env.step({"speaker": torch.tensor([[word]]), "listener": torch.tensor([[0]])})
        heard.append(step.observations["listener"][0, 0, -3:].tolist())
    assert heard == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert env.scene(env.state).caption.endswith("speaker_0 says 0")


@pytest.mark.parametrize("name", ["mpe_speaker_listener", "mpe_reference"])
def test_symbols_heard_in_the_next_step_are_the_words_of_the_task(name: str) -> None:
    words = {"mpe_speaker_listener": 3, "mpe_reference": 10}[name]
    choices = TeamChoices(
        model="feedforward", model_settings={"size": 8, "heard_layer": 1}, channel="symbols",
        channel_settings={"vocabulary": words},
    )  # fmt: skip
    env = registry.load("env", name)(num_envs=5, steps=6)
    sampler = Sampler(env, small_team(env, choices))
    begin = sampler.env.start()
    sampler.env.plan_start(begin)
    rollout = sampler.episodes()
    task: ParticleTask = registry.load("env", name)(words="task", steps=6, num_envs=5)
    none = torch.zeros(5, task.num_agents, words)
    task.plan_start(dataclasses.replace(begin, word=none))
    step = task.reset()
    for t in range(6):
        said, actions = rollout.messages[0].symbols[t, ..., 0], {}
        for kind in task.particles:
            move, word = rollout.actions[kind.name][t], said[:, task.slots(kind.name)]
            actions[kind.name] = (move + 5 * word if kind.moves else word) if kind.words else move
        heard = {role: seen[..., -words:] for role, seen in step.observations.items()}
        step = task.step(actions)
        assert torch.allclose(step.rewards, rollout.rewards[t], atol=1e-6)
        hearer = "listener" if name == "mpe_speaker_listener" else "agent"
        if t:
            sent = rollout.messages[0].payload[t - 1]
            expected = sent[:, :1] if hearer == "listener" else sent.flip(1)
            assert torch.equal(heard[hearer], expected)
            own = task.roles[-1].observation_space.shape[0] - words
            seen = rollout.observations[hearer][t]
            assert seen.shape[-1] == own
    assert len(rollout.messages) == 1 and rollout.messages[0].bits.unique().tolist() == [
        pytest.approx(float(torch.tensor(float(words)).log2()))
    ]


def test_what_is_heard_at_the_first_layer_is_seen_as_if_it_stood_in_the_observation() -> None:
    choices = TeamChoices(
        model="feedforward", model_settings={"size": 8, "heard_layer": 1}, channel="symbols",
        channel_settings={"vocabulary": 3},
    )  # fmt: skip
    env = MPESpeakerListener(num_envs=5, steps=3)
    sampler = Sampler(env, small_team(env, choices))
    rollout, policy = sampler.episodes(), sampler.team.policies["listener"]
    first = next(module for module in policy.model.torso.modules() if isinstance(module, torch.nn.Linear))
    weights = [first.weight, policy.message_decoder.weight]
    bias = first.bias + policy.message_decoder.bias
    whole = torch.cat([rollout.observations["listener"][1], rollout.messages[0].payload[0][:, :1]], -1)
    hidden = torch.tanh(policy.model.middle(torch.tanh(whole @ torch.cat(weights, 1).t() + bias)))
    assert torch.allclose(hidden, sampler.team.unroll(rollout).after["listener"][1], atol=1e-5)


def test_what_is_known_is_what_others_are_to_be_told() -> None:
    env = MPEReference(num_envs=50)
    step = env.reset()
    colour = step.observations["agent"][:, :, 8:11]
    assert torch.equal(colour.argmax(-1), step.meaning[..., 0]) and step.meaning.unique().tolist() == [0, 1, 2]
    crypto = MPECrypto(num_envs=50)
    step = crypto.reset()
    secret, key = step.observations["alice"][:, 0].split(4, -1)
    assert torch.equal(secret.argmax(-1), step.meaning[:, 2, 0]) and (step.meaning[:, :2] == -1).all()
    assert torch.equal(key, step.observations["bob"][:, 0])


def test_a_guess_costs_its_maker_and_brings_the_others() -> None:
    env = MPECrypto(num_envs=4)
    env.reset()
    right = env.state.goal[:, :1]
    eve = torch.stack([right[0], right[1], 1 - right[2], torch.tensor([3])])
    bob = torch.stack([right[0], 1 - right[1], right[2], right[3]])
    paid = env.step({"eve": eve, "bob": bob, "alice": torch.zeros(4, 1, dtype=torch.long)}).rewards
    assert paid.tolist() == [[0, 0, 0], [0, -2, -2], [-2, 2, 2], [-2, 2, 2]]


# ---- scripts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mpe_speaker_listener", "mpe_reference", "mpe_spread"])
def test_who_knows_does_better_than_who_guesses_and_that_better_than_standing_still(name: str) -> None:
    scores = {script: teams["team"] for script, teams in simulated_scores(registry.load("env", name)()).items()}
    assert scores["informed"] >= scores["blind"] > scores["still"] > scores["random"]
    assert scores["informed"] > scores["blind"] + 5 or name == "mpe_spread"


def test_hunters_that_hunt_catch_more_and_prey_that_flees_is_caught_less_than_one_that_stands() -> None:
    env = MPETag(num_envs=256)
    standing = {"agent": torch.zeros(256, 1, dtype=torch.long)}
    fleeing, caught = (_mean_pay(env, instead=instead) for instead in ({}, standing))
    assert 2 * simulated_scores(env)["random"]["adversary"] < fleeing < caught


def _mean_pay(env: MPETag, *, instead: dict[str, Tensor]) -> float:
    """What an adversary is paid in an episode of scripts, but for what others do instead."""
    env.reset()
    return float(sum(env.step(env.oracle(env.state) | instead).rewards[:, 0].mean() for _ in range(env.steps)))


def test_many_agents_each_go_to_a_landmark_of_their_own() -> None:
    env = MPESpread(agents=8, num_envs=16, steps=60, continuous_actions=True)
    env.reset()
    chosen = env._shared_out(env.state.place, env.state)
    assert torch.equal(chosen.sort(1).values, torch.arange(8).expand(16, -1))


def test_success_is_told_of_the_last_step() -> None:
    env = MPESpeakerListener(num_envs=64, continuous_actions=True)
    env.reset()
    successes = [env.step(env.oracle(env.state)).info["success"] for _ in range(env.steps)]
    assert successes[-1].all() and not successes[0].all()


# ---- pictures and settings -------------------------------------------------------------------------------------------


def test_a_picture_has_everyone_where_it_is_with_goals_as_stars_and_grows_with_who_leaves() -> None:
    env = MPEAdversary()
    env.reset()
    place = torch.tensor([[[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]]], dtype=torch.float64)
    landmark = torch.tensor([[[0.5, 0.5], [0.0, 0.0]]], dtype=torch.float64)
    state = dataclasses.replace(env.state, place=place, landmark=landmark, goal=torch.tensor([[1]]))
    scene = env.scene(state)
    assert [actor.place for actor in scene.agents] == [(5, 5), (10, 10), (0, 0)]
    assert [actor.shape for actor in scene.things] == [Shape.SQUARE, Shape.STAR]
    assert scene.caption == "goal 1: nearest agent 1.41, adversary 0.00 away"
    far = env.scene(dataclasses.replace(state, place=place * 2))
    assert [actor.place for actor in far.agents] == [(5, 5), (10, 10), (0, 0)]
    assert far.things[0].place == pytest.approx((6.25, 3.75))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MPESpread(agents=0), "agents=0: must be a whole number of at least 1"),
        (
            lambda: MPEReference(local_ratio=1.5),
            "local_ratio=1.5: must be a finite number of at least 0 and of at most 1",
        ),
        (lambda: MPESpeakerListener(words="aloud"), "words='aloud': must be 'channel' or 'task'"),
        (lambda: MPESpeakerListener(steps=0), "steps=0"),
        (lambda: MPEWorldComm(adversaries=1), "adversaries=1: needs at least 2"),
        (lambda: MPETag(obstacles=0), "obstacles=0"),
    ],
)
def test_bad_settings_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("name", sorted(WITH_WORDS))
def test_continuous_words_and_moves_are_numbers_from_0_to_1(name: str) -> None:
    env: ParticleTask = registry.load("env", name)(words="task", continuous_actions=True)
    assert all(isinstance(role.action_space, spaces.Box) for role in env.roles)
