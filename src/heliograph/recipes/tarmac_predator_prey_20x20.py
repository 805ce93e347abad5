"""TarMAC on Predator-Prey, mixed, 20 x 20 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["tarmac_predator_prey_20x20"]


def tarmac_predator_prey_20x20() -> Recipe:
    """Predator-Prey, 20 x 20: agents choose whom they listen to, and raise the mean return.

    Paper: Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755. Setting: 10 predators with vision 1;
    PPO in place of the paper's trainer, on 1.2 million env steps (published: 160 million). Values are learnt from
    what agents know and the whole state, which is nearest to the paper's centralised critic. To reach: at most 45.0
    steps on average until all are there, where 23.07 is the bound.
    """
    return Recipe(
        name="tarmac_predator_prey_20x20",
        paper="Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 45.0},
        settings={
            **prey(20, mean_ratio=1.0),
            "model": "tarmac",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 48, "noise_std": 0.0, "squash": "none"},
        },
    )
