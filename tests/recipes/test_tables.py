"""Recipes are data, a file a task: each is found by its name, tells what it is about, and trains with its settings."""

import hashlib
import importlib
import json
import pathlib

import pytest

from heliograph import registry
from heliograph.cli import main
from heliograph.recipes import tables
from heliograph.recipes.results import measured
from heliograph.recipes.tables import recipes_by_name

DIGESTS = pathlib.Path(__file__).parent / "digests.json"
FOLDER = pathlib.Path(tables.__file__).parent
FILES = [path.stem for path in sorted(FOLDER.glob("*.py")) if tables.TABLE.search(path.read_text())]


def digest(name: str) -> str:
    """What a recipe trains and is judged by, in eight letters."""
    recipe = registry.load("recipe", name)()
    told = [recipe.paper, recipe.target, recipe.at_most, recipe.control_kinds, recipe.settings]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]


def test_a_recipe_trains_what_it_did_when_it_was_measured() -> None:
    """Who changes one on purpose measures it anew, and writes down its new digest."""
    found = {name: digest(name) for name in recipes_by_name()}
    assert found == json.loads(DIGESTS.read_text()), f"these are the digests now: {json.dumps(found)}"


@pytest.mark.parametrize("task", FILES)
def test_a_file_holds_the_recipes_of_its_task(task: str) -> None:
    for recipe in importlib.import_module(f"heliograph.recipes.{task}").RECIPES:
        assert recipe.settings["env"] == task, recipe.name
        line, empty, *text = recipe.about.strip().splitlines()
        assert line.endswith(".") and not empty and text, recipe.name


def test_helpers_hold_no_recipes_and_all_others_are_found() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} - {*FILES} == {
        "__init__", "base", "pretrained", "results", "systems", "tables", "trainers"
    }  # fmt: skip
    assert registry.names("recipe") == sorted(recipes_by_name())
    assert registry.entry_point("recipe", "dial_switch3") is None


def test_a_recipe_that_somebody_changes_stays_as_it_is() -> None:
    make = registry.load("recipe", "dial_switch3")
    make().settings["algorithm_settings"]["momentum"] = 0.95
    assert make().settings["algorithm_settings"] == {"momentum": 0.05}
    assert make.__name__ == "dial_switch3" and make.__doc__.strip().startswith("DIAL: ")


def test_two_recipes_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    levers = importlib.import_module("heliograph.recipes.levers")
    monkeypatch.setattr(levers, "RECIPES", (*levers.RECIPES, levers.RECIPES[0]))
    with pytest.raises(ValueError, match="two recipes are called 'commnet_levers'"):
        recipes_by_name.__wrapped__()


def test_untested_recipes_are_listed_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "recipes"]) == 0
    tested, _, untested = capsys.readouterr().out.partition("\nuntested")
    assert tested.startswith("measured\n") and "  dial_switch3 " in tested and "; ours: " not in untested
    names = [line.split()[0] for line in untested.splitlines()[1:]]
    assert "gacomm_traffic_junction_easy" in names and not any(map(measured, names))
    assert len(names) + tested.count("; ours: ") == len(recipes_by_name())
