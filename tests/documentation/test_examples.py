"""Every example says what it is, and runs with a tiny budget."""

import ast
import importlib.util
import inspect
import pathlib
import sys
import types

import pytest

from heliograph.testing import check_channel

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*.py"))
NEEDS_RAY = {"stock_rllib", "differentiable_rllib", "ray_tune"}
BUDGETS = {"pettingzoo_env": 30}
"""The first argument of `main`, where it is not 1."""
HEADINGS = ("This example\n------------", "How to run\n----------", "Results to expect\n-----------------")


def load(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module of an example; examples may import each other, as they do when they are run as scripts."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def runs() -> list:
    return [pytest.param(p, id=p.stem, marks=[pytest.mark.ray] if p.stem in NEEDS_RAY else []) for p in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_an_example_says_what_it_is_how_to_run_it_and_what_to_expect(path: pathlib.Path) -> None:
    tree = ast.parse(path.read_text())
    text = ast.get_docstring(tree) or ""
    for heading in HEADINGS:
        assert heading in text, heading
    assert f"python examples/{path.name}" in text
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions["main"].args.args and functions["main"].args.defaults, "main() takes a budget"


@pytest.mark.parametrize("path", runs())
def test_an_example_runs(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if path.stem in NEEDS_RAY:
        request.getfixturevalue("ray_session")
    main = load(path, monkeypatch).main
    found = main(BUDGETS.get(path.stem, 1))
    assert found
    values = found.values() if isinstance(found, dict) else found
    assert all(isinstance(value, float) and value == value for value in values)
    assert next(iter(inspect.signature(main).parameters.values())).default > 1


def test_dial_beats_every_silent_team(monkeypatch: pytest.MonkeyPatch) -> None:
    dial = load(EXAMPLES / "dial_in_plain_pytorch.py", monkeypatch)
    scores = dial.main(120, evaluate_every=60)
    assert max(scores) > 0.85, scores


def test_the_channel_of_the_example_conforms(monkeypatch: pytest.MonkeyPatch) -> None:
    check_channel(load(EXAMPLES / "custom_channel.py", monkeypatch).FlippedBits)
