"""The sections of a report, each a function of its findings (or of one role's corpus)."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from heliograph.analysis.corpus import Corpus
from heliograph.analysis.evaluate import messages_told
from heliograph.analysis.information import of_the_informed, utterances_of
from heliograph.analysis.interventions import Messages
from heliograph.analysis.measures.neighbour_purity import NeighbourPurity, neighbour_purity
from heliograph.analysis.measures.normalised_mutual_information import normalised_mutual_information
from heliograph.analysis.verdict import Word, verdict
from heliograph.experiments.channel_layers import layers_of
from heliograph.experiments.choices import TeamChoices
from heliograph.protocols.labels import MINUS, count, number, percent, shortened
from heliograph.protocols.replay_text import HEADINGS, MAX_ROWS, replay
from heliograph.reports import plots
from heliograph.reports.code_pictures import code_pictures
from heliograph.reports.page import Safe, element, figure, table, with_error
from heliograph.reports.report_data import FOLDERS, USUAL_NAMES, Findings, SeedFindings, TeamFindings
from heliograph.reports.rivals_section import words_of_teams
from heliograph.texts import NOTHING

MAX_PAIRS = 8
CURVES = """Return in training, with sampled actions. The controls have the same size and budget: the silent one has no
channel, the garbled one hears noise, agents of the self-only one hear themselves alone. Dashed: the environment's
bounds. Thin: single seeds, where there are several."""
VALUE = (
    f"Value of communication: (R {MINUS} R_silent) / (R_full {MINUS} R_silent), with the return of the "
    "no-communication control."
)
EXPLAINED = {
    Messages.AS_SENT: "Nothing is replaced.",
    Messages.RESAMPLED: "Each message is one that the same sender sent at the same step, to the same hearers, in "
    "another episode. What falls here was gained by the messages.",
    Messages.SWAPPED: "The control: the same, but the other sender knew the same. A code that carries the meaning and "
    "nothing else does not notice.",
    Messages.SHUFFLED: "Each message is another of the same step, whoever said it, in any episode.",
    Messages.ZEROED: "Zeros. Not neutral: a hearer may have learnt to read zero as a message.",
    Messages.NOISE: "Random messages of the channel.",
}


def heading(findings: Findings) -> Iterator[Safe]:
    """The title, the five choices, and the verdict."""
    env = findings.run.env
    yield element("h1", f"What {_name(env.env)} agents say")
    parts = [
        element("div", element("dt", key), element("dd", value)) for key, value in choices_by_name(findings).items()
    ]
    yield element("dl", *parts, class_="choices")
    if findings.rivals:
        told = element("p", words_of_teams(findings.rivals))
        yield element("div", element("strong", "Several teams, each with a word of its own"), told, class_="verdict")
        return
    best = findings.seeds[0].best_control
    found = verdict(
        findings.told, findings.interventions, bounds=findings.bounds,
        silent=None if best is None else best.greedy, untrained=findings.untrained,
    )  # fmt: skip
    said = element("p", element("b", found.word.value), ": ", " ".join(found.sentences))
    shown = "verdict" if found.word is Word.USED else "verdict bad"
    yield element("div", element("strong", found.headline), said, class_=shown)


def choices_by_name(findings: Findings) -> dict[str, str]:
    """The five choices by name, with the settings that were given."""
    run, team = findings.run, findings.run.choices
    return {
        "environment": _with_settings(run.env.env, run.env.settings),
        "model": _with_settings(team.model, team.model_settings),
        "channel": _channel(team),
        "topology": _with_settings(team.topology, team.topology_settings),
        "algorithm": _name(run.algorithm or "not recorded"),
    }


def headline_numbers(findings: Findings) -> Iterator[Safe]:
    """Return, success, value of communication, normalised return and information, over the seeds."""
    teams = [seed.team.greedy for seed in findings.seeds]
    values = [seed.value(findings.bounds) for seed in findings.seeds]
    told = findings.told
    tiles = [_tile("mean return", [team["episode_return_mean"] for team in teams], note=_se_note(findings))]
    if told["success_rate"] is not None:
        tiles.append(_tile("success", [team["success_rate"] for team in teams], share=True))
    if None not in values:
        note = "0: no better than the no-communication control; 1: full information"
        tiles.append(_tile("value of communication", values, note=note))
    if told["normalised_return"] is not None:
        returns = [team["normalised_return"] for team in teams]
        tiles.append(_tile("normalised return", returns, note="of full information"))
    if told["mutual_information_bits"] is not None:
        note = f"bits of {number(told['meaning_entropy_bits'])} in the meaning{_untrained_note(findings)}"
        tiles.append(_tile("told by a message", [team["mutual_information_bits"] for team in teams], note=note))
    yield element("dl", *tiles, class_="tiles")


def _tile(name: str, values: list[Any], *, share: bool = False, note: str = "") -> Safe:
    mean = float(np.mean(values))
    shown = percent(mean) if share else number(mean)
    if len(values) > 1:
        low, high = (percent(x) if share else number(x) for x in (min(values), max(values)))
        note = f"in all {len(values)} seeds" if low == high else f"mean of {len(values)} seeds, {low} to {high}"
    value = element("dd", element("div", shown, class_="value"), element("small", note))
    return element("div", element("dt", name), value)


def _untrained_note(findings: Findings) -> str:
    before = None if findings.untrained is None else findings.untrained["mutual_information_bits"]
    return "" if before is None else f"; untrained {number(before)}"


def _se_note(findings: Findings) -> str:
    return f"± {number(findings.told['episode_return_se'])} s.e., {findings.num_episodes} episodes"


def teams(findings: Findings) -> Iterator[Safe]:
    """Learning curves, and a table of every seed and control."""
    yield element("h2", "Did talking pay?")
    curves = {name: tables for name in ("team", *FOLDERS) if (tables := _curves(findings, name))}
    if curves:
        drawn, _, _ = plots.learning_curves(curves, bounds=findings.bounds)
        last = ", ".join(f"{n} {number(float(t[0]['episode_return_mean'].iloc[-1]))}" for n, t in curves.items())
        alt = f"Learning curves of mean episode return; at the end {last}."
        yield figure(drawn, name="curves", alt=alt, caption=CURVES)
    missing = [name for name in USUAL_NAMES if not any(name in seed.controls for seed in findings.seeds)]
    if missing:
        note = f"Trained without {' and '.join(missing)}: what talking is worth stays open until they are there: "
        yield element("p", note, element("code", "heliograph controls RUN", class_="nowrap"), ".", class_="note")
    headings = ("evaluated", "return, greedy", "return, sampled", "success", "told, bits", "value")
    rows = [row for seed in findings.seeds for row in _team_rows(findings, seed)]
    rows += _untrained_row(findings)
    yield table(headings, rows, caption=f"Mean ± standard error over {findings.num_episodes} fresh episodes each")
    bounds = findings.bounds
    if bounds is not None:
        known = f"Bounds: full information {number(bounds.full_information)}, blind {number(bounds.blind)}, "
        yield element("p", f"{known}random {number(bounds.random)} ({bounds.source}).", class_="note")


def _curves(findings: Findings, name: str) -> list[pd.DataFrame]:
    found = [seed.team if name == "team" else seed.controls.get(name) for seed in findings.seeds]
    return [team.curve for team in found if team is not None and team.curve is not None]


def _team_rows(findings: Findings, seed: SeedFindings) -> Iterator[tuple[Any, ...]]:
    prefix = f"{seed.name.replace('_', ' ')}: " if len(findings.seeds) > 1 else ""
    yield (f"{prefix}team", *_team_cells(seed.team), number(seed.value(findings.bounds)))
    for name, control in seed.controls.items():
        *cells, _ = _team_cells(control)
        yield (f"{prefix}{name}", *cells, NOTHING, "")  # nobody can hear what its messages tell


def _untrained_row(findings: Findings) -> list[tuple[Any, ...]]:
    before = findings.untrained
    if before is None:
        return []
    score = with_error(before["episode_return_mean"], before["episode_return_se"])
    return [("the first team, untrained", score, "", "", number(before["mutual_information_bits"]), "")]


def _team_cells(team: TeamFindings) -> tuple[Any, ...]:
    greedy, both = team.greedy, (team.greedy, team.sampled)
    returns = ["" if x is None else with_error(x["episode_return_mean"], x["episode_return_se"]) for x in both]
    return *returns, percent(greedy["success_rate"]), number(greedy["mutual_information_bits"])


def interventions(findings: Findings) -> Iterator[Safe]:
    """Return under each intervention, as bars between the bounds."""
    rows, bounds = findings.interventions, findings.bounds
    yield element("h2", "Does anyone listen?")
    if len(rows) < 2:
        yield element("p", "Nothing is said, so there is nothing to replace.")
        return
    note = "The same episodes, with messages replaced on their way to the hearers; in brackets the change, and how "
    yield element("p", f"{note}many of the messages then had another content.")
    ends = [row["episode_return_mean"] for row in rows]
    ends += [] if bounds is None else [bounds.full_information, bounds.blind, bounds.random]
    low, high = min(ends), max(max(ends), min(ends) + 1e-9)
    mark = None if bounds is None else (bounds.blind - low) / (high - low)
    yield element("ul", *(_effect(row, low=low, high=high, mark=mark) for row in rows), class_="effects")
    dashed = "" if bounds is None else f"dashed: blind, {number(bounds.blind)}"
    yield element("div", *(element("span", x) for x in (number(low), dashed, number(high))), class_="scale")


def _effect(row: dict[str, Any], *, low: float, high: float, mark: float | None) -> Safe:
    kind = Messages(row["messages"])
    width = 100 * (row["episode_return_mean"] - low) / (high - low)
    really = f"{number(row['difference_mean'], sign=True)}; {percent(row['replaced_share'])} replaced"
    change = "" if kind is Messages.AS_SENT else f" ({really})"
    marks = [] if mark is None else [element("s", style=f"left:{100 * mark:.1f}%")]
    bar = element("i", style=f"left:0;width:{max(width, 0.4):.1f}%")
    return element(
        "li",
        element("b", kind.value.replace("-", " ")),
        element("span", with_error(row["episode_return_mean"], row["episode_return_se"]), change, class_="figure"),
        element("div", bar, *marks, class_="track", aria_hidden="true"),
        element("small", EXPLAINED[kind]),
        class_="effect",
    )


def code(findings: Findings) -> Iterator[Safe]:
    """For each role that speaks: heat map, frequencies, embeddings; and the table of measures."""
    yield element("h2", "The code")
    corpus = findings.corpus
    roles = [role for role in corpus.metadata["roles"] if (corpus.utterances["role"] == role).any()]
    if not roles:
        yield element("p", "Nobody said anything.")
        return
    if corpus.vectors() is not None:
        note = "Messages are vectors; where they are counted, those that lie together are one, shown by their mean."
        yield element("p", note, class_="note")
    purities = {}
    for place, role in enumerate(roles):
        part = corpus.of_role(role)
        purities[role] = purity_of(part)
        if len(roles) > 1:
            yield element("h3", f"Role {role}")
        yield element("div", *_figures(part, prefix=f"role{place}", role=role, purity=purities[role]), class_="figures")
    yield _measures(corpus, purities)


def purity_of(corpus: Corpus) -> NeighbourPurity | None:
    """Neighbour purity of at most 1000 utterances of those who have something to tell; None for fewer than two."""
    some = plots.sampled_utterances(of_the_informed(corpus), number=1000)
    return neighbour_purity(some.contents(), some.meanings()) if len(some) > 1 else None


def _figures(corpus: Corpus, *, prefix: str, role: str, purity: NeighbourPurity | None) -> Iterator[Safe]:
    drawn, _, tidy = plots.heat_map(corpus)
    best = tidy.loc[tidy.groupby("meaning", sort=False)["probability"].idxmax()].head(MAX_PAIRS)
    pairs = "; ".join(f"meaning {r.meaning}: {shortened(r.message)} ({r.probability:.2f})" for r in best.itertuples())
    shown = "" if _fits(tidy) else f" The {plots.MAX_SHOWN} most frequent of each."
    yield figure(drawn, name=f"{prefix}-code", alt=f"What the {role} says for each meaning, most often {pairs}.",
                 caption=f"P(message | meaning): each row sums to 1.{shown}")  # fmt: skip
    drawn, _, tidy = plots.message_frequencies(corpus)
    often = ", ".join(f"{shortened(r.message)} {percent(r.share)}" for r in tidy.head(MAX_PAIRS).itertuples())
    unused = _unused(corpus, len(tidy))
    yield figure(drawn, name=f"{prefix}-frequency", alt=f"Shares of messages: {often}.",
                 caption=f"How often each message is said: {len(tidy)} different ones{unused}.")  # fmt: skip
    beside = "" if purity is None else (
        f" {percent(purity.purity)} of a message's {purity.neighbours} nearest neighbours share its meaning"
        f" (shuffled: {percent(purity.shuffled)})."
    )  # fmt: skip
    for method, title in (("tsne", "t-SNE"), ("pca", "PCA")):
        drawn, _, tidy = plots.embedding(corpus, method=method)
        alt = f"{title} of {len(tidy)} messages coloured by meaning.{beside}"
        yield figure(drawn, name=f"{prefix}-{method}", alt=alt, caption=f"{title} of messages.{beside}")
    yield from code_pictures(corpus, prefix=prefix, role=role)


def _fits(tidy: pd.DataFrame) -> bool:
    return max(tidy["meaning"].nunique(), tidy["message"].nunique()) <= plots.MAX_SHOWN


def _unused(corpus: Corpus, used: int) -> str:
    vocabulary, length = corpus.metadata["vocabulary"], corpus.metadata["length"]
    if vocabulary is None or corpus.vectors() is not None or length * math.log2(vocabulary) > 16:
        return ""
    return f" of {vocabulary**length} possible"


def _measures(corpus: Corpus, purities: dict[str, NeighbourPurity | None]) -> Safe:
    columns = {role: (corpus.of_role(role), purity) for role, purity in purities.items()}
    cells = [_measured(part, purity) for part, purity in columns.values()]
    rows = [(key, *(cell[key] for cell in cells)) for key in cells[0]]
    caption = "Plug-in estimates; the baseline shuffles the meanings 200 times"
    return table(("measure", *columns), rows, caption=caption)


def _measured(corpus: Corpus, purity: NeighbourPurity | None) -> dict[str, str]:
    told = messages_told(corpus)
    some = utterances_of(corpus).of_the_informed()
    normalised = normalised_mutual_information(some.said, some.meant, given=some.group)
    baseline, upper = told["mutual_information_baseline_bits"], told["mutual_information_baseline_95_bits"]
    return {
        "utterances": count(len(corpus)),
        "cost of a message, bits": number(told["bits_per_message"], digits=1),
        "entropy of messages, bits": number(told["entropy_bits"], digits=3),
        "entropy of meanings, bits": number(told["meaning_entropy_bits"], digits=3),
        "mutual information, bits": number(told["mutual_information_bits"], digits=3),
        "its baseline: mean, bits": number(baseline, digits=3),
        "its baseline: 95 % quantile, bits": number(upper, digits=3),
        "p-value": number(told["mutual_information_p_value"], digits=3),
        "normalised mutual information": number(normalised, digits=3),
        "neighbour purity": number(purity.purity, digits=3) if purity else "",
        "neighbour purity, shuffled": number(purity.shuffled, digits=3) if purity else "",
    }


def replays(findings: Findings, *, rollout: Any, num_episodes: int = 2) -> Iterator[Safe]:
    """Some episodes, turn by turn."""
    yield element("h2", "Some episodes, turn by turn")
    yield element("p", "Greedy actions, messages as sent. What an agent knows is its meaning, which no network sees.")
    for copy in range(min(num_episodes, rollout.num_envs)):
        rows = replay(findings.run, rollout, copy=copy)
        cut = f", first {MAX_ROWS} turns" if len(rows) > MAX_ROWS else ""
        yield table(HEADINGS, rows[:MAX_ROWS], caption=f"Episode {copy}{cut}", numeric=False)


def about(findings: Findings) -> Iterator[Safe]:
    """Return where the numbers come from."""
    versions, shown = findings.corpus.metadata["versions"], findings.corpus.metadata["num_episodes"]
    yield element("h2", "How this was measured")
    notes = [
        f"{findings.num_episodes} fresh episodes for each number, messages in execution form, the last weights of "
        f"{len(findings.seeds)} {'seed' if len(findings.seeds) == 1 else 'seeds'}; the code is that of the first.",
        *([f"What was said is that of the first {shown} of them."] if shown < findings.num_episodes else []),
        VALUE,
        "Information is counted in bits over whole messages of those whose meaning varies, within each role and round.",
        "Read from " + findings.folder.name + " with " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".",
    ]
    yield element("ul", *(element("li", note) for note in notes), class_="note")


def _channel(team: TeamChoices) -> str:
    layers = layers_of(team.channel, team.channel_settings)
    if layers[0].settings is None:
        return _with_settings(team.channel, team.channel_settings)
    return " + ".join(_with_settings(layer.channel, dict(layer.settings or {})) for layer in layers)


def _with_settings(name: Any, settings: dict[str, Any]) -> str:
    shown = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{_name(name)} ({shown})" if shown else _name(name)


def _name(name: Any) -> str:
    return name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)
