"""Old names of modules and classes: they work for one minor version, with a warning, and in files for ever."""

import importlib
import pathlib
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from heliograph import moved
from heliograph.rllib.state_file import read_state, write_state
from heliograph.team.state import Inbox


@pytest.mark.parametrize("old", moved.MODULES)
def test_an_old_module_has_what_the_new_one_has(old: str) -> None:
    new = importlib.import_module(moved.MODULES[old])
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} has moved to {new.__name__}"):
        found = importlib.import_module(old)
    for name in getattr(new, "__all__", ()):
        assert getattr(found, name) is getattr(new, name)
    sys.modules.pop(old, None)


@pytest.mark.parametrize("old", [name for name in moved.NAMES if not name.endswith(":TeamState")])  # used there, too
def test_an_old_name_is_the_new_one(old: str) -> None:
    module, _, name = old.partition(":")
    new_module, _, new_name = moved.NAMES[old].partition(":")
    with pytest.warns(DeprecationWarning, match=f"{name} has moved to {new_module}.{new_name}"):
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(new_module), new_name)


def test_other_names_are_missing_as_ever() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Outbox'"):
        importlib.import_module("heliograph.rollout").Outbox  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match=r"heliograph\.models\.teams"):
        importlib.import_module("heliograph.models.teams")


def test_states_saved_under_old_names_are_read_without_a_word(tmp_path: pathlib.Path) -> None:
    inbox = Inbox(payload=torch.ones(1, 2, 3), mask=torch.zeros(1, 2, 2, dtype=torch.bool))
    write_state(tmp_path / "state", {"inbox": inbox})
    with safetensors.safe_open(str(tmp_path / "state"), framework="pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    about["tree"] = about["tree"].replace("heliograph.team.state:Inbox", "heliograph.rollout:Inbox")
    safetensors.torch.save_file(tensors, str(tmp_path / "state"), about)
    found = read_state(tmp_path / "state")["inbox"]
    assert isinstance(found, Inbox) and torch.equal(found.payload, inbox.payload)


def test_nothing_of_heliograph_goes_by_an_old_name() -> None:
    command = "import heliograph.rllib.ppo, heliograph.analysis.evaluate, heliograph.losses.imitation"
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning:heliograph", "-c", command], check=True)
