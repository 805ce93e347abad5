"""Trains a recipe with several seeds, each with its silent and garbled twin on equal budgets, and keeps the results.

This benchmark: for every seed and kind it trains in one process (no Ray cluster), evaluates the last weights on 1,000
fresh episodes (greedy, messages in execution form), applies every intervention to the real team, and writes one JSON
file with every seed, the command, the commit, the versions and the hardware.

How to run: `python benchmarks/protocols.py speaker_listener_dru --seeds 10 --jobs 2`

Results to expect: see `benchmarks/results/` and `docs/results.md`.
"""

import argparse
import concurrent.futures
import json
import logging
import multiprocessing
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
from typing import Any

import torch

from heliograph.analysis.evaluate import evaluate, interventions_table
from heliograph.analysis.exact import exact_return
from heliograph.experiments.choices import EnvChoice, build_env
from heliograph.experiments.settings import TrainSettings, control_of, settings_from
from heliograph.registry import load
from heliograph.rllib.runs.bench import sgemm_gflops
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of, versions
from heliograph.storage.run_folder import read_run, write_config, write_json, write_team
from heliograph.team.team import Team

RESULTS = pathlib.Path(__file__).parent / "results"
KEPT = ("episode_return_mean", "episode_return_se", "success_rate", "normalised_return")
TOLD = ("entropy_bits", "mutual_information_bits", "mutual_information_baseline_bits")
NUM_POINTS = 20


def train_one(recipe: str, kind: str, seed: int, num_episodes: int) -> dict[str, Any]:
    """Train and evaluate one team: the recipe's own, or one of its twins."""
    torch.set_num_threads(1)
    logging.getLogger("ray").setLevel(logging.ERROR)
    settings = settings_from({**load("recipe", recipe)().settings, "seed": seed, "torch_num_threads": 1})
    settings = settings if kind == "real" else control_of(settings, kind)
    torch.manual_seed(seed)
    started = time.perf_counter()
    trainer = LocalTrainer(config_of(settings))
    curve = []
    while not curve or not spent(settings, len(curve), curve[-1][0]):
        progress = trainer.train()
        curve.append((progress.num_env_steps, round(progress.env_runner.get("episode_return_mean", float("nan")), 4)))
    seconds = time.perf_counter() - started
    found = judge(trainer, settings, num_episodes=num_episodes, interventions=kind == "real")
    points = [*curve[:: max(1, len(curve) // NUM_POINTS)], curve[-1]]
    cost = {"num_env_steps": curve[-1][0], "seconds": round(seconds, 1)}
    return {"seed": seed, "kind": kind, **cost, **found, "curve": points}


def spent(settings: TrainSettings, iterations: int, num_env_steps: int) -> bool:
    """Whether the budget is used up."""
    if settings.iterations is not None:
        return iterations >= settings.iterations
    return num_env_steps >= (settings.env_steps or 0)


def judge(trainer: LocalTrainer, settings: TrainSettings, *, num_episodes: int, interventions: bool) -> dict[str, Any]:
    """What fresh episodes show."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_config(folder, env=trainer.config.env_choice(), choices=settings.choices())
        write_team(folder, trainer.team)
        run = read_run(folder)
        scores = evaluate(run, num_episodes=num_episodes, seed=settings.seed)
        found = {key: scores.get(key) for key in (*KEPT, *TOLD)}
        if interventions:
            rows = interventions_table(run, num_episodes=num_episodes, seed=settings.seed)
            found["interventions"] = {row["messages"]: row["episode_return_mean"] for row in rows}
        if settings.env == "switch_riddle":
            found["exact_normalised_return"] = exact_normalised(run.team, run.env)
    return found


def exact_normalised(team: Team, env: EnvChoice) -> float:
    """Normalised return of a team over all visiting sequences of the riddle, greedy, in execution form."""
    bounds = build_env(env, num_envs=1).bounds()
    assert bounds is not None
    return exact_return(team, env) / bounds.full_information


def machine() -> dict[str, Any]:
    """The hardware, without names of hosts, and how fast one of its cores multiplies matrices now."""
    info = pathlib.Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gflops = round(sgemm_gflops())
    torch.set_num_threads(threads)
    cpu = names[0] if names else platform.processor()
    return {"cpu": cpu, "cores": multiprocessing.cpu_count(), "shared": True, "sgemm_gflops_one_thread": gflops}


def commit() -> str:
    """The commit that was run, with a mark where the tree had changes in src."""
    git = ["git", "-C", str(RESULTS.parent)]
    number = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "../src"], capture_output=True, text=True).stdout.strip()
    return number + ("+changes" if changed else "")


def command() -> str:
    """What was typed."""
    return "python benchmarks/" + " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])


def main() -> None:
    """Run all seeds and kinds, some at a time, and write the results as they come."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", default=["real", "silent", "garbled"])
    parser.add_argument("--twin-seeds", type=int, default=None, help="seeds of the twins, where fewer are wanted")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    given = parser.parse_args()
    recipe = load("recipe", given.recipe)()
    out = given.out or RESULTS / f"{given.recipe}.json"
    header = {
        "recipe": given.recipe,
        "command": command(),
        "commit": commit(),
        "versions": versions(),
        "hardware": machine(),
        "settings": dict(recipe.settings),
        "target": dict(recipe.target),
    }
    jobs = [
        (kind, seed)
        for kind in given.kinds
        for seed in range(given.seeds if kind == "real" else given.twin_seeds or given.seeds)
    ]
    runs: list[dict[str, Any]] = []
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(given.jobs, mp_context=context) as pool:
        futures = [pool.submit(train_one, given.recipe, kind, seed, given.episodes) for kind, seed in jobs]
        for future in concurrent.futures.as_completed(futures):
            runs.append(future.result())
            runs.sort(key=lambda run: (given.kinds.index(run["kind"]), run["seed"]))
            write_json(out, {**header, "runs": runs})
            print(json.dumps({k: v for k, v in future.result().items() if k != "curve"}), flush=True)


if __name__ == "__main__":
    main()
