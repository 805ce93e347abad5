"""RIAL on the switch riddle with four prisoners, as published."""

from heliograph.recipes.base import Recipe

__all__ = ["rial_switch4"]


def rial_switch4() -> Recipe:
    """RIAL: what is said is an action, with a Q head of its own, from two symbols.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `rial_switch3`, but for 128 episodes
    an update and not 32, and twice the learning rate, which falls in the second half (0.65 to 0.76 without). An
    epsilon of 0.2 as in `dial_switch4` costs: messages are explored too, so what is heard is wrong one time in ten. To
    reach: more than the best silent policy known, on its own visits alone, 0.732.
    """
    return Recipe(
        name="rial_switch4",
        paper="Foerster et al. 2016 (RIAL), arXiv:1605.06676",
        target={"normalised_return": 0.732},
        settings={
            "env": "switch_riddle",
            "env_settings": {"prisoners": 4},
            "model": "cnet",
            "model_settings": {"own_message": True},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 2},
            "algorithm": "qlearning",
            "algorithm_settings": {
                "momentum": 0.05,
                "num_envs_per_env_runner": 128,
                "lr": [[0, 1e-3], [3_850_000, 1e-3], [7_700_000, 1e-4]],
            },
            "iterations": 7000,
        },
    )
