"""IC3Net on Traffic Junction, hard, with sight of the cells around."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction

__all__ = ["ic3net_traffic_junction_hard_sighted"]


def ic3net_traffic_junction_hard_sighted() -> Recipe:
    """Traffic Junction, hard, with sight: agents hear the mean of the others; each raises its own return.

    Paper: Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755. Setting: four junctions, 20 cars, vision 1,
    arrival rate and length as published; PPO in place of the paper's trainer, on an eightieth of its env steps.
    Gates stay open, as in the paper's runs on this task. The silent twin is the paper's IRIC. To reach: success in
    0.85 of fresh episodes at the final rate, where always gas has 0.077, a right of way that sees all 1.0, and a
    script that hears nobody 0.93: with vision 1 this task does not need messages, and the team does not use them.
    """
    return Recipe(
        name="ic3net_traffic_junction_hard_sighted",
        paper="Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755",
        target={"success_rate": 0.85},
        settings={
            **junction("hard", mean_ratio=0.0, vision=1),
            "model": "ic3net",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
