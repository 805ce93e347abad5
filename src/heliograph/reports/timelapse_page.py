"""The page of a timelapse: what was said for which meaning, moment by moment, with a slider; and its numbers."""

import json
import pathlib
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

import pandas as pd

from heliograph.analysis.corpus_checks import CorpusError
from heliograph.analysis.timelapse import CORPORA, Timelapse, corpora_at, timelapse_of
from heliograph.protocols.labels import NOTHING, count, number, percent, shortened
from heliograph.reports import timelapse_plots
from heliograph.reports.page import Safe, element, figure, page, table
from heliograph.reports.plots import MAX_SHOWN, seriated
from heliograph.storage.safe_files import write_text
from heliograph.texts import one_line

__all__ = ["over_time", "timelapse_elements", "timelapse_path", "write_timelapse"]

PAGE = "timelapse.html"
MAX_ROWS = 60
CSV = "; the CSV beside this page has them all"
INTRODUCTION = """Each moment is a corpus that was recorded on the way: the same episodes, played greedily by the team
as it was then. Darker is more often: each row, a meaning, sums to 1 over all messages."""


def write_timelapse(
    sources: Sequence[str | pathlib.Path] | str | pathlib.Path, *, out: str | pathlib.Path | None = None
) -> pathlib.Path:
    """Write a page of how a language came about, one file that needs no network, and beside it its rows as CSV.

    `sources` is a run that was trained with `record_every`, a folder of corpora, or several corpora in order. Returns
    the path of the page: `out`, or timelapse.html in the first of them. Raises `CorpusError` where there is nothing to
    show.
    """
    several = [sources] if isinstance(sources, (str, pathlib.Path)) else list(sources)
    lapse = timelapse_of(several)
    first = pathlib.Path(several[0])
    path = timelapse_path(several, out=out)
    name = first.name if len(several) == 1 else f"{len(corpora_at(several))} corpora"
    body = [element("h1", "How a language came about"), *timelapse_elements(lapse, beside=CSV)]
    write_text(path, page(f"Heliograph: {name} over time", *body))
    write_text(path.with_suffix(".csv"), lapse.rows.to_csv(index=False))
    return path


def timelapse_path(
    sources: Sequence[str | pathlib.Path] | str | pathlib.Path, *, out: str | pathlib.Path | None = None
) -> pathlib.Path:
    """Return the path that `write_timelapse` writes its page to."""
    several = [sources] if isinstance(sources, (str, pathlib.Path)) else list(sources)
    first = pathlib.Path(several[0])
    return pathlib.Path(out) if out is not None else (first if len(several) == 1 else first.parent) / PAGE


def over_time(folder: pathlib.Path) -> Iterator[Safe]:
    """The section of a report; nothing where no corpora were recorded on the way, or those that were cannot be read."""
    first = next((path for path in (folder, *sorted(folder.glob("seed_*"))) if (path / CORPORA).is_dir()), None)
    if first is None:
        return
    try:
        lapse = timelapse_of([first])
    except CorpusError as error:
        yield element("h2", "How the language came about")
        yield element("p", f"What was recorded on the way cannot be shown: {one_line(error)}", class_="note")
        return
    yield element("h2", "How the language came about")
    yield from timelapse_elements(lapse)


def timelapse_elements(lapse: Timelapse, *, beside: str = "") -> Iterator[Safe]:
    """Body of the page, to be put into a report as well; `beside` says where all rows are."""
    yield element("p", INTRODUCTION)
    if lapse.changes:
        items = [
            element("li", element("b", f"iteration {moment}"), f": {what}") for moment, what in lapse.changes.items()
        ]
        yield element("p", "What was changed from outside (dotted lines):")
        yield element("ul", *items)
    for place, role in enumerate(lapse.roles):
        if len(lapse.roles) > 1:
            yield element("h3", f"Role {role}")
        yield _slider(lapse, role, name=f"lapse{place}")
        yield element("div", *_figures(lapse, role, prefix=f"lapse{place}"), class_="figures")
        yield _table(lapse, role, beside=beside)
        yield _deaths(lapse, role)
    script = resources.files("heliograph.reports").joinpath("timelapse.js").read_text(encoding="utf8")
    yield Safe(f"<script>\n{script}</script>")


def _slider(lapse: Timelapse, role: str, *, name: str) -> Safe:
    """The data of one role; a script makes a slider and a grid of it."""
    uses = lapse.uses[lapse.uses["role"] == role]
    wide = uses.pivot_table(index="meaning", columns="message", values="number", aggfunc="sum", fill_value=0)
    meanings = wide.sum(axis=1).sort_values(ascending=False, kind="stable").index[:MAX_SHOWN]
    messages = wide.sum(axis=0).sort_values(ascending=False, kind="stable").index[:MAX_SHOWN]
    last = uses[uses["iteration"] == uses["iteration"].max()]
    order = seriated(_shares(last, meanings, messages))
    rows, columns = list(order.index), list(order.columns)
    own = lapse.rows[lapse.rows["role"] == role]
    moments = [_moment(lapse, role, row, uses, rows, columns) for row in own.to_dict("records")]
    data = {"meanings": rows, "messages": [shortened(str(word)) for word in columns], "moments": moments}
    cut = (
        "" if wide.shape[0] <= MAX_SHOWN and wide.shape[1] <= MAX_SHOWN else f" The {MAX_SHOWN} most frequent of each."
    )
    safe = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
    script = Safe(f'<script type="application/json">{safe}</script>')
    without = element("noscript", element("p", "The slider needs JavaScript; the table below has the numbers."))
    caption = element("p", f"P(message | meaning): meanings down, messages across.{cut}", class_="caption")
    return element("div", caption, script, without, class_="lapse", id=name, data_role=role)


