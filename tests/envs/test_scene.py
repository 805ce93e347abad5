"""What environments show to be drawn: places, marks and captions that say what is so."""

import dataclasses
import functools

import pytest
import torch

from heliograph.envs.combat import Combat
from heliograph.envs.graph_colouring import GraphColouring
from heliograph.envs.identity import Identity
from heliograph.envs.levers import Levers
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.envs.scene import Actor, Floor, Ground, Mark, Presence, Scene, gathered
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.envs.traffic_junction import TrafficJunction
from tests.envs.states import put, put_at

actor = functools.partial(Actor, name="a")


def test_cars_are_where_they_drive_and_collisions_are_marked() -> None:
    env = TrafficJunction(num_envs=2)
    env.reset()
    none = env.roads.num_routes
    put_at(env, 1, route=torch.tensor([0, 1, none, 1, none]), place=torch.tensor([3, 3, 0, 6, 0]))
    scene = env.scene(env.state, 1)
    assert (scene.columns, scene.rows) == (7, 7)
    assert [a.place for a in scene.agents] == [(3, 3), (3, 3), None, (6, 3), None]  # from the north, from the west
    assert [a.mark for a in scene.agents[:4]] == [Mark.TROUBLE, Mark.TROUBLE, Mark.NONE, Mark.NONE]
    assert [a.presence is Presence.GONE for a in scene.agents] == [False, False, True, False, True]
    assert scene.agents[0].path == ((3, 4), (3, 5), (3, 6)) and scene.agents[3].path == ()
    assert scene.agents[0].kind != scene.agents[1].kind == scene.agents[3].kind
    assert scene.caption == "3 of 5 cars on the road, 2 in a collision"
    (roads,) = scene.floors
    assert roads.ground is Ground.ROAD and set(roads.cells) == {(3, n) for n in range(7)} | {(n, 3) for n in range(7)}
    other = env.scene(env.state, 0)
    assert all(a.place is None for a in other.agents) and other.caption == "0 of 5 cars on the road"


@pytest.mark.parametrize(("difficulty", "arms"), [("easy", 2), ("medium", 4), ("hard", 8)])
def test_cars_of_one_entry_have_one_colour(difficulty: str, arms: int) -> None:
    env = TrafficJunction(difficulty=difficulty, cars=1, num_envs=500, p_arrive=1.0)
    env.reset()
    kinds: dict[tuple[float, float] | None, set[int]] = {}
    for route in range(env.roads.num_routes):
        put_at(env, (0, 0), route=route)
        (car,) = env.scene(env.state, 0).agents
        kinds.setdefault(car.place, set()).add(car.kind)
    assert len(kinds) == arms and sorted(kinds.values(), key=min) == [{kind} for kind in range(arms)]


def test_predators_and_prey_stand_where_they_are() -> None:
    env = PredatorPrey(size=6, predators=2)
    env.reset()
    put(env, place=torch.tensor([[[1, 4], [2, 0]]]), prey=torch.tensor([[2, 0]]))
    scene = env.scene(env.state)
    assert [a.place for a in scene.agents] == [(4, 1), (0, 2)] and scene.things[0].place == (0, 2)
    assert [a.mark for a in scene.agents] == [Mark.NONE, Mark.DONE] and scene.agents[0].sight == env.vision == 1
    assert scene.caption == "1 of 2 predators on the prey" and len(scene.floors[0].cells) == 36


def test_fighters_show_their_health() -> None:
    env = Combat(soldiers=2, size=6)
    env.reset()
    put(env, units__health=torch.tensor([[3, 1, 0, 2]]), units__fallen=torch.tensor([[False, False, True, False]]))
    scene = env.scene(env.state)
    assert [a.health for a in (*scene.agents, *scene.things)] == [1, 1 / 3, 0, 2 / 3]
    assert [a.presence is Presence.GONE for a in scene.things] == [True, False]
    assert [a.name for a in scene.things] == ["bot_0", "bot_1"] and scene.caption.startswith("2 soldiers")


