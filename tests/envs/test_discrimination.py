"""Discrimination and classification: candidates differ as promised and betray nothing, and right answers are paid."""

import itertools
import math

import pytest
import torch

from heliograph.envs.classification import ClassificationGame
from heliograph.envs.discrimination import DiscriminationGame
from heliograph.envs.scene import Mark
from heliograph.testing import episodes


def offered(env: DiscriminationGame) -> torch.Tensor:
    """Attributes of what receiver 0 may choose from, [B, C, Z]."""
    return env.objects.attributes[env.offered(env.state)[:, -1]]


def differing(env: DiscriminationGame) -> torch.Tensor:
    """In how many attributes the candidates of each copy are not all alike."""
    return (offered(env) != offered(env)[:, :1]).any(1).sum(1)


@pytest.mark.parametrize(
    ("settings", "most"),
    [({"distractors": "one_attribute"}, 1), ({"distractors": "similar"}, 2), ({}, 4)],
)
@pytest.mark.parametrize("split", ["all", "train", "test"])
def test_candidates_agree_in_all_attributes_but_so_many(settings: dict, most: int, split: str) -> None:
    env = DiscriminationGame(
        attributes=4, values=3, candidates=3, split=split, held_out_share=0.45, num_envs=1000, **settings
    )
    env.reset()
    assert differing(env).max() == most
    assert set(env.state.candidates.flatten().tolist()) <= set(env.objects.in_split.tolist())
    pairs = itertools.combinations(range(3), 2)
    assert all((offered(env)[:, one] != offered(env)[:, other]).any(-1).all() for one, other in pairs)
    assert torch.equal(env.state.candidates.sort(-1).values[:, :, 0], env.state.candidates.sort(-1).values[:, :, 1])
    found = env.state.candidates.gather(-1, env.state.answer[..., None])[..., 0]
    assert torch.equal(found, env.state.object[..., None].expand_as(found))


@pytest.mark.parametrize("settings", [{}, {"distractors": "one_attribute"}, {"distractors": "similar"}])
@pytest.mark.parametrize("split", ["all", "train"])
def test_candidates_betray_nothing_about_the_right_one(settings: dict, split: str) -> None:
    env = DiscriminationGame(attributes=3, values=3, candidates=3, split=split, num_envs=20_000, **settings)
    env.reset()
    seen = offered(env)
    apart = (seen[:, :, None] != seen[:, None]).sum((2, 3)).float()
    often = env.state.object.flatten().bincount(minlength=27).float()[env.offered(env.state)[:, -1]]
    answer, error = env.best(env.state)[:, -1, 0], math.sqrt(2 / 9 / 20_000)
    for clue in (apart, -apart, seen.sum(-1).float(), torch.arange(3.0).expand(20_000, 3)):
        guess = (clue + 0.1 * torch.rand(clue.shape, generator=torch.Generator().manual_seed(0))).argmax(-1)
        assert (guess == answer).float().mean().item() == pytest.approx(1 / 3, abs=4 * error)
    assert (often.argmax(-1) == answer).float().mean().item() == pytest.approx(1 / 3, abs=6 * error)


def test_every_pair_of_objects_is_drawn_equally_often_on_either_side() -> None:
    env = DiscriminationGame(attributes=2, values=2, candidates=2, distractors="one_attribute", num_envs=40_000)
    env.reset()
    others = env.state.candidates[:, 0, 1].sum(-1) - env.state.object[:, 0]
    counts = (4 * env.state.object[:, 0] + others).bincount(minlength=16).view(4, 4)
    neighbours = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]])
    assert ((counts - 5000 * neighbours).abs() < 4 * math.sqrt(5000)).all()
    assert not counts[neighbours == 0].any()


def test_the_receiver_sees_its_candidates_and_earns_by_finding_the_object() -> None:
    env = DiscriminationGame(num_envs=64, listeners=2, candidates=3)
    step = env.reset()
    sent = step.observations["sender"][:, 0]
    assert not step.observations["receiver"].any()
    step = env.step(env.oracle(env.state))
    choices = step.observations["receiver"].view(64, 2, 3, 8)
    place = (choices == sent[:, None, None]).all(-1)
    assert (place.sum(-1) == 1).all() and (place[:, 0] != place[:, 1]).any()
    wrong = (place.int().argmax(-1) + torch.tensor([0, 1])) % 3
    step = env.step({"sender": torch.zeros(64, 1, dtype=torch.long), "receiver": wrong})
    assert step.rewards.unique(dim=0).tolist() == [[0.5, 1.0, 0.0]] and not step.info["success"].any()


