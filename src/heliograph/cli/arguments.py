"""The arguments of every command. Imports nothing heavy: `heliograph --help` answers at once."""

import argparse
from collections.abc import Callable
from typing import Any

from heliograph import __version__
from heliograph.cli.train_arguments import (
    add_budget,
    add_choices,
    add_controls,
    add_evaluate_every,
    add_seeds,
    add_threads,
    add_work,
    positive_count,
)
from heliograph.experiments.controls import CONTROLS

KINDS = {
    "envs": "env",
    "models": "model",
    "channels": "channel",
    "topologies": "topology",
    "populations": "population",
    "losses": "loss",
    "measures": "measure",
    "algorithms": "algorithm",
    "recipes": "recipe",
}
"""What `heliograph list` calls the kinds of the registry."""
ACTIONS = ("greedy", "sampled")
MESSAGES = ("as-sent", "resampled", "swapped", "shuffled", "zeroed", "noise")
FORMATS = ("torch", "onnx")
SCHEDULERS = ("none", "asha")
METRICS = ("episode_return_mean", "normalised_return", "success_rate")
"""What `compare` and `sweep` compare by, of summary.json."""
OF_TEAM = "team_return_mean/"
"""How metrics begin that are about one of several teams, as in `heliograph.rollouts.statistics` (imports torch)."""
METRIC = f"{', '.join(METRICS)}, or {OF_TEAM}NAME of one of several teams (default {METRICS[0]})"
EPISODES = 1000
SOURCE = "a run folder, a team file, or recipe:NAME, a trained team that comes with Heliograph"


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="heliograph", description="Train teams of agents that learn to talk; measure and read what they say."
    )
    parser.add_argument("--version", action="version", version=f"heliograph {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    reading = (
        _show, _diff, _evaluate, _record, _timelapse, _analyze, _protocol, _replay, _render, _report, _compare,
        _crossplay, _export,
    )  # fmt: skip
    for add in (_list, _envs, _train, _controls, _sweep, *reading, _bench, _migrate, _demo):
        add(commands)
    return parser


def _list(commands: Any) -> None:
    p = _command(commands, "list", "what there is to choose from, with a line on each")
    p.add_argument("kind", nargs="?", metavar="KIND", help=f"{', '.join(KINDS)}; default all; or a name alone")
    p.add_argument("name", nargs="?", metavar="NAME", help="tell all of this one: settings, defaults, docstring, paper")


def _envs(commands: Any) -> None:
    p = _command(commands, "envs", "what an environment is to a team: agents, roles, spaces, masks, speed")
    p.add_argument("target", metavar="ENV", help="a name of heliograph list envs, or module:Name, adapted as it needs")
    p.add_argument("--env", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="its settings")
    p.add_argument("--seed", type=int, default=0, metavar="S", help="default 0")


def _train(commands: Any) -> None:
    p = _command(commands, "train", "train a team, and write a run folder")
    p.add_argument("target", nargs="?", metavar="ENV|RECIPE", help="what to train in, or the recipe to follow")
    p.add_argument("--out", metavar="DIR", help="the run folder, which must not hold a run yet")
    p.add_argument("--resume", metavar="DIR", help="continue this run; trusts DIR, whose pickles can run code")
    p.add_argument("--overwrite", action="store_const", const=True, help="replace a run that DIR holds already")
    team = p.add_argument_group("the team")
    add_choices(team)
    add_controls(team, "beside it (default for recipes)")
    budget = p.add_argument_group("the budget")
    add_budget(budget)
    add_evaluate_every(budget)
    work = p.add_argument_group("the work")
    add_seeds(work, several="one run each, in DIR/seed_S")
    add_work(work)


