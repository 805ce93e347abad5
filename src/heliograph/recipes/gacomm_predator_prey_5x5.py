"""GA-Comm on Predator-Prey, mixed, 5 x 5 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["gacomm_predator_prey_5x5"]


def gacomm_predator_prey_5x5() -> Recipe:
    """Predator-Prey, 5 x 5: agents choose whom they listen to, hard and soft, within the step.

    Paper: Liu et al. 2020 (G2ANet), arXiv:1911.10715; task: arXiv:1812.09755. Setting: 3 predators without
    sight; PPO in place of the paper's trainer. To reach: at most 8.5 steps on average until all are there,
    where 4.66 is the bound.
    """
    return Recipe(
        name="gacomm_predator_prey_5x5",
        paper="Liu et al. 2020 (G2ANet), arXiv:1911.10715; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 8.5},
        settings={
            **prey(5, mean_ratio=0.0),
            "model": "gacomm",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