def test_players_who_exchange_roles_see_an_object_or_candidates() -> None:
    env = DiscriminationGame(exchange=True, rounds=2, num_envs=64, candidates=3)
    step = env.reset()
    for time in range(4):
        seen = step.observations["player"]
        assert seen.shape == (64, 2, 2 + 8 * 4) and env.roles[0].observation_space.shape == (34,)
        sends, answers = seen[..., 0] > 0, seen[..., 1] > 0
        assert torch.equal(sends, step.speaking) and torch.equal(answers, step.acting)
        assert torch.equal(seen[..., 2:10].any(-1), sends) and torch.equal(seen[..., 10:].any(-1), answers)
        assert sends.any() == (time % 2 == 0)
        step = env.step(env.oracle(env.state))
    assert step.info["success"].all() and step.episode_over.all()


def test_other_views_are_other_pictures_of_the_same_digit() -> None:
    env = DiscriminationGame(objects="digits", views="other", split="test", num_envs=500, candidates=10)
    env.reset()
    found = env.state.candidates.gather(-1, env.state.answer[..., None])[:, 0, 0, 0]
    assert torch.equal(env.objects.attributes[found], env.objects.attributes[env.state.object[:, 0]])
    assert (found != env.state.object[:, 0]).float().mean() > 0.9
    assert sorted(offered(env)[0].flatten().tolist()) == list(range(10))


def test_pictures_lie_side_by_side() -> None:
    env = DiscriminationGame(objects="shapes", observation="image", num_envs=3)
    env.reset()
    step = env.step(env.oracle(env.state))
    image = step.observations["receiver"][1, 0]
    for place, number in enumerate(env.offered(env.state)[1, 1].tolist()):
        assert torch.equal(image[:, 24 * place : 24 * (place + 1)], env.objects.looks[number])


def test_the_scene_marks_the_choice() -> None:
    env, seen = DiscriminationGame(num_envs=2), []
    env.on_end = lambda over: seen.extend(env.scene(env.state, copy) for copy in range(2))
    env.reset()
    best = env.oracle(env.state)["receiver"]
    for _ in range(2):
        env.step({"sender": torch.zeros_like(best), "receiver": (best + torch.tensor([[0], [1]])) % 4})
    marks = [[thing.mark for thing in scene.things[1:]] for scene in seen]
    assert marks[0][best[0, 0]] is Mark.DONE and marks[0].count(Mark.NONE) == 3
    assert marks[1][(best[1, 0] + 1) % 4] is Mark.TROUBLE and len(seen[0].things) == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"candidates": 1}, "candidates=1: needs at least 2"),
        ({"candidates": 17}, "candidates=17: at most 16 objects of this split"),
        ({"candidates": 5, "distractors": "one_attribute"}, "candidates=5: at most 4 objects .* all but 1"),
        ({"distractors": "near"}, "distractors='near'"),
        ({"distractors": "similar"}, "differing=2: objects have 2 attributes"),
        ({"differing": 1}, "differing=1: belongs to distractors='similar'"),
        ({"views": "other"}, "views='other': these objects look the same"),
        ({"views": "both"}, "views='both'"),
    ],
)
def test_bad_settings_are_refused_by_name(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DiscriminationGame(**changes)


def test_a_class_is_the_value_of_one_attribute() -> None:
    env = ClassificationGame(attributes=3, values=3, class_attribute=2, num_envs=27, listeners=2)
    env.fix_starts(torch.arange(27))
    step = env.reset()
    assert step.meaning[:, 0].unique(dim=0).shape == (27, 3)
    named = step.meaning[:, 0, 2]
    env.step(env.oracle(env.state))
    step = env.step({"sender": named[:, None], "receiver": torch.stack([named, torch.zeros_like(named)], 1)})
    assert step.rewards[:, 1].eq(1).all() and torch.equal(step.rewards[:, 2], (named == 0).float())
    with pytest.raises(ValueError, match="class_attribute=2: must be from 0 to 1"):
        ClassificationGame(class_attribute=2)


def test_the_blind_name_the_most_frequent_class() -> None:
    env = ClassificationGame(split="test", values=3, held_out_share=0.4, num_envs=4, objects_seed=2)
    classes = env.objects.attributes[env.objects.in_split][:, 0]
    best = classes.bincount().argmax()
    env.fix_starts(torch.arange(4))

    def blind(step) -> dict[str, torch.Tensor]:
        return {"sender": torch.zeros(4, 1, dtype=torch.long), "receiver": best.expand(4, 1)}

    assert env.num_starts == 4 and env.bounds().blind == episodes(env, number=4, policy=blind)[0].mean()
    assert env.bounds().random == pytest.approx(1 / 3) and env.bounds().blind > 0.4
