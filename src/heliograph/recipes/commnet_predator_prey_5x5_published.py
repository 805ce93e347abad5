"""CommNet on Predator-Prey, mixed, 5 x 5 cells, in the trainer of the paper."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import prey_published

__all__ = ["commnet_predator_prey_5x5_published"]


def commnet_predator_prey_5x5_published() -> Recipe:
    """Predator-Prey, 5 x 5, in the paper's trainer: agents hear the mean of the others, and raise the mean return.

    Paper: Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755. Setting: 3
    predators without sight; A2C with RMSProp, sums over agents, gradients through 10 steps, batches of 8,000 env
    steps and 160 million in all, as the public code of IC3Net has them. The model is the paper's LSTM, as the paper
    of IC3Net used it; the silent twin is that paper's IC. To reach: at most 8.9 steps on average until all are
    there, where 4.66 is the bound.
    """
    return Recipe(
        name="commnet_predator_prey_5x5_published",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 8.9},
        settings={
            **prey_published(5, mean_ratio=1.0),
            "model": "commnet",
            "model_settings": {"size": 128, "core": "lstm"},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
        },
    )
