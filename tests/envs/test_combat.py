"""Combat: turns, shots and rewards by hand, how the bots fight, and what is seen."""

import math

import pytest
import torch

from heliograph.envs.combat import COOLDOWN, HEALTH, Combat
from heliograph.envs.combat_tactics import DOWN, LEFT, RIGHT, SHOOT, STAY, UP, bot_action
from heliograph.types import TeamStep
from tests.envs.states import put, put_at


def field(soldiers: list[tuple[int, int]], bots: list[tuple[int, int]], **settings: int) -> Combat:
    """The same fight in all copies."""
    env = Combat(soldiers=len(soldiers), **{"num_envs": 400, **settings})
    env.reset()
    places = torch.tensor([soldiers + bots]).expand(env.num_envs, -1, 2)
    put(env, units__row=places[..., 0], units__column=places[..., 1])
    return env


def act(env: Combat, *actions: int) -> TeamStep:
    return env.step({"soldier": torch.tensor([actions]).expand(env.num_envs, -1)})


def half(flags: torch.Tensor) -> bool:
    return abs(flags.float().mean().item() - 0.5) < 4 * 0.5 / math.sqrt(len(flags))


def test_bots_that_see_nobody_stay_and_a_fight_without_a_winner_is_lost() -> None:
    env = field([(0, 0), (0, 2)], [(10, 10), (10, 12)], steps=3)
    for time in range(3):
        step = act(env, STAY, UP)
        assert (step.episode_over == (time == 2)).all()
        if time < 2:
            assert not step.rewards.any()
            assert env.state.units.row[:, 2:].unique(dim=0).tolist() == [[10, 10]]
    assert step.terminated.all()
    assert step.rewards.unique().tolist() == [pytest.approx(-1 - 0.1 * 6)]
    assert not step.info["success"].any()


def test_moves_walls_and_taken_cells_by_hand() -> None:
    env = field([(0, 0), (1, 2), (14, 14)], [(9, 2), (9, 4), (9, 6)])
    for actions, places in [
        ((UP, DOWN, RIGHT), [[0, 0], [2, 2], [14, 14]]),
        ((LEFT, LEFT, DOWN), [[0, 0], [2, 1], [14, 14]]),
        ((RIGHT, UP, UP), [[0, 1], [1, 1], [13, 14]]),
        ((DOWN, STAY, LEFT), [[0, 1], [1, 1], [13, 13]]),  # the cell below is taken
    ]:
        act(env, *actions)
        assert torch.stack([env.state.units.row, env.state.units.column], -1)[:, :3].unique(dim=0).tolist() == [places]
    put_at(env, (slice(None), 1), units__fallen=True, units__health=0)
    act(env, DOWN, STAY, STAY)
    assert env.state.units.row[:, 0].unique().tolist() == [1]  # the fallen are in nobody's way


def test_whose_turn_comes_first_is_drawn() -> None:
    env = field([(5, 5)], [(5, 7)])
    act(env, RIGHT)
    hit = env.state.units.health[:, 0] == HEALTH - 1
    assert half(hit)  # the bot shoots at once if its turn comes after the move
    assert set(env.state.units.health[:, 0].tolist()) == {2, 3}
    assert (env.state.units.cooldown[hit, 1] == COOLDOWN - 1).all()
    assert (env.state.units.cooldown[~hit, 1] == 0).all()


def test_a_duel_by_hand() -> None:
    """Both shoot in steps 1, 3 and 5; whoever has the first turn in step 5 wins."""
    env = field([(5, 5)], [(5, 6)])
    for healths in ([2, 2], [2, 2], [1, 1], [1, 1]):
        step = act(env, SHOOT)
        assert env.state.units.health.unique(dim=0).tolist() == [healths]
        assert not step.episode_over.any()
    step = act(env, SHOOT)
    assert step.episode_over.all()
    won = step.info["success"]
    assert half(won)
    assert step.rewards[won].unique().tolist() == [0.0]
    assert step.rewards[~won].unique().tolist() == [pytest.approx(-1.1)]


def test_a_wasted_shot_must_be_waited_for_too() -> None:
    env = field([(0, 0)], [(9, 9)])
    act(env, SHOOT)
    assert (env.state.units.health == HEALTH).all()
    assert (env.state.units.cooldown[:, 0] == 1).all()
    put_at(env, (slice(None), 1), units__row=1, units__column=1, units__cooldown=9)  # a bot that may not shoot
    act(env, SHOOT)
    assert (env.state.units.health == HEALTH).all()
    act(env, SHOOT)
    assert (env.state.units.health[:, 1] == HEALTH - 1).all()


