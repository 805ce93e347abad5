"""Pictures: their form, that what is said shows in them, that they are the same again, and the files that hold them."""

import dataclasses
import functools
import pathlib

import numpy as np
import pytest
import torch
from PIL import Image

from heliograph.analysis.evaluate import FRESH, play_run
from heliograph.envs.identity import Identity
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.envs.scene import Mark, Presence, Scene, Shape
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.registry import load, names
from heliograph.rendering.animation import film, scenes_of, shots, write_gif, write_pngs
from heliograph.rendering.bubble_layout import Box, best_place
from heliograph.rendering.canvas import Canvas, pooled, utterance_width
from heliograph.rendering.drawables import Said, Speech, StepDescriber
from heliograph.rendering.frames import HEIGHT, WIDTH, draw
from heliograph.storage.run_folder import Run, read_run, write_config, write_team
from heliograph.types import Choice

BIT = functools.partial(Said, vocabulary=2)


@pytest.fixture(scope="module")
def grid() -> Scene:
    env = PredatorPrey(seed=1)
    env.reset()
    return env.scene(env.state)


def spoken(*said: Said) -> Speech:
    """Only the first of three agents says something."""
    return Speech(said=(said, (), ()))


def some_run(folder: pathlib.Path, env: str, **choices) -> Run:
    choice, team = EnvChoice(env=env), TeamChoices(**{"model": "cnet", **choices})
    write_config(folder, env=choice, choices=team)
    write_team(folder, build_team(team, facts_of(build_env(choice, num_envs=1)), seed=0))
    return read_run(folder)


# ---- one picture -----------------------------------------------------------------------------------------------------


def test_a_picture_has_its_size_and_is_the_same_again(grid: Scene) -> None:
    speech = spoken(BIT(symbols=(1, 0)))
    one, other = draw(grid, speech=speech, heading="step 1"), draw(grid, speech=speech, heading="step 1")
    assert one.shape == (HEIGHT, WIDTH, 3) and one.dtype == np.uint8
    assert np.array_equal(one, other)
    assert (one[-1] == 255).all() and 0.5 < (one == 255).all(-1).mean() < 1  # paper, but not paper alone


def test_each_environment_can_be_drawn() -> None:
    for name in names("env"):
        env = load("env", name)()
        env.reset()
        assert not np.array_equal(draw(env.scene(env.state)), draw(Scene(columns=1, rows=1, agents=()))), name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (spoken(), spoken(BIT(symbols=(0,)))),
        (spoken(BIT(symbols=(0,))), spoken(BIT(symbols=(1,)))),
        (spoken(Said(symbols=(3,), vocabulary=5)), spoken(Said(symbols=(4,), vocabulary=5))),
        (spoken(Said(vector=(0.5, -0.5))), spoken(Said(vector=(-0.5, 0.5)))),
        (spoken(BIT(symbols=(1,))), spoken(BIT(symbols=(1,)), BIT(symbols=(1,)))),
        (spoken(BIT(symbols=(1,))), dataclasses.replace(spoken(BIT(symbols=(1,))), hears=((0, 2),))),
    ],
)
def test_what_is_said_and_heard_changes_the_picture_beside_the_agent_and_in_its_row(
    grid: Scene, one: Speech, other: Speech
) -> None:
    differs = (draw(grid, speech=one) != draw(grid, speech=other)).any(-1)
    scene, table = differs[:, :570], differs[:, 580:]
    assert scene.any() and table.any() == (one.said != other.said)


def test_silence_draws_nothing(grid: Scene) -> None:
    assert np.array_equal(draw(grid), draw(grid, speech=spoken()))


def test_bits_are_filled_and_empty_squares() -> None:
    canvas = Canvas(width=100, height=40)
    canvas.utterance((BIT(symbols=(1, 0)),), 10, 20, height=20, scale=1, most=90)
    pixels = canvas.pixels()
    assert pixels[20, 18].max() < 60 and pixels[20, 38].min() > 250


