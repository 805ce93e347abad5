"""GA-Comm on Predator-Prey, mixed, 10 x 10 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["gacomm_predator_prey_10x10"]


def gacomm_predator_prey_10x10() -> Recipe:
    """Predator-Prey, 10 x 10: agents choose whom they listen to, hard and soft, within the step.

    Paper: Liu et al. 2020 (G2ANet), arXiv:1911.10715; task: arXiv:1812.09755. Setting: 5 predators with vision
    1; PPO in place of the paper's trainer. To reach: at most 12.5 steps on average until all are there, where
    10.4 is the bound.
    """
    return Recipe(
        name="gacomm_predator_prey_10x10",
        paper="Liu et al. 2020 (G2ANet), arXiv:1911.10715; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 12.5},
        settings={
            **prey(10, mean_ratio=0.0),
            "model": "gacomm",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
