"""The section of a report that shows decision tables and what messages mean; absent where there are none."""

from collections.abc import Iterator

from heliograph.analysis.corpus import Corpus
from heliograph.protocols.labels import percent
from heliograph.protocols.protocol import Protocol, protocol_of
from heliograph.reports.page import Safe, element, table

__all__ = ["decisions"]

MAX_ROWS = 40


def decisions(corpus: Corpus) -> Iterator[Safe]:
    """Nothing where messages or actions are not discrete, nothing was said, or the environment has no name."""
    try:
        found = protocol_of(corpus)
    except ValueError:
        return
    yield element("h2", "What is said and done, as a table")
    for part in found.tables:
        cut = f"; the first {MAX_ROWS} rows" if len(part.decisions) > MAX_ROWS else ""
        followed = f"{percent(part.followed)} of the {part.num_turns} turns of role {part.role}{cut}"
        yield table(part.headings, part.rows()[:MAX_ROWS], caption=f"What was said and done in {followed}")
    for meaning in found.meanings:
        lines = [element("li", line) for line in meaning.words(found.reading)]
        yield element("p", f"What role {meaning.role} means by what it says:")
        yield element("ul", *lines)
    if found.played is not None:
        yield element("p", _played(found, found.played.normalised_return))


def _played(found: Protocol, normalised: float) -> str:
    verdict = "this protocol is optimal" if found.optimal else "this protocol is not optimal"
    return (
        f"Played by itself over all visiting sequences, the table earns {normalised:.3f} of the return of full "
        f"information: {verdict}."
    )