def _shares(uses: pd.DataFrame, meanings: Any, messages: Any) -> pd.DataFrame:
    counts = uses.pivot_table(index="meaning", columns="message", values="number", aggfunc="sum", fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    return shares.reindex(index=meanings, columns=messages, fill_value=0.0)


def _moment(
    lapse: Timelapse, role: str, row: dict[str, Any], uses: pd.DataFrame, meanings: list[str], messages: list[str]
) -> dict[str, Any]:
    iteration, words = row["iteration"], lapse.words[lapse.words["role"] == role]
    now = uses[uses["iteration"] == iteration]
    shares = _shares(now, meanings, messages) if len(now) else pd.DataFrame(0.0, index=meanings, columns=messages)
    steps = row["num_env_steps"]
    return {
        "title": f"iteration {iteration}" + ("" if _missing(steps) else f", {count(int(steps))} env steps"),
        "told": ""
        if _missing(row["mutual_information_bits"])
        else f"{number(row['mutual_information_bits'])} bits told",
        "changes": lapse.changes.get(iteration, ""),
        "born": [shortened(word) for word in words.loc[words["first"] == iteration, "message"].head(MAX_SHOWN)],
        "died": [shortened(word) for word in words.loc[words["died"] == iteration, "message"].head(MAX_SHOWN)],
        "shares": [[round(float(value), 3) for value in line] for line in shares.to_numpy()],
    }


def _figures(lapse: Timelapse, role: str, *, prefix: str) -> Iterator[Safe]:
    told = lapse.rows.loc[lapse.rows["role"] == role, "mutual_information_bits"]
    ends = f"from {_shown(told.iloc[0])} to {_shown(told.iloc[-1])}"
    drawn = timelapse_plots.information_over_time(lapse, role=role)
    yield figure(drawn.figure, name=f"{prefix}-bits", alt=f"Bits that messages of role {role} tell: {ends}.",
                 caption="What messages tell of what their senders know.")  # fmt: skip
    drawn = timelapse_plots.drift_over_time(lapse, role=role)
    yield figure(drawn.figure, name=f"{prefix}-drift", alt=f"Share of meanings said otherwise, role {role}.",
                 caption="How many meanings have another most frequent message than at the moment before.")  # fmt: skip
    drawn = timelapse_plots.vocabulary_over_time(lapse, role=role)
    yield figure(drawn.figure, name=f"{prefix}-words", alt=f"Different messages of role {role} over time.",
                 caption="How many different messages are said, and ever were.")  # fmt: skip
    drawn = timelapse_plots.lifelines(lapse, role=role)
    yield figure(drawn.figure, name=f"{prefix}-lives", alt=f"When each message of role {role} was said.",
                 caption="From when until when each message was said; a cross where it died.")  # fmt: skip


def _table(lapse: Timelapse, role: str, *, beside: str) -> Safe:
    headings = (
        "iteration",
        "env steps",
        "return",
        "told, bits",
        "by chance",
        "said otherwise",
        "messages",
        "born",
        "died",
    )
    own = lapse.rows[lapse.rows["role"] == role]
    rows = [
        (
            row["iteration"], NOTHING if _missing(row["num_env_steps"]) else count(int(row["num_env_steps"])),
            *(_shown(row[name]) for name in ("episode_return_mean", "mutual_information_bits",
                                             "mutual_information_chance_bits")),
            NOTHING if _missing(row["changed_share"]) else percent(row["changed_share"]),
            row["num_messages"], row["born"], row["died"],
        )
        for row in own.head(MAX_ROWS).to_dict("records")
    ]  # fmt: skip
    cut = f", the first {MAX_ROWS}" if len(own) > MAX_ROWS else ""
    return table(headings, rows, caption=f"Each moment{cut}{beside}")


def _deaths(lapse: Timelapse, role: str) -> Safe:
    words = lapse.words[lapse.words["role"] == role].sort_values("first", kind="stable").head(MAX_ROWS)
    rows = [
        (shortened(str(word.message)), word.first, word.last, NOTHING if _missing(word.died) else int(word.died),
         count(int(word.uses)))
        for word in words.itertuples()
    ]  # fmt: skip
    cut = f", the first {MAX_ROWS}" if (lapse.words["role"] == role).sum() > MAX_ROWS else ""
    return table(
        ("message", "first said", "last said", "died", "uses"), rows, caption=f"Each message{cut}, by iteration"
    )


def _shown(value: Any) -> str:
    return NOTHING if _missing(value) else number(float(value))


def _missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))
