"""Pieces of a self-contained HTML page: escaped text, tables, figures as inline SVG that follows the reader's theme."""

import html
import io
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from heliograph.protocols.labels import number
from heliograph.reports.plots import INK, MUTED, RULE

THEMED = {INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)"}
WIDE_HEADING = re.compile(r"<\?xml.*?(?=<svg)", re.DOTALL)
METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


class Safe(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: Any) -> Safe:
    """Anything as HTML text: escaped, unless it is HTML already."""
    return value if isinstance(value, Safe) else Safe(html.escape(str(value)))


def element(tag: str, *children: Any, **attributes: Any) -> Safe:
    """An element; `class_` writes class, underscores in attribute names write hyphens."""
    names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
    written = "".join(f' {names[name]}="{html.escape(str(v))}"' for name, v in attributes.items() if v is not None)
    return Safe(f"<{tag}{written}>{''.join(map(text, children))}</{tag}>")


def table(headings: Sequence[Any], rows: Sequence[Sequence[Any]], *, caption: Any = None, numeric: bool = True) -> Safe:
    """A table whose first column names the rows; the others hold numbers, aligned, unless `numeric` is False."""
    head = element("thead", element("tr", *(element("th", heading, scope="col") for heading in headings)))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", "" if c is None else c) for c in row[1:]))
        for row in rows
    ]
    # beside the table and not in it: a caption would scroll with a wide table on a narrow screen
    above = "" if caption is None else element("p", caption, class_="caption")
    whole = element("table", head, element("tbody", *body), class_="numbers" if numeric else "words")
    label = _plain(caption or headings[0])
    return Safe(above + element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=label))


def figure(plot: Figure, *, name: str, alt: str, caption: Any) -> Safe:
    """A figure as inline SVG; `name` must be unique in the page, `alt` says what is seen."""
    return element("figure", svg(plot, name=name, alt=alt), element("figcaption", caption))


def svg(plot: Figure, *, name: str, alt: str) -> Safe:
    """SVG whose ink, rules and grey follow the page's colours, and whose ids begin with `name`."""
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        plot.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    drawn = METADATA.sub("", WIDE_HEADING.sub("", buffer.getvalue()))
    drawn = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', drawn)
    drawn = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", drawn)
    drawn = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{name}-\1"', drawn)
    for colour, themed in THEMED.items():
        drawn = re.sub(re.escape(colour), themed, drawn, flags=re.IGNORECASE)
    label = html.escape(alt)
    return Safe(drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))


def page(title: str, *body: Any) -> str:
    """A whole document with its style inside."""
    style = resources.files("heliograph.reports").joinpath("report.css").read_text(encoding="utf8")
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
    )
    main = element("main", *body)
    return f"{head}{element('title', title)}\n<style>\n{style}</style>\n</head>\n<body>\n{main}\n</body>\n</html>\n"


def with_error(mean: float | None, error: float | None, *, digits: int = 2) -> Safe:
    """A number, and its error in smaller type."""
    small = "" if error is None else element("small", f" ±\N{NO-BREAK SPACE}{number(error, digits=digits)}")
    return Safe(f"{text(number(mean, digits=digits))}{small}")


def _plain(value: Any) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", str(value)))
