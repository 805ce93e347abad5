"""IC3Net on Traffic Junction, medium, in the trainer of the paper."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction_published

__all__ = ["ic3net_traffic_junction_medium_published"]


def ic3net_traffic_junction_medium_published() -> Recipe:
    """Traffic Junction, medium, in the paper's trainer: agents hear the mean of the others; each raises its own return.

    Paper: Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755. Setting: two two-way roads, 10 cars, no sight
    beyond their own cell; A2C with RMSProp, sums over agents, gradients through 10 steps, batches of 8,000 env
    steps and 160 million in all, as the public code of IC3Net has them. The silent twin is the paper's IRIC. To
    reach, as published of IC3Net: success in 0.893 of fresh episodes at the final rate, where always gas has 0.031.
    """
    return Recipe(
        name="ic3net_traffic_junction_medium_published",
        paper="Singh, Jain and Sukhbaatar 2019 (IC3Net), arXiv:1812.09755",
        target={"success_rate": 0.893},
        controls=("silent", "garbled", "self"),
        settings={
            **junction_published("medium", mean_ratio=0.0),
            "model": "ic3net",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
