"""Predator-Prey: steps by hand, exact scores against enumeration and simulation, and what is seen."""

import itertools
import math

import pytest
import torch

from heliograph.envs.predator_prey import DOWN, LEFT, RIGHT, STAY, UP, PredatorPrey
from heliograph.envs.predator_prey_scores import (
    independent_scores,
    reached_at_once,
    reached_at_random,
    reached_by_search,
    search_path,
    team_scores,
)
from heliograph.envs.predator_prey_searchers import SharedKnowledge, _Searchers
from heliograph.testing import episodes
from heliograph.types import TeamStep
from tests.envs.states import put

MODES = ("mixed", "cooperative", "competitive")


def hunt(*places: tuple[int, int], prey: tuple[int, int], **settings: object) -> PredatorPrey:
    env = PredatorPrey(**settings)
    env.reset()
    put(env, place=torch.tensor([places]), prey=torch.tensor([prey]))
    return env


def move(env: PredatorPrey, *actions: int) -> TeamStep:
    return env.step({"predator": torch.tensor([actions])})


def rewards(step: TeamStep) -> list[float]:
    return [round(value, 4) for value in step.rewards[0].tolist()]


# ---- steps by hand ---------------------------------------------------------------------------------------------------


def test_moves_and_walls_by_hand() -> None:
    env = hunt((0, 0), (2, 2), (4, 4), prey=(0, 4))
    for actions, places in [
        ((UP, UP, DOWN), [[0, 0], [1, 2], [4, 4]]),
        ((LEFT, RIGHT, RIGHT), [[0, 0], [1, 3], [4, 4]]),
        ((RIGHT, DOWN, LEFT), [[0, 1], [2, 3], [4, 3]]),
        ((STAY, LEFT, UP), [[0, 1], [2, 2], [3, 3]]),
        ((DOWN, DOWN, LEFT), [[1, 1], [3, 2], [3, 2]]),  # two may share a cell
    ]:
        step = move(env, *actions)
        assert env.state.place.tolist() == [places]
        assert rewards(step) == [-0.05] * 3


def test_a_mixed_episode_by_hand() -> None:
    env = hunt((0, 3), (1, 4), (2, 4), prey=(0, 4))
    step = move(env, RIGHT, STAY, UP)
    assert rewards(step) == [0, -0.05, -0.05]
    assert step.acting.tolist() == [[False, True, True]]
    assert step.observing.all()
    assert step.speaking.all()
    step = move(env, LEFT, UP, LEFT)  # the first stays where it is
    assert rewards(step) == [0, 0, -0.05]
    assert env.state.place.tolist() == [[[0, 4], [0, 4], [1, 3]]]
    assert not step.info["success"].item()
    step = move(env, STAY, STAY, UP)
    assert not step.episode_over.item()
    step = move(env, STAY, STAY, RIGHT)
    assert rewards(step) == [0, 0, 0]
    assert step.episode_over.item()
    assert step.terminated.all()
    assert step.info["success"].item()


@pytest.mark.parametrize(
    ("mode", "paid"), [("cooperative", [[0.05, -0.05], [0.1, 0.1]]), ("competitive", [[0.05, -0.05], [0.025, 0.025]])]
)
def test_the_other_modes_pay_on_the_prey_and_go_on(mode: str, paid: list[list[float]]) -> None:
    env = hunt((0, 3), (2, 4), prey=(0, 4), predators=2, mode=mode, steps=4)
    assert rewards(move(env, RIGHT, UP)) == paid[0]
    for _ in range(2):
        step = move(env, LEFT, UP)
        assert rewards(step) == paid[1]
        assert step.info["success"].item()
        assert not step.episode_over.item()
    step = move(env, STAY, STAY)
    assert rewards(step) == paid[1]
    assert step.episode_over.item()


def test_time_ends_a_hunt_without_success() -> None:
    env = hunt((0, 0), prey=(4, 4), predators=1, steps=3)
    for time in range(3):
        step = move(env, STAY)
        assert step.episode_over.item() == (time == 2)
    assert step.terminated.all()
    assert not step.info["success"].item()


# ---- what is seen ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "agents", "steps", "features"), [(5, 3, 20, 29), (10, 5, 40, 936), (20, 10, 80, 3636)]
)
def test_the_published_settings_follow_from_the_size(size: int, agents: int, steps: int, features: int) -> None:
    env = PredatorPrey(size=size)
    assert (env.num_agents, env.horizon) == (agents, steps)
    assert env.roles[0].observation_space.shape == (features,)