def _controls(commands: Any) -> None:
    p = _command(commands, "controls", "train the controls (no communication, random messages) of runs that have none")
    p.add_argument("run", metavar="RUN", help="a run folder, or a folder of runs")
    p.add_argument("--only", choices=CONTROLS, help="this one alone; self: agents hear only themselves")
    _add_overwrite(p, "the controls that are there (default: they stay, and only missing ones are trained)")
    p.add_argument("--jobs", type=positive_count, metavar="N", help="runs at the same time (default: as many as cores)")


def _sweep(commands: Any) -> None:
    p = _command(commands, "sweep", "train a grid of settings, each with several seeds, and compare them")
    p.add_argument("target", nargs="?", metavar="ENV|RECIPE", help="what to train in, or the recipe to start from")
    p.add_argument("--out", required=True, metavar="DIR", help="holds a run folder a trial; finished ones are kept")
    grid = p.add_argument_group("the grid")
    grid.add_argument(
        "--grid", nargs="+", action="extend", required=True, metavar="KEY=V1,V2",
        help="SECTION.KEY as for --set, or model, channel, topology, algorithm; every combination is trained",
    )  # fmt: skip
    add_seeds(grid, several="of every combination")
    grid.add_argument("--scheduler", choices=SCHEDULERS, default="none", help="asha stops weak trials early")
    grid.add_argument(
        "--grace", type=positive_count, default=10, metavar="N", help="iterations before asha (default 10)"
    )
    _add_metric(grid)
    team = p.add_argument_group("the team")
    add_choices(team)
    add_controls(team, "of every trial, after it")
    budget = p.add_argument_group("the budget of a trial")
    add_budget(budget)
    add_evaluate_every(budget)
    work = p.add_argument_group("the work")
    add_work(work)
    work.add_argument(
        "--resume", action="store_true",
        help="interrupted trials go on from their last checkpoint, not anew; only for a DIR that you trust",
    )  # fmt: skip
    work.add_argument("--overwrite", action="store_true", help="make all trials anew, finished ones too")


def _show(commands: Any) -> None:
    p = _command(commands, "show", "print what a run was made of: settings with all defaults, code, machine, versions")
    p.add_argument("run", metavar="RUN", help=SOURCE)


def _diff(commands: Any) -> None:
    p = _command(commands, "diff", "print what two runs differ in")
    p.add_argument("first", metavar="RUN", help=SOURCE)
    p.add_argument("second", metavar="RUN", help="another")


def _evaluate(commands: Any) -> None:
    p = _command(commands, "evaluate", "play fresh episodes with a trained team")
    _add_run(p)
    p.add_argument("--messages", choices=MESSAGES, default="as-sent", help="what hearers get (default as-sent)")


def _record(commands: Any) -> None:
    p = _command(commands, "record", "write a corpus of what a trained team says")
    _add_run(p)
    p.add_argument("--out", required=True, metavar="CORPUS", help="folder of the corpus")
    _add_overwrite(p, "a corpus that is there")


def _timelapse(commands: Any) -> None:
    p = _command(commands, "timelapse", "show how a language came about, as a page with a slider and a table")
    p.add_argument(
        "path", nargs="+", metavar="RUN|CORPUS",
        help="a run that was trained with --record-every, a folder of corpora, or several corpora in order",
    )  # fmt: skip
    p.add_argument("--out", metavar="FILE.html", help="the page (default: timelapse.html in RUN); beside it FILE.csv")
    _add_overwrite(p, "the page and the table where they exist")


def _analyze(commands: Any) -> None:
    p = _command(
        commands, "analyze", "measure a language: every measure that papers report, each beside its chance level"
    )
    p.add_argument(
        "path", metavar="PATH",
        help=f"{SOURCE}; a corpus; or a file of messages: .jsonl, .json, .parquet, .npy, .npz, .pt of EGG",
    )  # fmt: skip
    p.add_argument("--meanings", metavar="FILE", help="a second file with the meanings, row by row")
    p.add_argument("--measures", nargs="+", metavar="NAME", help="some of heliograph list measures (default: all)")
    p.add_argument("--eos", type=int, metavar="SYMBOL", help="messages end before the first of this symbol")
    p.add_argument("--unique", action="store_true", help="count equal utterances once")
    p.add_argument("--permutations", type=_number, default=199, metavar="B", help="shuffled meanings (default 199)")
    p.add_argument("--bootstraps", type=_number, default=200, metavar="B", help="drawn episodes (default 200)")
    p.add_argument("--csv", action="store_true", help="print the table as CSV, with sources and reasons")
    _add_episodes(p, number=positive_count, default=EPISODES)


