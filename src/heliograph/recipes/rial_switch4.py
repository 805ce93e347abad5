"""RIAL on the switch riddle with four prisoners, as published."""

from heliograph.recipes.base import Recipe

__all__ = ["rial_switch4"]


def rial_switch4() -> Recipe:
    """RIAL: what is said is an action, with a Q head of its own, from two symbols.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `rial_switch3`, but for 128 episodes
    an update and not 32, twice the learning rate, which falls, and an epsilon of 0.2 and not 0.05, of actions and of
    messages, which falls last. To reach: more than the best silent policy known, on its own visits alone, 0.732.
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
                "epsilon": [[0, 0.2], [3_200_000, 0.2], [4_800_000, 0.02], [5_800_000, 0.01]],
                "lr": [[0, 1e-3], [1_500_000, 1e-3], [4_000_000, 2e-4], [5_800_000, 2e-5]],
            },
            "iterations": 7000,
        },
    )
