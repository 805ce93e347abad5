"""Speaker and listener with DIAL's channel, eight goals, eight rounds."""

from heliograph.recipes.base import Recipe

HALF_LOG_8 = 1.04

__all__ = ["speaker_listener_8_dru"]


def speaker_listener_8_dru() -> Recipe:
    """Eight goals in exactly three bits of DIAL's channel: every code word is needed, so none may be shared.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016 (network and channel; another game, and PPO). Eccles et al.
    2019 (the loss): without it two goals end up sharing a word, and saturated bits cannot part them again. Its target,
    half of the largest entropy, keeps bits soft until each goal has its word; then the loss fades, and they harden.
    To reach: 0.98 of the possible return in at least 9 of 10 seeds.
    """
    return Recipe(
        name="speaker_listener_8_dru",
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"normalised_return": 0.98},
        settings={
            "env": "speaker_listener",
            "env_settings": {"goals": 8, "rounds": 8},
            "model": "cnet",
            "model_settings": {"size": 64},
            "channel": "dru",
            "channel_settings": {"bits": 3, "sigma": 1.0},
            "algorithm": "ppo",
            "algorithm_settings": {
                "num_envs_per_env_runner": 256,
                "train_batch_size_per_learner": 4096,
                "minibatch_size": 1024,
                "lr": 2e-3,
                "gamma": 0.0,  # rounds are independent: later ones are noise to this one
            },
            "losses": [
                ["positive_signalling", [[0, 1.0], [120_000, 1.0], [240_000, 0.0]], {"target_nats": HALF_LOG_8}]
            ],
            "iterations": 80,
        },
    )
