"""Episodes of a team as pictures, one for each step and one for the end, and the files that hold them."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from heliograph.analysis.evaluate import FRESH, Played, play_run
from heliograph.checks import Number, check_number
from heliograph.envs.base import TeamEnv
from heliograph.envs.checking import guarded
from heliograph.envs.scene import Scene
from heliograph.experiments.choices import opened
from heliograph.protocols.labels import vector_label
from heliograph.rendering.drawables import Speech, StepDescriber, last_said
from heliograph.rendering.frames import draw
from heliograph.rollouts.rollout import Rollout
from heliograph.storage.atomic import replacing
from heliograph.storage.run_folder import Run
from heliograph.storage.safe_files import make_folder
from heliograph.types import Choice

__all__ = ["MOST_EPISODES", "Shot", "check_fps", "film", "shots", "write_gif", "write_pngs"]

MOST_EPISODES = 100
STEM = "frame"
"""What pictures of single steps are called, if not otherwise."""
FASTEST = 50
"""Pictures a second that viewers of GIFs can show."""
END_SECONDS = 1.5
"""How long the last picture of a GIF stays."""
SILENT = Speech()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shot:
    """Record of what one picture shows: a scene, what is said in it, and when it is."""

    scene: Scene
    speech: Speech = SILENT
    heading: str
    episode: int

    def draw(self) -> UInt8[np.ndarray, "H W 3"]:
        """The picture."""
        return draw(self.scene, speech=self.speech, heading=self.heading)


def film(
    run: Run, *, num_episodes: int = 1, choice: Choice = Choice.GREEDY, seed: int = 0
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Pictures of fresh episodes, messages as sent: those that `heliograph replay` prints for the same seed."""
    played = play_run(run, num_episodes=num_episodes, choice=choice, seed=seed, num_envs=num_episodes)
    return (shot.draw() for shot in shots(run, played, seed=seed))


def shots(run: Run, played: Played, *, seed: int) -> Iterator[Shot]:
    """One for each step of episodes that were played at once with this seed, and one for the end of each.

    Raises ValueError where there are more than 100 episodes, or the environment is not the same again from its seed.
    """
    (rollout,) = played.rollouts
    if rollout.num_envs > MOST_EPISODES:
        raise ValueError(f"episodes={rollout.num_envs}: at most {MOST_EPISODES}, as each step is a picture")
    with opened(run.env, num_envs=rollout.num_envs, seed=FRESH + seed) as env, guarded(env, "scene"):
        scenes = scenes_of(env, rollout)
    telling = StepDescriber(run, rollout)
    for copy, seen in enumerate(scenes):
        success = float(played.episodes.success[copy])
        words = {1.0: ", success", 0.0: ", no success"}.get(success, "")
        outcome = f"return {vector_label([float(played.episodes.returns[copy])])}{words}"
        yield from _episode(seen, telling, copy=copy, outcome=outcome)


def _episode(scenes: list[Scene], telling: StepDescriber, *, copy: int, outcome: str) -> Iterator[Shot]:
    told: list[Speech] = []
    for time, scene in enumerate(scenes[:-1]):
        told.append(telling.speech(time=time, copy=copy, before=last_said(told)))
        heading = f"episode {copy} \N{MIDDLE DOT} step {time}"
        yield Shot(scene=scene, speech=told[-1], heading=heading, episode=copy)
    heading = f"episode {copy} \N{MIDDLE DOT} end \N{MIDDLE DOT} {outcome}"
    yield Shot(scene=scenes[-1], speech=Speech(before=last_said(told)), heading=heading, episode=copy)


def scenes_of(env: TeamEnv, rollout: Rollout) -> list[list[Scene]]:
    """For each copy its scenes before every step of a recorded rollout of whole episodes, and at the end.

    A fresh environment, seeded like the recorded one, is played again by what was done; ValueError where it differs.
    """
    found: list[list[Scene]] = [[] for _ in range(env.num_envs)]
    playing = set(range(env.num_envs))

    def at_end(over: Tensor) -> None:
        for copy in over.nonzero().flatten().tolist():
            if copy in playing:
                found[copy].append(env.scene(env.state, copy))
                playing.remove(copy)

    env.on_end = at_end
    env.reset()
    for time in range(rollout.num_steps):
        for copy in sorted(playing):
            found[copy].append(env.scene(env.state, copy))
        valid = rollout.valid[time]
        step = env.step({name: actions[time] for name, actions in rollout.actions.items()})
        if not torch.equal(step.rewards[valid], rollout.rewards[time][valid].to(step.rewards)):
            raise ValueError(f"{type(env).__name__} plays differently from the same seed, so it cannot be shown again")
    return found


def write_gif(frames: Iterable[UInt8[np.ndarray, "H W 3"]], path: pathlib.Path, *, fps: Number = 4.0) -> int:
    """Write pictures to an animated GIF that starts over; returns how many. `fps` are pictures a second, at most 50."""
    check_fps(fps)
    images = [Image.fromarray(frame).quantize(256, dither=Image.Dither.NONE) for frame in frames]
    if not images:
        raise ValueError("frames: there are none to write")
    milliseconds = [round(1000 / fps)] * len(images)
    milliseconds[-1] = max(milliseconds[-1], round(1000 * END_SECONDS))
    make_folder(path.parent)
    with replacing(path) as draft:
        images[0].save(
            draft, format="GIF", save_all=True, append_images=images[1:], duration=milliseconds, loop=0, optimize=False
        )
    return len(images)


def check_fps(fps: Number) -> None:
    """Refuse a speed that no GIF can have."""
    check_number("fps", fps, above=0, maximum=FASTEST)


def write_pngs(
    frames: Iterable[UInt8[np.ndarray, "H W 3"]], folder: pathlib.Path, *, stem: str = STEM
) -> list[pathlib.Path]:
    """Write each picture to a file of its own, numbered; returns their paths. None is replaced before all are drawn."""
    make_folder(folder)
    paths = []
    with contextlib.ExitStack() as drafts:
        for number, frame in enumerate(frames):
            path = folder / f"{stem}_{number:06d}.png"
            Image.fromarray(frame).save(drafts.enter_context(replacing(path)), format="PNG")
            paths.append(path)
    return paths
