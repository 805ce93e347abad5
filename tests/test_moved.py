"""Old names of modules and classes: they work for one minor version, with a warning, and in files for ever."""

import importlib
import pathlib
import subprocess
import sys
import types

import pytest
import safetensors.torch
import torch

from heliograph import moved
from heliograph.cli import main
from heliograph.cli.migrating import rewritten
from heliograph.storage.state_file import read_state, write_state
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
    there = importlib.import_module(module) if module not in moved.MODULES else anew(module)
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} has moved to {new_module}.{new_name}"):
        found = getattr(there, name)
    assert found is getattr(importlib.import_module(new_module), new_name)
    assert rewritten(f"from {module} import {name} as it\n") == f"from {new_module} import {new_name} as it\n"
    assert rewritten(f'PLACE = "{old}"\n') == f'PLACE = "{moved.NAMES[old]}"\n'
    assert rewritten(f'PLACE = "{moved.NAMES[old]}"\n') == f'PLACE = "{moved.NAMES[old]}"\n'


def anew(module: str) -> types.ModuleType:
    """A module that has moved, imported by its old name as if for the first time."""
    sys.modules.pop(module, None)
    with pytest.warns(DeprecationWarning, match=f"{module} has moved"):
        found = importlib.import_module(module)
    sys.modules.pop(module, None)
    return found


def test_other_names_are_missing_as_ever() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Outbox'"):
        importlib.import_module("heliograph.rollouts.rollout").Outbox  # noqa: B018
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


# ---- heliograph migrate ----------------------------------------------------------------------------------------------

OLD = '''"""Mine."""
import heliograph.models.layout
from heliograph.models import cnet, layout
from heliograph.models.team import Team  # the runtime
from heliograph.rollout import (
    Advanced,
    Rollout,  # kept
)
if True:
    from heliograph.rollout import Inbox as Box, Acted; x = 1
from heliograph.analysis.corpus import Corpus, load
from heliograph.sampler import play
MODEL = "heliograph.models.policy:Policy"
print(heliograph.models.layout.Layout, layout, cnet, Team, Advanced, Rollout, Box, Acted, Corpus, load, play)
'''
NEW = '''"""Mine."""
import heliograph.team.assignment
from heliograph.models import cnet
from heliograph.team import assignment as layout
from heliograph.team.team import Team  # the runtime
from heliograph.team.state import StepOutput as Advanced
from heliograph.rollouts.rollout import Rollout
if True:
    from heliograph.team.state import Inbox as Box, Acted; x = 1
from heliograph.analysis.corpus import Corpus, load_corpus as load
from heliograph.rollouts.sampler import play_episodes as play
MODEL = "heliograph.team.policy:Policy"
print(heliograph.team.assignment.Layout, layout, cnet, Team, Advanced, Rollout, Box, Acted, Corpus, load, play)
'''


def test_ones_own_files_are_rewritten(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rewritten(OLD) == NEW and rewritten(NEW) == NEW
    mine, settings, other = tmp_path / "mine.py", tmp_path / "run.yaml", tmp_path / "other.txt"
    mine.write_text(OLD)
    settings.write_text("model: heliograph.models.layout:Mine\n")
    other.write_text(OLD)
    assert main(["migrate", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "+from heliograph.team.team import Team  # the runtime" in told and mine.read_text() == OLD
    assert told.endswith("2 files to be rewritten: add --write to do so\n")
    assert main(["migrate", str(tmp_path), "--write"]) == 0
    assert mine.read_text() == NEW and settings.read_text() == "model: heliograph.team.assignment:Mine\n"
    assert other.read_text() == OLD, "files of other kinds are left alone, unless they are named"
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning", str(mine)], check=True, capture_output=True)


@pytest.mark.parametrize("text", ["from . import x\n", "", "import heliograph\n", "from heliograph.types import *\n"])
def test_what_needs_no_change_has_none(text: str) -> None:
    assert rewritten(text) == text


def test_files_that_cannot_be_read_are_told(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", str(tmp_path / "none.py")]) == 2
    assert "none.py does not exist" in capsys.readouterr().err
    (tmp_path / "bad.py").write_text("def :\n")
    assert main(["migrate", str(tmp_path / "bad.py")]) == 2
    assert "bad.py: line 1 is no Python" in capsys.readouterr().err
