"""Prints the committed results as the tables of `docs/results.md` and `docs/results/`, every seed and twin.

How to run: `python benchmarks/table.py`
"""

import json
import math
import pathlib
import statistics
from typing import Any

from scipy import stats

RESULTS = pathlib.Path(__file__).parent / "results"


def score(run: dict[str, Any]) -> float:
    """What a recipe is judged by: the exact normalised return where there is one, else as simulated."""
    for key in ("exact_normalised_return", "normalised_return", "episode_return_mean"):
        if run.get(key) is not None:
            return float(run[key])
    raise KeyError("no score")


def table(name: str, result: dict[str, Any]) -> str:
    """One recipe: how it was run, and a row a kind with every seed."""
    first = result["runs"][0]
    lines = [
        f"## {name}",
        "",
        f"`{result['command']}`, commit {result['commit']}, {first['num_env_steps']:,} env steps a run, "
        f"{result['hardware']['cores']} cores of {result['hardware']['cpu']}.",
        "",
        "| kind | every seed | median |",
        "|---|---|---|",
    ]
    for kind in dict.fromkeys(run["kind"] for run in result["runs"]):
        scores = [score(run) for run in result["runs"] if run["kind"] == kind]
        lines.append(f"| {kind} | {' '.join(f'{s:.3f}' for s in scores)} | {statistics.median(scores):.3f} |")
    return "\n".join([*lines, "", interventions(result)])


def interventions(result: dict[str, Any]) -> str:
    """The mean return of the real teams under each intervention, as a share of full information."""
    real = [run for run in result["runs"] if run["kind"] == "real" and run.get("interventions")]
    names = list(real[0]["interventions"])
    means = [statistics.mean(run["interventions"][name] for run in real) for name in names]
    head = f"| {' | '.join(names)} |\n|{'---|' * len(names)}"
    return f"Mean return of the real teams, with messages\n\n{head}\n| {' | '.join(f'{m:.3f}' for m in means)} |\n"


def results_in(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """What `traffic.py` wrote of each recipe, with the twins that lie in a file of their own."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf8"))
        twins = folder / "twins" / path.name
        if twins.exists():
            result["runs"] += json.loads(twins.read_text(encoding="utf8"))["runs"]
        if all("kind" in run for run in result["runs"]):
            found[path.stem] = result
    return found


def traffic(folder: pathlib.Path) -> str:
    """Recipes that `traffic.py` ran: a row for each kind, with every seed."""
    lines = [
        "| recipe | kind | greedy, every seed (95 %) | sampled | first there, env steps | minutes of a core |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in results_in(folder).items():
        for kind in dict.fromkeys(run["kind"] for run in result["runs"]):
            runs = [run for run in result["runs"] if run["kind"] == kind]
            lines.append(f"| `{name}` | {kind} | {' | '.join(cells(runs, updates=result['updates']))} |")
    return "\n".join(lines)


def differences(folder: pathlib.Path) -> str:
    """How much more real teams reached than their silent twins, where both have two seeds: mean, and Welch's 95 %."""
    lines = ["| recipe | real less silent, greedy | 95 % interval |", "|---|---|---|"]
    for name, result in results_in(folder).items():
        found: dict[str, list[float]] = {"real": [], "silent": []}
        for run in result["runs"]:
            found.setdefault(run["kind"], []).append(run["greedy"][run["metric"]])
        if min(len(found["real"]), len(found["silent"])) > 1:
            mean = statistics.mean(found["real"]) - statistics.mean(found["silent"])
            half = welch_half_interval(found["real"], found["silent"])
            lines.append(f"| `{name}` | {mean:+.3f} | {mean - half:+.3f} to {mean + half:+.3f} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def welch_half_interval(one: list[float], other: list[float]) -> float:
    """Half of Welch's 95 % interval of the difference of two means."""
    parts = [(statistics.variance(values) / len(values), len(values) - 1) for values in (one, other)]
    total = sum(part for part, _ in parts)
    freedom = total**2 / sum(part**2 / degrees for part, degrees in parts)
    return float(stats.t.ppf(0.975, freedom)) * math.sqrt(total)


def cells(runs: list[dict[str, Any]], *, updates: int) -> list[str]:
    """What runs of a kind reached, when, and what they cost."""
    metric = runs[0]["metric"]
    greedy = [f"{run['greedy'][metric]:.3f} ({run['greedy'][f'{metric}_interval']:.3f})" for run in runs]
    sampled = [f"{run['sampled'][metric]:.3f}" for run in runs]
    first = ["never" if run["first_reached_at"] is None else f"{run['first_reached_at']:,}" for run in runs]
    minutes = [f"{run['cpu_ms_per_update'] * updates / 60_000:.0f}" for run in runs]
    return [" ".join(column) for column in (greedy, sampled, first, minutes)]


if __name__ == "__main__":
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf8"))
        if "runs" in found:
            print(table(path.stem, found))
    for folder in ("traffic", "traffic/shorter", "traffic/four_numbers"):
        print(f"## {folder}\n\n{traffic(RESULTS / folder)}\n\n{differences(RESULTS / folder)}\n")
