"""The same `MultiAgentEnv` as in `stock_rllib.py`, with a channel that gradients pass through.

This example
------------
is the second for people who come from a guide written for "Ray 2.9.0". The task and its class are those of
`stock_rllib.py`, with one line more: the symbol inside the environment is muted, so that all that the listener learns
about the goal comes through the channel. What changed:

| under stock PPO (`stock_rllib.py`)                     | here                                                     |
|--------------------------------------------------------|----------------------------------------------------------|
| the message is an action, stored, put into an          | the message stays in the network of the team: channel    |
| observation by the environment                         | `dru`, noisy while training, three hard bits when executed |
| an `RLModule` for each policy, written by hand         | `.communication(model=..., channel="dru")`               |
| the speaker learns from its own reward alone           | the listener's loss teaches the speaker                  |
| `PPOConfig()`, `policies=`, `policy_mapping_fn=`       | `CommPPOConfig()`; a policy for each role by default     |

Why the old form could not work: in guides for Ray 2.9.0 the loss of the listener was to reach the speaker through the
stored batch. But a stored action is a number without history: it carries no gradient, and neither does the observation
that it became. And RLlib shuffles the batch of each policy by itself, so that row 7 of the speaker is another step than
row 7 of the listener. Here a whole team is unrolled anew from what it saw, with the recorded noise, and one loss is
taken over all agents; rollouts are cut along copies of the team only, so that speaker and listener stay in step.

How to run
----------
    python examples/differentiable_rllib.py --iterations 15

Results to expect
-----------------
Here `episode_return_mean` is the mean over agents (stock RLlib sums): a team that does not talk gets -0.33, a perfect
one +1. It rises above +0.9 within 15 iterations of 512 env steps (about 15 seconds).
"""

import argparse

from stock_rllib import SpeakerListenerEnv

from heliograph import CommPPOConfig


class MutedEnv(SpeakerListenerEnv):
    """The same task; the symbol that the speaker chooses as its action is not shown to the listener."""

    def step(self, action_dict: dict) -> tuple[dict, dict, dict, dict, dict]:
        """Step, and blank what would be heard inside the environment."""
        observations, *others = super().step(action_dict)
        return {agent: 0 * seen for agent, seen in observations.items()}, *others


def config(seed: int = 0) -> CommPPOConfig:
    """PPO on whole teams. Everything but `.communication()` has RLlib's names."""
    return (
        CommPPOConfig()
        .environment(MutedEnv)
        .communication(model="feedforward", channel="dru", channel_settings={"bits": 3})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=64)
        .training(train_batch_size_per_learner=512, minibatch_size=256, num_epochs=8)
        .training(lr=0.005, gamma=1.0, entropy_coeff=0.01)
        .debugging(seed=seed, log_level="ERROR")
    )


def main(iterations: int = 15) -> list[float]:
    """Train, print the mean return of every iteration, and return them."""
    algo = config().build_algo()
    returns = []
    for iteration in range(iterations):
        returns.append(algo.train()["env_runners"]["episode_return_mean"])
        print(f"iteration {iteration + 1}: mean return of an agent {returns[-1]:+.2f}")
    algo.stop()
    return returns


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Speaker and listener with a differentiable channel.")
    parser.add_argument("--iterations", type=int, default=15)
    main(parser.parse_args().iterations)
