"""What the demo shows in the end: every team beside its controls, the report, and the riddle's protocol."""

import pathlib
from collections.abc import Sequence
from typing import Any

from heliograph.analysis.evaluate import value_of_communication
from heliograph.cli.shown import cell, console, print_table, protocol_cell
from heliograph.cli.telling import episodes_told, show_episodes, show_protocol
from heliograph.experiments.choices import bounds_of
from heliograph.experiments.jobs import Job
from heliograph.protocols.protocol import protocol_in
from heliograph.reports.report import write_report
from heliograph.storage.run_folder import read_run

COLUMNS = (
    ("return", "episode_return_mean", ".3f"),
    ("success", "success_rate", ".2f"),
    ("value of talking", "value_of_communication", ".2f"),
    ("message bits", "entropy_bits", ".2f"),
    ("about the meaning", "mutual_information_bits", ".2f"),
    ("by chance", "mutual_information_baseline_bits", ".2f"),
    ("return, resampled", "episode_return_mean_resampled", ".3f"),
)
EXPLAINED = (
    "\nValue of talking: 0 is as good as silence, 1 as good as knowing everything. Bits are those of what was said. "
    "By chance: the bits about the meaning that as many meaningless messages show. Resampled: each message replaced by "
    "one that its speaker said in another episode. Protocol: used, if the return falls then and is above silence."
)
RIDDLE = (
    "The switch riddle, learnt by DIAL. Each day one of three prisoners, drawn anew, enters a room with a light, finds "
    "it as the last one left it, and may tell that all have been there: 1 if that is true, else -1. Their protocol:"
)
SOME = 20
REPORT_EPISODES = 500


def findings(jobs: Sequence[Job], *, summaries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The rows of the table, from the run folders as a reader finds them, and the report of the first run."""
    runs = {job.name: read_run(job.out) for job in jobs}
    bounds = bounds_of(next(iter(runs.values())).env)
    silent = summaries["silent"]["episode_return_mean"]
    rows = {name: dict(summaries[name]) for name in runs}
    for name, row in rows.items():
        if bounds is not None and name != "silent":
            row["value_of_communication"] = value_of_communication(
                row["episode_return_mean"], silent=silent, full_information=bounds.full_information
            )
    return {"runs": rows, "report": str(write_report(jobs[0].out, num_episodes=REPORT_EPISODES))}


def riddle_findings(folder: pathlib.Path) -> dict[str, Any]:
    """The protocol of the riddle's team, from every visiting sequence, and an episode in which it tells."""
    episodes = episodes_told(read_run(folder), num_episodes=SOME, seed=0)
    solved = [episode for episode in episodes if episode["success"]]
    return {"protocol": protocol_in(folder).as_json(), "episode": (solved or episodes)[0], "run": str(folder)}


def show(result: dict[str, Any]) -> None:
    """The table, the riddle, and the path of the report."""
    names = {"silent": "no-communication control", "garbled": "random-message control"}
    runs = result["runs"]
    rows = [
        [
            names.get(name, name),
            *(cell(row, key, form, control=name in names) for _, key, form in COLUMNS),
            protocol_cell(row, silent=runs.get("silent"), control=name in names),
        ]
        for name, row in runs.items()
    ]
    out = console()
    out.print()
    print_table(("team", *(name for name, _, _ in COLUMNS), "protocol"), rows)
    out.print(EXPLAINED)
    out.print(f"\n{RIDDLE}\n")
    show_protocol(protocol_in(result["riddle"]["run"]))
    out.print()
    show_episodes([result["riddle"]["episode"]])
    out.print(f"\nOpen {pathlib.Path(result['report']).resolve()}")
