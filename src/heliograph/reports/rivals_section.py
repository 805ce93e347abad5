"""The section of a report about several teams: what each of them earns, says, and loses where it is not understood."""

from collections.abc import Iterator, Mapping
from typing import Any

from heliograph.analysis.verdict import RESAMPLED
from heliograph.protocols.labels import number, percent
from heliograph.reports.page import Safe, element, table, with_error
from heliograph.reports.report_data import Findings
from heliograph.texts import NOTHING

__all__ = ["rivals", "words_of_teams"]

HEADINGS = ("team", "agents", "return", "told, bits", "resampled", "hearers differ", "rivals differ", "verdict")
CAPTION = (
    "Mean ± standard error over the members of a team, and its change where the messages of this team alone are those "
    "of other episodes; in how many episodes team-mates, and rivals, then act otherwise"
)


def words_of_teams(teams: Mapping[str, Mapping[str, Any]]) -> str:
    """The word of each team, with what it means."""
    return "; ".join(f"{name} is {found['diagnosis']} ({found['diagnosis_means']})" for name, found in teams.items())


def rivals(findings: Findings) -> Iterator[Safe]:
    """A table of the teams; nothing where there is only one."""
    if not findings.rivals:
        return
    yield element("h2", "Which team is heard, and by whom?")
    yield table(HEADINGS, [_row(name, found) for name, found in findings.rivals.items()], caption=CAPTION)


def _row(name: str, found: Mapping[str, Any]) -> tuple[Any, ...]:
    told = found["mutual_information_bits"]
    score = with_error(found["episode_return_mean"], found["episode_return_se"])
    return name, ", ".join(found["agents"]), score, number(told), *_resampled(found), found["diagnosis"]


def _resampled(found: Mapping[str, Any]) -> tuple[str, str, str]:
    change = found.get(f"difference_mean{RESAMPLED}")
    if change is None:
        return NOTHING, NOTHING, NOTHING
    shares = (found[f"{key}{RESAMPLED}"] for key in ("changed_share", "rivals_changed_share"))
    mates, others = map(percent, shares)
    return number(change, sign=True), mates, others
