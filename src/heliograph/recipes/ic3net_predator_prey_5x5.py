"""IC3Net on Predator-Prey, mixed, 5 x 5 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["ic3net_predator_prey_5x5"]


def ic3net_predator_prey_5x5() -> Recipe:
    """Predator-Prey, 5 x 5: agents hear the mean of the others; each raises its own return.

    Paper: Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755. Setting: 3 predators without sight; PPO in
    place of the paper's trainer, on a fiftieth of its steps. Each chooses in every step whether to take part.
    The silent twin is the paper's IRIC. To reach: at most 8.5 steps on average until all are there, where 4.66 is
    the bound.
    """
    return Recipe(
        name="ic3net_predator_prey_5x5",
        paper="Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 8.5},
        settings={
            **prey(5, mean_ratio=0.0, gates=True),
            "model": "ic3net",
            "model_settings": {"size": 128},
            "channel": "gated+continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
