"""README, results and cards tell the same figures: those of the one table, which is that of the results and cards."""

import json
import pathlib
import re
import sys
from typing import Any

import pytest

from heliograph.recipes.pretrained import PREFIX, card_of, located, shipped
from heliograph.recipes.results import TABLE, Measured, measured
from heliograph.registry import load

ROOT = pathlib.Path(__file__).parents[2]
README, RESULTS = ROOT / "README.md", ROOT / "docs" / "results.md"
PAGES = [RESULTS, *sorted((ROOT / "docs" / "results").glob("*.md"))]
"""The page of all results, and one for each paper."""
MEASURED = sorted(json.loads(TABLE.read_text()))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the benchmarks that writes the figures into pages."""
    if not (ROOT / "benchmarks").exists():
        pytest.skip("no benchmarks beside the tests")
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    import figures

    return figures


def rows_of(page: str, recipe: str) -> list[str]:
    """The rows of a page's tables in which a recipe is named."""
    return [line for line in page.split("\n") if line.startswith("| ") and f"`{recipe}`" in line]


def told(value: float, text: str) -> bool:
    """Whether a text has a value, rounded to the digits that it shows (one at least)."""
    shown = re.findall(r"-?\d+\.\d+", text)
    return any(f"{value:.{len(number.split('.')[1])}f}" == number for number in shown)


@pytest.mark.parametrize("name", shipped())
def test_readme_tells_what_a_shipped_team_has_by_its_card(name: str) -> None:
    (metric,) = list(load("recipe", name)().goals)[:1]
    score = card_of(located(PREFIX + name))["score"][metric]
    (row,) = rows_of(README.read_text(encoding="utf8"), name)
    teams = re.findall(r"shipped team[^;)|]*?(\d+\.\d+)", row)
    assert any(told(score, figure) for figure in teams), f"README: {row}\nhas no {score:.3f}, which the card has"


@pytest.mark.parametrize("name", MEASURED)
def test_readme_tells_the_whole_spread_of_the_seeds(name: str) -> None:
    (row,) = rows_of(README.read_text(encoding="utf8"), name)
    found = measured(name)
    assert found is not None
    for value in (min(found.by_seed), max(found.by_seed)):
        assert told(value, row), f"README: {row}\nhas no {value:.3f}"


def test_tables_of_results_that_are_written_by_hand_tell_every_seed() -> None:
    page, checked = "\n".join(by_hand(page) for page in PAGES), 0
    for name in MEASURED:
        found, rows = measured(name), rows_of(page, name)
        assert found is not None
        own = [row for row in rows if all(told(value, row) for value in found.by_seed)]
        assert own or not rows, f"docs/results.md and docs/results/ have no row of {name} with {found.by_seed}"
        checked += bool(own)
    assert checked > 15


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("levers", "commnet_levers"), ("levers", "commnet_levers_supervised"), ("digit_games", "dial_colour_digit"),
        ("four_prisoners", "dial_switch4"), ("four_prisoners", "rial_switch4"),
    ],
)  # fmt: skip
def test_pages_of_tasks_tell_the_whole_spread(page: str, name: str) -> None:
    text, found = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf8"), measured(name)
    assert found is not None
    for value in (min(found.by_seed), max(found.by_seed)):
        assert told(value, text), f"docs/{page}.md has no {value:.3f} of {name}"


def by_hand(page: pathlib.Path) -> str:
    """A page without the part that is written from the table."""
    text = page.read_text(encoding="utf8")
    return re.sub(r"<!-- figures:.*<!-- end of figures -->", "", text, flags=re.DOTALL)


def test_tables_of_the_small_games_are_those_that_are_printed(figures: Any) -> None:
    import table

    page = "\n".join(page.read_text(encoding="utf8") for page in PAGES)
    for path in sorted(table.RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf8"))
        if "runs" in result:
            assert table.table(path.stem, result).strip() in page, f"{path.name}: see python benchmarks/table.py"


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
