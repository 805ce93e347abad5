"""What `import heliograph` offers: found when it is asked for, told to type checkers, and used by all that is shown."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

import heliograph

SOURCE = pathlib.Path(heliograph.__file__).read_text()


@pytest.mark.parametrize("name", heliograph.PLACES)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    module, _, attribute = heliograph.PLACES[name].partition(":")
    assert getattr(heliograph, name) is getattr(importlib.import_module(module), attribute)
    assert name in dir(heliograph)


def test_names_are_told_in_all_three_places() -> None:
    imported = {
        (alias.asname or alias.name): f"{node.module}:{alias.name}"
        for block in ast.parse(SOURCE).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == heliograph.PLACES
    assert sorted(heliograph.__all__) == sorted(heliograph.PLACES)


def test_nothing_heavy_is_imported_before_it_is_asked_for() -> None:
    command = "import sys, heliograph as hg; dir(hg); print(*{'torch', 'ray', 'numpy', 'gymnasium'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_what_is_not_there_is_missing_by_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'tarin'"):
        heliograph.tarin  # noqa: B018


def test_an_environment_is_made_by_name() -> None:
    env = heliograph.make_env("switch_riddle", num_envs=3, prisoners=3)
    assert isinstance(env, heliograph.TeamEnv) and env.num_envs == 3
    with pytest.raises(ValueError, match="prisoner"):
        heliograph.make_env("switch_riddle", prisoner=3)
