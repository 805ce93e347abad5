"""Updates of Heliograph beside three PyTorch loops that were written by hand: the same networks, batches and epochs.

    OMP_NUM_THREADS=1 python benchmarks/hand_written.py [--rounds 15] [--out benchmarks/results/hand_written.json]

`speaker_listener` with 64 x 64 policies and values under PPO, the junction's LSTM under A2C, the riddle's GRU under
Q-learning (the loops are in `loops_by_hand.py`, with optimisers in the same fused form). First both must find the same
loss of the same batch under the same weights, to 1e-5. Then both train in turns, an iteration each, in one process with
one thread; medians of rounds, wall clock and seconds of the process. `learning` is the update alone: where a rollout is
learnt from once (A2C, Q-learning), both compute its forward pass while they sample, so that `iteration` is what counts.
With `compile=True`, where that is possible, once more beside the same loop by hand, which is not compiled.
"""

import argparse
import json
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from loops_by_hand import Junction, Loop, Riddle, SpeakerListener
from protocols import commit, machine
from watched import changed

from heliograph.experiments.choices import build_env
from heliograph.experiments.settings import settings_from
from heliograph.rllib.runs.bench import sgemm_gflops
from heliograph.rllib.runs.configured import config_of
from heliograph.rllib.runs.described import versions
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.split_episodes import folded
from heliograph.storage.run_folder import write_json

RESULTS = pathlib.Path(__file__).parent / "results"
SPEAKER: dict[str, Any] = {
    "env": "speaker_listener", "model": "feedforward", "model_settings": {"size": 64}, "channel": "symbols",
    "critic": "observation", "normalise_values": False,
    "algorithm_settings": {
        "num_envs_per_env_runner": 2048, "train_batch_size_per_learner": 4096, "minibatch_size": 2048, "num_epochs": 4,
        "target_kl": None, "entropy_coeff": 0.0, "message_entropy_coeff": 0.0,
    },
}  # fmt: skip
CASES: dict[str, tuple[type[Loop], Callable[[], dict[str, Any]]]] = {
    "speaker_listener": (SpeakerListener, lambda: SPEAKER),
    "junction": (
        Junction,
        lambda: changed("ic3net_traffic_junction_medium_published", {"env_settings": {"vision": 0}}),
    ),
    "riddle": (Riddle, lambda: changed("dial_switch3", {})),
}
TOLERANCE = 1e-5


def pair(name: str, *, compiled: bool = False) -> tuple[LocalTrainer, Loop]:
    """A trainer, and the loop by hand with the same weights and an environment of its own."""
    kind, settings = CASES[name]
    own = settings()
    if compiled:
        own = {**own, "algorithm_settings": {**own["algorithm_settings"], "compile": True}}
    trainer = LocalTrainer(config_of(settings_from({**own, "seed": 1, "torch_num_threads": 1})))
    copies = trainer.config.num_envs_per_env_runner
    loop = kind(build_env(trainer.config.env_choice(), num_envs=copies, seed=1))
    loop.weights(weights_of(trainer))
    return trainer, loop


def weights_of(trainer: LocalTrainer) -> dict[str, torch.Tensor]:
    """All weights of a learner, by policy and name."""
    modules = trainer.learner.team_module
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


def losses(trainer: LocalTrainer, loop: Loop) -> tuple[float, float]:
    """The loss of one batch, as the learner and as the loop find it."""
    loop.weights(weights_of(trainer))
    if isinstance(loop, Riddle):
        target = trainer.learner.target.state_dict().items()
        loop.fill(loop.target, {key.replace("policies.prisoner", "prisoner.policy"): x for key, x in target})
    rollout = trainer.env_runner.sample(num_timesteps=trainer.config.batch_env_steps())[0]
    learner = trainer.learner
    rollout = folded(rollout)
    prepared, everyone = learner.prepare(rollout), torch.arange(rollout.num_envs)
    team = learner.team_module.team
    unrolled = team.traced(rollout) if rollout.trace else team.unroll(rollout)
    ours = learner.joint_loss(rollout, unrolled, prepared, everyone)["total_loss"]
    return float(ours.detach()), float(loop.loss_of(rollout).detach())


def check(trainer: LocalTrainer, loop: Loop) -> float:
    """The largest difference of both losses in three batches; raises where it is above the tolerance."""
    worst = 0.0
    for _ in range(3):
        trainer.train()
        mine, theirs = losses(trainer, loop)
        worst = max(worst, abs(mine - theirs) / max(1.0, abs(mine)))
    if worst > TOLERANCE:
        raise AssertionError(f"the losses differ by {worst}: what is compared is not the same")
    return worst


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what a call returns, and its seconds: wall clock, and of the process."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def ours(trainer: LocalTrainer) -> dict[str, float]:
    """Seconds of an iteration of Heliograph."""
    sampled = timed(lambda: trainer.env_runner.sample(num_timesteps=trainer.config.batch_env_steps()))
    trainer.env_runner.get_metrics()
    learnt = timed(lambda: trainer.learner.update(episodes=sampled[0], timesteps={}))
    synced = timed(trainer._sync)
    return seconds(sampled, learnt, synced)


def by_hand(loop: Loop) -> dict[str, float]:
    """Seconds of an iteration of the loop."""
    sampled = timed(loop.sample)
    return seconds(sampled, timed(lambda: loop.update(sampled[0])))


def seconds(sampled: tuple[Any, float, float], learnt: tuple[Any, float, float], *rest: Any) -> dict[str, float]:
    """Seconds of the parts, and of all."""
    wall, cpu = (sampled[i] + learnt[i] + sum(each[i] for each in rest) for i in (1, 2))
    return {"learning": learnt[1], "learning_cpu": learnt[2], "iteration": wall, "iteration_cpu": cpu}


def compare(name: str, rounds: int, *, compiled: bool = False) -> dict[str, Any]:
    """Medians of both sides in milliseconds, and the medians of the ratios of neighbours in time."""
    trainer, loop = pair(name, compiled=compiled)
    difference = check(trainer, loop)
    for _ in range(2):
        ours(trainer)
        by_hand(loop)
    found = [(ours(trainer), by_hand(loop)) for _ in range(rounds)]
    sides = {
        side: {key: round(1e3 * statistics.median(each[i][key] for each in found), 2) for key in found[0][0]}
        for i, side in enumerate(("heliograph", "by_hand"))
    }
    ratios = {
        key: round(statistics.median(mine[key] / theirs[key] for mine, theirs in found), 3) for key in found[0][0]
    }
    about = {"compile_wall_seconds": round(trainer.learner._compiler.seconds, 1)} if compiled else {}
    return {
        "largest_difference_of_losses": difference, **about, "rounds": rounds, "milliseconds": sides, "ratio": ratios,
    }  # fmt: skip


def main() -> None:
    """Check, measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--compiled", nargs="*", default=["speaker_listener"], choices=["speaker_listener"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=pathlib.Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    header = {
        "command": f"python benchmarks/hand_written.py --rounds {given.rounds}",
        "commit": commit(), "versions": versions(), "hardware": machine(), "sgemm_gflops_one_thread": sgemm_gflops(),
    }  # fmt: skip
    wanted = [(name, name, False) for name in given.cases]
    wanted += [(f"{name}, compiled", name, True) for name in given.compiled]
    rows: dict[str, Any] = {}
    for row, name, compiled in wanted:
        rows[row] = compare(name, given.rounds, compiled=compiled)
        print(row, json.dumps(rows[row]), flush=True)
        if given.out is not None:
            write_json(given.out, {**header, "tasks": rows})


if __name__ == "__main__":
    main()
