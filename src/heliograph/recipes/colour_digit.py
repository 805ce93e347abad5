"""Recipes of the colour-digit game: DIAL and RIAL, as published but for the images."""

from heliograph.recipes.base import Recipe

__all__ = ["RECIPES"]

LEARNING = {
    "momentum": 0.05,
    "num_envs_per_env_runner": 128,
    "lr": [[0, 1e-5], [25_000, 5e-4], [75_000, 5e-4], [150_000, 5e-5]],
}
"""Settings of Q-learning."""

RECIPES = (
    Recipe(
        name="dial_colour_digit",
        about="""
        DIAL: two players tell each other one bit about their coloured digits, by the gradient of the listener's loss.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016: RMSProp at 5e-4, epsilon .05, sigma 2, the target team
        every 100 updates, two layers for the image. Differences: 600 updates of 128 episodes, not 20,000 of 32; a
        learning rate that rises over the first 100 (RMSProp's first steps are ten times as large as later ones, and
        have left a team with constant outputs) and falls tenfold in the second half; `message_gain` 2: with 5 some
        teams keep the colour, which a message encoder's first weights tell, as code; with 1 some begin too late.
        Momentum .05, as in a public code, not .95; images are scikit-learn's of 8x8 unless `mnist_dir` is set. To
        reach, on test images (`split`) too: 1.8 of 2. The colour as code is worth 1, silence 0.
        """,
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"episode_return_mean": 1.8},
        settings={
            "env": "colour_digit",
            "env_settings": {},
            "model": "cnet",
            "model_settings": {"observation_layers": 2, "message_gain": 2.0},
            "channel": "dru",
            "channel_settings": {"bits": 1, "sigma": 2.0, "limit": None},
            "algorithm": "qlearning",
            "algorithm_settings": LEARNING,
            "iterations": 600,
        },
    ),
    Recipe(
        name="rial_colour_digit",
        about="""
        RIAL: what is said is an action, with a Q head of its own, from two symbols.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `dial_colour_digit`; an agent is
        shown what it said last. To reach: more than the colour as code, 1 (in the paper it finds local success only).
        """,
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
            "algorithm_settings": LEARNING,
            "iterations": 600,
        },
    ),
)
