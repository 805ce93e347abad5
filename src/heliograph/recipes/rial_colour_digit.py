"""RIAL on the colour-digit game, as published but for the images."""

from heliograph.recipes.base import Recipe

__all__ = ["rial_colour_digit"]


def rial_colour_digit() -> Recipe:
    """RIAL: what is said is an action, with a Q head of its own, from two symbols.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `dial_colour_digit`; an agent is shown
    what it said last. To reach: more than the colour as code, 1 (in the paper it finds local success only).
    """
    return Recipe(
        name="rial_colour_digit",
        paper="Foerster et al. 2016 (RIAL), arXiv:1605.06676",
        target={"episode_return_mean": 1.0},
        settings={
            "env": "colour_digit",
            "env_settings": {},
            "model": "cnet",
            "model_settings": {"observation_layers": 2, "own_message": True},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 2},
            "algorithm": "qlearning",
            "algorithm_settings": {
                "momentum": 0.05,
                "num_envs_per_env_runner": 128,
                "lr": [[0, 1e-5], [25_000, 5e-4], [75_000, 5e-4], [150_000, 5e-5]],
            },
            "iterations": 600,
        },
    )
