"""What Heliograph replaces in RLlib is listed, and is what it was written for."""

import ast
import importlib
import inspect
import pkgutil
from typing import Any

import pytest
import ray

from heliograph import rllib
from heliograph.rllib import learner_errors as learning
from heliograph.rllib import rllib_internals as overridden
from heliograph.rllib import sampling


def of_ray(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base.__module__.startswith("ray.")]


MODULES = [importlib.import_module(f"heliograph.rllib.{found.name}") for found in pkgutil.iter_modules(rllib.__path__)]
CLASSES = [
    cls for module in MODULES for cls in vars(module).values()
    if isinstance(cls, type) and cls.__module__ == module.__name__ and of_ray(cls)
]  # fmt: skip
"""All that derive from a class of RLlib's."""
ATTRIBUTES = {
    "_device", "_module", "_params", "_rl_modules", "_seed", "_weights_seq_no", "_rl_module_spec",
    "_lr_scheduler_classes", "_module_optimizers",
}  # fmt: skip
"""Private attributes of RLlib's objects that are read: they hold what their names say, and fail at once if renamed."""
OTHERS = {"_worker_manager", "_remote_args"}
LISTED = {relied.short.rpartition(".")[2] for relied in overridden.RELIED_ON}


def test_ray_is_what_heliograph_was_written_for() -> None:
    found = overridden.changes()
    told = "\n".join(
        ["RLlib has changed where Heliograph relies on it; check, then write down the new digest:", *found]
    )
    assert ray.__version__ == overridden.RAY_VERSION, told
    assert not found, told


def test_a_change_is_told_with_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    first = overridden.RELIED_ON[0]
    monkeypatch.setattr(first.stock().__globals__["TorchLearner"], first.short.rpartition(".")[2], lambda self: None)
    (found,) = overridden.changes()
    assert found.startswith(first.name) and "2.60.0" in found and first.check in found
    gone = overridden.Relied(name="ray.rllib.algorithms.algorithm:Algorithm._gone", digest="", check="See to it.")
    monkeypatch.setattr(overridden, "RELIED_ON", (gone,))
    assert "is gone" in overridden.changes()[0]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_private_method_that_is_replaced_is_listed(cls: type) -> None:
    replaced = {
        name
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and name.startswith("_") and not name.startswith("__")
        if any(name in vars(base) for base in of_ray(cls))
    }
    assert replaced <= LISTED


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_private_name_that_is_used_is_listed(cls: type) -> None:
    tree = ast.parse(inspect.getsource(inspect.getmodule(cls)))  # type: ignore[arg-type]
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    own: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.startswith("heliograph"):
            own |= set(vars(base))
    methods = {name for name in used - own if any(name in vars(base) for base in of_ray(cls))}
    methods = {name for name in methods if not name.startswith("__")}
    assert methods <= LISTED | ATTRIBUTES


@pytest.mark.parametrize("source", [learning, sampling], ids=lambda source: source.__name__)
def test_nothing_else_private_is_touched(source: Any) -> None:
    tree = ast.parse(inspect.getsource(source))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    assert {name for name in used if not name.startswith("__")} <= OTHERS
