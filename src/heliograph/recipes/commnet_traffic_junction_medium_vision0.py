"""CommNet on Traffic Junction, medium, where cars see only their own cell."""

from heliograph.recipes.base import Recipe
from heliograph.recipes.trainers import junction

__all__ = ["commnet_traffic_junction_medium_vision0"]


def commnet_traffic_junction_medium_vision0() -> Recipe:
    """Traffic Junction, medium, without sight: agents hear the mean of the others, and raise the mean return.

    Paper: Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755, but for the vision,
    which is 1 there: with it, teams that say nothing come close to those that talk. Setting: as
    `commnet_traffic_junction_medium`, with a second round of messages within the step (`comm_passes` of IC3Net's code)
    and a critic that sees the state. To reach: success in 0.93 of fresh episodes at the final rate, where always gas
    has 0.031 and a right of way that sees all 1.0.
    """
    medium = junction("medium", mean_ratio=1.0)
    return Recipe(
        name="commnet_traffic_junction_medium_vision0",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736; task: arXiv:1812.09755, without sight",
        target={"success_rate": 0.93},
        settings={
            **medium,
            "env_settings": {**medium["env_settings"], "vision": 0},
            "model": "commnet",
            "model_settings": {"size": 128, "core": "lstm", "rounds": 2},
            "channel": "continuous",
            "channel_settings": {"size": 128, "noise_std": 0.0, "squash": "none"},
            "critic": "hidden+state",
            "critic_size": 128,
        },
    )
