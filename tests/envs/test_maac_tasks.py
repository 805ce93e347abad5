"""MAAC's tasks: step by step those of the published code (episodes of which are kept as numbers), and by hand."""

import dataclasses
import json
import math
import pathlib
from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph.envs.particle_physics import contact_forces, moved, pairs_of, rest_points, yielding
from heliograph.envs.particle_scores import simulated_scores
from heliograph.envs.particle_task import ParticleTask
from heliograph.envs.rover_tower import RoverTower
from heliograph.envs.treasure_collection import TreasureCollection
from heliograph.envs.treasure_hunt import NOTHING, gives, shared_out, takes

EPISODES = json.loads((pathlib.Path(__file__).parent / "maac_episodes.json").read_text())
UNTIL = 25
"""Steps after which rounding errors have grown in crowds."""


class Told(TreasureCollection):
    """A task whose new treasures are told."""

    told: dict[str, Any]

    def new_treasures(self) -> tuple[Tensor, Tensor]:
        return torch.tensor([self.told["treasures"]], dtype=torch.float64), torch.tensor([self.told["kinds"]])


def started(env: ParticleTask, start: dict[str, Any]) -> None:
    double = ("place", "landmark")
    kept = {key: torch.tensor([x], dtype=torch.float64 if key in double else torch.long) for key, x in start.items()}
    env.plan_start(dataclasses.replace(env.start(), **kept))
    env.reset()


@pytest.mark.parametrize("env", [RoverTower(words="task"), Told(rules="code")], ids=["rover_tower", "treasures"])
def test_every_step_is_that_of_the_published_code(env: ParticleTask) -> None:
    told = EPISODES["rover_tower" if isinstance(env, RoverTower) else "treasure_collection"]
    if isinstance(env, Told):
        env.told = {"treasures": told["start"]["landmark"], "kinds": told["start"]["kind"]}
    started(env, told["start"])
    for expected in told["steps"][: UNTIL - 1]:
        step = env.step({role: torch.tensor([chosen]) for role, chosen in expected["actions"].items()})
        if isinstance(env, Told):
            env.told = expected
        assert step.rewards[0].tolist() == pytest.approx(expected["rewards"], abs=1e-5)
        seen = [weighted(row) for rows in step.observations.values() for row in rows[0]]
        assert seen == pytest.approx(expected["observations"], rel=1e-5, abs=1e-4)


def weighted(row: Tensor) -> float:
    return float((row.double() * torch.arange(len(row)).double().cos()).sum())


def test_what_was_kept_has_treasures_taken_and_brought_and_rovers_that_arrive() -> None:
    treasures, rovers = (
        [step["rewards"] for step in EPISODES[name]["steps"][: UNTIL - 1]]
        for name in ("treasure_collection", "rover_tower")
    )
    assert sum(min(paid) > 4 for paid in treasures) > 1 and max(map(max, rovers)) > 9


# ---- physics ---------------------------------------------------------------------------------------------------------


def column(*points: tuple[float, float]) -> Tensor:
    return torch.tensor(points, dtype=torch.float64)[..., None]


def test_a_push_moves_at_once_and_whoever_coasts_comes_to_rest_where_it_was_told() -> None:
    place, velocity = moved(column((0.1, 0.2)), column((0.0, 0.0)), column((5.0, 0.0)), at_once=True)
    assert place.flatten().tolist() == pytest.approx([0.15, 0.2]) and velocity.flatten().tolist() == [0.5, 0.0]
    told = rest_points(place.permute(2, 0, 1), velocity.permute(2, 0, 1), at_once=True)
    for _ in range(200):
        place, velocity = moved(place, velocity, torch.zeros_like(velocity), at_once=True)
    assert place.flatten().tolist() == pytest.approx(told.flatten().tolist())
    assert told.flatten().tolist() == pytest.approx([0.3, 0.2])


