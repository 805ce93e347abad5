"""README, results and cards tell the same figures: those of the one table, which is that of the results and cards."""

import json
import pathlib
import re
import sys
from typing import Any

import pytest

from heliograph.measured import TABLE, Measured, measured
from heliograph.registry import load, names
from heliograph.shipped import PREFIX, card_of, located, shipped

ROOT = pathlib.Path(__file__).parent.parent
README, RESULTS = ROOT / "README.md", ROOT / "docs" / "results.md"
MEASURED = sorted(json.loads(TABLE.read_text()))
STEPS = "episode_len_mean"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the benchmarks that writes the figures into pages."""
    if not (ROOT / "benchmarks").exists():
        pytest.skip("no benchmarks beside the tests")
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    import figures

    return figures


def rows_of(page: pathlib.Path, recipe: str) -> list[str]:
    """The rows of a page's tables in which a recipe is named; README shortens names to `..._10x10` and `magic_...`."""
    lines = [line for line in page.read_text(encoding="utf8").split("\n") if line.startswith("| ")]
    return [line for line in lines if recipe in written_out(line)]


def written_out(line: str) -> set[str]:
    """The recipes that a row names, abbreviations written out."""
    found: set[str] = set()
    first = ""
    for name in re.findall(r"`([\w.]+)`", line):
        first = first if "..." in name else name
        head, _, tail = name.partition("...")
        whole = first[: len(first) - len(tail)] + tail if not head else head + first[len(first.split("_")[0]) + 1 :]
        found.add(name if "..." not in name else next((n for n in names("recipe") if n == whole), ""))
    return found


def numbers(text: str) -> list[str]:
    """All numbers of a text as they are written, but for those in brackets."""
    return re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\d)", re.sub(r"\([^)]*\)", "", text))


def told(value: float, text: str) -> bool:
    """Whether a text has a value, rounded to the digits that it shows (one at least)."""
    shown = re.findall(r"-?\d+\.\d+", text)
    return any(f"{value:.{len(number.split('.')[1])}f}" == number for number in shown)


@pytest.mark.parametrize("name", shipped())
def test_readme_tells_what_a_shipped_team_has_by_its_card(name: str) -> None:
    (metric,) = list(load("recipe", name)().goals)[:1]
    score = card_of(located(PREFIX + name))["score"][metric]
    (row,) = rows_of(README, name)
    teams = re.findall(r"shipped team[^;)|]*?(\d+\.\d+)", row)
    assert any(told(score, figure) for figure in teams), f"README: {row}\nhas no {score:.3f}, which the card has"


@pytest.mark.parametrize("name", MEASURED)
def test_readme_tells_the_whole_spread_of_the_seeds(name: str) -> None:
    (row,) = rows_of(README, name)
    found = measured(name)
    assert found is not None
    for value in (min(found.by_seed), max(found.by_seed)):
        assert told(value, row), f"README: {row}\nhas no {value:.3f}"


@pytest.mark.parametrize("name", MEASURED)
def test_tables_of_results_tell_every_seed(name: str) -> None:
    found = measured(name)
    assert found is not None
    for row in rows_of(RESULTS, name):
        if "silent" not in row.split("|")[2] and "garbled" not in row and "separate" not in row:
            continue
    own = [row for row in rows_of(RESULTS, name) if all(told(value, row) for value in found.by_seed)]
    assert own, f"docs/results.md has no row of {name} with {found.by_seed}"


def test_the_cards_are_in_the_table() -> None:
    for name in shipped():
        found = measured(name)
        assert found is not None and found.shipped is not None, name
        assert found.shipped == round(card_of(located(PREFIX + name))["score"][found.metric], 4), name
        assert f"shipped team {found.shipped:.3f}" in str(found)
    assert "shipped" not in str(Measured(metric="x", by_seed=(1.0,), silent=(), budget="1 update", data="x.json"))


def test_pages_are_those_that_the_table_makes(figures: Any) -> None:
    table = {name: row for name in MEASURED if (row := measured(name)) is not None}
    for path, text in figures.pages(table).items():
        assert path.read_text(encoding="utf8") == text, f"{path.name}: run python benchmarks/collect.py"


def test_figures_in_a_text(figures: Any) -> None:
    row = Measured(metric="x", by_seed=(0.5, 0.25), silent=(-0.1,), budget="", data="", shipped=0.7977)
    of = figures.Figures(of=row)
    assert f"{of:spread} in {of:seeds}, {of:spread1}, {of:silent}, {of:shipped2}" == (
        "0.250 to 0.500 in two seeds, 0.2 to 0.5, -0.100, 0.80"
    )
    with pytest.raises(ValueError, match="spraed"):
        f"{of:spraed}"
    with pytest.raises(SystemExit, match="lacks the marks"):
        figures.with_part("a page", "x")
