"""DIAL on the switch riddle with four prisoners, as published."""

from heliograph.recipes.base import Recipe

__all__ = ["dial_switch4"]


def dial_switch4() -> Recipe:
    """DIAL: the gradient of the listeners' TD loss teaches the speakers, one bit a day.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `dial_switch3`. To reach: 0.95 of the
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
            "model_settings": {},
            "channel": "dru",
            "channel_settings": {"bits": 1, "sigma": 2.0, "limit": None},
            "algorithm": "qlearning",
            "algorithm_settings": {"momentum": 0.05},
            "iterations": 8000,
        },
    )
