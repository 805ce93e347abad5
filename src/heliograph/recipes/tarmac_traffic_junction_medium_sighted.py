"""TarMAC on Traffic Junction, medium, with sight of the cells around."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction

__all__ = ["tarmac_traffic_junction_medium_sighted"]


def tarmac_traffic_junction_medium_sighted() -> Recipe:
    """Traffic Junction, medium, with sight: agents choose whom they listen to, and raise the mean return.

    Paper: Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755. Setting: two two-way roads, 10 cars,
    vision 1, arrival rate and length as published; PPO in place of the paper's trainer, with a hundredth of its env
    steps. Values are learnt from the whole state, which is nearest to the paper's centralised critic. To reach:
    success in 0.93 of fresh episodes at the final rate, where always gas has 0.031 and a right of way that sees all
    1.0.
    """
    return Recipe(
        name="tarmac_traffic_junction_medium_sighted",
        paper="Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755",
        target={"success_rate": 0.93},
        settings={
            **junction("medium", mean_ratio=1.0, vision=1),
            "model": "tarmac",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 48, "noise_std": 0.0, "squash": "none"},
            "critic": "state",
        },
    )
