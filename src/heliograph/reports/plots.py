"""Plots of a run: each returns the figure, its axes and the numbers shown, as a tidy table.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart. Figures are made without a
display; save them with `figure.savefig`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.measures.base import numbers_of, rounding_of
from heliograph.protocols.labels import meaning_labels, message_labels, shortened
from heliograph.reports.comparison import iqm_band, on_common_steps
from heliograph.texts import natural
from heliograph.types import Bounds

BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
INK, RULE, MUTED = "#1b1f25", "#cfd4da", "#69707a"
OKABE_ITO = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, "#56B4E9", "#F0E442", INK)
MARKERS = "osD^vPXh"
CURVES = {
    "team": (BLUE, "-"),
    "no-communication control": (ORANGE, "-"),
    "random-message control": (VERMILION, "-"),
    "self-only control": (PURPLE, "-"),
}
WIDTH_INCHES = 4.4
MAX_SHOWN = 20
MAX_ANNOTATED = 10
MAX_POINTS = 600
JITTER = 0.05
FEWEST_FOR_TSNE = 12
NEARLY_NOTHING = 1e-6
"""Spread, as a part of the largest number, below which points are as good as one."""
STYLE: dict[str, Any] = {
    "font.size": 9.5, "font.family": "sans-serif", "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED,
    "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8,
    "grid.color": RULE, "grid.linewidth": 0.6, "legend.frameon": False, "legend.fontsize": 9.5,
    "legend.title_fontsize": 9.5, "svg.fonttype": "none",
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
}  # fmt: skip


class Drawing(NamedTuple):
    """A figure, its axes, and the numbers that it shows, as a tidy table."""

    figure: Figure
    axes: Axes
    table: pd.DataFrame


def learning_curves(curves: Mapping[str, list[pd.DataFrame]], *, bounds: Bounds | None = None) -> Drawing:
    """Mean episode return over env steps, of a team and its controls; thin lines are seeds where there are several.

    `curves` maps "team", "no-communication control", "random-message control", "self-only control" (or any name) to
    tables with the columns `num_env_steps` and `episode_return_mean`, one for each seed. `bounds` are dashed lines.
    """
    with rc_context(STYLE):
        figure, axes = blank(height=2.9)
        shown = []
        for name, tables in curves.items():
            colour, style = CURVES.get(name, (GREEN, "-"))
            for seed, table in enumerate(tables):
                x, y = table["num_env_steps"], table["episode_return_mean"]
                thin = len(tables) > 1
                axes.plot(x, y, style, color=colour, linewidth=0.7 if thin else 1.8, alpha=0.55 if thin else 1.0,
                          label=None if thin else name)  # fmt: skip
                shown.append(pd.DataFrame({"team": name, "seed": seed, "num_env_steps": x, "episode_return_mean": y}))
            if len(tables) > 1:
                mean = pd.concat(tables).groupby("num_env_steps")["episode_return_mean"].mean()
                axes.plot(mean.index, mean, style, color=colour, linewidth=2.0, label=name)
        axes.set(xlabel="env steps", ylabel="mean episode return")
        axes.xaxis.set_major_formatter(lambda value, _: _thousands(value))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if bounds is not None:
            _draw_bounds(axes, bounds)
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, handlelength=1.4, borderpad=0.1)
        return Drawing(figure, axes, pd.concat(shown, ignore_index=True) if shown else pd.DataFrame())


def seed_curves(groups: Mapping[int, list[pd.DataFrame]], *, column: str) -> Drawing:
    """Curves of every seed (thin), and each group's interquartile mean with its 95 % interval where all seeds have it.

    Groups are told apart by their number (from 1), which stands where a line ends and picks a colour of `OKABE_ITO`.
    Tables have the columns `num_env_steps` and `column`.
    """
    with rc_context(STYLE):
        figure, axes = blank(height=2.9)
        shown = []
        for group, tables in groups.items():
            colour = OKABE_ITO[(group - 1) % len(OKABE_ITO)]
            curves = [(t["num_env_steps"].to_numpy(float), t[column].to_numpy(float)) for t in tables]
            for x, y in curves:
                axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.4)
            steps, values = on_common_steps(curves)
            if not len(steps):
                continue
            middle, band = iqm_band(values)
            axes.plot(steps, middle, color=colour, linewidth=2.0)
            if band is not None:
                axes.fill_between(steps, *band, color=colour, alpha=0.18, linewidth=0)
            axes.annotate(str(group), (steps[-1], middle[-1]), xytext=(3, 0), textcoords="offset points",
                          color=colour, va="center", fontsize=9.5, weight="bold")  # fmt: skip
            shown.append(pd.DataFrame({"group": group, "num_env_steps": steps, "iqm": middle}))
        axes.set(xlabel="env steps", ylabel=column.replace("_", " "))
        axes.xaxis.set_major_formatter(lambda value, _: _thousands(value))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return Drawing(figure, axes, pd.concat(shown, ignore_index=True) if shown else pd.DataFrame())


def heat_map(corpus: Corpus) -> Drawing:
    """P(message | meaning), meanings down and messages across, both ordered so that a code shows as a diagonal.

    The 20 most frequent of each are shown; each row of the returned table (with all) sums to 1.
    """
    shares = conditional_shares(corpus)
    shown = seriated(shares.iloc[:MAX_SHOWN, :MAX_SHOWN])
    rows, columns = shown.shape
    with rc_context(STYLE):
        figure, axes = blank(height=1.1 + 0.24 * max(rows, 3))
        draw_cells(axes, shown.to_numpy())
        axes.set(xlabel="message", ylabel="meaning", xlim=(0, columns), ylim=(rows, 0))
        words = [shortened(str(word)) for word in shown.columns]
        axes.set_xticks(np.arange(columns) + 0.5, words, rotation=0 if narrow(words) else 90)
        axes.set_yticks(np.arange(rows) + 0.5, shown.index)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    tidy = shares.stack().rename("probability").reset_index()
    return Drawing(figure, axes, tidy)


def conditional_shares(corpus: Corpus) -> pd.DataFrame:
    """P(message | meaning) as a table of meanings by messages, the most frequent of each first."""
    meanings, messages = meaning_labels(corpus), message_labels(corpus)
    counts = pd.crosstab(pd.Series(meanings, name="meaning"), pd.Series(messages, name="message"))
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    counts = counts[counts.sum(axis=0).sort_values(ascending=False, kind="stable").index]
    return counts.div(counts.sum(axis=1), axis=0)


def seriated(shares: pd.DataFrame) -> pd.DataFrame:
    """Rows in natural order, columns by the mean place of the rows that use them, then rows by those of columns."""
    shares = shares.loc[sorted(shares.index, key=natural)]
    shares = shares[sorted(shares.columns, key=natural)]
    columns = np.argsort(_centres(shares.to_numpy().T), kind="stable")
    shares = shares.iloc[:, columns]
    return shares.iloc[np.argsort(_centres(shares.to_numpy()), kind="stable")]


def message_frequencies(corpus: Corpus) -> Drawing:
    """How often each message is said: shares of all utterances, the most frequent first."""
    share = pd.Series(message_labels(corpus), name="message").value_counts(normalize=True, sort=True)
    shown = share.iloc[:MAX_SHOWN]
    with rc_context(STYLE):
        figure, axes = blank(height=2.5)
        bars = axes.bar(np.arange(len(shown)), shown, width=0.7, color=BLUE)
        if len(shown) <= MAX_ANNOTATED:
            axes.bar_label(bars, [f"{100 * value:.0f} %" for value in shown], padding=2, fontsize=9)
        axes.set(xlabel="message", ylabel="share of utterances", ylim=(0, float(shown.max()) * 1.15))
        axes.set_xlim(-0.7, max(len(shown), 4) - 0.3)
        words = [shortened(str(word)) for word in shown.index]
        axes.set_xticks(np.arange(len(shown)), words, rotation=0 if narrow(words) else 90)
        axes.tick_params(axis="x", length=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        axes.yaxis.set_major_locator(MaxNLocator(4))
    return Drawing(figure, axes, share.rename("share").reset_index())


def embedding(corpus: Corpus, *, method: str = "tsne", seed: int = 0) -> Drawing:
    """Messages in the plane, by "tsne" or "pca", coloured by meaning; at most 600 utterances, drawn by `seed`.

    Symbols are placed by their one-hot vectors, other vectors with each column in units of its own spread; with a
    little jitter, since equal ones would lie on one another. Where nothing varies the jitter alone is shown.
    """
    if method not in ("tsne", "pca"):
        raise ValueError(f"method={method!r}: must be 'tsne' or 'pca'")
    some = sampled_utterances(corpus, number=MAX_POINTS, seed=seed)
    points = _project(features_of(some), method=method, seed=seed)
    labels = meaning_labels(some)
    tidy = pd.DataFrame({"x": points[:, 0], "y": points[:, 1], "meaning": labels, "message": message_labels(some)})
    with rc_context(STYLE):
        figure, axes = blank(height=3.3)
        handles = _draw_points(axes, tidy)
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4), handletextpad=0.1,
                      columnspacing=1.2, borderpad=0.1, markerscale=1.4, title="meaning")  # fmt: skip
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["top", "right"]].set_visible(True)
        axes.spines[:].set_color(RULE)
        names = {"tsne": ("t-SNE 1", "t-SNE 2"), "pca": ("first component", "second component")}[method]
        axes.set(xlabel=names[0], ylabel=names[1])
    return Drawing(figure, axes, tidy)


def sampled_utterances(corpus: Corpus, *, number: int, seed: int = 0) -> Corpus:
    """At most so many utterances, drawn without replacement."""
    if len(corpus) <= number:
        return corpus
    return corpus.where(np.sort(np.random.default_rng(seed).choice(len(corpus), number, replace=False)))


def features_of(corpus: Corpus) -> np.ndarray:
    """Messages as vectors: one-hot symbols side by side, or the vectors, each column with mean 0 and spread 1.

    A column that varies by no more than rounding does not count as varying: it is all 0.
    """
    messages = corpus.contents()
    if corpus.vectors() is not None:
        return _standardised(numbers_of(messages))
    one_hot = messages[:, :, None] == np.arange(corpus.metadata["vocabulary"])
    return one_hot.reshape(len(messages), -1).astype(float)


def _standardised(vectors: np.ndarray) -> np.ndarray:
    centred = vectors - vectors.mean(0)
    varies = np.ptp(vectors, axis=0) > rounding_of(vectors)
    found: np.ndarray = np.where(varies, centred / np.where(varies, centred.std(0), 1.0), 0.0)
    return found


def _project(features: np.ndarray, *, method: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    features = features[:, np.ptp(features, axis=0) > 0]
    spread = float(features.std()) if features.size else 1.0
    features = features + JITTER * spread * rng.standard_normal(features.shape)
    if features.shape[1] < 2 or len(features) < 4:
        padded = np.concatenate([features, JITTER * spread * rng.standard_normal((len(features), 2))], 1)
        return padded[:, :2]
    if method == "tsne" and len(features) >= FEWEST_FOR_TSNE and _apart_enough(features):
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(features) - 1) / 3)
        return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(features.astype(np.float32))
    from sklearn.decomposition import PCA

    return PCA(2, random_state=seed).fit_transform(features)


def _apart_enough(features: np.ndarray) -> bool:
    """Tell whether points are finite and not nearly one: t-SNE divides by their distances, and may take the process."""
    size = float(np.abs(features).max())
    return bool(np.isfinite(features).all()) and float(np.ptp(features, axis=0).max()) > NEARLY_NOTHING * size


def _draw_points(axes: Axes, tidy: pd.DataFrame) -> list[Any]:
    frequent = tidy["meaning"].value_counts().index[: len(OKABE_ITO)]
    rest = tidy[~tidy["meaning"].isin(frequent)]
    other = axes.scatter(rest["x"], rest["y"], s=8, color=MUTED, alpha=0.5, linewidths=0, label="other")
    handles = []
    for place, meaning in enumerate(sorted(frequent, key=natural)):
        part = tidy[tidy["meaning"] == meaning]
        colour, marker = OKABE_ITO[place], MARKERS[place]
        x, y = part["x"], part["y"]
        handles.append(axes.scatter(x, y, s=14, color=colour, marker=marker, alpha=0.75, linewidths=0, label=meaning))
    return handles + ([other] if len(rest) else [])


def draw_cells(axes: Axes, values: np.ndarray, *, darkest: float = 1.0, numbers: np.ndarray | None = None) -> None:
    """Squares of a heat map: white for 0, darker up to that value; with their numbers, or those given, if few."""
    places = [(row, column) for row in range(values.shape[0]) for column in range(values.shape[1])]
    colours = [(0.0, 0x72 / 255, 0xB2 / 255, float(values[place] / darkest)) for place in places]
    cells = [Rectangle((column, row), 1, 1) for row, column in places]
    axes.add_collection(PatchCollection(cells, facecolors=colours, edgecolors=RULE, linewidths=0.6))
    if max(values.shape) > MAX_ANNOTATED:
        return
    for row, column in places:
        value = values[row, column]
        if numbers is not None or value >= 0.005:
            told = value if numbers is None else numbers[row, column]
            text = f"{told:.2f}" if numbers is not None or told > 1.005 else _share(told)
            colour = "white" if value > 0.55 * darkest else INK
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, fontsize=9)


def _share(value: float) -> str:
    return "1" if value > 0.995 else f"{value:.2f}".lstrip("0")


def _draw_bounds(axes: Axes, bounds: Bounds) -> None:
    """Dashed lines with names in the right margin; those too close to be told apart share a name."""
    lines = [("full\ninformation", bounds.full_information), ("blind", bounds.blind), ("random", bounds.random)]
    for _, value in lines:
        axes.axhline(value, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.margins(y=0.08)
    low, high = axes.get_ylim()
    merged: list[tuple[str, float]] = []
    for name, value in lines:
        if merged and abs(merged[-1][1] - value) < 0.09 * (high - low):
            merged[-1] = (f"{merged[-1][0]},\n{name}", merged[-1][1])
        else:
            merged.append((name, value))
    for name, value in merged:
        axes.annotate(name, (1.01, value), xycoords=("axes fraction", "data"), va="center", fontsize=9, color=MUTED,
                      linespacing=1.0)  # fmt: skip


def blank(*, height: float) -> tuple[Figure, Axes]:
    """An empty figure of the usual width, so many inches high."""
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _centres(weights: np.ndarray) -> np.ndarray:
    total = weights.sum(1)
    return (weights @ np.arange(weights.shape[1])) / np.where(total > 0, total, 1)


def narrow(labels: Iterable[str]) -> bool:
    """Tell whether labels fit side by side below an axis."""
    return sum(len(label) + 1 for label in labels) <= 42


def _thousands(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if abs(value) >= 1e3 else f"{value:g}"
