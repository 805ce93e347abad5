"""EGG's compositionality game beside ours, in one run: samples a second of training, of hidden sizes 50 and 500.

    OMP_NUM_THREADS=1 python benchmarks/lewis.py --out benchmarks/results/lewis/speed.json

Installs EGG (a commit of May 2025) and what it imports into a temporary folder, and runs its own
`compo_vs_generalization` in a process of its own: objects of 4 attributes of 4 values, words of `--length` symbols of
10, GRU cells, batches of `--batch` objects, each seen once a step. Ours is the environment `reconstruction` of the same
sizes with A2C, which also sees each object once: an episode is a sample. Both count training alone, after a first
round, with one thread; rounds alternate, and the best of each is taken.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

SOURCE = "git+https://github.com/facebookresearch/EGG@54eb11c6b4ba3d3171811378f7ad7a117fa93a97"
IMPORTED = ("wandb", "rich", "editdistance")
CHILD = """
import json, sys, time, torch
import egg.core as core
from egg.zoo.compo_vs_generalization import train
torch.set_num_threads(1)
given = json.loads(sys.argv[1])

class Done(Exception):
    pass

def timed(self, n_epochs):
    self.train_epoch()
    started = time.perf_counter()
    for _ in range(given["epochs"]):
        self.train_epoch()
    seconds = time.perf_counter() - started
    print(json.dumps({"samples": given["epochs"] * len(self.train_data.dataset), "seconds": seconds}))
    raise Done

core.Trainer.train = timed
try:
    train.main(given["arguments"])
except Done:
    pass
"""


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--length", type=int, default=4)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 5120])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of ours in each round, about")
    parser.add_argument("--egg", default=SOURCE, help="what pip installs as EGG")
    parser.add_argument("--out", default="benchmarks/results/lewis/speed.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(folder, given.egg)
        found = [of_size(given, folder, hidden) for hidden in given.hidden]
    settings = {key: value for key, value in vars(given).items() if key not in ("egg", "out")}
    pathlib.Path(given.out).write_text(
        json.dumps({"settings": settings, "egg": SOURCE, "found": found}, indent=1) + "\n"
    )
    print(json.dumps(found, indent=1))


def install(folder: str, source: str) -> None:
    """EGG without its own requirements, and the packages that its core imports."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder]
    subprocess.run([*pip, "--no-deps", source], check=True)
    subprocess.run([*pip, *IMPORTED], check=True)


def of_size(given: Any, folder: str, hidden: int) -> dict[str, Any]:
    """Samples a second of both at one size; EGG's is that of its best batch."""
    theirs: dict[int, float] = dict.fromkeys(given.batch, 0.0)
    ours = 0.0
    for _ in range(given.rounds):
        for batch in given.batch:
            theirs[batch] = max(theirs[batch], egg_rate(given, folder, hidden, batch))
        ours = max(ours, own_rate(given, hidden))
    times = {f"times_egg_of_batch_{batch}": ours / rate for batch, rate in theirs.items()}
    return {"hidden": hidden, "ours": ours, "egg": {str(batch): rate for batch, rate in theirs.items()}, **times}


def egg_rate(given: Any, folder: str, hidden: int, batch: int) -> float:
    """Samples a second of EGG's own game."""
    sizes = {"n_attributes": 4, "n_values": 4, "vocab_size": 10, "max_len": given.length, "batch_size": batch}
    cells = {"sender_cell": "gru", "receiver_cell": "gru", "sender_hidden": hidden, "receiver_hidden": hidden}
    arguments = [f"--{key}={value}" for key, value in {**sizes, **cells, "random_seed": 1, "n_epochs": 1}.items()]
    told = json.dumps({"arguments": arguments, "epochs": 1 if batch < 100 else 4})
    env = {**os.environ, "PYTHONPATH": folder, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, told], env=env, capture_output=True, text=True, check=False, cwd=folder
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"samples"')]
    if not lines:
        raise RuntimeError(f"EGG did not run: {done.stderr[-2000:]}")
    measured = json.loads(lines[-1])
    return measured["samples"] / measured["seconds"]


def own_rate(given: Any, hidden: int) -> float:
    """Episodes a second of ours, of which each is learnt from once."""
    import torch

    from heliograph import CommA2CConfig, LocalTrainer

    torch.set_num_threads(1)
    words = {"vocabulary": 10, "length": given.length, "spelling": "gru", "spelling_size": hidden}
    config = (
        CommA2CConfig()
        .environment("reconstruction", env_config={"attributes": 4, "values": 4, "reward": "share"})
        .communication(
            model="feedforward", model_settings={"size": hidden}, channel="symbols", channel_settings=words,
            torch_num_threads=1,
        )
        .env_runners(num_envs_per_env_runner=2560)
        .training(train_batch_size_per_learner=5120)
        .debugging(seed=0)
    )  # fmt: skip
    trainer = LocalTrainer(config)
    trainer.train()
    before, started = trainer.env_runner.num_env_steps_sampled_lifetime, time.perf_counter()
    while time.perf_counter() - started < given.seconds:
        trainer.train()
    steps = trainer.env_runner.num_env_steps_sampled_lifetime - before
    return steps / 2 / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
