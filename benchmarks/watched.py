"""What `riddle.py` and `digits.py` share: teams that are evaluated while they train, seeds x kinds in processes."""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import shutil
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from protocols import RESULTS, command, commit, machine
from unfinished import SoFar, folder_of, put_down, taken_up

from heliograph.cli.choosing import SECTIONS, pairs, value_of
from heliograph.experiments.choices import build_team
from heliograph.experiments.settings import TrainSettings, control_of, settings_from
from heliograph.registry import load
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of, versions
from heliograph.storage.run_folder import SUMMARY, write_config, write_json, write_team
from heliograph.team.team import Team

KINDS = ["real", "silent", "garbled"]
ALL_KINDS = [*KINDS, "self"]
UNPRINTED = ("curve", "intents", "command", "versions", "hardware")


def settings_of(recipe: str, kind: str, seed: int, changes: dict[str, Any]) -> TrainSettings:
    """Those of a recipe with some changed, or of one of its twins."""
    settings = settings_from({**changed(recipe, changes), "seed": seed, "torch_num_threads": 1})
    return settings if kind == "real" else control_of(settings, kind)


def changed(recipe: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The settings of a recipe with some changed; those of a part one by one."""
    own = load("recipe", recipe)().settings
    return {**own, **{k: {**own.get(k, {}), **v} if isinstance(v, dict) else v for k, v in changes.items()}}


def changes_of(texts: list[str]) -> dict[str, Any]:
    """Changes of a recipe's settings from SECTION.KEY=VALUE, as `heliograph train --set` takes them."""
    found: dict[str, Any] = {}
    for path, text in pairs(texts, option="--set"):
        section, _, key = path.partition(".")
        if section == "team":
            found[key] = value_of(text)
        else:
            found.setdefault(SECTIONS[section], {})[key] = value_of(text)
    return found


def watched(
    settings: TrainSettings,
    *,
    judge: Callable[[LocalTrainer], Any],
    updates: int,
    every: int,
    unfinished: pathlib.Path | None = None,
) -> tuple[LocalTrainer, dict[str, Any]]:
    """Train in this process with one thread; what `judge` says every so many updates, and what an update costs.

    With `unfinished`, a folder, all is put down there after every judgement, and taken up from there.
    """
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    trainer = LocalTrainer(config_of(settings))
    so_far = SoFar() if unfinished is None else taken_up(unfinished, trainer, settings)
    for update in range(so_far.updates + 1, updates + 1):
        began = time.process_time(), time.perf_counter()
        trainer.train()
        so_far.cpu, so_far.wall = (
            so_far.cpu + time.process_time() - began[0],
            so_far.wall + time.perf_counter() - began[1],
        )
        so_far.updates = update
        if update % every == 0:
            so_far.curve.append((update, judge(trainer)))
            if unfinished is not None:
                put_down(unfinished, trainer, settings, so_far)
    costs = {"cpu_ms_per_update": so_far.cpu, "wall_ms_per_update": so_far.wall}
    return trainer, {**{key: round(1e3 * s / updates, 1) for key, s in costs.items()}, "curve": so_far.curve}


def deployed(trainer: LocalTrainer) -> Team:
    """A copy of the team as it would be deployed."""
    team = build_team(trainer.config.choices(), trainer.config.facts(), seed=0).eval()
    team.load_state_dict(trainer.team.state_dict())
    return team


def keep(trainer: LocalTrainer, settings: TrainSettings, folder: pathlib.Path) -> None:
    """The team as a run folder that `heliograph evaluate` and `export`, and `benchmarks/teams.py`, read."""
    made = {"seed": settings.seed, "versions": versions(), "command": command()}
    write_team(folder, trainer.team)
    choices = {"env": trainer.config.env_choice(), "choices": trainer.config.choices()}
    write_config(folder, **choices, training=settings, **made)
    write_json(folder / SUMMARY, made)


def parser_of(description: str, *, kinds: list[str], updates: int | None) -> argparse.ArgumentParser:
    """The options that both benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, metavar="SEED", help="the others follow it (default 0)")
    parser.add_argument("--kinds", nargs="+", default=kinds, choices=ALL_KINDS)
    parser.add_argument("--updates", type=int, default=updates)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--out", type=pathlib.Path, default=None)
    parser.add_argument(
        "--unfinished", type=pathlib.Path, default=None, metavar="DIR",
        help="keeps the state of runs after every evaluation, so that the same command goes on where it was ended",
    )  # fmt: skip
    return parser


def seeds_of(given: argparse.Namespace, count: int | None = None) -> range:
    """The seeds that are asked for, or the first so many of them."""
    return range(given.first_seed, given.first_seed + (given.seeds if count is None else count))


def header_of(recipe: str, *, changes: dict[str, Any], updates: int) -> dict[str, Any]:
    """What must stand beside numbers."""
    return {
        "recipe": recipe,
        "command": command(),
        "commit": commit(),
        "versions": versions(),
        "hardware": machine(),
        "settings": changed(recipe, changes),
        "updates": updates,
    }


def run_all(
    train_one: Callable[..., dict[str, Any]],
    jobs: list[dict[str, Any]],
    *,
    at_once: int,
    out: pathlib.Path,
    header: dict[str, Any],
) -> None:
    """Call `train_one` with each job in processes, and write the results, in the order of the jobs, as they come.

    Runs that `out` holds already are kept, with the command, commit, versions and hardware they were made with, and not
    trained again.
    """
    done = {name_of(run): run for run in finished(out, header)}
    order = list(dict.fromkeys([*map(name_of, jobs), *done]))
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(at_once, mp_context=context, initializer=end_with_parent) as pool:
        todo = [pool.submit(train_one, **job) for job in jobs if name_of(job) not in done]
        for future in concurrent.futures.as_completed(todo):
            run = {**future.result(), **made_by(header)}
            done[name_of(run)] = run
            write_json(out, {**header, "runs": [done[name] for name in order if name in done]})
            part = folder_of(jobs[0].get("unfinished"), {**jobs[0], **run})
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)
            print(json.dumps({k: v for k, v in run.items() if k not in UNPRINTED}), flush=True)


def end_with_parent() -> None:
    """Have this process end when the one that started it is gone: a killed benchmark leaves nothing behind."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def name_of(run: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a run or job from others of its file."""
    return run["kind"], run["seed"], run.get("sigma")


def finished(out: pathlib.Path, header: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a file of the same settings and budget; one of others is refused, so that nothing is overwritten."""
    if not out.exists():
        return []
    found = json.loads(out.read_text(encoding="utf8"))
    other = [key for key in ("recipe", "settings", "updates") if found.get(key) != json.loads(json.dumps(header[key]))]
    if other:
        raise SystemExit(f"{out} holds runs with other {', '.join(other)}: name another --out, or remove it")
    return [{**made_by(found), **run} for run in found["runs"]]


def made_by(header: dict[str, Any]) -> dict[str, Any]:
    """What of a file's header holds for the runs that were made together, and stays with them."""
    return {key: header[key] for key in ("command", "commit", "versions", "hardware") if key in header}


def result_file(folder: str, name: str) -> pathlib.Path:
    """Where the results of a recipe are kept."""
    return RESULTS / folder / f"{name}.json"
