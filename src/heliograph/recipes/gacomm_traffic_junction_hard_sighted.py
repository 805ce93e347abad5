"""GA-Comm on Traffic Junction, hard, with sight of the cells around."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction

__all__ = ["gacomm_traffic_junction_hard_sighted"]


def gacomm_traffic_junction_hard_sighted() -> Recipe:
    """Traffic Junction, hard, with sight: agents choose whom they listen to, hard and soft, within the step.

    Paper: Liu et al. 2020 (G2ANet), arXiv:1911.10715; task: arXiv:1812.09755. Setting: four junctions, 20 cars,
    vision 1, arrival rate and length of IC3Net's; PPO in place of the paper's trainer. To reach: success in
    0.85 of fresh episodes at the final rate, where always gas has 0.077 and a right of way that sees all 1.0.
    """
    return Recipe(
        name="gacomm_traffic_junction_hard_sighted",
        paper="Liu et al. 2020 (G2ANet), arXiv:1911.10715; task: arXiv:1812.09755",
        target={"success_rate": 0.85},
        settings={
            **junction("hard", mean_ratio=0.0, vision=1),
            "model": "gacomm",
            "model_settings": {"size": 128},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
