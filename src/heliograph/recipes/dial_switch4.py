"""DIAL on the switch riddle with four prisoners, as published."""

from heliograph.recipes.base import Recipe

__all__ = ["dial_switch4"]


def dial_switch4() -> Recipe:
    """DIAL: the gradient of the listeners' TD loss teaches the speakers, one bit a day.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016. Differences, without which teams stopped at 0.76 to 0.89:
    128 episodes an update and not 32, twice the learning rate, which falls, an epsilon of 0.2 and not 0.05, which falls
    last, and, outside training too, messages normalised by the day on which they are heard. To reach: 0.95 of the
    return of full information in most seeds; the best silent policy known, on its own visits alone, has 0.732.
    """
    return Recipe(
        name="dial_switch4",
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"normalised_return": 0.95},
        settings={
            "env": "switch_riddle",
            "env_settings": {"prisoners": 4},
            "model": "cnet",
            "model_settings": {"message_norm": "by_step"},
            "channel": "dru",
            "channel_settings": {"bits": 1, "sigma": 2.0, "limit": None},
            "algorithm": "qlearning",
            "algorithm_settings": {
                "momentum": 0.05,
                "num_envs_per_env_runner": 128,
                "epsilon": [[0, 0.2], [3_200_000, 0.2], [4_800_000, 0.02], [5_800_000, 0.01]],
                "lr": [[0, 1e-3], [1_500_000, 1e-3], [4_000_000, 2e-4], [5_800_000, 2e-5]],
            },
            "iterations": 7000,
        },
    )
