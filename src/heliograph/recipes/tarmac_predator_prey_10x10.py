"""TarMAC on Predator-Prey, mixed, 10 x 10 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey

__all__ = ["tarmac_predator_prey_10x10"]


def tarmac_predator_prey_10x10() -> Recipe:
    """Predator-Prey, 10 x 10: agents choose whom they listen to, and raise the mean return.

    Paper: Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755. Setting: 5 predators with vision 1;
    PPO in place of the paper's trainer, with a fiftieth of its env steps. Values are learnt from what agents know
    and the whole state, which is nearest to the paper's centralised critic. To reach: at most 12.5 steps on average
    until all are there, where 10.4 is the bound.
    """
    return Recipe(
        name="tarmac_predator_prey_10x10",
        paper="Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 12.5},
        settings={
            **prey(10, mean_ratio=1.0),
            "model": "tarmac",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 48, "noise_std": 0.0, "squash": "none"},
        },
    )
