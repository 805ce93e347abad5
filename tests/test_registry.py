"""Components are found by what a file holds: helpers beside them do no harm, whatever they are called."""

import importlib.util
import pathlib
import shutil
from collections.abc import Iterator

import pytest

import heliograph
from heliograph import component_files, registry
from heliograph.component_files import component_in

PACKAGE = pathlib.Path(heliograph.__file__).parent
HELPERS = {
    "plain": "def shade(x):\n    return x\n",
    "documented": '"""Shades."""\n\n__all__ = ["Shade"]\n\n\nclass Shade:\n    """A grey."""\n',
    "abstract": (
        "from abc import ABC\n\nfrom heliograph.{module} import {base}\n\n\n"
        "class Halfway({base}, ABC):\n    '''Half.'''\n"
    ),
    "open": (
        "from abc import abstractmethod\n\nfrom heliograph.{module} import {base}\n\n\n"
        "class Halfway({base}):\n    @abstractmethod\n    def rest(self): ...\n"
    ),
    "private": "from heliograph.{module} import {base}\n\n\nclass _Half({base}):\n    pass\n",
    "two": "from heliograph.{module} import {base}\n\n\nclass A({base}):\n    pass\n\n\nclass B({base}):\n    pass\n",
    "_underscored": "from heliograph.{module} import {base}\n\n\nclass Whole({base}):\n    pass\n",
}
COMPONENTS = {
    "direct": "from heliograph.{module} import {base}\n\n\nclass Whole({base}):\n    '''A whole one.'''\n",
    "renamed": "from heliograph.{module} import {base} as Base\n\n\nclass Whole(Base):\n    '''A whole one.'''\n",
    "by_way": "from heliograph.{folder}.abstract import Halfway\n\n\nclass Whole(Halfway):\n    '''A whole one.'''\n",
    "and_more": (
        "from heliograph.{module} import {base}\n\n\nclass Other({base}):\n    pass\n\n\n"
        "class AndMore({base}):\n    '''A whole one.'''\n"
    ),
}


@pytest.fixture
def copied(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """The sources of this package in another place, where files can be added."""
    package = tmp_path / "heliograph"
    for kind in ("env", "channel", "topology", "loss"):
        shutil.copytree(PACKAGE / registry.folder_of(kind), package / registry.folder_of(kind))
    monkeypatch.setattr(component_files, "PACKAGE", package)
    monkeypatch.setattr(registry, "PACKAGE", package)
    registry._own.cache_clear()
    yield package
    registry._own.cache_clear()


@pytest.mark.parametrize("kind", ["env", "channel", "topology", "loss"])
def test_helpers_are_no_components_and_disturb_none(kind: str, copied: pathlib.Path) -> None:
    module, _, base = component_files.BASES[kind].removeprefix("heliograph.").rpartition(".")
    folder = registry.folder_of(kind)
    for name, source in (HELPERS | COMPONENTS).items():
        path = copied / folder / f"{name}.py"
        path.write_text(source.format(module=module, base=base, folder=folder))
    own = {path.stem for path in (PACKAGE / folder).glob("*.py")}
    names = registry.names(kind)
    assert set(names) - own == set(COMPONENTS) and own & set(names)
    assert {registry.summary(kind, name) for name in COMPONENTS} == {"A whole one."}


@pytest.mark.parametrize("kind", sorted(registry.KINDS.keys() - {registry.TABLED}))
def test_every_component_of_ours_is_the_only_one_of_its_file(kind: str) -> None:
    """A file that has one also exports it; classes that components share are abstract."""
    for name in registry.names(kind):
        spec = importlib.util.find_spec(f"heliograph.{registry.folder_of(kind)}.{name}")
        assert spec is not None and spec.origin is not None
        own = component_in(kind, pathlib.Path(spec.origin))
        assert own is not None and f'"{own}"' in pathlib.Path(spec.origin).read_text()


def test_nothing_but_components_is_listed() -> None:
    assert registry.names("algorithm") == ["a2c", "maac", "maddpg", "mappo", "ppo", "qlearning"]
    assert "endings" not in registry.names("env") and len(registry.names("recipe")) > 50
    for kind in ("env", "topology", "loss", "measure"):
        for name in registry.names(kind):
            found = registry.load(kind, name)
            assert found.__module__.endswith(f".{name}"), (kind, name)


def test_a_name_that_is_no_file_is_refused() -> None:
    for name in ("base", "endings", "../envs/levers", "", "levers.py"):
        with pytest.raises(registry.UnknownNameError):
            registry.load("env", name)
