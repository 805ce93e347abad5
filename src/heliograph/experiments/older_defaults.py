"""Defaults that have changed: files of before say what they leave out, so that they mean what they meant."""

from collections.abc import Mapping
from typing import Any

__all__ = ["FORMATS", "FORMAT_VERSION", "brought_up", "env_brought_up", "refuse_undated", "training_brought_up"]

FORMAT_VERSION = 2
"""Of run folders, team files, plans and corpora; since 2, Traffic Junction is played without sight by default."""
FORMATS = (1, FORMAT_VERSION)
"""Those that can be read."""
SINCE = 2
JUNCTION = ("traffic_junction", "heliograph.envs.traffic_junction:TrafficJunction")
SIGHTED = ("medium", "hard")


def brought_up(content: Mapping[str, Any], *, version: int) -> dict[str, Any]:
    """Return what a file of some `format_version` describes, with defaults of its time said where they are others now.

    Takes what run folders, team files and corpora hold: `env`, `trained_in` and `training`, as far as they are there.
    """
    found = dict(content)
    for key in ("env", "trained_in"):
        if isinstance(found.get(key), dict):
            found[key] = env_brought_up(found[key], version=version)
    if isinstance(found.get("training"), dict):
        found["training"] = training_brought_up(found["training"], version=version)
    return found


def env_brought_up(about: Mapping[str, Any], *, version: int) -> dict[str, Any]:
    """The same of an environment with its `settings`."""
    sight = _sight(about.get("env"), about.get("settings"), version=version)
    return {**about, "settings": {**about["settings"], **sight}} if sight else dict(about)


def training_brought_up(training: Mapping[str, Any], *, version: int) -> dict[str, Any]:
    """The same of training settings."""
    sight = _sight(training.get("env"), training.get("env_settings"), version=version)
    rises = training.get("curriculum")
    if not sight or (isinstance(rises, dict) and sight.keys() & rises.keys()):
        return dict(training)
    return {**training, "env_settings": {**training["env_settings"], **sight}}


def refuse_undated(settings: Mapping[str, Any], *, where: str) -> None:
    """Raise ValueError where settings in a file without a version leave out what meant something else before."""
    if training_brought_up(settings, version=SINCE - 1) != dict(settings):
        raise ValueError(
            f"{where}: env_settings.vision is not said, and its default has changed: write vision: 0, the task as "
            "published (the default now), or vision: 1, which was meant before"
        )


def _sight(env: Any, settings: Any, *, version: int) -> dict[str, Any]:
    """The vision of a junction that was played with sight by default, where it is not said."""
    if version >= SINCE or env not in JUNCTION or not isinstance(settings, dict) or "vision" in settings:
        return {}
    return {"vision": 1} if settings.get("difficulty") in SIGHTED else {}
