"""MAGIC on Traffic Junction, medium, with sight of the cells around."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction

__all__ = ["magic_traffic_junction_medium_sighted"]


def magic_traffic_junction_medium_sighted() -> Recipe:
    """Traffic Junction, medium, with sight: agents pass two messages within the step along a graph.

    Paper: Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS; task: arXiv:1812.09755. Setting: two two-way roads, 10
    cars, vision 1, arrival rate and length of IC3Net's; PPO in place of the paper's trainer. The scheduler is
    off, as in the paper's runs on this task: everyone takes every edge. To reach: success in 0.93 of fresh
    episodes at the final rate, where always gas has 0.031 and a right of way that sees all 1.0.
    """
    return Recipe(
        name="magic_traffic_junction_medium_sighted",
        paper="Niu, Paleja and Gombolay 2021 (MAGIC), AAMAS; task: arXiv:1812.09755",
        target={"success_rate": 0.93},
        settings={
            **junction("medium", mean_ratio=0.0, vision=1),
            "model": "magic",
            "model_settings": {"size": 128, "complete": "all", "self_loop": "forced"},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