def test_observations_by_hand() -> None:
    env = hunt((0, 1), (1, 1), (1, 1), prey=(1, 2), vision=1)
    step = env.view()
    seen = step.observations["predator"][0].view(3, 3, 3, 29)
    outside, prey, predator = 26, 27, 28
    assert seen[0, :, :, :26].argmax(-1).tolist() == [[0, 0, 0], [0, 1, 2], [5, 6, 7]]
    assert seen[0, :, :, outside].tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert seen[0, :, :, prey].nonzero().tolist() == [[2, 2]]
    assert seen[0, :, :, predator].tolist() == [[0, 0, 0], [0, 1, 0], [0, 2, 0]]
    assert torch.equal(seen[1], seen[2])
    assert step.meaning.tolist() == [[[1, 7], [6, 7], [6, 7]]]
    assert step.positions.tolist() == [[[0, 1], [1, 1], [1, 1]]]
    blind = hunt((0, 1), (1, 1), (1, 1), prey=(1, 2)).view()
    assert blind.meaning.tolist() == [[[1, -1], [6, -1], [6, -1]]]
    assert [row.nonzero().flatten().tolist() for row in blind.observations["predator"][0]] == [
        [1, 28],
        [6, 28],
        [6, 28],
    ]


def test_starts_are_on_distinct_cells_equally_likely() -> None:
    env = PredatorPrey(num_envs=9000, size=3, predators=2)
    env.reset()
    cells = torch.cat([env.state.place, env.state.prey[:, None]], 1) @ torch.tensor([3, 1])
    assert (cells.sort(1).values.diff() > 0).all()
    for place in cells.T:
        assert (torch.bincount(place, minlength=9) - 1000).abs().max() < 5 * math.sqrt(1000)


# ---- scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "published", "exact"), [(5, 4.66, 4.6768), (10, 10.40, 10.3875), (20, 23.07, 23.0728)]
)
def test_the_lower_bounds_of_the_original_are_reproduced(size: int, published: float, exact: float) -> None:
    env = PredatorPrey(size=size)
    assert env.scores()["direct"].steps == pytest.approx(exact, abs=1e-4)
    assert exact == pytest.approx(published, abs=0.02)
    env = PredatorPrey(size=size, num_envs=2048 if size < 20 else 256, vision=0, seed=1)
    _, lengths = episodes(env, number=2048 if size < 20 else 256, policy=lambda _: env.oracle(env.state))
    assert abs(lengths.mean() - exact) < 3 * lengths.std() / math.sqrt(len(lengths))


