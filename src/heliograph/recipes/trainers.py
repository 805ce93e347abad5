"""What recipes on IC3Net's tasks share: the tasks as published, PPO on few env steps, and the trainer of the paper."""

import dataclasses
import math
from typing import Any

__all__ = ["ESTIMATING", "JUNCTIONS", "PREY", "Exploring", "junction", "junction_published", "prey", "prey_published"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exploring:
    """How long PPO runs, until when entropy counts `coefficient`, and when no more; all in env steps.

    On Traffic Junction it decides: with a hundredth IC3Net ended at 0.74 on `easy`, as one road always yielded, and
    nobody ever tried what would help where a car follows close behind.
    """

    env_steps: int
    until: int
    over: int
    coefficient: float = 0.1

    def settings(self) -> dict[str, Any]:
        """Settings of the algorithm."""
        return {"entropy_coeff": [[0, self.coefficient], [self.until, self.coefficient], [self.over, 0.0]]}


JUNCTIONS = {"easy": (20, 0.1, 0.3), "medium": (40, 0.05, 0.2), "hard": (80, 0.02, 0.05)}
"""Steps of an episode, and the arrival rates between which the curriculum rises."""
RISING_STEPS = {"easy": 150_000, "medium": 300_000, "hard": 500_000}
"""How long it rises under PPO."""
EXPLORING = {
    "easy": Exploring(env_steps=800_000, until=250_000, over=600_000),
    "medium": Exploring(env_steps=1_200_000, until=500_000, over=1_000_000),
    "hard": Exploring(env_steps=2_000_000, until=700_000, over=1_600_000),
}
PREY = {5: 20, 10: 40, 20: 80}
"""Steps of an episode by the size of the grid."""
COPIES = {20: 256, 40: 64, 80: 32}
"""Copies of an environment by the steps of its episodes."""
PREY_COPIES = {**COPIES, 20: 128}
"""The same in Predator-Prey, where twice as many updates, half as large, learnt more from 600,000 env steps."""
PREY_ENV_STEPS = {5: 3_000_000, 10: 3_000_000, 20: 1_200_000}
"""Env steps of PPO in Predator-Prey by the size of the grid; one on 20 x 20 takes four times as long as on 10 x 10."""
ESTIMATING = [["state_estimation", [[0, 10.0], [1_000_000, 10.0], [2_500_000, 1.0]]]]
"""A loss by which agents learn in Predator-Prey to know the state; it fades, as returns alone should decide."""
EPOCH_STEPS, EPOCHS, FIRST_RISE, LAST_RISE = 80_000, 2_000, 250, 1_250
"""Of the published runs: 10 updates of 16 processes with 500 env steps, and when the arrival rate rises, in epochs."""

PPO = {
    "lr": 1e-3,
    "clip_param": 0.2,
    "target_kl": None,
    "grad_clip": 0.5,
    "num_epochs": 4,
}
GATES = {"message_entropy_coeff": 0.01}
"""PPO's own of systems whose agents choose whether to speak."""
TRAINER = {
    "lr": 1e-3,
    "rms_decay": 0.97,
    "rms_epsilon": 1e-6,
    "gamma": 1.0,
    "vf_loss_coeff": 0.02,  # of half the squared error: 0.01 of the whole
    "entropy_coeff": 0.0,
    "message_entropy_coeff": 0.0,
    "grad_clip": None,
    "normalise_advantages": False,
    "loss_mean": "env_step",
    "detach_gap": 10,
    "train_batch_size_per_learner": 8_000,
    "batch_mode": "complete_episodes",
}


def junction(
    difficulty: str, *, mean_ratio: float, exploring: Exploring | None = None, vision: int = 0
) -> dict[str, Any]:
    """Traffic Junction by PPO, as published but for `vision`; arrivals become more frequent at first."""
    exploring = exploring or EXPLORING[difficulty]
    steps, low, high = JUNCTIONS[difficulty]
    rising = {"p_arrive": [[0, low], [RISING_STEPS[difficulty], high]]}
    own = {"gamma": 0.95, "lambda_": 0.9, **exploring.settings()}
    quick = _quick(COPIES[steps], steps, mean_ratio, own, env_steps=exploring.env_steps)
    return {**_junction(difficulty, vision=vision), **quick, "curriculum": rising}


def junction_published(difficulty: str, *, mean_ratio: float) -> dict[str, Any]:
    """Traffic Junction in the trainer of its paper: the rate rises from epoch 250 to 1,250, in steps of 0.01."""
    steps, low, high = JUNCTIONS[difficulty]
    rises = round((high - low) / 0.01)
    epochs = [FIRST_RISE + math.ceil((LAST_RISE - FIRST_RISE) * k / rises) for k in range(1, rises + 1)]
    points = [[epoch * EPOCH_STEPS, round(low + 0.01 * k, 2)] for k, epoch in enumerate(epochs, start=1)]
    rising = {"by": "env_steps", "points": [[0, low], *points], "between": "hold"}
    return {**_junction(difficulty), **_published(steps, mean_ratio), "curriculum": {"p_arrive": rising}}


def prey(size: int, *, mean_ratio: float, gates: bool = False) -> dict[str, Any]:
    """Predator-Prey, mixed, as published, by PPO, with less and less exploring and smaller and smaller steps.

    Its critic sees the state beside what an agent knows, so that where the prey happened to be is no noise.
    """
    steps, env_steps = PREY[size], PREY_ENV_STEPS[size]
    own = {
        "gamma": 0.95,
        "lambda_": 0.9,
        "lr": [[0, 1e-3], [env_steps // 3, 1e-3], [env_steps, 1e-4]],
        "entropy_coeff": [[0, 0.02], [env_steps // 6, 0.02], [env_steps // 2, 0.003], [env_steps, 0.0]],
        **(GATES if gates else {}),
    }
    quick = _quick(PREY_COPIES[steps], steps, mean_ratio, own, env_steps=env_steps)
    return {**_prey(size), **quick, "critic": "hidden+state", "critic_size": 128}


def prey_published(size: int, *, mean_ratio: float) -> dict[str, Any]:
    """Predator-Prey, mixed, in the trainer of its paper."""
    return {**_prey(size), **_published(PREY[size], mean_ratio)}


def _junction(difficulty: str, *, vision: int = 0) -> dict[str, Any]:
    sight = {"vision": vision} if vision else {}
    return {"env": "traffic_junction", "env_settings": {"difficulty": difficulty, **sight}}


def _prey(size: int) -> dict[str, Any]:
    return {"env": "predator_prey", "env_settings": {"size": size, "mode": "mixed"}}


def _quick(copies: int, steps: int, mean_ratio: float, own: dict[str, Any], *, env_steps: int) -> dict[str, Any]:
    batch = copies * steps
    sizes = {"train_batch_size_per_learner": batch, "minibatch_size": batch // 4}
    settings = {**PPO, **own, **sizes, "num_envs_per_env_runner": copies, "mean_ratio": mean_ratio}
    return {"algorithm": "ppo", "algorithm_settings": settings, "env_steps": env_steps}


def _published(steps: int, mean_ratio: float) -> dict[str, Any]:
    own = {**TRAINER, "num_envs_per_env_runner": 8_000 // steps, "mean_ratio": mean_ratio}
    return {
        "algorithm": "a2c",
        "algorithm_settings": own,
        "critic_size": 0,
        "normalise_values": False,
        "env_steps": EPOCHS * EPOCH_STEPS,
    }
