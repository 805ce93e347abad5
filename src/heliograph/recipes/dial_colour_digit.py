"""DIAL on the colour-digit game, as published but for the images."""

from heliograph.recipes.base import Recipe

__all__ = ["dial_colour_digit"]


def dial_colour_digit() -> Recipe:
    """DIAL: two players tell each other one bit about their coloured digits, by the gradient of the listener's loss.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016: 32 episodes an update, RMSProp at 5e-4, epsilon .05, sigma 2,
    the target team every 100 updates, two layers for the image. Its momentum of .95 is .05 here, as in a public code;
    images are scikit-learn's of 8x8 unless `mnist_dir` is set. To reach on test images (`split`): 1.8 of 2; the colour
    as code is worth 1, silence 0.
    """
    return Recipe(
        name="dial_colour_digit",
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"episode_return_mean": 1.8},
        settings={
            "env": "colour_digit",
            "env_settings": {},
            "model": "cnet",
            "model_settings": {"observation_layers": 2},
            "channel": "dru",
            "channel_settings": {"bits": 1, "sigma": 2.0, "limit": None},
            "algorithm": "qlearning",
            "algorithm_settings": {"momentum": 0.05},
            "iterations": 2000,
        },
    )