def _protocol(commands: Any) -> None:
    p = _command(commands, "protocol", "print a team's decision table, and what its messages mean")
    p.add_argument("run", metavar="RUN|CORPUS", help=f"{SOURCE}; or a corpus that was recorded")
    p.add_argument(
        "--episodes", type=_episodes, metavar="N", help=f"default: every start once where possible, else {EPISODES}"
    )
    p.add_argument("--seed", type=int, default=0, metavar="S", help="of the episodes (default 0)")
    p.add_argument("--trust", action="store_true", help="import the code that the folder names (module:Name)")


def _replay(commands: Any) -> None:
    p = _command(commands, "replay", "print episodes of a team turn by turn")
    p.add_argument("run", metavar="RUN", help=SOURCE)
    _add_play(p, number=positive_count, default=1)
    _add_policies(p)


def _render(commands: Any) -> None:
    p = _command(commands, "render", "draw episodes of a team, with what agents say beside them")
    p.add_argument("run", metavar="RUN", help=SOURCE)
    p.add_argument(
        "--out", default="episode.gif", metavar="FILE",
        help="FILE.gif (default episode.gif), FILE.png, whose name is numbered step by step, or a folder for such",
    )  # fmt: skip
    _add_overwrite(p, "pictures that are there")
    p.add_argument("--fps", type=float, default=4.0, metavar="F", help="pictures a second of the GIF (default 4)")
    _add_play(p, number=positive_count, default=1)
    _add_policies(p)


def _report(commands: Any) -> None:
    p = _command(commands, "report", "write one HTML file about a trained team, its controls and its messages")
    _add_folder(p)
    p.add_argument("--out", metavar="PAGE", help="the file to write (default: report.html in the run folder)")
    _add_overwrite(p, "the file where it exists")


def _export(commands: Any) -> None:
    p = _command(commands, "export", "write a trained team to one file that can be handed on")
    p.add_argument("run", metavar="RUN", help=SOURCE)
    p.add_argument("out", metavar="TEAM", help="the file to write, such as team_a.safetensors")
    p.add_argument("--policy", metavar="NAME", help="this policy alone, to be loaded with train --load-policy")
    p.add_argument("--agent", metavar="NAME", help="this agent alone, as a program that needs no Heliograph")
    p.add_argument("--format", choices=FORMATS, help="of such a program (default torch): TEAM ends in .pt2 or .onnx")
    _add_overwrite(p, "the file where it exists")
    p.add_argument("--with-source", action="store_true", help="add the texts of your own modules, for others to read")
    p.add_argument("--trust", action="store_true", help="import the code that the folder names (module:Name)")


def _compare(commands: Any) -> None:
    p = _command(commands, "compare", "compare runs: their seeds in groups, intervals, differences, one HTML page")
    p.add_argument("runs", nargs="+", metavar="RUN", help="run folders, folders of runs, or recipe:NAME")
    p.add_argument("--out", metavar="PAGE", help="the HTML file to write")
    _add_overwrite(p, "the file where it exists")
    p.add_argument("--seed", type=int, default=0, metavar="S", help="of the bootstrap (default 0)")
    _add_metric(p)


