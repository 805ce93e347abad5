"""Members of a population in a report: what each scores with each of the others."""

from collections.abc import Iterator

from heliograph.protocols.labels import number
from heliograph.reports.page import Safe, element, table
from heliograph.reports.report_data import Findings

__all__ = ["members"]


def members(findings: Findings) -> Iterator[Safe]:
    """A matrix of the first agent's members by all others'; nothing where there is no population."""
    told = findings.told
    if (returns := told.get("member_returns")) is None:
        return
    first = findings.run.facts.roles[0].name
    yield element("h2", "Members of the population")
    columns = (f"{first}, and all others", *(str(place) for place in range(len(returns))))
    rows = [(str(place), *(number(value) for value in row)) for place, row in enumerate(returns)]
    own, others = number(told["members_own"]), number(told["members_cross"])
    caption = f"Mean return of each member with each. Members of the same number: {own}; of different ones: {others}"
    yield table(columns, rows, caption=caption)
