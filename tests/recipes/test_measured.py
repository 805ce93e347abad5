"""What `heliograph list recipes` says we reached is what the committed results say."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from heliograph import registry
from heliograph.cli import main
from heliograph.recipes.results import TABLE, Measured, measured

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_table_is_that_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    if not BENCHMARKS.exists():
        pytest.skip("no benchmarks beside the tests")
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    collect = runpy.run_path(str(BENCHMARKS / "collect.py"))
    assert json.loads(TABLE.read_text()) == collect["table"](), "run python benchmarks/collect.py"


def test_rows_are_of_recipes_and_say_every_seed() -> None:
    for name in json.loads(TABLE.read_text()):
        recipe, row = registry.load("recipe", name)(), measured(name)
        assert row is not None and row.metric in recipe.goals and row.by_seed, name
    assert measured("commnet_traffic_junction_hard_published") is None


def test_more_than_the_first_seeds_of_colour_digit_and_levers_are_told() -> None:
    digits, levers = measured("dial_colour_digit"), measured("commnet_levers")
    assert digits is not None and len(digits.by_seed) >= 10
    assert min(digits.by_seed) >= registry.load("recipe", "dial_colour_digit")().goals["episode_return_mean"]
    assert levers is not None and min(levers.by_seed) < 0.97  # not the first three alone


def test_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    row = Measured(metric="success_rate", by_seed=(0.5, 1.0), silent=(0.25,), budget="7 updates", data="x.json")
    assert str(row) == "success_rate 0.500 1.000 (every seed, 7 updates; no-communication control 0.250)"
    main(["list", "recipes", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["dial_switch3"]["result"]["by_seed"] == [1.0] * 10
