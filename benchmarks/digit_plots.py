"""Draws `docs/images/digits_*.svg` from `benchmarks/results/digits/`: every seed's curve, and what channel noise does.

How to run: `python benchmarks/digit_plots.py`
"""

import json
import pathlib
import statistics
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heliograph.reports.plots import BLUE, GREEN, INK, MUTED, OKABE_ITO, ORANGE, STYLE, VERMILION

RESULTS = pathlib.Path(__file__).parent / "results" / "digits"
IMAGES = pathlib.Path(__file__).parents[1] / "docs" / "images"
LINES = {
    ("dial", "real"): ("DIAL", BLUE),
    ("rial", "real"): ("RIAL", GREEN),
    ("dial", "garbled"): ("DIAL, garbled", VERMILION),
    ("rial", "garbled"): ("RIAL, garbled", INK),
    ("dial", "silent"): ("silent", MUTED),
}
GAMES = {"colour_digit": ("Colour-digit", 2.0, 0.0), "multistep_digits": ("Multi-step digits", 1.0, 0.1)}
"""Title, full information and blind guess."""


def curves() -> Figure:
    """Returns of every seed, one panel a game: on test images with hard messages, and DIAL's in training form."""
    figure = Figure(figsize=(8.6, 3.2), layout="constrained")
    for axes, (game, (title, full, blind)) in zip(figure.subplots(1, 2), GAMES.items(), strict=True):
        for (system, kind), (label, colour) in LINES.items():
            _lines(axes, runs_of(f"{system}_{game}", kind=kind), label=label, colour=colour)
        soft = [run for run in runs_of(f"dial_{game}", kind="real") if "train_soft" in run]
        _lines(axes, soft, label="DIAL, training form", colour=ORANGE, key="train_soft")
        for level in (full, blind):
            axes.axhline(level, color=INK, linewidth=0.8, linestyle=":")
        axes.set(title=title, xlabel="updates", ylabel="mean return")
        axes.legend(loc="best", fontsize=8)
    return figure


def _lines(axes: Axes, runs: list[dict[str, Any]], *, label: str, colour: str, key: str = "test") -> None:
    for number, run in enumerate(runs):
        points = [(0, np.nan), *((update, found[key]) for update, found in run["curve"])]
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.9, label=None if number else label)


def noise() -> Figure:
    """Soft and hard returns against the noise of training, and what speakers put into the channel."""
    files = sorted(RESULTS.glob("sigma_*.json"))
    figure = Figure(figsize=(8.6, 2.9 * len(files)), layout="constrained")
    for row, path in zip(figure.subplots(len(files), 2, squeeze=False), files, strict=True):
        found = json.loads(path.read_text(encoding="utf8"))
        _returns(row[0], found["runs"])
        _intents(row[1], found["runs"])
        row[0].set_title(path.stem.removeprefix("sigma_").replace("_", " "))
    return figure


def _returns(axes: Axes, runs: list[dict[str, Any]]) -> None:
    for key, label, colour in (("train_soft", "training form", ORANGE), ("train", "execution form", BLUE)):
        found = {sigma: [run[key] for run in runs if run["sigma"] == sigma] for sigma in sigmas_of(runs)}
        axes.plot(list(found), [statistics.mean(v) for v in found.values()], color=colour, linewidth=1.4, label=label)
        axes.plot([s for s, v in found.items() for _ in v], [x for v in found.values() for x in v], "o", ms=3, c=colour)
    axes.set(xlabel="noise of the channel, $\\sigma$", ylabel="return, training images")
    axes.legend(loc="best", fontsize=8)


def _intents(axes: Axes, runs: list[dict[str, Any]]) -> None:
    for colour, sigma in zip(OKABE_ITO, sigmas_of(runs), strict=False):
        chosen = [run["intents"] for run in runs if run["sigma"] == sigma]
        edges = np.linspace(-chosen[0]["widest"], chosen[0]["widest"], len(chosen[0]["shares"]) + 1)
        shares = np.mean([found["shares"] for found in chosen], 0)
        axes.stairs(shares, edges, color=colour, linewidth=1.2, label=rf"$\sigma$ = {sigma:g}")
    axes.set(xlabel="what speakers put into the channel, before noise", ylabel="share", yscale="log")
    axes.legend(loc="best", fontsize=8)


def sigmas_of(runs: list[dict[str, Any]]) -> list[float]:
    """The noises that were tried, in order."""
    return sorted({run["sigma"] for run in runs})


def runs_of(name: str, *, kind: str) -> list[dict[str, Any]]:
    """The runs of a kind in the files of a recipe, its own and that of its twins; none where there is no file."""
    paths = [RESULTS / f"{name}.json", RESULTS / f"{name}_twins.json"]
    found = [json.loads(path.read_text(encoding="utf8"))["runs"] for path in paths if path.exists()]
    return [run for runs in found for run in runs if run["kind"] == kind]


if __name__ == "__main__":
    with mpl.rc_context({**STYLE, "savefig.facecolor": "white", "svg.hashsalt": "heliograph"}):
        for name, draw in {"digits_curves": curves, "digits_noise": noise}.items():
            draw().savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
