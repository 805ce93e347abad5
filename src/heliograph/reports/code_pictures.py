"""The pictures of a code that a report adds to its heat map, where the corpus holds what they need."""

from collections.abc import Iterator

from heliograph.analysis.corpus import Corpus
from heliograph.reports import pictures
from heliograph.reports.page import Safe, figure

__all__ = ["code_pictures"]

CAPTIONS = {
    "meaning_map": "P(meaning | message): each row sums to 1; a row with several dark cells is an ambiguous message.",
    "rank_frequencies": "How often each message is said, by its rank (Zipf's law is a line of slope \N{MINUS SIGN}1).",
    "position_attributes": "Bits that the symbol at each place tells of each attribute; one dark cell a row is "
    "disentangled.",
    "distance_map": "Distances of messages for each distance of their meanings; columns sum to 1. A compositional "
    "code rises from left to right.",
    "action_map": "P(action of a hearer | message): what each message makes hearers do.",
}


def code_pictures(corpus: Corpus, *, prefix: str, role: str) -> Iterator[Safe]:
    """Those of one role, each with its caption; the largest numbers are in the words for those who do not see it."""
    for name, picture in pictures.of_code(corpus).items():
        numbers = picture.table.select_dtypes("number").columns[-1]
        most = picture.table.sort_values(numbers, ascending=False, kind="stable").head(3)
        told = "; ".join(", ".join(f"{key} {value}" for key, value in row.items()) for row in most.to_dict("records"))
        what = name.replace("_", " ")
        alt = f"{what.capitalize()} of role {role}; most: {told}."
        yield figure(picture.figure, name=f"{prefix}-{name.replace('_', '-')}", alt=alt, caption=CAPTIONS[name])
