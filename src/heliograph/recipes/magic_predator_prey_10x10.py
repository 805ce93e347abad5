"""MAGIC on Predator-Prey, mixed, 10 x 10 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["magic_predator_prey_10x10"]


def magic_predator_prey_10x10() -> Recipe:
    """Predator-Prey, 10 x 10: agents pass two messages within the step along a graph.

    Paper: Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS; task: arXiv:1812.09755. Setting: 5 predators with
    vision 1; PPO in place of the paper's trainer. To reach: at most 12.5 steps on average until all are there,
    where 10.4 is the bound.
    """
    return Recipe(
        name="magic_predator_prey_10x10",
        paper="Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 12.5},
        settings={
            **prey(10, mean_ratio=0.0),
            "model": "magic",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
