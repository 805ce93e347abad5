"""The page of a comparison: groups of runs, every seed, curves, and differences, in one HTML file without network."""

import pathlib
from collections.abc import Iterator

from heliograph.protocols.labels import MINUS, number
from heliograph.reports import plots
from heliograph.reports.comparison import Difference, Interval
from heliograph.reports.page import Safe, element, figure, page, table
from heliograph.reports.report_data import read_curve
from heliograph.reports.run_groups import Comparison, Group, shown
from heliograph.rollouts.statistics import OF_TEAM
from heliograph.storage.safe_files import make_folder, write_text
from heliograph.texts import NOTHING

__all__ = ["comparison_page", "verdict_of", "write_page"]

DIGITS = 3
CURVES = """Thin: single seeds, in training, with sampled actions. Thick: the interquartile mean over seeds as far as
all of them go, with its 95 % interval."""
NOTES = (
    "Values are those of summary.json: fresh episodes, greedy actions, messages in execution form, the last weights.",
    "IQM: the interquartile mean over seeds, that is the mean after a quarter of them, rounded down, is cut off at "
    "each end (with fewer than four seeds: the mean). Its interval, and those of differences, are percentile "
    "bootstraps of 95 %: runs are drawn anew within each group (Agarwal et al. 2021, arXiv:2108.13264).",
    "P(better): the chance that a run of the first group beats one of the second; ties count half.",
    "Intervals are for one difference each; they are not corrected for how many there are.",
)
NAMES = {"episode_return_mean": "mean return", "normalised_return": "normalised return", "success_rate": "success rate"}


def named(metric: str) -> str:
    """Return what a page calls a metric."""
    return NAMES[metric] if metric in NAMES else f"mean return of team {metric.removeprefix(OF_TEAM)}"


def write_page(comparison: Comparison, path: str | pathlib.Path) -> pathlib.Path:
    """Write the page, at once or not at all; returns its path."""
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(f"--out {path} is a folder: must be the file to write, such as {path / 'compare.html'}")
    make_folder(path.parent)
    write_text(path, comparison_page(comparison))
    return path


def comparison_page(comparison: Comparison) -> str:
    """The whole document."""
    return page(
        f"Heliograph: {len(comparison.groups)} groups of runs",
        *_heading(comparison),
        *_values(comparison),
        *_curves(comparison),
        *_table(comparison),
        *_differences(comparison),
        element("h2", "How this was measured"),
        element("ul", *(element("li", note) for note in NOTES), class_="note"),
    )


def verdict_of(comparison: Comparison) -> str:
    """The best group, and whether it can be told from the next."""
    best = comparison.groups[0]
    if len(comparison.groups) == 1:
        return f"{best.name}: {number(best.estimate.iqm, digits=DIGITS)}"
    pair = comparison.pairs[0]
    interval = pair.difference.interval
    if interval is None:
        return f"{best.name} is highest, but with one seed nobody knows whether by luck"
    if interval.low > 0:
        return f"{best.name} is best"
    return f"{best.name} is highest, but cannot be told from {pair.second.name}"


def _heading(comparison: Comparison) -> Iterator[Safe]:
    groups = comparison.groups
    runs = [run for group in groups for run in group.runs]
    env = sorted({shown(run.settings.get("env", NOTHING)) for run in runs})
    facts = {"environment": ", ".join(env), "metric": named(comparison.metric)}
    facts |= {"groups": str(len(groups)), "runs": str(len(runs))}
    yield element("h1", "Which runs do better?")
    parts = [element("div", element("dt", key), element("dd", value)) for key, value in facts.items()]
    yield element("dl", *parts, class_="choices")
    said = [element("p", _told(comparison.pairs[0].difference, comparison))] if comparison.pairs else []
    yield element("div", element("strong", verdict_of(comparison)), *said, class_="verdict")
    if comparison.remarks:
        remarks = [element("p", remark) for remark in comparison.remarks]
        yield element("div", element("strong", "Before you compare"), *remarks, class_="verdict bad")


def _told(found: Difference, comparison: Comparison) -> str:
    second = comparison.pairs[0].second.name
    return (
        f"IQM {_signed(found.iqm)}{_between(found.interval)} against {second}; a run of it is better than one of the "
        f"other with probability {number(found.probability)}{_between(found.probability_interval, digits=2)}."
    )


def _values(comparison: Comparison) -> Iterator[Safe]:
    """Every seed as a dot, the IQM as a stroke, its interval as a bar, all on one scale."""
    yield element("h2", f"{named(comparison.metric).capitalize()} of every seed")
    values = [value for group in comparison.groups for value in group.values]
    low, high = min(values), max(values)
    span = max(high - low, 1e-9)
    rows = [_strip(group, place, low=low, span=span) for place, group in enumerate(comparison.groups)]
    yield element("ul", *rows, class_="effects")
    ends = [element("span", number(end, digits=DIGITS)) for end in (low, high)]
    yield element("div", *ends, class_="scale")
    note = "Dots: seeds. Stroke: their interquartile mean. Bar: its 95 % interval."
    yield element("p", note, class_="note")


