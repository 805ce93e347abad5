"""Speaker and listener with symbols that are sampled actions, eight goals, eight rounds."""

from heliograph.recipes.base import Recipe

__all__ = ["speaker_listener_8_symbols"]


def speaker_listener_8_symbols() -> Recipe:
    """Eight goals in exactly eight symbols, trained by the policy gradient of what is said.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016 (RIAL's idea; the game is another, and the algorithm PPO).
    To reach: 0.95 of the possible return in the median seed.
    """
    return Recipe(
        name="speaker_listener_8_symbols",
        paper="Foerster et al. 2016 (RIAL), arXiv:1605.06676",
        target={"normalised_return": 0.95},
        settings={
            "env": "speaker_listener",
            "env_settings": {"goals": 8, "rounds": 8},
            "model": "cnet",
            "model_settings": {"size": 64},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 8},
            "algorithm": "ppo",
            "algorithm_settings": {
                "num_envs_per_env_runner": 256,
                "train_batch_size_per_learner": 4096,
                "minibatch_size": 1024,
                "lr": 2e-3,
                "gamma": 0.0,  # rounds are independent: later ones are noise to this one
            },
            "iterations": 80,
        },
    )
