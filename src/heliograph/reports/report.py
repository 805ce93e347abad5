"""The report: what a trained team says, whether it means something, and whether anyone listens, in one HTML file."""

import pathlib

from heliograph.analysis.evaluate import play_run
from heliograph.recipes.pretrained import is_shipped, located
from heliograph.reports import sections
from heliograph.reports.decisions_section import decisions
from heliograph.reports.listening_section import listening
from heliograph.reports.members_section import members
from heliograph.reports.page import page
from heliograph.reports.report_data import Findings, gather
from heliograph.reports.rivals_section import rivals
from heliograph.reports.timelapse_page import over_time
from heliograph.storage.safe_files import write_text

REPORT = "report.html"
REPLAYED = 2


def write_report(
    folder: str | pathlib.Path,
    *,
    num_episodes: int = 500,
    seed: int = 0,
    trust: bool = False,
    out: str | pathlib.Path | None = None,
) -> pathlib.Path:
    """Evaluate a run folder and write `report.html` into it, one file that needs no network; returns its path.

    The folder is a run, with its controls in `silent/`, `garbled/` and `self/`, as far as they were trained, or holds
    one such folder for each seed (`seed_0/`, ...). For a team file the report is written beside it, under its name; for
    "recipe:NAME" to NAME.html where you are. `out` names another file. `trust` lets a configuration import code that
    is not Heliograph's. Raises `RunFolderError` where the folder is neither.
    """
    path = report_path(folder, out=out)
    findings = gather(located(folder).absolute(), num_episodes=num_episodes, seed=seed, trust=trust)
    write_text(path, report_page(findings))
    return path


def report_path(source: str | pathlib.Path, *, out: str | pathlib.Path | None = None) -> pathlib.Path:
    """The file that a report of a source is written to, unless `out` names another."""
    folder = located(source).absolute()
    beside = folder.with_suffix(".html") if folder.is_file() else folder / REPORT
    return pathlib.Path(out or (beside.name if is_shipped(source) else beside)).absolute()


def report_page(findings: Findings) -> str:
    """The whole document."""
    rollout = play_run(findings.run, num_episodes=REPLAYED, seed=0).rollouts[0]
    env = findings.run.env.env
    name = env if isinstance(env, str) else getattr(env, "__name__", "a team")
    return page(
        f"Heliograph: {name}, {findings.folder.name}",
        *sections.heading(findings),
        *sections.headline_numbers(findings),
        *sections.teams(findings),
        *members(findings),
        *rivals(findings),
        *sections.interventions(findings),
        *listening(findings.corpus),
        *sections.code(findings),
        *decisions(findings.corpus),
        *over_time(findings.folder),
        *sections.replays(findings, rollout=rollout, num_episodes=REPLAYED),
        *sections.about(findings),
    )
