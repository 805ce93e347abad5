"""Pictures that papers on emergent language show, each chosen by what a corpus or a table holds.

Each returns a `Drawing`: the figure, its axes, and the numbers shown as a tidy table. Learning curves, heat map,
frequencies and embeddings are in `heliograph.reports.plots`, attention and gates in `listening_plots`, languages over
time in `timelapse_plots`; `pictures_of` makes all that a corpus holds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.crossplay import CrossPlayTable
from heliograph.analysis.listening import gates, hearings, who_listens
from heliograph.analysis.measures.distances import Apart, between_places, between_vectors, between_words
from heliograph.analysis.measures.language import language_of
from heliograph.analysis.measures.position_attribute_map import position_attribute_map
from heliograph.analysis.measures.rank_frequency import rank_frequency_of
from heliograph.analysis.measures.undefined import Undefined
from heliograph.protocols.labels import meaning_labels, message_labels, number, shortened
from heliograph.reports import listening_plots, plots
from heliograph.reports.plots import BLUE, MAX_SHOWN, MUTED, STYLE, VERMILION, Drawing, blank, draw_cells, narrow

__all__ = [
    "action_map", "attention_by_step", "cross_play_map", "distance_map", "intervention_effects", "lengths_by_frequency",
    "meaning_map", "measure_dots", "of_code", "pictures_of", "position_attributes", "rank_frequencies", "speed_curve",
]  # fmt: skip

MOST_PAIRED = 1000
MOST_LEVELS = 12
FEWEST_RANKED = 5


def pictures_of(corpus: Corpus, *, seed: int = 0) -> dict[str, Drawing]:
    """All pictures of the utterances of a corpus that it holds enough for, by the names of their functions.

    A picture that a corpus has nothing for is left out: positions and distances without several attributes or symbols,
    actions of hearers that are not discrete, attention and gates where there are none. Empty where nothing was said.
    """
    if not len(corpus):
        return {}
    return {
        "heat_map": plots.heat_map(corpus),
        "message_frequencies": plots.message_frequencies(corpus),
        **of_code(corpus, seed=seed),
        "tsne": plots.embedding(corpus, method="tsne", seed=seed),
        "pca": plots.embedding(corpus, method="pca", seed=seed),
        **_drawn(_of_listening(corpus)),
    }


def of_code(corpus: Corpus, *, seed: int = 0) -> dict[str, Drawing]:
    """Those of them that show what a code is made of, beside its heat map."""
    return _drawn(
        {
            "meaning_map": lambda: meaning_map(corpus),
            "rank_frequencies": lambda: rank_frequencies(corpus),
            "position_attributes": lambda: position_attributes(corpus) if _has_places(corpus) else None,
            "distance_map": lambda: distance_map(corpus, seed=seed),
            "action_map": lambda: action_map(corpus),
        }
    )


def _drawn(made: Mapping[str, Callable[[], Drawing | None]]) -> dict[str, Drawing]:
    drawn = {name: make() for name, make in made.items()}
    return {name: picture for name, picture in drawn.items() if picture is not None}


def _of_listening(corpus: Corpus) -> dict[str, Callable[[], Drawing | None]]:
    heard, spoke = hearings(corpus), gates(corpus)
    found: dict[str, Callable[[], Drawing | None]] = {}
    if len(heard):
        shares = who_listens(heard, corpus, hard=False)
        found["attention_map"] = lambda: listening_plots.attention_map(shares) if shares.size > 1 else None
        found["attention_by_step"] = lambda: attention_by_step(corpus)
    if len(spoke):
        found["gates_by_step"] = lambda: listening_plots.gates_by_step(spoke)
    return found


def _has_places(corpus: Corpus) -> bool:
    return corpus.vectors() is None and corpus.messages().shape[1] * corpus.meanings().shape[1] > 1


def meaning_map(corpus: Corpus) -> Drawing:
    """P(meaning | message), messages down and meanings across, ordered so that a code shows as a diagonal.

    The 20 most frequent of each are shown; each row of the table (with all) sums to 1. A row with several dark cells is
    a message of several meanings; beside `heat_map`, whose rows with several are meanings of several messages.
    """
    counts = pd.crosstab(
        pd.Series(message_labels(corpus), name="message"), pd.Series(meaning_labels(corpus), name="meaning")
    )
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    counts = counts[counts.sum(axis=0).sort_values(ascending=False, kind="stable").index]
    shares = counts.div(counts.sum(axis=1), axis=0)
    shown = plots.seriated(shares.iloc[:MAX_SHOWN, :MAX_SHOWN])
    picture = _cells(shown, xlabel="meaning", ylabel="message", darkest=1.0)
    return picture._replace(table=shares.stack().rename("probability").reset_index())


def rank_frequencies(corpus: Corpus) -> Drawing | None:
    """How often each message is said, by its rank, on two logarithmic axes, with the least squares line (Zipf's).

    None where there are fewer than five different messages, which no line describes.
    """
    counts = np.sort(pd.Series(message_labels(corpus)).value_counts().to_numpy())[::-1]
    if len(counts) < FEWEST_RANKED:
        return None
    table = pd.DataFrame({"rank": np.arange(1, len(counts) + 1), "count": counts})
    slope = rank_frequency_of(counts).slope
    with rc_context(STYLE):
        figure, axes = blank(height=2.9)
        axes.loglog(table["rank"], table["count"], "o", color=BLUE, markersize=4)
        if not np.isnan(slope):
            logs = np.log(table)
            level = float(logs["count"].mean() - slope * logs["rank"].mean())
            axes.loglog(table["rank"], np.exp(level + slope * logs["rank"]), color=VERMILION, linewidth=1.2,
                        label=f"slope {number(slope)}")  # fmt: skip
            figure.legend(loc="outside upper left", borderpad=0.1)
        axes.set(xlabel="rank", ylabel="utterances")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_minor_formatter(NullFormatter())
    return Drawing(figure, axes, table)


def lengths_by_frequency(messages: Any, *, eos: Any = None) -> Drawing:
    """How long messages are by how often they are said (the law of abbreviation), a point for each different one."""
    said = language_of(messages, eos=eos)
    ids = said.words.ids()
    table = pd.DataFrame({"length": said.words.lengths, "id": ids}).groupby("id")["length"].agg(["first", "size"])
    table = table.rename(columns={"first": "length", "size": "count"}).reset_index(drop=True)
    with rc_context(STYLE):
        figure, axes = blank(height=2.9)
        axes.semilogx(table["count"], table["length"], "o", color=BLUE, markersize=4, alpha=0.6)
        mean = table.groupby("count")["length"].mean()
        axes.semilogx(mean.index, mean, color=VERMILION, linewidth=1.2)
        axes.set(xlabel="utterances", ylabel="length, symbols")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    return Drawing(figure, axes, table)


def position_attributes(corpus: Corpus) -> Drawing:
    """Bits that the symbol at each place tells of each attribute: one dark cell a row is disentangled (posdis)."""
    bits = np.array(position_attribute_map(corpus.messages(), corpus.meanings()).information)
    shown = pd.DataFrame(
        bits, index=[f"place {j + 1}" for j in range(len(bits))],
        columns=[f"attribute {k + 1}" for k in range(bits.shape[1])],
    ).iloc[:MAX_SHOWN, :MAX_SHOWN].rename_axis(index="place", columns="attribute")  # fmt: skip
    picture = _cells(shown, xlabel="", ylabel="", darkest=float(bits.max()) or 1.0)
    return picture._replace(table=shown.stack().rename("bits").reset_index())


def distance_map(corpus: Corpus, *, seed: int = 0) -> Drawing | None:
    """How far messages lie apart, for each distance of their meanings: what topographic similarity correlates.

    Columns are distances of meanings (attributes that differ) and sum to 1; a compositional code is dark along the
    diagonal. Pairs of at most 1,000 utterances, drawn by the seed. None where all lie equally far apart,
    or there is but equal and different.
    """
    some = plots.sampled_utterances(corpus, number=MOST_PAIRED, seed=seed)
    said = language_of(some.codes(), attributes=some.meanings())
    meant, spoken = between_places(said.attributes, said.meant), _apart(some, said)
    if isinstance(spoken, Undefined):
        return None
    rows = slice(0, len(some))
    upper = np.triu_indices(len(some), 1)
    spoken = spoken.coarser(MOST_LEVELS)
    table = pd.crosstab(
        pd.Series(spoken.part(rows, rows)[upper], name="message_distance"),
        pd.Series(meant.part(rows, rows)[upper], name="meaning_distance"),
    )
    if min(table.shape) < 2 or max(table.shape) < 3:
        return None
    shares = table.div(table.sum(axis=0), axis=1).iloc[::-1]
    picture = _cells(shares, xlabel="attributes that differ", ylabel="distance of messages", darkest=1.0)
    return picture._replace(table=shares.stack().rename("share").reset_index())


def _apart(corpus: Corpus, said: Any) -> Apart | Undefined:
    vectors = corpus.vectors()
    return between_words(said.words) if vectors is None else between_vectors(vectors, metric="euclidean")


def action_map(corpus: Corpus) -> Drawing | None:
    """P(action of a hearer | message), messages down: what each message makes hearers do, as often as it was read.

    None where hearers' actions are not discrete, or nobody was asked to act.
    """
    pairs = [
        (message, int(done[0]))
        for message, actions in zip(message_labels(corpus), corpus.utterances["actions"], strict=True)
        for done in (actions if actions is not None else ())
        if done is not None and len(done) == 1 and float(done[0]).is_integer()
    ]
    if not pairs:
        return None
    table = pd.DataFrame(pairs, columns=["message", "action"])
    counts = pd.crosstab(table["message"], table["action"])
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    shares = counts.div(counts.sum(axis=1), axis=0)
    shown = shares.iloc[:MAX_SHOWN, :MAX_SHOWN]
    shown = shown.iloc[np.argsort(shown.to_numpy() @ np.arange(shown.shape[1]), kind="stable")]
    picture = _cells(shown, xlabel="action of a hearer", ylabel="message", darkest=1.0)
    return picture._replace(table=shares.stack().rename("probability").reset_index())


def attention_by_step(corpus: Corpus) -> Drawing:
    """Picture of who is listened to over the steps of an episode: the mean weight of each sender, a strip each."""
    heard = hearings(corpus)
    shares = heard.pivot_table(index="sender", columns="step", values="weight", aggfunc="mean", sort=True)
    shown = shares.iloc[:MAX_SHOWN, : 2 * MAX_SHOWN].fillna(0.0)
    darkest = float(shown.to_numpy().max()) or 1.0
    picture = _cells(shown, xlabel="step of the episode", ylabel="is heard", darkest=darkest)
    return picture._replace(table=shares.stack().rename("weight").reset_index())


def intervention_effects(rows: Sequence[Mapping[str, Any]]) -> Drawing:
    """How the return changes where messages are replaced: rows of `interventions_table`, with two standard errors."""
    kept = [row for row in rows if row["messages"] != "as-sent"]
    names = ("messages", "difference_mean", "difference_se", "replaced_share", "changed_share")
    table = pd.DataFrame([{name: row.get(name) for name in names} for row in kept], columns=list(names))
    with rc_context(STYLE):
        figure, axes = blank(height=1.2 + 0.32 * max(len(table), 2))
        places, errors = np.arange(len(table)), 2 * table["difference_se"].astype(float).fillna(0.0)
        axes.errorbar(table["difference_mean"].astype(float), places, xerr=errors, fmt="o", color=BLUE, capsize=3)
        axes.axvline(0.0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        axes.set_yticks(places, table["messages"])
        axes.set_ylim(len(table) - 0.5, -0.5)
        axes.set(xlabel="change of the mean return")
    return Drawing(figure, axes, table)


def cross_play_map(found: CrossPlayTable) -> Drawing:
    """Mean returns of the speakers of each team with the listeners of each: partners lie on the diagonal."""
    names = [shortened(name) for name in found.names]
    shown = pd.DataFrame(found.returns, index=names, columns=names).rename_axis(index="team", columns="partner")
    low, high = float(found.returns.min()), float(found.returns.max())
    scaled = (shown - low) / (high - low or 1.0)
    picture = _cells(scaled, xlabel="its partners are those of", ylabel="team", darkest=1.0, numbers=shown)
    return picture._replace(table=shown.stack().rename("episode_return_mean").reset_index())


def measure_dots(table: pd.DataFrame) -> Drawing:
    """Measures between 0 and 1 of a table of `analyze`: the value with its interval, a cross for its chance level."""
    known = table[table["value"].between(0.0, 1.0) & (table["unit"] == "")]
    several = known["role"].nunique() > 1
    names = [f"{row.measure}, {row.role}" if several else row.measure for row in known.itertuples()]
    with rc_context(STYLE):
        figure, axes = blank(height=1.2 + 0.22 * max(len(known), 3))
        places = np.arange(len(known))
        value = known["value"].astype(float)
        low, high = (known[end].astype(float).fillna(value) for end in ("low", "high"))
        axes.hlines(places, low, high, color=BLUE, linewidth=1.4)
        axes.plot(value, places, "o", color=BLUE, markersize=5, label="value")
        axes.plot(known["chance"].astype(float), places, "x", color=VERMILION, markersize=5, label="by chance")
        axes.set_yticks(places, names)
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.set_xlim(-0.03, 1.03)
        figure.legend(loc="outside upper left", ncols=2, borderpad=0.1)
    return Drawing(figure, axes, known[["role", "measure", "value", "chance", "low", "high"]].reset_index(drop=True))


def speed_curve(progress: pd.DataFrame) -> Drawing:
    """Env steps a second over training: rows of progress.csv, with the columns num_env_steps, env_steps_per_second."""
    table = progress[["num_env_steps", "env_steps_per_second"]].astype(float)
    with rc_context(STYLE):
        figure, axes = blank(height=2.5)
        axes.plot(table["num_env_steps"], table["env_steps_per_second"], color=BLUE, linewidth=1.6)
        axes.set(xlabel="env steps", ylabel="env steps a second")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    return Drawing(figure, axes, table.reset_index(drop=True))


def _cells(
    shares: pd.DataFrame, *, xlabel: str, ylabel: str, darkest: float, numbers: pd.DataFrame | None = None
) -> Drawing:
    """A heat map of a table as it is; `numbers` are written in its cells where they are not what is shown."""
    rows, columns = shares.shape
    with rc_context(STYLE):
        figure, axes = blank(height=1.1 + 0.24 * max(rows, 3))
        draw_cells(
            axes, shares.to_numpy(dtype=float), darkest=darkest, numbers=None if numbers is None else numbers.to_numpy()
        )
        axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, columns), ylim=(rows, 0))
        words = [
            shortened(str(word)) if not isinstance(word, str) or len(word) > MAX_SHOWN else word
            for word in shares.columns
        ]
        axes.set_xticks(np.arange(columns) + 0.5, words, rotation=0 if narrow(words) else 90)
        axes.set_yticks(np.arange(rows) + 0.5, [shortened(str(word)) for word in shares.index])
        _plain(axes)
    return Drawing(figure, axes, shares)


def _plain(axes: Axes) -> None:
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