def test_a_heavy_disc_is_pushed_less() -> None:
    pairs = pairs_of(2, device=torch.device("cpu"))
    mass = torch.tensor([1.0, 2.0], dtype=torch.float64).view(-1, 1, 1)
    reach = torch.full((1, 1), 0.3, dtype=torch.float64)
    force = contact_forces(column((0, 0), (0.1, 0)), pairs, reach=reach, yielding=yielding(mass, pairs))[..., 0]
    assert force[:, 0].tolist() == pytest.approx([-20.0 * 2, 20.0 / 4])  # 100 x 0.2; by ratios 2 and 1/2, then by mass
    assert yielding(torch.ones(2, 1, 1), pairs).eq(1).all()


# ---- treasures -------------------------------------------------------------------------------------------------------


def test_a_treasure_goes_to_the_first_free_hunter_and_a_hunter_takes_one() -> None:
    touching = torch.tensor([[[True, True], [True, False], [True, True]]])
    holding, found = takes(touching, holding=torch.tensor([[2, NOTHING, NOTHING]]), kind=torch.tensor([[0, 1]]))
    assert holding.tolist() == [[2, 0, 1]] and found.tolist() == [[True, True]]
    holding, found = takes(touching[:, :2], holding=torch.tensor([[NOTHING, 0]]), kind=torch.tensor([[0, 1]]))
    assert holding.tolist() == [[0, 0]] and found.tolist() == [[True, False]]


def test_only_the_bank_of_its_kind_takes_a_treasure() -> None:
    touching = torch.tensor([[[True, False], [True, True], [True, True]]])
    assert gives(touching, holding=torch.tensor([[1, 1, NOTHING]])).tolist() == [[False, True, False]]


def test_hunters_share_treasures_out() -> None:
    assert shared_out(torch.tensor([[[1.0, 2.0, 3.0], [1.0, 4.0, 3.0], [0.0, 1.0, 9.0]]])).tolist() == [[0, 2, 1]]


def placed(env: TreasureCollection, *, holding: int) -> None:
    """One hunter on a treasure, or on the bank of kind 1; all else far apart."""
    env.reset()
    place = torch.arange(env.num_agents).double()[None, :, None] * 3 + 5.0
    landmark = torch.full_like(env.state.landmark, -50.0)
    place, landmark = place.expand(1, -1, 2).clone(), landmark + torch.arange(env.hunters)[None, :, None]
    if holding == NOTHING:
        landmark[0, 2] = place[0, 0]
    else:
        place[0, 0] = place[0, env.hunters + holding] + 0.05
    held = torch.full_like(env.state.holding, NOTHING)
    held[0, 0] = holding
    env.state = dataclasses.replace(env.state, place=place, landmark=landmark, holding=held, time=env.state.time + 1)


def still(env: ParticleTask) -> dict[str, Tensor]:
    return {kind.name: env.silent(kind) for kind in env.particles}


@pytest.mark.parametrize(("rules", "of_bank"), [("paper", 0.0), ("code", 5.0)])
def test_taking_pays_hunters_and_by_the_code_alone_banks(rules: str, of_bank: float) -> None:
    env = TreasureCollection(rules=rules)
    placed(env, holding=NOTHING)
    far = env.pay(dataclasses.replace(env.state, landmark=env.state.landmark - 1000.0))[:, 0]
    near = env.pay(env.state)[:, 0]
    gain = (near - far)[1:]  # of those whose way to a treasure has changed, too
    assert gain[env.hunters - 1 :].tolist() == [of_bank] * env.banks
    assert near[0].item() == pytest.approx(5.0)
    env.step(still(env))
    assert env.state.holding[0, 0] != NOTHING and (env.state.holding[0, 1:] == NOTHING).all()
    gone = bool((env.state.landmark[0, 2] == -999).all())
    assert gone is (rules == "code") and (gone or env.state.landmark[0, 2].abs().max() <= 0.95)


def test_giving_pays_all_and_counts() -> None:
    env = TreasureCollection()
    placed(env, holding=1)
    paid = env.pay(env.state)[:, 0]
    distance = 0.05 * math.sqrt(2)
    assert paid[0].item() == pytest.approx(5 - 0.1 * distance) and paid[env.hunters + 1].item() == paid[0].item()
    step = env.step(still(env))
    assert env.state.holding[0, 0] == NOTHING and step.info["deposits"].tolist() == [1.0]


