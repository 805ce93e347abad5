"""Training settings in a file of YAML or JSON."""

import pathlib
from typing import Any

import yaml

from heliograph.experiments.older_defaults import refuse_undated
from heliograph.importing import absolute_names
from heliograph.storage.safe_files import read_json, read_text

__all__ = ["settings_in"]

MAX_BYTES = 1_000_000
SUFFIXES = (".yaml", ".yml", ".json")


def settings_in(path: pathlib.Path) -> dict[str, Any]:
    """The settings in a file, not checked yet; raises ValueError, naming the file, where it holds none.

    A component named by a file ("./net.py:Net") is looked for beside the file.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: settings are in a file that ends in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    try:
        found = read_json(path) if path.suffix == ".json" else yaml.safe_load(read_text(path, at_most=MAX_BYTES))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ValueError(f"{path} holds no settings: it must be a table such as 'env: speaker_listener'")
    refuse_undated(found, where=str(path))
    named: dict[str, Any] = absolute_names(found, folder=str(path.parent.absolute()))
    return named
