"""MAGIC on Predator-Prey, mixed, 5 x 5 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["magic_predator_prey_5x5"]


def magic_predator_prey_5x5() -> Recipe:
    """Predator-Prey, 5 x 5: agents pass two messages within the step along a graph.

    Paper: Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS; task: arXiv:1812.09755. Setting: 3 predators without
    sight; PPO in place of the paper's trainer. To reach: at most 8.5 steps on average until all are there,
    where 4.66 is the bound.
    """
    return Recipe(
        name="magic_predator_prey_5x5",
        paper="Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 8.5},
        settings={
            **prey(5, mean_ratio=0.0),
            "model": "magic",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
