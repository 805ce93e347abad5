"""TarMAC on Traffic Junction, hard, with sight of the cells around."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction

__all__ = ["tarmac_traffic_junction_hard_sighted"]


def tarmac_traffic_junction_hard_sighted() -> Recipe:
    """Traffic Junction, hard, with sight: agents choose whom they listen to, and raise the mean return.

    Paper: Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755. Setting: four junctions, 20 cars,
    vision 1, arrival rate and length as published; PPO in place of the paper's trainer, on an eightieth of its env
    steps. Values are learnt from the whole state, which is nearest to the paper's centralised critic. To reach:
    success in 0.85 of fresh episodes at the final rate, where always gas has 0.077 and a right of way that sees all
    1.0.
    """
    return Recipe(
        name="tarmac_traffic_junction_hard_sighted",
        paper="Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755",
        target={"success_rate": 0.85},
        settings={
            **junction("hard", mean_ratio=1.0, vision=1),
            "model": "tarmac",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 48, "noise_std": 0.0, "squash": "none"},
            "critic": "state",
        },
    )
