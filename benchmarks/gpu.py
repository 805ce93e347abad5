"""How fast every environment plays and every team learns on a GPU, beside a check against the CPU's numbers.

    python benchmarks/gpu.py [--device cuda] [--copies 4096] [--seconds 3] [--out FILE]
    python benchmarks/gpu.py --device cpu --copies 64 --seconds 0.2        a rehearsal without a GPU

For each environment: env steps a second of random actions alone, and of a small team that is sampled and learns, in one
process, with environments, rollouts and learning on the device. The check replays there a rollout that was sampled on
the CPU by a team with the same weights: log-probabilities, and the gradient of their sum, must be the CPU's within
TOLERANCE of the largest. On the default settings it takes under eight minutes.
"""

import argparse
import copy
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from protocols import RESULTS, command, commit, machine

from heliograph import registry
from heliograph.envs.base import TeamEnv
from heliograph.experiments.choices import TeamChoices, build_team, facts_of
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import versions
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.storage.run_folder import write_json
from heliograph.team.team import Team
from heliograph.testing.play import play

TOLERANCE = 1e-3
CHECKED_COPIES, CHECKED_STEPS = 32, 20
CHOICES = TeamChoices(model="cnet", channel="dru")
FRAGMENT_STEPS = 8


def main() -> None:
    """Measure all environments, print a line for each, and write the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--copies", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "gpu.json")
    given = parser.parse_args()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(f"--device {given.device}: torch {torch.__version__} sees no GPU; rehearse with --device cpu")
    rows = {}
    for name in registry.names("env"):
        rows[name] = row_of(name, device=device, copies=given.copies, seconds=given.seconds)
        print(name, " ".join(f"{key}={value:.4g}" for key, value in rows[name].items()), flush=True)
    about = {"command": command(), "commit": commit(), "machine": machine(), "versions": versions()}
    write_json(given.out, {**about, "device": device_name(device), "copies": given.copies, "rows": rows})
    wrong = [name for name, row in rows.items() if row["largest_difference"] > TOLERANCE]
    if wrong:
        sys.exit(f"other numbers than on the CPU: {', '.join(wrong)}")


def row_of(name: str, *, device: torch.device, copies: int, seconds: float) -> dict[str, float]:
    """Env steps a second of one environment, alone and with a team that learns, and how far its numbers are off."""
    make = registry.load("env", name)
    return {
        "env_steps_per_second": playing(make(num_envs=copies, device=str(device)), seconds=seconds),
        "training_env_steps_per_second": training(name, device=device, copies=copies, seconds=seconds),
        "largest_difference": largest_difference(make, device=device),
    }


def playing(env: TeamEnv, *, seconds: float) -> float:
    """Env steps a second of random actions."""
    steps = iter(play(env, steps=10**9))
    for _ in range(3):
        next(steps)
    return env.num_envs * rate(lambda: next(steps), device=env.device, seconds=seconds)


def training(name: str, *, device: torch.device, copies: int, seconds: float) -> float:
    """Env steps a second of sampling and learning."""
    batch = copies * FRAGMENT_STEPS
    config = CommPPOConfig().environment(name).communication(model="cnet", channel="dru", torch_num_threads=1)
    config.env_runners(num_envs_per_env_runner=copies, rollout_fragment_length=FRAGMENT_STEPS)
    config.training(train_batch_size_per_learner=batch, minibatch_size=max(1, batch // 4)).debugging(seed=0)
    trainer = LocalTrainer(config.learners(num_gpus_per_learner=int(device.type == "cuda")))
    trainer.train()
    return batch * rate(trainer.train, device=device, seconds=seconds)


def rate(work: Callable[[], Any], *, device: torch.device, seconds: float) -> float:
    """How often a second something can be done, once it is warm."""
    settle(device)
    started, number = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        work()
        number += 1
    settle(device)
    return number / (time.perf_counter() - started)


def settle(device: torch.device) -> None:
    """Wait until all that was asked of a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def largest_difference(make: Callable[..., TeamEnv], *, device: torch.device) -> float:
    """How far the device's log-probabilities and gradients are from the CPU's, as a share of the largest of each."""
    env = make(num_envs=CHECKED_COPIES, seed=0)
    team = build_team(CHOICES, facts_of(env), seed=0)
    rollout = Sampler(env, team, seed=0).fragment(CHECKED_STEPS)
    expected, found = (replayed(copy.deepcopy(team).to(at), rollout.to(at)) for at in (torch.device("cpu"), device))
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-6)) for a, b in zip(expected, found, strict=True))


def replayed(team: Team, rollout: Rollout) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of what was done, and the gradient of their sum, on the host."""
    log_probs = team.unroll(rollout).action_log_prob
    log_probs.sum().backward()
    gradients = [p.grad.flatten() for p in team.parameters() if p.grad is not None]
    return log_probs.detach().cpu(), torch.cat(gradients).cpu()


def device_name(device: torch.device) -> str:
    """A GPU by its maker's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    main()
