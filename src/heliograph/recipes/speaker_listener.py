"""Recipes of speaker and listener, three goals and eight: DIAL's channel, and symbols that are sampled actions."""

from heliograph.recipes.base import Recipe

__all__ = ["RECIPES"]

HALF_LOG_8 = 1.04
THREE_GOALS = {
    "num_envs_per_env_runner": 1024,  # episodes of two steps: many copies and short rollouts are fastest
    "train_batch_size_per_learner": 2048,
    "minibatch_size": 512,
    "lr": 2e-3,
    "entropy_coeff": 0.03,
}
"""PPO for one round."""
EIGHT_GOALS = {
    "num_envs_per_env_runner": 256,
    "train_batch_size_per_learner": 4096,
    "minibatch_size": 1024,
    "lr": 2e-3,
    "gamma": 0.0,  # rounds are independent: later ones are noise to this one
}
"""PPO for eight rounds."""

RECIPES = (
    Recipe(
        name="speaker_listener_dru",
        about="""
        The speaker names one of three goals in two bits of DIAL's noisy channel, trained by PPO through the channel.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016, "Learning to communicate with deep multi-agent
        reinforcement learning" (network and channel; the game is smaller, and the algorithm PPO instead of Q-learning).
        A light positive-signalling loss (Eccles et al. 2019) parts goals that would share a word: without it 2 of 10
        seeds stay at 1/3. To reach: a mean return of 0.98 of 1 in every seed; no-communication and
        random-message controls stay at the blind score, -1/3.
        """,
        paper="Foerster et al. 2016 (DIAL), arXiv:1605.06676",
        target={"episode_return_mean": 0.98},
        settings={
            "env": "speaker_listener",
            "env_settings": {"goals": 3},
            "model": "cnet",
            "model_settings": {"size": 64},
            "channel": "dru",
            "channel_settings": {"bits": 2},
            "algorithm": "ppo",
            "algorithm_settings": THREE_GOALS,
            "losses": [["positive_signalling", 0.3]],
            "iterations": 48,
        },
    ),
    Recipe(
        name="speaker_listener_symbols",
        about="""
        The speaker names one of three goals by one of four symbols, trained by the policy gradient of what it says.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016, "Learning to communicate with deep multi-agent
        reinforcement learning" (RIAL's idea, a message as an action; the game is smaller, and the algorithm PPO instead
        of Q-learning). To reach: a mean return of 0.98 of 1 in every seed; no-communication and
        random-message controls stay at the blind score, -1/3.
        """,
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
            "algorithm_settings": THREE_GOALS,
            "iterations": 48,
        },
    ),
    Recipe(
        name="speaker_listener_8_dru",
        about="""
        Eight goals in exactly three bits of DIAL's channel: every code word is needed, so none may be shared.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016 (network and channel; another game, and PPO). Eccles et
        al. 2019 (the loss): without it two goals end up sharing a word, and saturated bits cannot part them again. Its
        target, half of the largest entropy, keeps bits soft until each goal has its word; then the loss fades, and they
        harden. To reach: 0.98 of the possible return in at least 9 of 10 seeds.
        """,
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
            "algorithm_settings": EIGHT_GOALS,
            "losses": [
                ["positive_signalling", [[0, 1.0], [120_000, 1.0], [240_000, 0.0]], {"target_nats": HALF_LOG_8}]
            ],
            "iterations": 80,
        },
    ),
    Recipe(
        name="speaker_listener_8_symbols",
        about="""
        Eight goals in exactly eight symbols, trained by the policy gradient of what is said.

        Paper: Foerster, Assael, de Freitas and Whiteson 2016 (RIAL's idea; the game is another, and the algorithm PPO).
        To reach: 0.95 of the possible return in the median seed.
        """,
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
            "algorithm_settings": EIGHT_GOALS,
            "iterations": 80,
        },
    ),
)