def _crossplay(commands: Any) -> None:
    p = _command(commands, "crossplay", "play every team with the policies of every other: do strangers understand it?")
    p.add_argument("runs", nargs="+", metavar="RUN", help="run folders, folders of runs, team files, or recipe:NAME")
    p.add_argument("--exchange", nargs="+", metavar="POLICY", help="policies of the other (default all but the first)")
    p.add_argument(
        "--script", action="append", metavar="[NAME=]MODULE:FUNCTION",
        help="a further team, in which this function plays everybody; may be given several times",
    )  # fmt: skip
    p.add_argument("--episodes", type=positive_count, default=1000, metavar="N", help="of each pair (default 1000)")
    p.add_argument("--seed", type=int, default=0, metavar="S", help="of the episodes (default 0)")
    p.add_argument("--trust", action="store_true", help="import the code that the folders name (module:Name)")


def _bench(commands: Any) -> None:
    p = _command(commands, "bench", "measure how fast this machine samples and learns")
    p.add_argument("target", nargs="?", default="speaker_listener", metavar="ENV|RECIPE", help="what to train in")
    p.add_argument(
        "--iterations", type=positive_count, default=5, metavar="N", help="measured, after two more (default 5)"
    )
    add_threads(p)
    add_choices(p.add_argument_group("the team"))
    p.set_defaults(controls=False, seed=None, env_steps=None, until=None, patience=None)
    p.set_defaults(checkpoint_every=None, env_runners=None, learners=None)


def _migrate(commands: Any) -> None:
    p = _command(commands, "migrate", "rewrite names of an earlier version of Heliograph in files of your own")
    p.add_argument("files", nargs="+", metavar="FILE", help="files, or folders with all that is in them")
    p.add_argument("--write", action="store_true", help="change the files (default: show what would change)")


def _demo(commands: Any) -> None:
    p = _command(commands, "demo", "teams that learn to talk, or cannot, a report, and the riddle's protocol")
    p.add_argument("--out", required=True, metavar="DIR", help="the folder of its runs, with the report of the first")
    _add_overwrite(p, "an earlier demo in DIR")
    p.add_argument("--jobs", type=positive_count, default=2, metavar="N", help="runs at the same time (default 2)")


def _add_overwrite(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def _add_metric(group: Any) -> None:
    group.add_argument("--metric", type=_metric, default=METRICS[0], metavar="NAME", help=METRIC)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=SOURCE)
    _add_play(parser, number=_episodes, default=EPISODES, more=", or all: every start once, for exact returns")
    _add_policies(parser)


def _add_policies(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy", action="append", default=[], metavar="NAME=RUN",
        help="take this policy from another run, as it is; may be given several times",
    )  # fmt: skip


def _add_play(
    parser: argparse.ArgumentParser, *, number: Callable[[str], int | None], default: int, more: str = ""
) -> None:
    _add_episodes(parser, number=number, default=default, more=more)
    parser.add_argument(
        "--env", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="settings of the environment that are not those of training, such as split=test",
    )  # fmt: skip
    parser.add_argument("--actions", choices=ACTIONS, default="greedy", help="default greedy")


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=SOURCE)
    _add_episodes(parser, number=positive_count, default=EPISODES)


def _add_episodes(
    parser: argparse.ArgumentParser, *, number: Callable[[str], int | None], default: int, more: str = ""
) -> None:
    parser.add_argument("--episodes", type=number, default=default, metavar="N", help=f"default {default}{more}")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the episodes (default 0)")
    parser.add_argument("--trust", action="store_true", help="import the code that the folder names (module:Name)")


def _command(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    text = summary[0].upper() + summary[1:] + "."
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=text)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else there")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def _episodes(text: str) -> int | None:
    """A number of episodes; None for "all", every start once."""
    return None if text == "all" else positive_count(text)


def _metric(text: str) -> str:
    if text not in METRICS and not text.startswith(OF_TEAM):
        raise argparse.ArgumentTypeError(f"{text!r}: choose from {', '.join(METRICS)}, {OF_TEAM}NAME")
    return text


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number}: must be 0 or more")
    return number