def test_numbers_are_coloured_by_sign_and_size() -> None:
    canvas = Canvas(width=100, height=40)
    canvas.utterance((Said(vector=(-1.0, 0.0, 1.0, 0.0)),), 10, 20, height=40, scale=1, most=90)
    red, white, blue = (canvas.pixels()[20, x].astype(int) for x in (15, 25, 35))
    assert red[0] - red[2] > 100 and white.min() > 240 and blue[2] - blue[0] > 100


def test_long_messages_stay_within_their_room() -> None:
    for said in (Said(vector=(0.1,) * 500), BIT(symbols=(1,) * 40), Said(symbols=(7,) * 40, vocabulary=9)):
        canvas = Canvas(width=200, height=40)
        canvas.utterance((said, said), 10, 20, height=15, scale=1, most=100)
        used = (canvas.pixels() != 255).any((0, 2)).nonzero()[0]
        assert 10 - 2 <= used.min() and used.max() <= 110 + 2, said
    assert utterance_width((), height=10) == 0
    assert pooled(tuple(range(96))).tolist() == [2 * n + 0.5 for n in range(48)]


def test_marks_presence_and_health_show(grid: Scene) -> None:
    first = grid.agents[0]
    changes = [
        {"mark": Mark.TROUBLE}, {"mark": Mark.DONE}, {"presence": Presence.WAITING}, {"presence": Presence.GONE},
        {"health": 0.5}, {"health": 1.0}, {"kind": 3}, {"shape": Shape.SQUARE}, {"label": "7"}, {"place": None},
    ]  # fmt: skip
    others = [(dataclasses.replace(first, **change), *grid.agents[1:]) for change in changes]
    drawn, plain = [draw(dataclasses.replace(grid, agents=agents)) for agents in others], draw(grid)
    for one in range(len(drawn)):
        assert not np.array_equal(drawn[one], plain), changes[one]
        assert not any(np.array_equal(drawn[one], drawn[two]) for two in range(one))


def test_text_of_strangers_is_not_read_as_markup(grid: Scene) -> None:
    agents = (dataclasses.replace(grid.agents[0], name="$\\frac{", label="$x$"), *grid.agents[1:])
    assert draw(dataclasses.replace(grid, agents=agents, caption="$a_{b"), heading="$\\nonsense$").any()


def test_speech_of_another_team_is_refused(grid: Scene) -> None:
    with pytest.raises(ValueError, match="said: tells of 2 agents, the scene has 3"):
        draw(grid, speech=Speech(said=((), ())))


def test_bubbles_go_where_least_is_covered() -> None:
    page = Box(x=0, y=0, width=200, height=200)
    place = functools.partial(best_place, (100, 100), radius=10, width=40, height=20, page=page)
    first = place(taken=[])
    assert first.x > 100 and first.y + first.height < 100  # the upper right
    second = place(taken=[first])
    assert second.overlap(first) == 0
    corner = best_place((199, 1), radius=10, width=40, height=20, page=page, taken=[])
    assert corner.x + corner.width <= 200 and corner.y >= 0


# ---- episodes --------------------------------------------------------------------------------------------------------


def test_films_show_the_episodes_that_were_played(tmp_path: pathlib.Path) -> None:
    run = some_run(tmp_path, "switch_riddle", channel="dru")
    played = play_run(run, num_episodes=3, choice=Choice.SAMPLED, num_envs=3)
    (rollout,) = played.rollouts
    stills = list(shots(run, played, seed=0))
    for copy in range(3):
        own = [still for still in stills if still.episode == copy]
        length = int(played.episodes.lengths[copy])
        assert len(own) == length + 1
        for time, still in enumerate(own[:-1]):
            speaking = rollout.speaking[time, copy].tolist()
            bits = tuple(rollout.messages[0].symbols[time, copy, speaking.index(True)].tolist())
            assert [bool(said) for said in still.speech.said] == speaking
            (said,) = still.speech.said[speaking.index(True)]
            assert said == BIT(symbols=bits)
            assert [a.place[1] < 2 for a in still.scene.agents] == speaking  # who is in the room
            before = own[time - 1].speech.said[own[time - 1].speech.does.index("nothing")] if time else ()
            assert still.speech.before == before
        assert "return" in own[-1].heading and not any(own[-1].speech.said)