def test_scores_of_a_tiny_grid_by_enumeration() -> None:
    """Two predators on 2 x 2 cells, two steps: all starts and all actions."""
    env = PredatorPrey(size=2, predators=2, steps=2)
    starts = list(itertools.permutations(range(4), 3))
    actions = list(itertools.product(range(5), repeat=4))
    cases = torch.tensor([[*s, *a] for s in starts for a in actions])
    for mode in MODES:
        env = PredatorPrey(size=2, predators=2, steps=2, mode=mode, num_envs=len(cases))
        env.reset()
        place, prey = (torch.stack([cell // 2, cell % 2], -1) for cell in (cases[:, :2], cases[:, 2]))
        put(env, place=place, prey=prey)
        first = env.step({"predator": cases[:, 3:5]})
        going_on = ~first.episode_over[:, None]
        second = env.step({"predator": cases[:, 5:]})
        total = (first.rewards + second.rewards * going_on).mean()
        exact = independent_scores(reached_at_random(2, steps=2), predators=2)
        assert getattr(exact, mode) == pytest.approx(total.item(), abs=1e-6)
        if mode == "mixed":
            assert exact.steps == pytest.approx(1 + going_on.float().mean().item())


@pytest.mark.parametrize("mode", MODES)
def test_exact_scores_of_random_and_informed_teams_by_simulation(mode: str) -> None:
    env = PredatorPrey(size=6, predators=3, mode=mode, num_envs=4096, vision=0, seed=4)
    known = env.scores()
    for name, policy in (("random", None), ("direct", lambda _: env.oracle(env.state))):
        returns, lengths = episodes(env, number=4096, policy=policy)
        assert abs(returns.mean() - getattr(known[name], mode)) < 3 * returns.std() / 64
        if mode == "mixed":
            assert abs(lengths.mean() - known[name].steps) <= 3 * lengths.std() / 64


def test_a_search_without_messages_sets_the_blind_bar() -> None:
    assert search_path(0, size=3, steps=8, vision=0) == [0, 1, 2, 5, 8, 7, 4, 3, 6]
    table = reached_by_search(3, steps=8, vision=0)
    assert table[8, :, 0].all()
    assert table[:, 5, 0].tolist() == [False] * 3 + [True] * 6
    five, ten = PredatorPrey(), PredatorPrey(size=10)
    assert five.scores()["search"].steps == pytest.approx(15.78, abs=0.01)
    assert ten.scores()["search"].steps == pytest.approx(25.26, abs=0.01)
    new_cell_each_step = sum(1 - t / 24 for t in range(1, 21))
    assert five.bounds().blind == pytest.approx(-0.05 * new_cell_each_step, abs=2e-4)
    for mode in MODES:
        bounds = PredatorPrey(size=10, mode=mode).bounds()
        assert bounds.random < bounds.blind < bounds.full_information


@pytest.mark.parametrize(("size", "exact"), [(5, 15.784), (10, 25.264)])
def test_what_is_told_shortens_a_search(size: int, exact: float) -> None:
    nothing, prey, everything, at_once = PredatorPrey(size=size, num_envs=1).searches(num_episodes=600).values()
    assert nothing.steps == pytest.approx(exact, abs=3 * nothing.steps_se), "the exact score of those who tell nothing"
    assert prey.seen == nothing.seen, "who tells where the prey is finds it no sooner"
    assert everything.seen < prey.seen - 3 * prey.seen_se
    assert everything.steps < prey.steps - 3 * prey.steps_se < nothing.steps - 6 * prey.steps_se
    assert at_once.seen == everything.seen, "and who hears of it at once sees it no sooner either,"
    assert everything.steps - 1 <= at_once.steps < everything.steps - 0.5, "but is there up to one step before"


def test_two_searchers_by_hand() -> None:
    """Two in the upper corners of 3 x 3 cells, who see one cell far and share what they have seen."""
    team = _Searchers(3, vision=1, telling=SharedKnowledge.EVERYTHING)
    place, unseen = torch.tensor([[0, 2]]), torch.ones(1, 1, 9, dtype=torch.bool)
    unseen = team.look(place, unseen)
    assert unseen[0, 0].nonzero().flatten().tolist() == [6, 7, 8], "the last row"
    nobody = torch.zeros(1, 2, dtype=torch.bool)
    place, unseen = team.moved(place, torch.tensor([6]), knows=nobody, unseen=unseen)
    assert place.tolist() == [[3, 5]], "the first sees two new cells below, which leaves one for the second"
    assert not unseen.any()
    place, _ = team.moved(place, torch.tensor([6]), knows=torch.tensor([[True, True]]), unseen=unseen)
    assert place.tolist() == [[6, 4]], "both straight to the prey"


def test_a_search_sees_the_prey_from_as_far_as_its_vision() -> None:
    near = reached_by_search(5, steps=20, vision=1)
    at_once = reached_at_once(5, steps=20)
    assert torch.equal(near[:, 1, 0], at_once[:, 1, 0])
    assert (near <= at_once).all()
    assert near[-1].all()


def test_the_scores_written_down_for_the_largest_grid() -> None:
    known = team_scores(20, 10, 80, 1)
    direct = independent_scores(reached_at_once(20, steps=80), predators=10)
    for name in (*MODES, "steps"):
        assert getattr(known["direct"], name) == pytest.approx(getattr(direct, name), abs=1e-5)
    table = reached_at_random(20, steps=80)
    elsewhere = ~torch.eye(400, dtype=torch.bool)
    assert known["random"].mixed == pytest.approx(-0.05 * (1 - table[1:, elsewhere].mean(1)).sum().item(), abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 1}, "size=1: needs at least 2 x 2 cells"),
        ({"mode": "friendly"}, "mode='friendly': must be one of mixed, cooperative, competitive"),
        ({"vision": -1}, "vision=-1: must be a whole number of at least 0"),
        ({"predators": 25}, "predators=25: must be fewer than the 25 cells"),
        ({"steps": 0}, "steps=0: must be a whole number of at least 1"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PredatorPrey(**settings)
