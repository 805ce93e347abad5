"""CommNet on Predator-Prey, mixed, 5 x 5 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import ESTIMATING, prey

__all__ = ["commnet_predator_prey_5x5"]


def commnet_predator_prey_5x5() -> Recipe:
    """Predator-Prey, 5 x 5: agents hear the mean of the others, and raise the mean return.

    Paper: Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755. Setting: 3
    predators without sight; PPO in place of the paper's trainer, on a fiftieth of its steps. The model is the
    paper's LSTM, as the paper of IC3Net used it, with a second round within the step (`comm_passes` of its code); the
    silent twin is that paper's IC. Not in the paper: agents learn to know the state (`state_estimation`), and the
    critic sees it. To reach: at most 8.5 steps on average until all are there, where 4.66 is the bound.
    """
    return Recipe(
        name="commnet_predator_prey_5x5",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 8.5},
        settings={
            **prey(5, mean_ratio=1.0),
            "model": "commnet",
            "model_settings": {"size": 128, "core": "lstm", "rounds": 2},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
            "losses": ESTIMATING,
        },
    )
