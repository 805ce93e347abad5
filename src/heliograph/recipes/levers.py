"""Recipes of the lever game: CommNet, taught by reward, and taught what to pull."""

from heliograph.recipes.base import Recipe

__all__ = ["RECIPES"]

TEAM = {
    "env": "levers",
    "env_settings": {},
    "model": "commnet",
    "model_settings": {"size": 64, "core": "mlp", "rounds": 2},
    "channel": "continuous",
    "channel_settings": {"size": 64, "noise_std": 0.0, "squash": "none"},
}
"""The game, and CommNet as published."""

RECIPES = (
    Recipe(
        name="commnet_levers",
        about="""
        Five agents drawn from a pool of 500 hear the mean of the others, twice, and pull levers; by policy gradient.

        Paper: Sukhbaatar, Szlam and Fergus 2016, section 4.1: two rounds of 64 units, a policy gradient with a
        baseline, one update of each batch. Differences: Adam with a falling rate, and batches of 512 games in place of
        64. To reach: 0.95 of the best return (the paper has 0.94), where a random team has 0.590 and one that shares
        the pool evenly without a word no more than that.
        """,
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736",
        target={"episode_return_mean": 0.95},
        settings={
            **TEAM,
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
    ),
    Recipe(
        name="commnet_levers_supervised",
        about="""
        Five agents drawn from a pool of 500 hear the mean of the others, twice, and learn to pull by rank: supervised.

        Paper: Sukhbaatar, Szlam and Fergus 2016, section 4.1: each agent's target is the lever of its rank among those
        that were drawn. Here that is the loss `imitation`, which counts tenfold beside the policy gradient of
        `commnet_levers`; otherwise the two differ in the rate and in how long they train. To reach: 0.99 of the best
        return, as in the paper.
        """,
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736",
        target={"episode_return_mean": 0.99},
        settings={
            **TEAM,
            "losses": [["imitation", 10.0]],
            "algorithm": "a2c",
            "algorithm_settings": {
                "num_envs_per_env_runner": 512,
                "train_batch_size_per_learner": 512,
                "optimizer_name": "adam",
                "lr": [[0, 5e-3], [1_000_000, 5e-3], [1_800_000, 1e-4]],
                "entropy_coeff": 0.01,
            },
            "env_steps": 1_843_200,
        },
    ),
)
