"""No setting is without effect: with and without it weights differ, or it is refused by its name.

A covering array of what `benchmarks/settings.py` walks as a whole.
"""

import importlib.util
import pathlib
import sys
from typing import Any

import pytest

PATH = pathlib.Path(__file__).parents[2] / "benchmarks" / "settings.py"
if not PATH.exists():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)
SPEC = importlib.util.spec_from_file_location("settings_walk", PATH)
assert SPEC is not None and SPEC.loader is not None
walk: Any = importlib.util.module_from_spec(SPEC)
sys.modules["settings_walk"] = walk
SPEC.loader.exec_module(walk)
CASES = list(walk.covering())
GIVEN = [
    pytest.param(case, usual, id=case.key, marks=pytest.mark.xdist_group(f"company {index // walk.IN_A_ROW}"))
    for index, (case, usual) in enumerate(CASES)
]
"""In one process those that share a company."""


def test_every_setting_is_walked() -> None:
    assert walk.uncovered() == []


def test_every_component_comes_in_turn() -> None:
    companies = " ".join(case.company for case, _ in CASES)
    for kind in walk.TURNING:
        assert all(f"{kind}={name}" in companies for name in walk.KINDS[kind]), kind


@pytest.fixture(scope="module")
def known() -> Any:
    """What the companies come to without the setting, trained once."""
    return walk.Walk()


@pytest.mark.parametrize("case, usual", GIVEN)
def test_it_changes_something_or_is_refused_by_name(case: Any, usual: Any, known: Any) -> None:
    outcome, told = known.outcome(case)
    assert not walk.is_fault(case, outcome, told), (outcome, told)
    if outcome != walk.EFFECT:
        outcome, told = known.outcome(usual)
        assert not walk.is_fault(usual, outcome, told), (outcome, told)
