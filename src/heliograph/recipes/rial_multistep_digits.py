"""RIAL on the multi-step digit game, as published but for the images."""

from heliograph.recipes.base import Recipe

__all__ = ["rial_multistep_digits"]


def rial_multistep_digits() -> Recipe:
    """RIAL: what is said is an action, with a Q head of its own, from two symbols.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `dial_multistep_digits`; an agent is
    shown what it said last. To reach: more than a blind guess, 0.1 (in the paper RIAL fails on this game).
    """
    return Recipe(
        name="rial_multistep_digits",
        paper="Foerster et al. 2016 (RIAL), arXiv:1605.06676",
        target={"episode_return_mean": 0.1},
        settings={
            "env": "multistep_digits",
            "env_settings": {},
            "model": "cnet",
            "model_settings": {"size": 64, "observation_layers": 2, "own_message": True},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 2},
            "algorithm": "qlearning",
            "algorithm_settings": {
                "momentum": 0.05,
                "num_envs_per_env_runner": 128,
                "lr": [[0, 1e-5], [64_000, 1e-3], [2_080_000, 1e-3], [2_560_000, 2e-4]],
            },
            "iterations": 4000,
        },
    )
