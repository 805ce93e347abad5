"""IC3Net on Traffic Junction, medium, with sight of the cells around."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction

__all__ = ["ic3net_traffic_junction_medium_sighted"]


def ic3net_traffic_junction_medium_sighted() -> Recipe:
    """Traffic Junction, medium, with sight: agents hear the mean of the others; each raises its own return.

    Paper: Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755. Setting: two two-way roads, 10 cars, vision
    1, arrival rate and length as published; PPO in place of the paper's trainer, with a hundredth of its env steps.
    Gates stay open, as in the paper's runs on this task. The silent twin is the paper's IRIC. To reach: success in
    0.93 of fresh episodes at the final rate, where always gas has 0.031 and a right of way that sees all 1.0.
    """
    return Recipe(
        name="ic3net_traffic_junction_medium_sighted",
        paper="Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755",
        target={"success_rate": 0.93},
        settings={
            **junction("medium", mean_ratio=0.0, vision=1),
            "model": "ic3net",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
