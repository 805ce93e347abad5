"""CommNet pulls levers, taught what to pull."""

from heliograph.recipes.base import Recipe

__all__ = ["commnet_levers_supervised"]


def commnet_levers_supervised() -> Recipe:
    """Five agents drawn from a pool of 500 hear the mean of the others, twice, and learn to pull by rank: supervised.

    Paper: Sukhbaatar, Szlam and Fergus 2016, section 4.1: each agent's target is the lever of its rank among those that
    were drawn. Here that is the loss `imitation`, which counts tenfold beside the policy gradient of `commnet_levers`;
    otherwise the two differ in the rate and in how long they train. To reach: 0.99 of the best return, as in the paper.
    """
    return Recipe(
        name="commnet_levers_supervised",
        paper="Sukhbaatar, Szlam and Fergus 2016 (CommNet), arXiv:1605.07736",
        target={"episode_return_mean": 0.99},
        settings={
            "env": "levers",
            "env_settings": {},
            "model": "commnet",
            "model_settings": {"size": 64, "core": "mlp", "rounds": 2},
            "channel": "continuous",
            "channel_settings": {"size": 64, "noise_std": 0.0, "squash": "none"},
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
    )
