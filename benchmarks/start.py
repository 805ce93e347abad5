"""How long a user waits for the first iteration, what of it is whose, and how much memory the driver takes.

    python benchmarks/start.py [--rounds 3] [--out benchmarks/results/start.json]

Each part is a process of its own, timed from outside: Python alone, with torch, with torch and RLlib, with Ray started
too, and the command `heliograph train` to its first row and to its end. The best of the rounds counts; memory is the
driver's largest resident set, as the system tells it.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from protocols import RESULTS, commit, machine

from heliograph.rllib.runs.train import versions
from heliograph.storage.run_folder import write_json

PARTS = {
    "python": "",
    "torch": "import torch",
    "rllib": "import torch, ray.rllib.algorithms.ppo, ray.rllib.core.learner.torch.torch_learner",
    "ray": "import torch, ray.rllib.algorithms.ppo\nfrom heliograph.rllib.runs.session import ray_running\n"
    "with ray_running(num_actors=1):\n    import os; os._exit(0)",
}
COMMAND = ["-m", "heliograph", "train", "speaker_listener_dru", "--no-controls", "--iterations", "1"]


def seconds_of(code: str) -> float:
    """Of a process that runs some lines."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)
    return time.perf_counter() - began


def whole_command(folder: pathlib.Path) -> dict[str, float]:
    """Of `heliograph train`: seconds to its first row, to its end, and the driver's memory."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *COMMAND, "--out", str(folder / "run")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    first = next(time.perf_counter() for line in process.stdout if "iteration=1" in line) - began
    process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the command ended with {process.returncode}")
    return {"first_iteration": first, "end": time.perf_counter() - began, "driver_gigabytes": used.ru_maxrss / 1e6}


def measured(rounds: int) -> dict[str, Any]:
    """The best of some rounds; what each part adds to the one before it."""
    parts = {name: min(seconds_of(code) for _ in range(rounds)) for name, code in PARTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        runs = [whole_command(pathlib.Path(folder, str(number))) for number in range(rounds)]
    adds = [parts["torch"] - parts["python"], parts["rllib"] - parts["torch"], parts["ray"] - parts["rllib"]]
    first = min(run["first_iteration"] for run in runs)
    return {
        "import_torch_seconds": adds[0],
        "import_rllib_seconds": adds[1],
        "start_ray_seconds": adds[2],
        "first_iteration_seconds": first,
        "beyond_importing_and_ray_seconds": first - parts["ray"],
        "end_seconds": min(run["end"] for run in runs),
        "driver_gigabytes": statistics.median(run["driver_gigabytes"] for run in runs),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "start.json")
    given = parser.parse_args()
    found = {key: round(value, 2) for key, value in measured(given.rounds).items()}
    header = {"command": f"python benchmarks/start.py --rounds {given.rounds}", "commit": commit()}
    write_json(given.out, {**header, "versions": versions(), "hardware": machine(), **found})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
