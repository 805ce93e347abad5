"""TarMAC on Traffic Junction, easy."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import Exploring, junction

__all__ = ["tarmac_traffic_junction_easy"]

LONGER = Exploring(env_steps=1_600_000, until=500_000, over=1_200_000)


def tarmac_traffic_junction_easy() -> Recipe:
    """Traffic Junction, easy: agents choose whom they listen to, and raise the mean return.

    Paper: Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755. Setting: one crossing, 5 cars, no
    sight beyond their own cell, arrival rate and length as published; PPO in place of the paper's trainer, with a
    hundredth of its env steps, exploring twice as long as CommNet and IC3Net do. Values are learnt from the whole
    state, which is nearest to the paper's centralised critic. To reach: success in 0.93 of fresh episodes at the final
    rate, where always gas has 0.284 and a right of way that sees all 1.0.
    """
    return Recipe(
        name="tarmac_traffic_junction_easy",
        paper="Das et al. 2019 (TarMAC), arXiv:1810.11187; task: arXiv:1812.09755",
        target={"success_rate": 0.93},
        settings={
            **junction("easy", mean_ratio=1.0, exploring=LONGER),
            "model": "tarmac",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 48, "noise_std": 0.0, "squash": "none"},
            "critic": "state",
        },
    )
