"""Recipes of the multi-step digit game: DIAL and RIAL, as published but for the images."""

from heliograph.recipes.base import Recipe

__all__ = ["RECIPES"]

LEARNING = {
    "momentum": 0.05,
    "num_envs_per_env_runner": 128,
    "lr": [[0, 1e-5], [64_000, 1e-3], [2_080_000, 1e-3], [2_560_000, 2e-4]],
}
"""Settings of Q-learning."""

RECIPES = (
    Recipe(
        name="dial_multistep_digits",
        about="""
        DIAL: two players name each other's digit after four bits each way.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016: RMSProp, epsilon .05, sigma .5, the target team every 100
        updates, two layers for the image. Differences: 4,000 updates of 128 episodes, not 50,000 of 32; 64 units, not
        128; a learning rate of 1e-3, not 5e-4, that rises over the first 100 updates and falls fivefold in the last
        750; momentum .05, as in a public code, not .95; `message_gain` 6, so that first messages are larger than the
        noise; what is said is bounded, to 10 sigma at first and to 2 sigma from three fifths of the updates on (without
        a bound teams come to say values between two far ones, which no bit carries); images of 8x8 unless `mnist_dir`
        is set. To reach: 0.9, where four bits can name every digit, 1, and a blind guess is worth 0.1.
        """,
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"episode_return_mean": 0.9},
        settings={
            "env": "multistep_digits",
            "env_settings": {},
            "model": "cnet",
            "model_settings": {"size": 64, "observation_layers": 2, "message_gain": 6.0},
            "channel": "dru",
            "channel_settings": {
                "bits": 1,
                "sigma": 0.5,
                "limit": 2.0,
                "start_limit": 10.0,
                "anneal_env_steps": 1_500_000,
            },
            "algorithm": "qlearning",
            "algorithm_settings": LEARNING,
            "iterations": 4000,
        },
    ),
    Recipe(
        name="rial_multistep_digits",
        about="""
        RIAL: what is said is an action, with a Q head of its own, from two symbols.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016, with the settings of `dial_multistep_digits`; an agent is
        shown what it said last. To reach: more than a blind guess, 0.1 (in the paper RIAL fails on this game).
        """,
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
            "algorithm_settings": LEARNING,
            "iterations": 4000,
        },
    ),
)
