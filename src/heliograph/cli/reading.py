"""The commands that read: `list`, `evaluate`, `record`, `report`, `export`; and `bench`."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from heliograph import registry
from heliograph.cli.arguments import KINDS
from heliograph.cli.overwriting import refuse_existing
from heliograph.cli.shown import console, formatted, listing, print_table
from heliograph.recipes.results import Measured, measured
from heliograph.texts import natural, one_line, printable

TEAM_COLUMNS = (
    "team", "return", "told, bits", "change, resampled", "hearers differ", "rivals differ", "protocol",
)  # fmt: skip
Shown = tuple[Any, Callable[[Any], None]]


def run_list(given: Any) -> Shown:
    """`heliograph list`."""
    kind, name = (given.kind, given.name) if given.kind in (None, *KINDS) else _named_alone(given.kind, given.name)
    if name is not None:
        from heliograph.cli.explaining import explained

        return explained(KINDS[kind], name)
    if given.kind == "recipes":
        return recipes_listed()
    kinds = [given.kind] if given.kind else list(KINDS)
    found = {kind: {n: registry.summary(KINDS[kind], n) for n in registry.names(KINDS[kind])} for kind in kinds}
    return (found[given.kind] if given.kind else found), lambda _: _show_list(found)


def _named_alone(word: str, more: str | None) -> tuple[str, str]:
    """The kind of a component that is named without it, and its name."""
    kinds = [] if more is not None else [kind for kind in KINDS if registry.is_known(KINDS[kind], word)]
    if len(kinds) > 1:
        raise ValueError(f"{word} is several things: {' or '.join(f'heliograph list {kind} {word}' for kind in kinds)}")
    if not kinds:
        known = [] if more is not None else [name for kind in KINDS.values() for name in registry.names(kind)]
        raise registry.UnknownNameError(what="kind of component, or name of one", name=word, valid=[*KINDS, *known])
    return kinds[0], word


def recipes_listed() -> Shown:
    """Every recipe with its paper, what is to be reached, and what every seed of ours reached."""
    found: dict[str, dict[str, Any]] = {}
    for name in registry.names("recipe"):
        found[name] = {"about": registry.summary("recipe", name), "paper": None, "target": None, "result": None}
        try:
            recipe, result = registry.load("recipe", name)(), measured(name)
            found[name] |= {"paper": recipe.paper, "target": recipe.goal()}
        except registry.PluginError:  # whose summary says so
            continue
        except (TypeError, AttributeError) as error:  # of another package
            found[name]["about"] = f"is no recipe: {one_line(error)}"
            continue
        found[name]["result"] = None if result is None else dataclasses.asdict(result)
    return found, lambda _: _show_recipes(found)


def run_evaluate(given: Any) -> Shown:
    """`heliograph evaluate`."""
    from heliograph.analysis import evaluate as evaluation
    from heliograph.analysis.interventions import Messages
    from heliograph.analysis.judging import judged
    from heliograph.types import Choice

    messages = Messages(given.messages)
    how: dict[str, Any] = {"num_episodes": given.episodes, "choice": Choice(given.actions), "seed": given.seed}
    if messages is Messages.AS_SENT:
        result = judged(run_of(given), **how)
    else:
        result = evaluation.evaluate(run_of(given), messages=messages, **how)
    return {**result, "actions": given.actions, "messages": given.messages, "seed": given.seed}, _show_facts


def run_record(given: Any) -> Shown:
    """`heliograph record`."""
    from heliograph.analysis.recording import write_recording
    from heliograph.analysis.transfer import notes_for
    from heliograph.analysis.utterances import in_words
    from heliograph.types import Choice

    out, run = pathlib.Path(given.out), run_of(given)
    told = write_recording(
        run, out, num_episodes=given.episodes, choice=Choice(given.actions), seed=given.seed, overwrite=given.overwrite
    )
    counts = {key: told[key] for key in ("num_episodes", "num_utterances")}
    tokens = told["num_utterances"] * told["length"]
    notes = notes_for(tokens, vocabulary=told["vocabulary"]) if in_words(run.team.channel) else []
    return {"corpus": str(out), **counts, **({"notes": notes} if notes else {})}, _show_facts


def run_report(given: Any) -> Shown:
    """`heliograph report`."""
    from heliograph.reports.report import report_path, write_report

    refuse_existing([report_path(given.run, out=given.out)], given)
    path = write_report(given.run, num_episodes=given.episodes, seed=given.seed, trust=given.trust, out=given.out)
    return {"report": str(path)}, lambda result: console().print(result["report"])


def run_export(given: Any) -> Shown:
    """`heliograph export`."""
    from heliograph.storage import team_file as sharing

    run = named_run_folder(given.run)
    if given.agent is not None:
        return _export_agent(given, run)
    if given.format is not None:
        raise ValueError(f"--format {given.format}: says how one agent is written; name it with --agent")
    path = sharing.export(
        run, given.out, policy=given.policy, overwrite=given.overwrite, trust=given.trust, with_source=given.with_source
    )
    result = {"team": str(path), "policy": given.policy, "bytes": path.stat().st_size}
    return result, lambda _: console().print(str(path))


def _export_agent(given: Any, run: pathlib.Path) -> Shown:
    from heliograph.storage.agent_file import export_agent

    if given.policy is not None or given.with_source:
        raise ValueError("--agent writes a program: --policy and --with-source are about team files")
    how: dict[str, Any] = {"format": given.format or "torch", "overwrite": given.overwrite, "trust": given.trust}
    path = export_agent(run, given.agent, given.out, **how)
    result = {"program": str(path), "agent": given.agent, "bytes": path.stat().st_size}
    return result, lambda _: console().print(str(path))


def run_bench(given: Any) -> Shown:
    """`heliograph bench`."""
    from heliograph.cli.choosing import settings_from_arguments
    from heliograph.rllib.runs.bench import measure
    from heliograph.rllib.runs.session import quiet

    with quiet():
        return measure(settings_from_arguments(given).settings, iterations=given.iterations), _show_facts


def run_of(given: Any) -> Any:
    """The run that is named, in its environment with the settings that are given."""
    from heliograph.cli.choosing import pairs, value_of
    from heliograph.storage.mixing import mix
    from heliograph.storage.run_folder import read_run

    run = read_run(named_run_folder(given.run), trust=given.trust)
    others = dict(pairs(getattr(given, "policy", ()), option="--policy"))
    if others:
        run = mix(run, {name: named_run_folder(other) for name, other in others.items()}, trust=given.trust)
    changes = {key: value_of(text) for key, text in pairs(given.env, option="--env")}
    return run.in_env(changes) if changes else run


def named_run_folder(given: str) -> pathlib.Path:
    """The run that is named; a folder of several runs is refused."""
    from heliograph.recipes.pretrained import located
    from heliograph.storage.run_folder import CONFIG, RunFolderError

    folder = located(given)
    inside = sorted((path.parent.name for path in folder.glob(f"*/{CONFIG}")), key=natural)
    if inside and not (folder / CONFIG).exists():
        raise RunFolderError(f"{folder} holds several runs: name one of {', '.join(str(folder / x) for x in inside)}")
    return folder


def _show_list(found: dict[str, dict[str, str]]) -> None:
    for index, (kind, components) in enumerate(found.items()):
        if len(found) > 1:
            console().print(f"{'' if not index else chr(10)}{kind}")
        listing((f"  {name}" if len(found) > 1 else name, text) for name, text in components.items())


def _show_recipes(found: dict[str, dict[str, Any]]) -> None:
    """Print those that were run to their end, with what they reached, and the others apart."""
    width = max(map(len, found), default=0)
    untested = [name for name, about in found.items() if about["result"] is None]
    measured_ones = [name for name in found if name not in untested]
    for heading, names in (("measured", measured_ones), ("untested: nobody has run these to their end", untested)):
        console().print(f"{heading}\n" if names else "", end="")
        for name in names:
            print(printable(f"  {name:{width}}  {_of_recipe(found[name])}"))


def _of_recipe(about: dict[str, Any]) -> str:
    if not about["paper"]:
        return str(about["about"])
    reached = "" if about["result"] is None else f"; ours: {Measured(**about['result'])}"
    return f"{about['about']} Paper: {about['paper']}. To reach: {about['target']}{reached}"


def _show_facts(result: dict[str, Any]) -> None:
    listing((key, _text(value)) for key, value in result.items() if not isinstance(value, dict))
    if teams := result.get("teams"):
        print_table(TEAM_COLUMNS, [[name, *_of_team(found)] for name, found in teams.items()])
    elif returns := result.get("team_returns_mean"):
        print_table(("team", "return"), [[name, formatted(value)] for name, value in returns.items()])


def _of_team(found: dict[str, Any]) -> list[str]:
    keys = ("episode_return_mean", "mutual_information_bits", "difference_mean_resampled")
    shares = ("changed_share_resampled", "rivals_changed_share_resampled")
    return [*(formatted(found.get(key)) for key in keys), *(formatted(found.get(key), ".2f") for key in shares),
            found["diagnosis"]]  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return formatted(value, ".4g") if isinstance(value, float) or value is None else str(value)
