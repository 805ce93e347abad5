"""Traffic Junction: routes and steps by hand, the scores of scripted drivers, and what is seen."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from heliograph.envs.traffic_drivers import BRAKE, GAS, right_of_way, yield_to_seen
from heliograph.envs.traffic_junction import TrafficJunction
from heliograph.envs.traffic_roads import DIFFICULTIES, road_map
from heliograph.testing import episodes
from heliograph.types import TeamStep
from tests.envs.states import put_at

DOWN, ACROSS, NONE = 0, 1, 2
"""The two routes of the easy map, and no route."""


def junction(*cars: tuple[int, int], **settings: object) -> TrafficJunction:
    """One copy with cars on (route, place), where nobody arrives."""
    env = TrafficJunction(**{"p_arrive": 0.0, **settings})
    env.reset()
    for slot, (route, place) in enumerate(cars):
        put_at(env, (0, slot), route=route, place=place)
    return env


def drive(env: TrafficJunction, *actions: int) -> TeamStep:
    full = torch.zeros(1, env.cars, dtype=torch.long)
    full[0, : len(actions)] = torch.tensor(actions)
    return env.step({"car": full})


def rewards(step: TeamStep) -> list[float]:
    return [round(value, 4) for value in step.rewards[0].tolist()]


# ---- roads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("difficulty", "routes", "arms", "lengths", "sizes"),
    [("easy", 2, 2, {7}, (17, 137)), ("medium", 12, 4, {13, 14, 15}, (61, 533)), ("hard", 56, 8, None, (149, 1325))],
)
def test_maps_have_the_published_sizes(
    difficulty: str, routes: int, arms: int, lengths: set[int] | None, sizes: tuple[int, int]
) -> None:
    for faithful in (True, False):
        roads = road_map(DIFFICULTIES[difficulty], faithful=faithful)
        assert (roads.num_routes, roads.num_arms) == (routes, arms)
        found = roads.lengths[:-1]
        if lengths is not None:
            assert set(found.tolist()) == lengths
        else:
            assert (found.min(), found.max()) == (9, 27)
            assert found.float().mean() == pytest.approx(19.14, abs=0.01)
    seen = [TrafficJunction(difficulty=difficulty, vision=v).roles[0].observation_space.shape for v in (0, 1)]
    assert seen == [(size,) for size in sizes]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_routes_go_cell_by_cell_from_an_entry_to_another_edge(difficulty: str) -> None:
    roads = road_map(DIFFICULTIES[difficulty], faithful=False)
    entries = [row * roads.size + column for row, column in DIFFICULTIES[difficulty].arms]
    per_arm = roads.num_routes // roads.num_arms
    for route, length in enumerate(roads.lengths[:-1].tolist()):
        cells = roads.routes[route, :length]
        row, column = cells // roads.size, cells % roads.size
        assert ((row.diff().abs() + column.diff().abs()) == 1).all()
        assert cells[0] == entries[route // per_arm]
        assert {row[-1].item(), column[-1].item()} & {0, roads.size - 1}
        assert (roads.routes[route, length:] == roads.nowhere).all()
    assert len({tuple(row) for row in roads.routes[:-1].tolist()}) == roads.num_routes


def test_turns_of_the_medium_map_by_hand() -> None:
    roads = road_map(DIFFICULTIES["medium"], faithful=False)
    ends = [
        (row[length - 1] // 14, row[length - 1] % 14)
        for row, length in zip(roads.routes.tolist(), roads.lengths.tolist(), strict=True)
    ]
    from_north = [(13, 6), (6, 0), (7, 13)]
    from_south = [(0, 7), (7, 13), (6, 0)]
    from_west = [(7, 13), (13, 6), (0, 7)]
    from_east = [(6, 0), (0, 7), (13, 6)]
    assert ends[:-1] == from_north + from_south + from_west + from_east  # straight, right, left
    left = [(r, 6) for r in range(8)] + [(7, c) for c in range(7, 14)]
    assert roads.routes[2, :15].tolist() == [r * 14 + c for r, c in left]


def test_only_the_faithful_easy_map_has_a_road_cell_that_looks_like_none() -> None:
    for difficulty in DIFFICULTIES:
        for faithful in (True, False):
            roads = road_map(DIFFICULTIES[difficulty], faithful=faithful)
            driven = roads.routes[roads.routes < roads.nowhere].unique()
            ids = roads.cell_ids.flatten()[driven]
            assert len(ids.unique()) == len(ids)
            assert (ids == roads.outside_id).sum() == (faithful and difficulty == "easy")
            assert ids.max() < roads.car_id
    roads = road_map(DIFFICULTIES["easy"], faithful=True)
    assert roads.cell_ids[5, 3] == roads.outside_id == 12
    assert roads.cell_ids[3].tolist() == [0, 1, 2, 10, 4, 5, 6]


# ---- steps by hand ---------------------------------------------------------------------------------------------------


def test_a_collision_at_the_crossing_by_hand() -> None:
    env = junction((DOWN, 1), (ACROSS, 1))
    step = drive(env, GAS, GAS)
    assert rewards(step) == [-0.01, -0.01, 0, 0, 0]
    assert step.info["success"].item()
    step = drive(env, GAS, GAS)
    assert env.roads.routes[env.state.route, env.state.place][0, :2].tolist() == [3 * 7 + 3] * 2
    assert rewards(step) == [-10.02, -10.02, 0, 0, 0]
    assert step.info["collided"].tolist() == [[True, True, False, False, False]]
    step = drive(env, BRAKE, BRAKE)
    assert rewards(step) == [-10.03, -10.03, 0, 0, 0]
    step = drive(env, GAS, BRAKE)
    assert rewards(step) == [-0.04, -0.04, 0, 0, 0]
    assert not step.info["success"].item()
    assert not step.info["collided"].any()


def test_braking_avoids_it_and_the_episode_succeeds() -> None:
    env = junction((DOWN, 1), (ACROSS, 1), steps=8)
    for time in range(8):
        step = drive(env, GAS, BRAKE if time == 1 else GAS)
        assert step.info["success"].item()
        assert step.terminated[0, 0] == (time in (5, 7))  # route of 7 cells, from place 1; then the end of the episode
    assert step.episode_over.item()
    assert step.terminated.all()


def test_three_on_a_cell_pay_once_each() -> None:
    env = junction((DOWN, 2), (ACROSS, 2), (DOWN, 3))
    assert rewards(drive(env, GAS, GAS, BRAKE)) == [-10.01, -10.01, -10.01, 0, 0]


def test_a_car_that_leaves_is_paid_nothing_and_its_slot_is_empty() -> None:
    env = junction((DOWN, 6), (ACROSS, 6))
    put_at(env, (0, slice(2)), wait=9)
    step = drive(env, GAS, BRAKE)
    assert rewards(step) == [0, -0.1, 0, 0, 0]
    assert step.terminated.tolist() == [[True, False, False, False, False]]
    assert step.observing.tolist() == step.acting.tolist() == step.speaking.tolist() == [[False, True] + [False] * 3]
    assert not step.observations["car"][0, 0].any()
    assert (step.meaning[0, 0] == -1).all()
    step = drive(env, GAS, BRAKE)
    assert not step.terminated.any()
    assert rewards(step) == [0, -0.11, 0, 0, 0]


def test_arrivals_fill_empty_slots_up_to_the_limit_in_the_order_of_the_entries() -> None:
    env = TrafficJunction(p_arrive=1.0, num_envs=50)
    step = env.reset()
    assert not step.observing.any()
    gas = {"car": torch.full((50, 5), GAS)}
    for time, cars in enumerate((2, 4, 5, 5)):
        step = env.step(gas)
        assert (step.observing.sum(1) == cars).all()
        entered = (env.state.place == 0) & (env.state.route < NONE)
        routes = [sorted(row[on].tolist()) for row, on in zip(env.state.route, entered, strict=True)]
        assert routes == [[DOWN, ACROSS] if time < 2 else [DOWN] if time == 2 else []] * 50
    used = [tuple(row.nonzero().flatten().tolist()) for row in env.view().observing]
    assert set(used) == {(0, 1, 2, 3, 4)}
    fresh = TrafficJunction(p_arrive=1.0, num_envs=200)
    fresh.reset()
    first = fresh.step({"car": torch.full((200, 5), GAS)}).observing
    assert len(first.unique(dim=0)) == 10  # any two of five slots


def test_a_slot_may_end_and_be_refilled_in_one_step() -> None:
    env = junction(*[(DOWN, 6)] * 5, p_arrive=1.0)
    put_at(env, (0, 0), last=BRAKE)
    put_at(env, 0, wait=4)
    step = drive(env, *[GAS] * 5)
    assert step.terminated.all()
    assert step.observing.sum() == 2
    assert rewards(step) == [0] * 5
    alive = step.observing[0]
    assert (env.state.place[0][alive] == 0).all()
    assert (step.observations["car"][0, :, 0] == 0).all()
    step = drive(env, *[GAS] * 5)
    assert [value for value, on in zip(rewards(step), alive.tolist(), strict=True) if on] == [-0.01] * 2


def test_who_arrives_on_another_pays_with_its_first_own_step() -> None:
    env = junction((DOWN, 0), p_arrive=1.0)
    step = drive(env, BRAKE)
    new = int(((env.state.route[0] == DOWN) & (torch.arange(5) > 0)).nonzero())
    assert not step.info["success"].item()
    assert rewards(step)[0] == -10.01
    assert rewards(step)[new] == 0
    actions = [GAS] * 5
    step = drive(env, *actions)
    assert step.info["collided"][0, [0, new]].all()  # they go on side by side
    assert rewards(step)[new] == -20.01
    assert rewards(step)[0] == -10.02


def test_routes_of_an_entry_are_equally_likely_and_arrivals_have_their_rate() -> None:
    env = TrafficJunction(difficulty="medium", vision=0, num_envs=20_000, seed=3)
    env.reset()
    env.step({"car": torch.zeros(20_000, 10, dtype=torch.long)})
    counts = torch.bincount(env.state.route.flatten(), minlength=13)[:-1] / 20_000
    assert counts.sum() == pytest.approx(0.8, abs=3 * math.sqrt(0.64 / 20_000))
    assert (counts - 0.2 / 3).abs().max() < 4 * math.sqrt(0.0667 * 0.9333 / 20_000)


# ---- what is seen ----------------------------------------------------------------------------------------------------


def test_observations_by_hand() -> None:
    env = junction((ACROSS, 2), (DOWN, 2), (DOWN, 2), vision=1)
    drive(env, BRAKE, BRAKE, BRAKE)
    seen = env.view().observations["car"][0]
    assert seen[0, :2].tolist() == [1.0, 1.0]
    assert seen[1, :2].tolist() == [1.0, 0.0]
    window = seen[0, 2:].view(3, 3, 15)  # around row 3, column 2
    ids, cars = window[..., :14].argmax(-1), window[..., 14]
    outside = env.roads.outside_id
    assert ids.tolist() == [[outside, outside, 2], [4, 5, 6], [outside, outside, 10]]
    assert cars.tolist() == [[0, 0, 2], [0, 1, 0], [0, 0, 0]]
    assert env.view().meaning[0, :3].tolist() == [[1, 2], [0, 2], [0, 2]]
    assert env.view().positions[0, :2].tolist() == [[3, 2], [2, 3]]


def test_at_the_edge_the_outside_is_seen_and_at_vision_0_only_the_own_cell() -> None:
    env = junction((DOWN, 0), vision=2)
    window = env.view().observations["car"][0, 0, 2:].view(5, 5, 15)
    assert (window[:2, :, env.roads.outside_id] == 1).all()
    assert window[2, 2].nonzero().flatten().tolist() == [0, 14]
    near = junction((DOWN, 0), (ACROSS, 2)).view().observations["car"][0, 0]
    assert near.nonzero().flatten().tolist() == [2, 16]


def test_faithful_keeps_the_last_action_of_the_slot() -> None:
    for faithful in (True, False):
        env = junction(*[(DOWN, 6)] * 5, p_arrive=1.0, faithful=faithful)
        put_at(env, 0, last=BRAKE)
        step = drive(env, *[GAS] * 5)
        assert (step.observations["car"][0, step.observing[0], 0] == faithful).all()


# ---- scores ----------------------------------------------------------------------------------------------------------


def success_rate(env: TrafficJunction, driver: Callable[[], Tensor]) -> float:
    env.reset()
    for _ in range(env.steps):
        step = env.step({"car": driver()})
    assert step.episode_over.all()
    return step.info["success"].float().mean().item()


def within_three_errors(found: float, expected: float, *, copies: int, error: float = 0.0) -> bool:
    spread = math.sqrt(max(expected * (1 - expected), 0.002) / copies + error**2)
    return abs(found - expected) <= 3 * spread


@pytest.mark.parametrize(
    ("difficulty", "steps", "gas", "error"),
    [("easy", 20, 0.288, 0.01), ("medium", 40, 0.030, 0.004), ("hard", 60, 0.155, 0.012), ("hard", 40, 0.328, 0.02)],
)
def test_the_floors_of_the_original_are_reproduced(difficulty: str, steps: int, gas: float, error: float) -> None:
    copies = 2048 if difficulty == "easy" else 1024
    env = TrafficJunction(difficulty=difficulty, steps=steps, vision=0, num_envs=copies, seed=5)
    stream = torch.Generator().manual_seed(0)
    shape = (copies, env.cars)
    always_gas = success_rate(env, lambda: torch.full(shape, GAS))
    assert within_three_errors(always_gas, gas, copies=copies, error=error)
    if steps in (20, 40) and difficulty != "hard":
        at_random = success_rate(env, lambda: torch.randint(2, shape, generator=stream))
        assert within_three_errors(at_random, {20: 0.005, 40: 0.0}[steps], copies=copies, error=0.002)
        assert success_rate(env, lambda: torch.full(shape, BRAKE)) < 0.002


@pytest.mark.parametrize(
    ("difficulty", "copies", "score", "ceiling"),
    [("easy", 2048, -0.38, 0.998), ("medium", 512, -1.86, 1.0), ("hard", 128, -2.49, 1.0)],
)
def test_right_of_way_is_the_ceiling(difficulty: str, copies: int, score: float, ceiling: float) -> None:
    env = TrafficJunction(difficulty=difficulty, vision=0, num_envs=copies, seed=6)
    env.reset()
    total = torch.zeros(copies)
    for _ in range(env.steps):
        step = env.step(env.oracle(env.state))
        total += step.rewards.mean(1)
    assert step.info["success"].float().mean() >= ceiling
    assert total.mean().item() == pytest.approx(score, abs=max(0.03, 3 * total.std().item() / math.sqrt(copies)))


def test_yielding_to_what_is_seen_needs_no_messages() -> None:
    env = TrafficJunction(vision=1, num_envs=2048, seed=7)
    rate = success_rate(env, lambda: yield_to_seen(env.roads, route=env.state.route, place=env.state.place, vision=1))
    assert within_three_errors(rate, 0.765, copies=2048)
    env = TrafficJunction(difficulty="medium", num_envs=256, seed=7)
    near = [
        success_rate(
            env,
            lambda d=d: yield_to_seen(env.roads, route=env.state.route, place=env.state.place, vision=1, distance=d),
        )
        for d in (0, 1)
    ]
    assert 0.2 < near[0] < 0.42 < 0.5 < near[1] < 0.75


def test_right_of_way_by_hand() -> None:
    env = junction((ACROSS, 2), (DOWN, 2), (DOWN, 1), (DOWN, 0), (ACROSS, 1))
    action = right_of_way(env.roads, route=env.state.route, place=env.state.place)
    assert action.tolist() == [[BRAKE, GAS, GAS, GAS, BRAKE]]  # the lane that is full up to its entry goes first


def test_scores_of_scripted_drivers_are_simulated_once_for_any_settings() -> None:
    short = TrafficJunction(steps=5, p_arrive=0.5, vision=1)
    found, bounds = short.scores(), short.bounds()
    assert found is short.scores()
    assert set(found) == {"random", "gas", "brake", "yield", "distance", "right_of_way"}
    assert bounds.random == found["random"].episode_return
    assert bounds.blind == max(found[name].episode_return for name in ("gas", "yield", "distance"))
    assert bounds.random < bounds.blind <= bounds.full_information <= 0
    assert found["gas"].success_rate < found["right_of_way"].success_rate
    assert bounds.source.startswith("simulated")
    short.p_arrive = 0.1
    assert short.scores()["gas"].success_rate > found["gas"].success_rate


def test_scores_agree_with_the_published_ones_and_with_whole_episodes() -> None:
    env = TrafficJunction(num_envs=2048, seed=9)
    found, bounds = env.scores(), env.bounds()
    assert set(found) == {"random", "gas", "brake", "right_of_way"}
    assert within_three_errors(found["gas"].success_rate, 0.288, copies=found["gas"].episodes, error=0.01)
    assert bounds.blind == pytest.approx(found["gas"].episode_return, abs=0.8)
    returns, _ = episodes(env, number=2048, policy=lambda _: {"car": torch.full((2048, 5), GAS)})
    spread = returns.std().item() * math.sqrt(1 / 2048 + 1 / found["gas"].episodes)
    assert abs(returns.mean().item() - found["gas"].episode_return) < 3.5 * spread


# ---- the arrival rate ------------------------------------------------------------------------------------------------


def test_a_new_arrival_rate_holds_for_episodes_that_start_afterwards() -> None:
    env = TrafficJunction(p_arrive=0.0, num_envs=3, steps=2)
    stay = {"car": torch.full((3, 5), BRAKE)}
    env.reset()
    env.step(stay)
    env.p_arrive = 1.0
    step = env.step(stay)
    assert step.episode_over.all()
    assert not env.get_state()["tensors"]["route"].lt(NONE).any()
    assert env.step(stay).observing.sum(1).tolist() == [2, 2, 2]
    other = TrafficJunction(p_arrive=0.5, num_envs=3, steps=2)
    other.set_state(env.get_state())
    assert other.p_arrive == 1.0


def test_a_curriculum_lowers_the_bar_not_the_task() -> None:
    env = TrafficJunction(num_envs=1024, p_arrive=0.1)
    easy, _ = episodes(env, number=1024, policy=lambda _: {"car": torch.full((1024, 5), GAS)})
    env.p_arrive = 0.3
    hard, _ = episodes(env, number=1024, policy=lambda _: {"car": torch.full((1024, 5), GAS)})
    assert easy.mean() > hard.mean() + 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"difficulty": "simple"}, "difficulty='simple': must be one of easy, medium, hard"),
        ({"p_arrive": 1.5}, "p_arrive=1.5: must be a finite number of at least 0 and of at most 1"),
        ({"vision": -1}, "vision=-1: must be a whole number of at least 0"),
        ({"cars": 0}, "cars=0: must be a whole number of at least 1"),
        ({"steps": 0}, "steps=0: must be a whole number of at least 1"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrafficJunction(**settings)


def test_the_arrival_rate_changes_while_episodes_are_in_flight() -> None:
    env = TrafficJunction(p_arrive=0.0, num_envs=4, steps=3)
    gas = {"car": torch.full((4, 5), GAS)}
    env.reset()
    env.change({"p_arrive": 1.0})
    alive = [bool(env.step(gas).observing.any()) for _ in range(3)]
    assert alive == [False, False, False] and bool(env.step(gas).observing.any())
    with pytest.raises(ValueError, match=r"unknown adjustable setting of TrafficJunction 'steps'.*Valid: p_arrive"):
        env.change({"p_arrive": 0.5, "steps": 4})
    with pytest.raises(ValueError, match=r"p_arrive=1.5"):
        env.change({"p_arrive": 1.5})
    assert env.p_arrive == 1.0
