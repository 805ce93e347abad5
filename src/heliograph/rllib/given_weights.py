"""Weights that policies begin with, as they are given: read already, or by the place where they lie."""

import pathlib
from typing import Any

from heliograph.storage.run_folder import CONFIG
from heliograph.storage.team_file import SUFFIX, LoadedPolicy, read_policy

__all__ = ["is_shared", "loaded_policy"]


def loaded_policy(source: Any, name: str) -> LoadedPolicy:
    """The weights of a policy, read where they are named by a place."""
    return source if isinstance(source, LoadedPolicy) else read_policy(source, name)


def is_shared(path: Any) -> bool:
    """Tell whether a path is a team file or run folder, which is safe to read; else it is RLlib's own checkpoint."""
    path = pathlib.Path(path)
    return path.suffix == SUFFIX or (path / CONFIG).exists()
