"""CommNet pulls levers."""

from heliograph.recipes.base import Recipe

__all__ = ["commnet_levers"]


def commnet_levers() -> Recipe:
    """Five agents drawn from a pool of 500 hear the mean of the others, twice, and pull levers; by policy gradient.

    Paper: Sukhbaatar, Szlam and Fergus 2016, section 4.1: two rounds of 64 units, batches of 512; PPO in place of its
    REINFORCE. To reach: 0.95 of the best return, where a random team has 0.590 and one that shares the pool evenly
    without a word no more than that.
    """
    return Recipe(
        name="commnet_levers",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736",
        target={"normalised_return": 0.95},
        settings={
            "env": "levers",
            "env_settings": {},
            "model": "commnet",
            "model_settings": {"size": 64, "core": "mlp", "rounds": 2},
            "channel": "continuous",
            "channel_settings": {"size": 64, "noise_std": 0.0, "squash": "none"},
            "algorithm": "ppo",
            "algorithm_settings": {
                "num_envs_per_env_runner": 4096,
                "train_batch_size_per_learner": 4096,
                "minibatch_size": 1024,
                "lr": 1e-3,
                "entropy_coeff": 0.01,
            },
            "iterations": 1000,
        },
    )
