"""What an update of Q-learning costs by its number of episodes, and how near that is to the machine's limit.

    OMP_NUM_THREADS=1 python benchmarks/updates.py dial_switch3 [--episodes 32 128 512 2048]

For every number of episodes it times updates in one process with one thread, sampling and learning together, and counts
their matrix products (`heliograph bench` does so for one number). The limit beside it is what a large product reaches.
"""

import argparse
import pathlib

import torch
from watched import header_of, result_file, settings_of

from heliograph.rllib.runs.bench import measure
from heliograph.storage.run_folder import write_json

KEPT = ("num_env_steps", "iterations", "env_steps_per_second", "gflops", "sgemm_gflops", "fraction_of_limit")


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("--episodes", type=int, nargs="+", default=[32, 128, 512, 2048])
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    header, rows = header_of(given.recipe, changes={}, updates=given.updates), []
    for episodes in given.episodes:
        changes = {"algorithm_settings": {"num_envs_per_env_runner": episodes}}
        found = measure(settings_of(given.recipe, "real", 0, changes), iterations=given.updates)
        milliseconds = round(1e3 * found["wall_seconds"] / given.updates, 1)
        rows.append({"episodes": episodes, "ms_per_update": milliseconds, **{key: found[key] for key in KEPT}})
        print(" ".join(f"{key}={value:.4g}" for key, value in rows[-1].items()), flush=True)
    write_json(given.out or result_file("riddle", f"{given.recipe}_updates"), {**header, "rows": rows})


if __name__ == "__main__":
    main()
