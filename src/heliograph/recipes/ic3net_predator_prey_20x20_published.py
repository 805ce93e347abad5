"""IC3Net on Predator-Prey, mixed, 20 x 20 cells, in the trainer of the paper."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey_published

__all__ = ["ic3net_predator_prey_20x20_published"]


def ic3net_predator_prey_20x20_published() -> Recipe:
    """Predator-Prey, 20 x 20, in the paper's trainer: agents hear the mean of the others; each raises its own return.

    Paper: Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755. Setting: 10 predators with vision 1; A2C with
    RMSProp, sums over agents, gradients through 10 steps, batches of 8,000 env steps and 160 million in all, as the
    public code of IC3Net has them. Each chooses in every step whether to take part. The silent twin is the paper's
    IRIC. To reach: at most 52.4 steps on average until all are there, where 23.07 is the bound.
    """
    return Recipe(
        name="ic3net_predator_prey_20x20_published",
        paper="Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 52.4},
        settings={
            **prey_published(20, mean_ratio=0.0),
            "model": "ic3net",
            "model_settings": {"size": 128},
            "channel": "gated+continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
