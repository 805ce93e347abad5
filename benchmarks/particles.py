"""Env steps per second of `mpe_spread` beside the same task of VMAS, on one CPU thread, environment alone.

    python benchmarks/particles.py [--out FILE] [--seconds 2] [--rounds 3] [--copies 256 1024 ...]

VMAS (GPL) is no dependency: pip puts version 1.5.2 into a folder of its own, gone afterwards. Each side steps 3
agents with random discrete moves, drawn beforehand, in so many copies at once; ours starts new episodes every 25 steps,
which VMAS never does. Sides and numbers of copies take turns, each in a process of its own, so that whatever else the
machine does falls on all. A rate is env steps (of the whole team) per second of CPU time, which other processes hardly
touch, and per second of wall time; the best of the rounds counts.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

VMAS, ALSO = "vmas==1.5.2", ("gym==0.26.2", "pyglet==1.5.27")
COPIES = (1, 64, 256, 1024, 2048, 4096, 8192, 16384)
SIDES = ("heliograph", "vmas")
WARM = 5
PROMISED_RATIO, PROMISED_LOSS = 10.0, 1.3


def stepping_ours(copies: int) -> Callable[[], None]:
    """A function that makes one step of all copies here."""
    import torch

    from heliograph.envs.mpe_spread import MPESpread

    env = MPESpread(num_envs=copies)
    env.reset()
    moves = iter_of([torch.randint(5, (copies, 3)) for _ in range(16)])
    return lambda: env.step({"agent": next(moves)}) and None


def stepping_vmas(copies: int) -> Callable[[], None]:
    """The same in VMAS."""
    import torch
    import vmas

    env = vmas.make_env(scenario="simple_spread", num_envs=copies, device="cpu", continuous_actions=False)
    assert env.n_agents == 3
    moves = iter_of([[torch.randint(5, (copies, 1)) for _ in range(3)] for _ in range(16)])
    return lambda: env.step(next(moves)) and None


def iter_of(values: list) -> Any:
    """All values, again and again."""
    import itertools

    return itertools.cycle(values)


def measure(side: str, *, copies: int, seconds: float) -> dict[str, float]:
    """Rates of one side, over so many seconds of CPU time."""
    import torch

    torch.set_num_threads(1)
    step = {"heliograph": stepping_ours, "vmas": stepping_vmas}[side](copies)
    with torch.no_grad():
        for _ in range(WARM):
            step()
        cpu, wall, steps = time.process_time(), time.perf_counter(), 0
        while time.process_time() - cpu < seconds:
            step()
            steps += 1
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"per_cpu_second": steps * copies / cpu, "per_wall_second": steps * copies / wall}


def apart(side: str, *, copies: int, seconds: float, folder: str) -> dict[str, float]:
    """The same in a process of its own, that of VMAS with the folder that holds it."""
    paths = [os.environ.get("PYTHONPATH", ""), *([folder] if side == "vmas" else [])]
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
    given = ["--measure", side, "--copies", str(copies), "--seconds", str(seconds)]
    done = subprocess.run(
        [sys.executable, __file__, *given], env=surroundings, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{side} with {copies} copies: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def installed(folder: str) -> None:
    """Put VMAS into a folder."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, VMAS, *ALSO]
    subprocess.run(pip, check=True)


def all_rates(*, copies: list[int], seconds: float, rounds: int, folder: str) -> dict[str, dict[int, dict[str, float]]]:
    """The best rates of each side by the number of copies, in turns."""
    best: dict[str, dict[int, dict[str, float]]] = {side: {} for side in SIDES}
    for _ in range(rounds):
        for number in copies:
            for side in SIDES:
                found = apart(side, copies=number, seconds=seconds, folder=folder)
                known = best[side].setdefault(number, dict(found))
                known.update({key: max(known[key], value) for key, value in found.items()})
                print(side, number, round(found["per_cpu_second"]), round(found["per_wall_second"]), flush=True)
    return best


def summed_up(best: dict[str, dict[int, dict[str, float]]]) -> dict[str, Any]:
    """What is claimed: how much faster the best is than VMAS's best, and what is lost from there to most copies."""
    rates = {side: {number: found["per_cpu_second"] for number, found in by.items()} for side, by in best.items()}
    at = {side: max(by, key=lambda number: by[number]) for side, by in rates.items()}
    ours, theirs = (rates[side][at[side]] for side in SIDES)
    most = max(rates["heliograph"])
    return {
        "best_copies": at,
        "times_vmas": round(ours / theirs, 2),
        "slower_at_most_copies": round(ours / rates["heliograph"][most], 2),
        "most_copies": most,
        "promised": {"times_vmas": PROMISED_RATIO, "slower_at_most_copies": PROMISED_LOSS},
    }


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, nargs="+", default=list(COPIES))
    parser.add_argument("--measure", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, copies=given.copies[0], seconds=given.seconds)))
        return
    from protocols import command, commit, machine

    from heliograph.rllib.runs.train import versions
    from heliograph.storage.run_folder import write_json

    with tempfile.TemporaryDirectory() as folder:
        installed(folder)
        best = all_rates(copies=given.copies, seconds=given.seconds, rounds=given.rounds, folder=folder)
    result = {
        "command": command(), "commit": commit(), "versions": {**versions(), "vmas": VMAS.partition("==")[2]},
        "machine": machine(), "env_steps": {side: {str(n): x for n, x in by.items()} for side, by in best.items()},
        **summed_up(best),
    }  # fmt: skip
    print(json.dumps(summed_up(best), indent=2))
    if given.out:
        write_json(given.out, result)


if __name__ == "__main__":
    main()
