"""Trained teams that come with Heliograph: `recipe:NAME` stands for the team file of a recipe, wherever one is read.

A file `teams/NAME.safetensors` with its card `NAME.json` beside it is all that it takes to add one.
"""

import pathlib
from typing import Any

from heliograph.registry import UnknownNameError, names
from heliograph.storage.safe_files import RunFolderError, read_json

__all__ = ["CARD", "PREFIX", "SUFFIX", "card_of", "comes_with_us", "is_shipped", "located", "shipped"]

PREFIX = "recipe:"
TEAMS = pathlib.Path(__file__).parent / "teams"
SUFFIX, CARD = ".safetensors", ".json"


def shipped() -> list[str]:
    """The recipes whose trained team is here, sorted."""
    return sorted(path.stem for path in TEAMS.glob(f"*{SUFFIX}"))


def is_shipped(source: str | pathlib.Path) -> bool:
    """Tell whether a source is written `recipe:NAME`."""
    return str(source).startswith(PREFIX)


def comes_with_us(team: pathlib.Path) -> bool:
    """Tell whether a team file is one of those that come with Heliograph, which have cards."""
    return team.parent == TEAMS


def located(source: str | pathlib.Path) -> pathlib.Path:
    """The path of a run folder or team file; that of a shipped team for `recipe:NAME`.

    Raises `UnknownNameError` for a recipe that does not exist, `RunFolderError` for one without a trained team.
    """
    if not is_shipped(source):
        return pathlib.Path(source)
    name = str(source).removeprefix(PREFIX)
    if name not in (valid := names("recipe")):
        raise UnknownNameError(what="recipe", name=name, valid=valid)
    if name not in shipped():
        raise RunFolderError(
            f"{source}: this recipe comes without a trained team; those with one are {', '.join(shipped()) or 'none'}. "
            f"To train it: heliograph train {name} --out runs/{name}"
        )
    return TEAMS / f"{name}{SUFFIX}"


def card_of(team: pathlib.Path) -> dict[str, Any]:
    """Return what stands beside a shipped team file: `training` settings, `summary`, score, and how it was made."""
    card = read_json(team.with_suffix(CARD))
    if not isinstance(card, dict) or not all(isinstance(card.get(key), dict) for key in ("training", "summary")):
        raise RunFolderError(f"{team.with_suffix(CARD)} is damaged: it lacks 'training' or 'summary'")
    return card
