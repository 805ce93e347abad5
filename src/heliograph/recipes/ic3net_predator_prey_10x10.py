"""IC3Net on Predator-Prey, mixed, 10 x 10 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["ic3net_predator_prey_10x10"]


def ic3net_predator_prey_10x10() -> Recipe:
    """Predator-Prey, 10 x 10: agents hear the mean of the others; each raises its own return.

    Paper: Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755. Setting: 5 predators with vision 1; PPO in
    place of the paper's trainer, with a fiftieth of its env steps. Each chooses in every step whether to take part.
    The silent twin is the paper's IRIC. To reach: at most 12.5 steps on average until all are there, where 10.4 is
    the bound.
    """
    return Recipe(
        name="ic3net_predator_prey_10x10",
        paper="Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 12.5},
        settings={
            **prey(10, mean_ratio=0.0, gates=True),
            "model": "ic3net",
            "model_settings": {"size": 128},
            "channel": "gated+continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