def _strip(group: Group, place: int, *, low: float, span: float) -> Safe:
    def at(value: float) -> str:
        return f"{100 * (value - low) / span:.2f}%"

    found, colour = group.estimate, _colour(place)
    marks = [element("u", style=f"left:{at(value)};background:{colour}") for value in group.values]
    if found.interval is not None:
        width = 100 * (found.interval.high - found.interval.low) / span
        marks.insert(0, element("i", style=f"left:{at(found.interval.low)};width:{width:.2f}%;background:{colour}"))
    marks.append(element("b", style=f"left:{at(found.iqm)}"))
    told = f"{number(found.iqm, digits=DIGITS)}{_between(found.interval)}"
    return element(
        "li",
        element("b", f"{place + 1}. {group.name}"),
        element("span", told, class_="figure"),
        element("div", *marks, class_="track strip", aria_hidden="true"),
        class_="effect",
    )


def _curves(comparison: Comparison) -> Iterator[Safe]:
    """One figure for each environment, of its best groups."""
    metric = comparison.metric
    column = metric if metric == "success_rate" or metric.startswith(OF_TEAM) else "episode_return_mean"
    by_env: dict[str, dict[int, Group]] = {}
    for place, group in enumerate(comparison.groups):
        by_env.setdefault(group.runs[0].env, {})[place + 1] = group
    drawn = [part for place, some in enumerate(by_env.values()) for part in _env_curves(some, column, place)]
    if drawn:
        yield element("h2", "Learning curves")
        yield element("div", *drawn, class_="figures")


def _env_curves(groups: dict[int, Group], column: str, place: int) -> Iterator[Safe]:
    curves = {i: tables for i, group in groups.items() if (tables := _tables(group, column))}
    some = dict(list(curves.items())[: len(plots.OKABE_ITO)])
    if not some:
        return
    drawn, _, tidy = plots.seed_curves(some, column=column)
    last = tidy.groupby("group")["iqm"].last().to_dict() if len(tidy) else {}
    alt = "; ".join(f"{groups[i].name} ends at {number(last.get(i))}" for i in some)
    left_out = f" The {len(some)} best of {len(curves)} groups." if len(some) < len(curves) else ""
    items = [element("li", element("i", style=f"background:{_colour(i - 1)}"), f"{i}. {groups[i].name}") for i in some]
    picture = figure(drawn, name=f"curves{place}", alt=f"Learning curves: {alt}.", caption=CURVES + left_out)
    env = shown(next(iter(groups.values())).runs[0].settings.get("env", ""))
    yield element("div", element("h3", env), picture, element("ul", *items, class_="key"))


def _tables(group: Group, column: str) -> list:
    found = [read_curve(run.folder, column=column) for run in group.runs]
    return [curve for curve in found if curve is not None]


def _table(comparison: Comparison) -> Iterator[Safe]:
    yield element("h2", "Groups")
    numbers = ("seeds", "IQM", "95 % interval", "mean", "median", "env steps", "wall s")
    headings = ("group, and every seed", *numbers, "protocol")
    rows = [(_named(group), *_cells(group)) for group in comparison.groups]
    caption = f"{named(comparison.metric).capitalize()} at the end of training, the best IQM first"
    yield table(headings, rows, caption=caption)


def _named(group: Group) -> Safe:
    seeds = ", ".join(f"{_seed(run.seed)} {number(run.value, digits=DIGITS)}" for run in group.runs)
    return Safe(element("span", group.name) + element("small", seeds))


def _seed(seed: int | None) -> str:
    return f"seed {NOTHING if seed is None else seed}:"


def _cells(group: Group) -> tuple[str, ...]:
    found, (fewest, most) = group.estimate, group.env_steps
    steps = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return (
        str(found.num_seeds),
        number(found.iqm, digits=DIGITS),
        _between(found.interval).strip(" []") or NOTHING,
        number(found.mean, digits=DIGITS),
        number(found.median, digits=DIGITS),
        steps,
        number(group.wall_seconds, digits=1),
        group.protocol or NOTHING,
    )


def _differences(comparison: Comparison) -> Iterator[Safe]:
    if not comparison.pairs:
        return
    yield element("h2", "Differences")
    rows = [
        (
            f"{pair.first.name} {MINUS} {pair.second.name}",
            _signed(pair.difference.iqm),
            _between(pair.difference.interval).strip(" []") or NOTHING,
            number(pair.difference.probability),
            _between(pair.difference.probability_interval, digits=2).strip(" []") or NOTHING,
        )
        for pair in comparison.pairs
    ]
    headings = ("first less second", "IQM", "95 % interval", "P(better)", "95 % interval")
    some = len(comparison.pairs) < len(comparison.groups) * (len(comparison.groups) - 1) / 2
    yield table(headings, rows, caption="The best group against each of the others" if some else "Each pair of groups")


def _between(interval: Interval | None, *, digits: int = DIGITS) -> str:
    if interval is None:
        return ""
    return f" [{number(interval.low, digits=digits)}, {number(interval.high, digits=digits)}]"


def _signed(value: float) -> str:
    return number(value, digits=DIGITS, sign=True)


def _colour(place: int) -> str:
    return plots.OKABE_ITO[place % len(plots.OKABE_ITO)]
