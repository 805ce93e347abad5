"""DIAL on the multi-step digit game, as published but for the images."""

from heliograph.recipes.base import Recipe

__all__ = ["dial_multistep_digits"]


def dial_multistep_digits() -> Recipe:
    """DIAL: two players name each other's digit after four bits each way.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `dial_colour_digit` but sigma .5.
    """
    return Recipe(
        name="dial_multistep_digits",
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"episode_return_mean": 0.9},
        settings={
            "env": "multistep_digits",
            "env_settings": {},
            "model": "cnet",
            "model_settings": {"observation_layers": 2},
            "channel": "dru",
            "channel_settings": {"bits": 1, "sigma": 0.5, "limit": None},
            "algorithm": "qlearning",
            "algorithm_settings": {"momentum": 0.05},
            "iterations": 5000,
        },
    )