def bot(env: Combat, number: int, *, luck: torch.Tensor | float, vision: int = 1) -> torch.Tensor:
    units, unit = env.state.units, torch.full((env.num_envs, 1), number)
    luck = torch.zeros(env.num_envs, 1) + luck
    return bot_action(units, unit, distance=units.distance(unit), luck=luck, vision=vision)


def test_bots_shoot_the_nearest_and_share_what_they_see() -> None:
    env = field([(5, 5), (0, 14)], [(5, 6), (9, 5)])
    assert bot(env, 2, luck=0.0).unique().tolist() == [SHOOT]
    assert bot(env, 3, luck=0.0).unique().tolist() == [LEFT]  # luck 0 goes sideways, even where there is no need
    assert bot(env, 3, luck=0.5).unique().tolist() == [UP]
    put_at(env, (slice(None), 2), units__cooldown=1)
    assert bot(env, 2, luck=0.5).unique().tolist() == [LEFT]  # it walks against whom it may not shoot
    far = field([(5, 5), (0, 14)], [(5, 7), (9, 5)])
    assert bot(far, 3, luck=0.5).unique().tolist() == [STAY]
    put_at(env, (slice(None), 0), units__health=0)
    assert bot(env, 2, luck=0.5).unique().tolist() == [STAY]  # the other soldier is out of sight


def test_bots_take_the_longer_way_more_often() -> None:
    env = field([(5, 5)], [(8, 6)], num_envs=3000)
    action = bot(env, 1, luck=torch.rand(3000, 1, generator=torch.Generator().manual_seed(0)), vision=3)
    assert set(action.unique().tolist()) == {UP, LEFT}
    assert (action == LEFT).float().mean().item() == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / 3000))


def test_the_fallen_see_nothing_and_are_paid() -> None:
    env = field([(5, 5), (0, 0)], [(5, 6), (9, 9)], steps=2)
    put_at(env, (slice(None), 0), units__health=1)
    step = act(env, STAY, STAY)
    assert step.acting.unique(dim=0).tolist() == [[False, True]]
    assert torch.equal(step.observing, step.acting)
    assert torch.equal(step.speaking, step.acting)
    assert not step.terminated.any()
    assert not step.observations["soldier"][:, 0].any()
    assert (step.meaning[:, 0] == -1).all()
    put_at(env, (slice(None), slice(2, None)), units__health=2)
    step = act(env, SHOOT, STAY)
    assert step.rewards.unique().tolist() == [pytest.approx(-1.4)]


def test_a_side_that_has_fallen_ends_the_fight() -> None:
    for side, reward in ((0, -1.3), (1, 0.0)):
        env = field([(5, 5)], [(9, 9)])
        put_at(env, (slice(None), side), units__health=0)
        step = act(env, STAY)
        assert step.episode_over.all()
        assert step.rewards.unique().tolist() == [pytest.approx(reward)]
        assert (step.info["success"] == bool(side)).all()


def test_observations_by_hand() -> None:
    env = field([(5, 5), (4, 4)], [(6, 5), (9, 9)], num_envs=1)
    put(env, units__health=torch.tensor([[3, 2, 1, 3]]), units__cooldown=torch.tensor([[1, 0, 0, 0]]))
    step = env.view()
    seen = step.observations["soldier"][0]
    assert seen[0, :15].argmax() == seen[0, 15:30].argmax() == 5
    window = seen[0, 30:].view(3, 3, 8)  # 4 units, 3 healths, waiting
    assert window[1, 1].tolist() == [1, 0, 0, 0, 0, 0, 1, 1]
    assert window[0, 0].tolist() == [0, 1, 0, 0, 0, 1, 0, 0]
    assert window[2, 1].tolist() == [0, 0, 1, 0, 1, 0, 0, 0]
    assert window.sum() == 7
    assert step.meaning[0].tolist() == [[5 * 15 + 5, 1], [4 * 15 + 4, 0]]


def test_teams_start_around_their_centres() -> None:
    env = Combat(num_envs=500)
    env.reset()
    for line in (env.state.units.row, env.state.units.column):
        for side in line.split(5, 1):
            assert (side.amax(1) - side.amin(1)).max() == 4
        assert line.min() == 0
        assert line.max() == 14


def test_other_settings_have_simulated_scores() -> None:
    env = Combat(soldiers=2, size=6, steps=12)
    bounds = env.bounds()
    assert bounds.random < bounds.full_information
    assert bounds is env.bounds()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"soldiers": 0}, "soldiers=0: must be a whole number of at least 1"),
        ({"dispersion": -1}, "dispersion=-1: must be a whole number of at least 0"),
        ({"vision": -1}, "vision=-1: must be a whole number of at least 0"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Combat(**settings)
