"""CommNet pulls levers, taught by reward."""

from heliograph.recipes.base import Recipe

__all__ = ["commnet_levers"]


def commnet_levers() -> Recipe:
    """Five agents drawn from a pool of 500 hear the mean of the others, twice, and pull levers; by policy gradient.

    Paper: Sukhbaatar, Szlam and Fergus 2016, section 4.1: two rounds of 64 units, a policy gradient with a baseline,
    one update of each batch. Differences: Adam with a falling rate, and batches of 512 games in place of 64. To reach:
    0.95 of the best return (the paper has 0.94), where a random team has 0.590 and one that shares the pool evenly
    without a word no more than that.
    """
    return Recipe(
        name="commnet_levers",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736",
        target={"episode_return_mean": 0.95},
        settings={
            "env": "levers",
            "env_settings": {},
            "model": "commnet",
            "model_settings": {"size": 64, "core": "mlp", "rounds": 2},
            "channel": "continuous",
            "channel_settings": {"size": 64, "noise_std": 0.0, "squash": "none"},
            "algorithm": "a2c",
            "algorithm_settings": {
                "num_envs_per_env_runner": 512,
                "train_batch_size_per_learner": 512,
                "optimizer_name": "adam",
                "lr": [[0, 3e-3], [600_000, 3e-3], [1_200_000, 1e-4]],
                "entropy_coeff": 0.01,
            },
            "env_steps": 1_228_800,
        },
    )
