"""CommNet on Traffic Junction, hard, with sight of the cells around."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction

__all__ = ["commnet_traffic_junction_hard_sighted"]


def commnet_traffic_junction_hard_sighted() -> Recipe:
    """Traffic Junction, hard, with sight: agents hear the mean of the others, and raise the mean return.

    Paper: Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755. Setting: four
    junctions, 20 cars, vision 1, arrival rate and length as published; PPO in place of the paper's trainer, on an
    eightieth of its env steps. The model is the paper's LSTM, as the paper of IC3Net used it; the silent twin is
    that paper's IC. To reach: success in 0.85 of fresh episodes at the final rate, where always gas has 0.077 and a
    right of way that sees all 1.0.
    """
    return Recipe(
        name="commnet_traffic_junction_hard_sighted",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755",
        target={"success_rate": 0.85},
        settings={
            **junction("hard", mean_ratio=1.0, vision=1),
            "model": "commnet",
            "model_settings": {"size": 128, "core": "lstm"},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
