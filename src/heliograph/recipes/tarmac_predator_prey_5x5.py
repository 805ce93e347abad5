"""TarMAC on Predator-Prey, mixed, 5 x 5 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["tarmac_predator_prey_5x5"]


def tarmac_predator_prey_5x5() -> Recipe:
    """Predator-Prey, 5 x 5: agents choose whom they listen to, and raise the mean return.

    Paper: Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755. Setting: 3 predators without sight;
    PPO in place of the paper's trainer, on a fiftieth of its steps. Values are learnt from what agents know and the
    whole state, which is nearest to the paper's centralised critic. To reach: at most 8.5 steps on average until
    all are there, where 4.66 is the bound.
    """
    return Recipe(
        name="tarmac_predator_prey_5x5",
        paper="Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 8.5},
        settings={
            **prey(5, mean_ratio=1.0),
            "model": "tarmac",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 48, "noise_std": 0.0, "squash": "none"},
        },
    )
