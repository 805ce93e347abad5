"""CommNet on Traffic Junction, hard, in the trainer of the paper."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction_published

__all__ = ["commnet_traffic_junction_hard_published"]


def commnet_traffic_junction_hard_published() -> Recipe:
    """Traffic Junction, hard, in the paper's trainer: agents hear the mean of the others, and raise the mean return.

    Paper: Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755. Setting: four
    junctions, 20 cars, no sight beyond their own cell; A2C with RMSProp, sums over agents, gradients through 10
    steps, batches of 8,000 env steps and 160 million in all, as the public code of IC3Net has them. The model is
    the paper's LSTM, as the paper of IC3Net used it; the silent twin is that paper's IC. To reach, as published of
    IC3Net: success in 0.724 of fresh episodes at the final rate, where always gas has 0.077.
    """
    return Recipe(
        name="commnet_traffic_junction_hard_published",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755",
        target={"success_rate": 0.724},
        controls=("silent", "garbled", "self"),
        settings={
            **junction_published("hard", mean_ratio=1.0),
            "model": "commnet",
            "model_settings": {"size": 128, "core": "lstm"},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