def test_the_riddle_has_a_room_with_a_light() -> None:
    env = SwitchRiddle(num_envs=1)
    env.fix_visits(torch.tensor([[1, 1, 2, 0, 0, 0]]))
    env.reset()
    rooms = []
    for _ in range(3):
        scene = env.scene(env.state)
        rooms.append([a.place[1] < 2 for a in scene.agents])
        env.step({"prisoner": torch.zeros(1, 3, dtype=torch.long)})
    assert rooms == [[False, True, False], [False, True, False], [False, False, True]]
    assert [a.mark is Mark.DONE for a in scene.agents] == [False, True, True]
    assert scene.lamp is not None and scene.caption == "day 3 of 6; 2 of 3 have been in the room (ringed)"


def test_levers_and_graphs_tell_apart_what_matters() -> None:
    env = Levers(levers=3)
    env.reset()
    assert [int(a.label) for a in env.scene(env.state).agents] == env.state.number[0].tolist()
    graph = GraphColouring(agents=4, degree=2, colours=2)
    graph.reset()
    assert {a.kind for a in graph.scene(graph.state).agents} == {-1}
    graph.step({"agent": graph.state.group})
    assert {a.kind for a in graph.scene(graph.state).agents} == {0, 1} and len(graph.scene(graph.state).links) == 4
    put(graph, colour=torch.ones_like(graph.state.colour))
    assert all(a.mark is Mark.TROUBLE for a in graph.scene(graph.state).agents)


def test_by_default_agents_stand_on_a_circle_and_are_told_apart_by_role() -> None:
    env = SpeakerListener()
    env.reset()
    speaker, listener = env.scene(env.state).agents
    assert (speaker.label, listener.label) == ("S0", "L0") and speaker.kind != listener.kind
    assert (speaker.presence, listener.presence) == (Presence.ACTIVE, Presence.WAITING)
    assert speaker.place[0] < listener.place[0] and speaker.place[1] == pytest.approx(listener.place[1])
    assert [a.label for a in gathered(Identity().roles, present=[True, False]).agents] == ["0", "1"]


@pytest.mark.parametrize("number", [1, 2, 3, 64, 65, 1024])
def test_any_number_of_agents_finds_room(number: int) -> None:
    role = dataclasses.replace(Identity().roles[0], agents=tuple(f"agent_{n}" for n in range(number)))
    places = torch.tensor([a.place for a in gathered((role,), present=[True] * number).agents])
    apart = torch.cdist(places, places) + 10 * torch.eye(number)
    assert apart.min() >= 0.99


def test_the_end_of_an_episode_can_be_seen_before_it_restarts() -> None:
    env, seen = PredatorPrey(size=3, predators=2, steps=4, num_envs=3), []
    env.on_end = lambda over: seen.append((over.tolist(), env.scene(env.state, 0).caption))
    env.reset()
    for time in range(4):
        assert not seen, f"called after {time} steps"
        put_at(env, 0, place=env.state.prey[0], reached=time == 3)
        env.step({"predator": torch.full((3, 2), 4)})
        if seen:
            break
    assert seen[0][0][0] and seen[0][1] == "2 of 2 predators on the prey"
    assert env.scene(env.state, 0).caption == "0 of 2 predators on the prey"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"columns": 0}, "at least one cell"),
        ({"agents": (actor(place=(2.6, 0)),)}, "a: place=.* outside the 3 x 2 cells"),
        ({"things": (actor(place=(0, -1)),)}, "outside"),
        ({"agents": (actor(place=None, health=1.5),)}, "health=1.5 must be from 0 to 1"),
        ({"agents": (actor(place=(0, 0), path=((0, 2),)),)}, "on its path lies outside"),
        ({"floors": (Floor(ground=Ground.WALL, cells=((3, 0),)),)}, r"the cell \(3, 0\) lies outside"),
        ({"links": ((0, 1),)}, "none of the 0"),
        ({"lamp": (9, 9)}, "lamp="),
    ],
)
def test_a_scene_that_cannot_be_drawn_is_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scene(**{"columns": 3, "rows": 2, "agents": (), **wrong})
