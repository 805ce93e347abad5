"""CommNet on Predator-Prey, mixed, 10 x 10 cells."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import ESTIMATING, prey

__all__ = ["commnet_predator_prey_10x10"]


def commnet_predator_prey_10x10() -> Recipe:
    """Predator-Prey, 10 x 10: agents hear the mean of the others, and raise their own return and the mean.

    Paper: Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755. Setting: 5 predators
    with vision 1; PPO in place of the paper's trainer, with a fiftieth of its env steps. The model is the paper's
    LSTM, as the paper of IC3Net used it, with a second round within the step (`comm_passes` of its code). Half of
    what an agent is paid is its own, half the mean, where that paper has the mean for CommNet and one's own for
    IC3Net; so the silent twin lies between its IC and IRIC. In neither paper: agents learn to know the state
    (`state_estimation`), and the critic sees it. To reach: at most 12.5 steps on average until all are there, where
    10.4 is the bound.
    """
    return Recipe(
        name="commnet_predator_prey_10x10",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755",
        target={},
        at_most={"episode_len_mean": 12.5},
        settings={
            **prey(10, mean_ratio=0.5),
            "model": "commnet",
            "model_settings": {"size": 128, "core": "lstm", "rounds": 2},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
            "losses": ESTIMATING,
        },
    )