def test_edges_are_who_hears_whom(tmp_path: pathlib.Path) -> None:
    run = some_run(tmp_path, "predator_prey", channel="symbols", topology="ring")
    (rollout,) = play_run(run, num_episodes=1).rollouts
    assert set(StepDescriber(run, rollout).speech(time=0, copy=0).hears) == {
        (s, h) for s in range(3) for h in range(3) if s != h
    }
    silent = dataclasses.replace(rollout, speaking=torch.zeros_like(rollout.speaking))
    speech = StepDescriber(run, silent).speech(time=0, copy=0)
    assert not any(speech.said) and speech.hears == ()


def test_closed_gates_are_silence_and_open_ones_show_the_vector(tmp_path: pathlib.Path) -> None:
    run = some_run(tmp_path, "predator_prey", channel="gated+continuous")
    (rollout,) = play_run(run, num_episodes=1, choice=Choice.SAMPLED).rollouts
    (message,) = rollout.messages
    telling = StepDescriber(run, rollout)
    for time in range(rollout.num_steps):
        said = telling.speech(time=time, copy=0).said
        assert [bool(s) for s in said] == message.symbols[time, 0, :, 0].bool().tolist()
        assert all(len(part.vector) == message.payload.shape[-1] for s in said for part in s)
    assert 0 < int(message.symbols.sum()) < message.symbols.numel()


def test_an_environment_that_plays_differently_is_not_shown(tmp_path: pathlib.Path) -> None:
    run = some_run(tmp_path, "identity", channel="dru")
    (rollout,) = play_run(run, num_episodes=8, num_envs=8).rollouts
    scenes_of(Identity(num_envs=8, seed=FRESH), rollout)
    with pytest.raises(ValueError, match="Identity plays differently from the same seed"):
        scenes_of(Identity(num_envs=8, seed=FRESH + 1), rollout)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_gif_holds_all_pictures(tmp_path: pathlib.Path) -> None:
    run = some_run(tmp_path / "run", "identity", channel="dru")
    path = tmp_path / "new" / "film.gif"
    frames = list(film(run, num_episodes=2, choice=Choice.SAMPLED))
    assert write_gif(frames, path, fps=5) == len(frames) == 2 * (2 + 1)
    with Image.open(path) as gif:
        assert gif.n_frames == len(frames) and gif.size == (WIDTH, HEIGHT) and gif.info["loop"] == 0
        durations = []
        for number in range(gif.n_frames):
            gif.seek(number)
            durations.append(gif.info["duration"])
            close = np.abs(np.asarray(gif.convert("RGB"), int) - frames[number])
            assert close.mean() < 1
    assert durations == [200] * 5 + [1500]
    again = tmp_path / "again.gif"
    write_gif(film(run, num_episodes=2, choice=Choice.SAMPLED), again, fps=5)
    assert again.read_bytes() == path.read_bytes()


def test_pngs_are_exact_and_numbered(tmp_path: pathlib.Path) -> None:
    frames = [np.full((4, 6, 3), shade, np.uint8) for shade in (10, 20)]
    paths = write_pngs(frames, tmp_path / "shots", stem="day")
    assert [path.name for path in paths] == ["day_000000.png", "day_000001.png"]
    for path, frame in zip(paths, frames, strict=True):
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image), frame)


def test_no_pictures_or_no_speed_make_no_gif(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="none to write"):
        write_gif([], tmp_path / "film.gif")
    for fps in (0, -1, 51, float("nan")):
        with pytest.raises(ValueError, match="fps"):
            write_gif([np.zeros((2, 2, 3), np.uint8)], tmp_path / "film.gif", fps=fps)
    assert not list(tmp_path.iterdir())
