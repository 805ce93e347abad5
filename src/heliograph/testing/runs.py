"""Checks of whole runs: seeds, saved state, devices, statistics and bounds."""

import math
import pickle

import torch
from torch import Tensor

from heliograph.testing.contract import NUM_COPIES, NUM_STEPS, MakeEnv, conformance, expect
from heliograph.testing.play import episodes, equal, play, trace
from heliograph.types import tensors_of

STATISTICS_TIME_LIMIT = 25
STANDARD_ERRORS = 4.0
SIMULATED_SLACK = 0.02
SIMULATED_EPISODES = 1024


@conformance
def check_seeding(make_env: MakeEnv) -> None:
    """The same seed gives the same trajectories, and another seed others, where there is anything random."""
    first, again, other = (trace(make_env(num_envs=NUM_COPIES, seed=seed)) for seed in (11, 11, 12))
    expect(equal(first, again), "equal trajectories from equal seeds: draw from the environment's own generators")
    env = make_env(num_envs=NUM_COPIES, seed=12)
    trace(env)
    env.seed(11)
    expect(equal(first, trace(env)), "seed(s) and reset() to start as a new environment with seed=s does")
    copies_differ = any(bool((step.state != step.state[:1]).any()) for step in first)
    expect(not copies_differ or not equal(first, other), "other trajectories from another seed")


@conformance
def check_state_round_trip(make_env: MakeEnv) -> None:
    """`get_state` and `set_state` continue bit by bit, in the same and in another environment, through a pickle."""
    env = make_env(num_envs=NUM_COPIES, seed=13)
    if not env.resumable:
        return
    list(play(env, steps=3))
    state = env.get_state()
    stored = pickle.dumps(state)
    expected = trace(env, fresh=False)
    env.set_state(state)
    expect(
        equal(expected, trace(env, fresh=False)),
        "the same continuation after set_state: keep all that changes in the state",
    )
    other = make_env(num_envs=NUM_COPIES, seed=14)
    other.set_state(pickle.loads(stored))
    expect(equal(expected, trace(other, fresh=False)), "the same continuation in another environment")


@conformance
def check_device(make_env: MakeEnv) -> None:
    """All tensors lie on the environment's device: the CPU, and a CUDA device where there is one."""
    for device in ["cpu"] + ["cuda"] * torch.cuda.is_available():
        env = make_env(num_envs=NUM_COPIES, seed=15, device=device)
        expect(env.device.type == device, f"device {device!r}, not {env.device}")
        for _, step in play(env, steps=NUM_STEPS // 2):
            strays = {str(tensor.device) for tensor in tensors_of(step) if tensor.device.type != device}
            expect(not strays, f"all tensors on {device!r}, not on {', '.join(strays)}")


@conformance
def check_statistics(make_env: MakeEnv) -> None:
    """One copy played often and 1024 copies played once have the same mean return and length, for random actions."""
    wide, narrow = (make_env(num_envs=b, seed=16, time_limit=STATISTICS_TIME_LIMIT) for b in (1024, 1))
    many = episodes(wide, number=1024)
    longest = min(wide.horizon or STATISTICS_TIME_LIMIT, STATISTICS_TIME_LIMIT)
    few = episodes(narrow, number=max(24, min(300, 750 // longest)))
    for name, a, b in zip(("return", "length"), many, few, strict=True):
        of_few = max(a.var().item(), b.var().item())  # few episodes may hold none of what is rare
        error = math.sqrt(a.var().item() / len(a) + of_few / len(b))
        apart = abs(a.mean() - b.mean()).item()
        words = f"the same mean {name} for 1 copy ({b.mean():.4f}) and for 1024 ({a.mean():.4f}), error {error:.4f}"
        expect(apart <= STANDARD_ERRORS * error + 1e-5, words)


@conformance
def check_bounds(make_env: MakeEnv) -> None:
    """A random team scores `bounds().random` and the oracle `full_information`, by simulation, where they exist."""
    env = make_env(num_envs=1024, seed=17)
    bounds = env.bounds()
    if bounds is None:
        return
    expect(bounds.blind <= bounds.full_information + 1e-9, f"blind to be at most full_information in {bounds}")
    slack = 0.0 if env.bounds_exact else SIMULATED_SLACK * abs(bounds.full_information - bounds.random)
    _expect_score(episodes(env, number=SIMULATED_EPISODES)[0], bounds.random, slack, "random")
    env.reset()
    try:
        env.oracle(env.state)
    except NotImplementedError:
        return
    solved = episodes(env, number=SIMULATED_EPISODES, policy=lambda _: env.oracle(env.state))[0]
    _expect_score(solved, bounds.full_information, slack, "full_information")


def _expect_score(returns: Tensor, value: float, slack: float, name: str) -> None:
    mean, error = returns.mean().item(), returns.std().item() / math.sqrt(len(returns))
    words = f"bounds().{name}={value:.4f} as in simulation: {mean:.4f}, standard error {error:.4f}"
    expect(abs(mean - value) <= STANDARD_ERRORS * error + slack + 1e-5, words)
