"""Reconstruction: who sees what, what answers are worth, exact scores over all episodes, and objects as pictures."""

import itertools
from fractions import Fraction

import pytest
import torch

from heliograph.envs.reconstruction import ReconstructionGame
from heliograph.envs.scene import Mark, Presence


def answered(env: ReconstructionGame, receiver: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"sender": torch.zeros(env.num_envs, 1, dtype=torch.long), "receiver": receiver}


@pytest.mark.parametrize("reward", ["all", "share"])
def test_answers_are_paid_by_the_attributes_they_name(reward: str) -> None:
    env = ReconstructionGame(num_envs=4, attributes=2, values=3, reward=reward, listeners=2)
    step = env.reset()
    truth = step.meaning[:, 0]
    assert not env.step(answered(env, torch.zeros(4, 2, 2, dtype=torch.long))).rewards.any()
    wrong = (truth + 1) % 3
    rows = [truth[0], torch.stack([truth[1, 0], wrong[1, 1]]), torch.stack([wrong[2, 0], truth[2, 1]]), wrong[3]]
    step = env.step(answered(env, torch.stack([torch.stack(rows), truth], 1)))
    own = [1.0, 0.5, 0.5, 0.0] if reward == "share" else [1.0, 0.0, 0.0, 0.0]
    assert step.rewards.tolist() == [[(score + 1) / 2, score, 1.0] for score in own]
    assert step.info["success"].tolist() == [True, False, False, False] and step.terminated.all()


def test_the_sender_sees_the_object_and_receivers_nothing() -> None:
    env = ReconstructionGame(num_envs=32, rounds=2)
    step = env.reset()
    for time in range(4):
        sends = time % 2 == 0
        assert step.speaking.tolist() == [[sends, False]] * 32 and step.acting.tolist() == [[False, not sends]] * 32
        named = step.observations["sender"].view(32, 2, 4).argmax(-1)
        assert torch.equal(step.meaning[:, 0], named) or not sends
        assert step.observations["sender"].any() == sends
        assert step.observations["receiver"].unique().tolist() == [float(not sends)]
        assert (step.meaning[:, 1] == -1).all()
        step = env.step(env.oracle(env.state))
    assert step.episode_over.all() and step.info["success"].all()


def test_players_take_turns_from_one_drawn_at_random() -> None:
    env = ReconstructionGame(num_envs=200, exchange=True, rounds=3, listeners=2)
    step, senders = env.reset(), []
    for _ in range(3):
        assert (step.speaking.sum(1) == 1).all()
        assert torch.equal(step.speaking, step.meaning[..., 0] >= 0)
        assert torch.equal(step.observations["player"][..., 0] > 0, step.speaking)
        assert not step.observations["player"][~step.speaking].any()
        senders.append(step.speaking.int().argmax(1))
        step = env.step(env.oracle(env.state))
        assert torch.equal(step.acting.int().argmin(1), senders[-1]) and (step.acting.sum(1) == 2).all()
        step = env.step(env.oracle(env.state))
    assert set(senders[0].tolist()) == {0, 1, 2}
    assert all(torch.equal(later, (before + 1) % 3) for before, later in itertools.pairwise(senders))
    assert step.info["success"].all() and step.rewards.unique().tolist() == [1.0]


@pytest.mark.parametrize("split", ["all", "train", "test"])
@pytest.mark.parametrize("reward", ["all", "share"])
def test_bounds_are_the_best_and_the_mean_of_all_constant_answers(reward: str, split: str) -> None:
    env = ReconstructionGame(attributes=2, values=3, reward=reward, split=split, held_out_share=0.4)
    objects = env.objects.attributes[env.objects.in_split].tolist()
    scores = []
    for guess in itertools.product(range(3), repeat=2):
        right = [[a == b for a, b in zip(guess, row, strict=True)] for row in objects]
        each = [all(row) if reward == "all" else Fraction(sum(row), 2) for row in right]
        scores.append(Fraction(sum(each)) / len(objects))
    bounds = env.bounds()
    assert bounds.random == pytest.approx(float(sum(scores) / 9)) and bounds.blind == pytest.approx(float(max(scores)))


def test_all_episodes_are_enumerated_once() -> None:
    env = ReconstructionGame(split="test", rounds=2, exchange=True)
    assert env.num_starts == 3**2 * 2
    env = ReconstructionGame(split="test", rounds=2, exchange=True, num_envs=18)
    env.fix_starts(torch.arange(18))
    env.reset()
    found = torch.cat([env.state.object, env.state.first[:, None]], 1)
    assert len(found.unique(dim=0)) == 18
    assert set(env.state.object.flatten().tolist()) == set(env.objects.in_split.tolist())


def test_drawn_objects_are_those_of_the_split() -> None:
    for split in ("train", "test"):
        env = ReconstructionGame(num_envs=500, split=split, seed=3)
        env.reset()
        assert set(env.state.object.flatten().tolist()) == set(env.objects.in_split.tolist())


@pytest.mark.parametrize("attributes", [1, 2, 3])
def test_drawn_shapes_all_look_different(attributes: int) -> None:
    env = ReconstructionGame(objects="shapes", attributes=attributes, values=6, observation="image")
    looks = env.objects.looks.flatten(1)
    assert len(looks.unique(dim=0)) == 6**attributes
    assert env.roles[0].observation_space.shape == (16, 24, 3) and env.objects.names[0] == "colour"
    step = env.reset()
    assert torch.equal(step.observations["sender"][0, 0], env.objects.looks[env.state.object[0, 0]])


def test_features_of_objects_are_different_and_the_same_again() -> None:
    one, other = (ReconstructionGame(objects="features", objects_seed=seed).objects.looks for seed in (5, 6))
    assert len(one.unique(dim=0)) == 16 and not torch.equal(one, other)
    assert torch.equal(one, ReconstructionGame(objects="features", objects_seed=5).objects.looks)


def test_the_scene_shows_the_object_and_the_answers() -> None:
    env, seen = ReconstructionGame(listeners=2, num_envs=1), []
    env.on_end = lambda over: seen.append(env.scene(env.state))
    env.reset()
    start = env.scene(env.state)
    truth = env.objects.attributes[env.state.object[0, 0]]
    assert [thing.label for thing in start.things] == ["".join(map(str, truth.tolist()))]
    assert [agent.presence for agent in start.agents] == [Presence.ACTIVE, Presence.WAITING, Presence.WAITING]
    for _ in range(2):
        env.step(answered(env, torch.stack([truth, (truth + 1) % 4])[None]))
    assert [thing.mark for thing in seen[0].things] == [Mark.NONE, Mark.DONE, Mark.TROUBLE]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observation": "image"}, "observation='image': objects='attributes' are no pictures"),
        ({"observation": "image", "objects": "digits", "exchange": True}, "players who exchange roles"),
        ({"reward": "some"}, "reward='some': must be 'all' or 'share'"),
        ({"listeners": 0}, "listeners=0"),
        ({"rounds": 0}, "rounds=0"),
        ({"split": "dev"}, "split='dev'"),
    ],
)
def test_bad_settings_are_refused_by_name(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ReconstructionGame(**changes)