def test_nobody_takes_anything_before_having_moved() -> None:
    env = TreasureCollection()
    placed(env, holding=NOTHING)
    env.state = dataclasses.replace(env.state, time=env.state.time * 0)
    env.step(still(env))
    assert env.state.holding[0, 0] == NOTHING


@pytest.mark.parametrize(("hunters", "banks"), [(3, 1), (6, 2), (9, 3)])
def test_everybody_sees_all_or_by_the_code_the_nearest_seven(hunters: int, banks: int) -> None:
    for rules in ("paper", "code"):
        env = TreasureCollection(hunters=hunters, banks=banks, rules=rules)
        others, treasures = hunters + banks - 1, hunters
        if rules == "code":
            others, treasures = min(7, others), min(7, treasures)
        sees = 4 + others * (4 + 2 * banks) + treasures * (2 + banks)
        step = env.reset()
        assert {role: x.shape[2] for role, x in step.observations.items()} == {"hunter": sees + banks, "bank": sees}


def test_a_script_collects_and_beats_those_that_stand_still() -> None:
    env = TreasureCollection(steps=30)
    scores = {script: teams["team"] for script, teams in simulated_scores(env).items()}
    assert scores["informed"] > 20 + max(scores["still"], scores["random"])


# ---- rovers ----------------------------------------------------------------------------------------------------------


def test_a_rover_hears_its_tower_alone_and_is_told_the_push_that_helps() -> None:
    env = RoverTower(num_envs=1, pairs=2, landmarks=2)
    start = dataclasses.replace(
        env.start(),
        place=torch.tensor([[[0.0, 0.0], [0.5, 0.0], [0.9, 0.9], [0.9, 0.9]]], dtype=torch.float64),
        landmark=torch.tensor([[[-1.0, 0.0], [0.5, 0.8]]], dtype=torch.float64),
        goal=torch.tensor([[1, 0]]),
        tower_of=torch.tensor([[1, 0]]),
    )
    env.plan_start(start)
    step = env.reset()
    assert step.hearing is not None and step.hearing.mask[0].nonzero().tolist() == [[0, 3], [1, 2]]
    assert step.meaning[0, :, 0].tolist() == [-1, -1, 4, 1]  # tower 0: rover 1 is to go up; tower 1: rover 0, left
    assert step.speaking[0].tolist() == [False, False, True, True]
    tower = step.observations["tower"][0]
    assert tower[0].tolist() == pytest.approx([0, 1, 0.5, 0, 0.5, 0.8]) and tower[1].tolist() == [1, 0, 0, 0, -1, 0]
    paid = env.pay(env.state)[:, 0].tolist()
    assert paid == pytest.approx([-1.0, -0.64, -0.64, -1.0])


def test_a_rover_near_its_goal_is_paid_more_and_its_tower_too() -> None:
    env = RoverTower(words="task", pairs=2, landmarks=1)
    env.reset()
    place = torch.zeros_like(env.state.place)
    place[0, 1, 0] = 0.5
    env.state = dataclasses.replace(
        env.state, place=place, landmark=torch.zeros_like(env.state.landmark), tower_of=torch.tensor([[1, 0]])
    )
    assert env.pay(env.state)[:, 0].tolist() == pytest.approx([10.0, -0.25, -0.25, 10.0])
    assert not env.reached(env.state).any()
    step = env.step({"rover": torch.zeros(1, 2, dtype=torch.long), "tower": torch.tensor([[3, 1]])})
    heard = step.observations["rover"][0, :, 2:7]
    assert heard.argmax(-1).tolist() == [1, 3] and heard.sum(-1).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RoverTower(pairs=0), "pairs=0"),
        (lambda: RoverTower(words="aloud"), "words='aloud': must be 'channel' or 'task'"),
        (lambda: TreasureCollection(banks=0), "banks=0"),
        (lambda: TreasureCollection(rules="mine"), "rules='mine': must be 'paper' or 'code'"),
    ],
)
def test_bad_settings_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
