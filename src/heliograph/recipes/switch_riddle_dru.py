"""The switch riddle with DIAL's channel, three prisoners."""

from heliograph.recipes.base import Recipe

__all__ = ["switch_riddle_dru"]


def switch_riddle_dru() -> Recipe:
    """Three prisoners share one bit, the switch, and must tell when all have been in the room; PPO through the channel.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016 (network, channel, task; the algorithm is PPO instead of
    Q-learning, its critic sees the whole state in training: without that, most seeds stay at 0.91 to 0.97). To reach: a
    normalised return above 0.95, where the best silent policy known has 0.722, within 500,000 env steps.
    """
    return Recipe(
        name="switch_riddle_dru",
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"normalised_return": 0.95},
        settings={
            "env": "switch_riddle",
            "env_settings": {"prisoners": 3},
            "model": "cnet",
            "model_settings": {"size": 64},
            "channel": "dru",
            "channel_settings": {"bits": 1},
            "algorithm": "ppo",
            "algorithm_settings": {
                "num_envs_per_env_runner": 512,
                "train_batch_size_per_learner": 6144,
                "minibatch_size": 1536,
                "lr": 2e-3,
                "gamma": 1.0,
                "entropy_coeff": [[0, 0.03], [250_000, 0.02], [400_000, 0.0]],
            },
            "critic": "state",
            "iterations": 81,
        },
    )
