"""Runs to make, and the controls beside each (imports no ray)."""

import dataclasses
import pathlib
from collections.abc import Iterable

from heliograph.experiments.controls import CONTROLS, USUAL_CONTROLS
from heliograph.experiments.settings import TrainSettings, control_of, has_own_words
from heliograph.registry import UnknownNameError

__all__ = ["MAIN", "Job", "check_controls", "controls_named", "controls_of"]

MAIN = "team"
"""What a single run is called beside its controls."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A run to make, or to go on with: its name in what is shown, its settings, and its folder."""

    name: str
    settings: TrainSettings
    out: pathlib.Path
    overwrite: bool = False
    resume: bool = False


def controls_of(job: Job, kinds: Iterable[str] = USUAL_CONTROLS, *, env_steps: int | None = None) -> list[Job]:
    """Return the controls of a run, on its budget (`env_steps`: what it took where it ended by `until`)."""
    prefix = "" if job.name == MAIN else f"{job.name}/"
    return [
        Job(name=prefix + kind, settings=control_of(job.settings, kind, env_steps=env_steps), out=job.out / kind)
        for kind in kinds
    ]


def controls_named(asked: bool | str | Iterable[str]) -> tuple[str, ...]:
    """Return the controls that somebody asks for: True for the usual ones, one name, or several; each once."""
    if isinstance(asked, bool):
        return USUAL_CONTROLS if asked else ()
    names = tuple(dict.fromkeys([asked] if isinstance(asked, str) else asked))
    for name in names:
        if name not in CONTROLS:
            raise UnknownNameError(what="control", name=str(name), valid=list(CONTROLS))
    return names


def check_controls(settings: TrainSettings, kinds: Iterable[str]) -> None:
    """Raise ValueError where a run that nobody speaks in is to have controls."""
    if (asked := list(kinds)) and settings.channel == "none" and not has_own_words(settings):
        raise ValueError(
            f"controls {', '.join(asked)}: channel='none' lets nobody speak, so that the run is its own "
            "no-communication control; leave controls out, or choose a channel"
        )
