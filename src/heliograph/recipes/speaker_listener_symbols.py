"""Speaker and listener with symbols that are sampled actions, three goals."""

from heliograph.recipes.base import Recipe

__all__ = ["speaker_listener_symbols"]


def speaker_listener_symbols() -> Recipe:
    """The speaker names one of three goals by one of four symbols, trained by the policy gradient of what it says.

    Paper: Foerster, Assael, de Freitas and Whiteson 2016, "Learning to communicate with deep multi-agent reinforcement
    learning" (RIAL's idea, a message as an action; the game is smaller, and the algorithm PPO instead of Q-learning).
    To reach: a mean return of 0.98 of 1 in every seed; silent and garbled twins stay at the blind score, -1/3.
    """
    return Recipe(
        name="speaker_listener_symbols",
        paper="Foerster et al. 2016 (RIAL), arXiv:1605.06676",
        target={"episode_return_mean": 0.98},
        settings={
            "env": "speaker_listener",
            "env_settings": {"goals": 3},
            "model": "cnet",
            "model_settings": {"size": 64},
            "channel": "symbols",
            "channel_settings": {"vocabulary": 4},
            "algorithm": "ppo",
            "algorithm_settings": {
                "num_envs_per_env_runner": 1024,  # episodes of two steps: many copies and short rollouts are fastest
                "train_batch_size_per_learner": 2048,
                "minibatch_size": 512,
                "lr": 2e-3,
                "entropy_coeff": 0.03,
            },
            "iterations": 48,
        },
    )
