"""Pictures of a language over time: what it tells, how much it changes, and when each word lived."""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from heliograph.analysis.timelapse import Timelapse
from heliograph.protocols.labels import shortened
from heliograph.reports.plots import BLUE, MUTED, ORANGE, STYLE, VERMILION, Drawing, blank

__all__ = ["drift_over_time", "information_over_time", "lifelines", "vocabulary_over_time"]

MAX_WORDS = 30
TOLD = {"entropy_bits": ("entropy of messages", MUTED, (0, (4, 3))),
        "mutual_information_bits": ("told of meanings", BLUE, "-"),
        "mutual_information_chance_bits": ("by chance", ORANGE, "-")}  # fmt: skip


def information_over_time(lapse: Timelapse, *, role: str) -> Drawing:
    """Bits that messages have, tell, and would tell by chance; changes from outside are dotted lines."""
    table = lapse.rows.loc[lapse.rows["role"] == role, ["iteration", *TOLD]].astype(float)
    with rc_context(STYLE):
        figure, axes = blank(height=2.9)
        for column, (name, colour, style) in TOLD.items():
            axes.plot(table["iteration"], table[column], linestyle=style, color=colour, linewidth=1.8, label=name)
        _finish(axes, lapse, ylabel="bits")
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, handlelength=1.3, borderpad=0.1)
    return Drawing(figure, axes, table.reset_index(drop=True))


def drift_over_time(lapse: Timelapse, *, role: str) -> Drawing:
    """The share of meanings whose most frequent message is another than at the moment before."""
    table = lapse.rows.loc[lapse.rows["role"] == role, ["iteration", "changed_share", "edit_distance"]].astype(float)
    with rc_context(STYLE):
        figure, axes = blank(height=2.5)
        axes.plot(table["iteration"], table["changed_share"], "-o", color=VERMILION, markersize=3, linewidth=1.6)
        _finish(axes, lapse, ylabel="meanings said otherwise")
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    return Drawing(figure, axes, table.reset_index(drop=True))


def vocabulary_over_time(lapse: Timelapse, *, role: str) -> Drawing:
    """Number of different messages that are said at each moment, and how many ever were until then."""
    table = lapse.rows.loc[lapse.rows["role"] == role, ["iteration", "num_messages", "born", "died"]].astype(float)
    table = table.assign(ever=table["born"].cumsum()).reset_index(drop=True)
    with rc_context(STYLE):
        figure, axes = blank(height=2.5)
        axes.plot(table["iteration"], table["ever"], "-", color=MUTED, linewidth=1.4, label="ever said")
        axes.plot(table["iteration"], table["num_messages"], "-", color=BLUE, linewidth=1.8, label="said now")
        _finish(axes, lapse, ylabel="different messages")
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, handlelength=1.4, borderpad=0.1)
    return Drawing(figure, axes, table)


def lifelines(lapse: Timelapse, *, role: str) -> Drawing:
    """From when until when each message was said, the 30 most frequent; a cross where one died."""
    table = lapse.words[lapse.words["role"] == role].sort_values("uses", ascending=False, kind="stable")
    shown = table.head(MAX_WORDS).sort_values(["first", "last"], kind="stable").reset_index(drop=True)
    with rc_context(STYLE):
        figure, axes = blank(height=1.0 + 0.2 * max(len(shown), 4))
        places = np.arange(len(shown))
        died = shown["died"].notna().to_numpy()
        axes.hlines(places, shown["first"], shown["last"], color=BLUE, linewidth=3.0)
        axes.plot(shown["first"], places, "o", color=BLUE, markersize=4)
        axes.plot(shown["last"][died], places[died], "x", color=VERMILION, markersize=6, markeredgewidth=1.6)
        axes.set_yticks(places, [shortened(str(word)) for word in shown["message"]])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        _finish(axes, lapse, ylabel="message")
    return Drawing(figure, axes, table.reset_index(drop=True))


def _finish(axes: Axes, lapse: Timelapse, *, ylabel: str) -> None:
    axes.set(xlabel="iteration", ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for moment in lapse.changes:
        axes.axvline(moment, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
