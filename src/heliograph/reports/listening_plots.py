"""Plots of who listens to whom, and of who speaks when: each returns the figure, its axes and the numbers shown."""

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from heliograph.protocols.labels import meaning_label
from heliograph.reports.plots import BLUE, MAX_ANNOTATED, OKABE_ITO, STYLE, Drawing, blank, draw_cells, narrow

__all__ = ["attention_map", "gates_by_meaning", "gates_by_step"]

MAX_ROLES = len(OKABE_ITO)


def attention_map(shares: pd.DataFrame) -> Drawing:
    """A heat map of `listening.who_listens`: hearers down, senders across; the largest value is darkest."""
    rows, columns = shares.shape
    values = shares.to_numpy(dtype=float)
    with rc_context(STYLE):
        figure, axes = blank(height=1.1 + 0.24 * max(rows, 3))
        draw_cells(axes, np.nan_to_num(values), darkest=float(np.nanmax(values)) or 1.0)
        axes.set(xlabel="is heard", ylabel="hears", xlim=(0, columns), ylim=(rows, 0))
        axes.set_xticks(np.arange(columns) + 0.5, shares.columns, rotation=0 if narrow(shares.columns) else 90)
        axes.set_yticks(np.arange(rows) + 0.5, shares.index)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    tidy = shares.rename_axis(index="hearer", columns="sender").stack().rename("share").reset_index()
    return Drawing(figure, axes, tidy)


def gates_by_step(table: pd.DataFrame) -> Drawing:
    """How often gates are open in each step of the episode, by role; `table` is that of `listening.gates`."""
    tidy = table.groupby(["role", "step"], sort=True)["gate"].agg(share="mean", chances="size").reset_index()
    with rc_context(STYLE):
        figure, axes = blank(height=2.5)
        for place, (role, part) in enumerate(tidy.groupby("role", sort=False)):
            colour = OKABE_ITO[place % MAX_ROLES]
            axes.plot(part["step"], part["share"], "-o", markersize=3, color=colour, linewidth=1.6, label=role)
        axes.set(xlabel="step of the episode", ylabel="gates open", ylim=(-0.03, 1.03))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if tidy["role"].nunique() > 1:
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=1.4, borderpad=0.1)
    return Drawing(figure, axes, tidy)


def gates_by_meaning(table: pd.DataFrame) -> Drawing:
    """How often gates are open for each meaning, in the order of meanings; `table` is that of `listening.gates`."""
    labels = table["meaning"].map(lambda meaning: tuple(int(z) for z in meaning))
    tidy = table.groupby(labels, sort=True)["gate"].agg(share="mean", chances="size").reset_index()
    tidy["meaning"] = tidy["meaning"].map(meaning_label)
    with rc_context(STYLE):
        figure, axes = blank(height=2.5)
        bars = axes.bar(np.arange(len(tidy)), tidy["share"], width=0.7, color=BLUE)
        if len(tidy) <= MAX_ANNOTATED:
            axes.bar_label(bars, [f"{100 * value:.0f} %" for value in tidy["share"]], padding=2, fontsize=9)
        axes.set(xlabel="what the sender knows", ylabel="gates open", ylim=(0, 1.12))
        axes.set_xlim(-0.7, max(len(tidy), 4) - 0.3)
        axes.set_xticks(np.arange(len(tidy)), tidy["meaning"], rotation=0 if narrow(tidy["meaning"]) else 90)
        axes.tick_params(axis="x", length=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.yaxis.set_major_locator(MaxNLocator(4))
    return Drawing(figure, axes, tidy)
