"""The command that draws: `render`, episodes of a team as an animated GIF or as numbered PNG files."""

import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from heliograph.analysis.evaluate import play_run
from heliograph.cli.overwriting import refuse_existing
from heliograph.cli.reading import run_of
from heliograph.cli.shown import console
from heliograph.rendering.animation import MOST_EPISODES, STEM, Shot, check_fps, shots, write_gif, write_pngs
from heliograph.storage.safe_files import check_out
from heliograph.types import Choice

__all__ = ["run_render"]

Shown = tuple[Any, Callable[[Any], None]]
GIF, PNG = ".gif", ".png"


def run_render(given: Any) -> Shown:
    """`heliograph render`."""
    out = pathlib.Path(given.out)
    suffix, out = _checked(out, given.out), out.absolute()
    refuse_existing(_replaced(out, suffix), given)
    check_fps(given.fps)
    if given.episodes > MOST_EPISODES:
        raise ValueError(f"--episodes {given.episodes}: at most {MOST_EPISODES}, as each step is a picture")
    run = run_of(given)
    played = play_run(
        run, num_episodes=given.episodes, choice=Choice(given.actions), seed=given.seed, num_envs=given.episodes
    )
    frames = _drawn(shots(run, played, seed=given.seed))
    if suffix == GIF:
        paths, number = [out], write_gif(frames, out, fps=given.fps)
    else:
        paths = write_pngs(frames, out.parent, stem=out.stem) if suffix else write_pngs(frames, out)
        number = len(paths)
    returns = played.episodes.returns.tolist()
    found = {"files": [str(path) for path in paths], "num_frames": number, "episode_returns": returns}
    return found, _show


def _checked(out: pathlib.Path, given: str) -> str:
    """Return which suffix the pictures have, "" for a folder of them; ValueError where nothing can be written there."""
    folder = out.is_dir() or given.endswith("/") or not out.suffix
    suffix = "" if folder else out.suffix.lower()
    if suffix not in (GIF, PNG, ""):
        raise ValueError(f"--out {given}: must end in {GIF} or {PNG}, or be a folder, for one {PNG} a step")
    if folder and out.suffix.lower() in (GIF, PNG):
        raise ValueError(f"--out {given}: is a folder; name a file in it, or a folder without {out.suffix}")
    if folder and out.is_symlink():
        raise ValueError(f"--out {given}: is a link, which is not followed: name the folder itself, or another")
    check_out(out if folder else out.parent)
    return suffix


def _replaced(out: pathlib.Path, suffix: str) -> list[pathlib.Path]:
    """The pictures that are there under the names of those to be written."""
    if suffix == GIF:
        return [out]
    folder, stem = (out.parent, out.stem) if suffix else (out, STEM)
    return sorted(path for path in folder.glob("*.png") if re.fullmatch(rf"{re.escape(stem)}_\d+", path.stem))


def _drawn(stills: Iterable[Shot]) -> Iterator[Any]:
    return (still.draw() for still in stills)


def _show(found: dict[str, Any]) -> None:
    first, *rest = found["files"]
    files = f"{first} to {rest[-1]}" if rest else first
    returns = ", ".join(f"{value:.3g}" for value in found["episode_returns"])
    console().print(f"{files}: {found['num_frames']} pictures, return {returns}")
