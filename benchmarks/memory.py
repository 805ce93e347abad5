"""How much memory a team of four takes that sees images: knights, archers and zombies, 512 x 512 pixels each.

    python benchmarks/memory.py [--copies 2 16] [--before TREE] [--before-copies 2] [--out FILE]
    python benchmarks/memory.py --probe 16

One iteration of PPO in one process: 32 env steps of each copy, then two epochs of minibatches of one copy. Each
measurement is a process of its own; memory is its largest resident set, as the system tells it, and its parts are what
it was after imports, after the environments and the team were made, and after sampling. `--before` names a checkout of
an older commit, which is measured in the same way, with fewer copies where it would not fit. Seconds are on a machine
that is shared. The environment's pictures are drawn by pygame; `--probe` prints what one process finds.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
from typing import Any

AGENTS, SIDE, COLOURS, STEPS, EPOCHS = 4, 512, 3, 32, 2
SEEN_BYTES = AGENTS * SIDE * SIDE * COLOURS
SETTINGS = {"model": "ic3net", "model_settings": {"size": 8}, "channel": "continuous"}


def largest() -> float:
    """The largest resident set of this process so far, in gigabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def make_env(config: dict[str, Any]) -> Any:
    from pettingzoo.butterfly import knights_archers_zombies_v11

    return knights_archers_zombies_v11.parallel_env(obs_method="image")


def probe(copies: int) -> dict[str, Any]:
    """One iteration in this process."""
    from heliograph.rllib.ppo import CommPPOConfig

    try:
        from heliograph.rllib.runs.local import LocalTrainer
    except ModuleNotFoundError:  # of an older checkout
        from heliograph.rllib.local import LocalTrainer  # type: ignore[import-not-found, no-redef]

    found: dict[str, Any] = {"imports_gigabytes": largest()}
    config = (
        CommPPOConfig()
        .environment(make_env)
        .env_runners(num_envs_per_env_runner=copies)
        .training(train_batch_size_per_learner=copies * STEPS, minibatch_size=STEPS, num_epochs=EPOCHS, target_kl=None)
        .communication(**SETTINGS)
        .debugging(seed=0)
    )
    trainer = LocalTrainer(config)
    runner = trainer.env_runner
    found["made_gigabytes"] = largest()
    sample = runner.sample

    def noted(**kwargs: Any) -> Any:
        rollouts = sample(**kwargs)
        found["sampled_gigabytes"], found["sampling_seconds"] = largest(), time.perf_counter() - began
        return rollouts

    runner.sample = noted
    began = time.perf_counter()
    trainer.train()
    found["seconds"], found["peak_gigabytes"] = time.perf_counter() - began, largest()
    found["observations_gigabytes"] = (STEPS + 1) * copies * SEEN_BYTES / 1e9
    return found


def measured(copies: int, tree: pathlib.Path) -> dict[str, Any]:
    """The same in a process of its own, with the sources of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable, "-W", "ignore", __file__, "--probe", str(copies)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{copies} copies: exit status {done.returncode}\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    number = subprocess.run(["git", "-C", str(tree), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"copies": copies, "commit": number.stdout.strip(), **{key: round(value, 3) for key, value in found.items()}}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--copies", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--before", type=pathlib.Path, default=None)
    parser.add_argument("--before-copies", type=int, nargs="+", default=[2])
    parser.add_argument("--probe", type=int, default=None)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    args = parser.parse_args()
    if args.probe is not None:
        print(json.dumps(probe(args.probe)))
        return
    from protocols import RESULTS, command, commit, machine

    from heliograph.rllib.runs.train import versions
    from heliograph.storage.run_folder import write_json

    here = pathlib.Path(__file__).parents[1]
    trees = [(here, args.copies), *([] if args.before is None else [(args.before, args.before_copies)])]
    rows = [measured(copies, tree) for tree, numbers in trees for copies in numbers]
    about = {"command": command(), "commit": commit(), "versions": versions(), "machine": machine()}
    what = {"agents": AGENTS, "pixels": [SIDE, SIDE, COLOURS], "env_steps": STEPS, "epochs": EPOCHS, **SETTINGS}
    print(json.dumps(rows, indent=2))
    write_json(args.out or RESULTS / "memory.json", {**about, "settings": what, "results": rows})


if __name__ == "__main__":
    main()
