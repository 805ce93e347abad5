"""Speaker and listener under stock RLlib: a `MultiAgentEnv` by hand, one custom `RLModule` per policy, PPO.

This example
------------
is for people who come from a guide written for "Ray 2.9.0". It uses nothing of Heliograph: a speaker sees one of three
goals and says one of three symbols; a listener hears the symbol and must name the goal. The message is an *action*
of the speaker and part of the listener's *observation*. What changed since those guides:

| in guides                                       | Ray 2.60 (new API stack, the default)                            |
|-------------------------------------------------|------------------------------------------------------------------|
| `MultiAgentRLModuleSpec(module_specs=...)`      | `MultiRLModuleSpec(rl_module_specs=...)`                         |
| `SingleAgentRLModuleSpec(model_config_dict=...)`| `RLModuleSpec(model_config=...)`                                 |
| `train_batch_size`                              | `train_batch_size_per_learner`                                   |
| `sgd_minibatch_size`                            | `minibatch_size` (the old name is a TypeError)                   |
| `num_sgd_iter`                                  | `num_epochs`                                                     |
| `.rollouts(num_rollout_workers=...)`            | `.env_runners(num_env_runners=...)`                              |
| `.resources(num_gpus=...)`                      | `.learners(num_gpus_per_learner=...)`                            |
| `.training(loss_fn=...)`                        | never existed: subclass the Learner                              |
| `on_episode_step(worker, base_env, episode)`    | `on_episode_step(*, episode, env_runner, metrics_logger, **kw)`  |
| `pettingzoo.sisl.simple_speaker_listener_v4`    | never there: `from mpe2 import simple_speaker_listener_v4`       |

Why the old form could not work: such guides let the listener's loss train the speaker *through* the message, in a
`_forward_train` that reads `batch.policy_batches["speaker"]`. It is handed a dict of tensors, in every version. RLlib
also shuffles each module's minibatches by itself, so that row 7 of the speaker is not the step that row 7 of the
listener heard; and the message has been through the environment as a NumPy array, which carries no gradient. Under
stock PPO the speaker therefore learns from its reward alone, as here. The other migration example has the same task
with a channel that gradients pass through.

How to run
----------
    python examples/stock_rllib.py --iterations 15

Results to expect
-----------------
RLlib's `episode_return_mean` sums over the agents: a team that does not talk gets -0.67, a perfect one +2. It rises
above +1 within 15 iterations of 256 steps (about 10 seconds), unless two goals come to share a symbol (then +0.67).
"""

import argparse

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from torch import nn

GOALS = SYMBOLS = 3


class SpeakerListenerEnv(MultiAgentEnv):
    """Two steps: the speaker sees the goal and speaks; the listener hears and names the goal, for +1 or -1 each."""

    def __init__(self, config: dict | None = None):
        super().__init__()
        self.possible_agents = self.agents = ["speaker", "listener"]
        self.observation_spaces = {"speaker": spaces.Box(0, 1, (GOALS,)), "listener": spaces.Box(0, 1, (SYMBOLS,))}
        self.action_spaces = {"speaker": spaces.Discrete(SYMBOLS), "listener": spaces.Discrete(GOALS)}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Draw a goal. Only the agent whose turn it is gets an observation."""
        gym.Env.reset(self, seed=seed)
        self.goal = int(self.np_random.integers(GOALS))
        return {"speaker": one_hot(self.goal, GOALS)}, {}

    def step(self, action_dict: dict) -> tuple[dict, dict, dict, dict, dict]:
        """Pass the symbol on, or compare the guess; both agents get the reward when the listener has answered."""
        if "speaker" in action_dict:
            heard = one_hot(action_dict["speaker"], SYMBOLS)
            return {"listener": heard}, {}, {"__all__": False}, {"__all__": False}, {}
        reward = 1.0 if action_dict["listener"] == self.goal else -1.0
        return {}, dict.fromkeys(self.agents, reward), {"__all__": True}, {"__all__": False}, {}


class ActorCritic(TorchRLModule, ValueFunctionAPI):
    """A policy and a value of its own; what RLlib's guides called a custom model."""

    def setup(self) -> None:
        """Build the networks from the spaces and the `model_config` of the module's spec."""
        inputs, hidden = self.observation_space.shape[0], self.model_config["hidden"]
        self.policy = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, self.action_space.n))
        self.value = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def _forward(self, batch: dict, **kwargs) -> dict:
        return {Columns.ACTION_DIST_INPUTS: self.policy(batch[Columns.OBS])}

    def compute_values(self, batch: dict, embeddings: torch.Tensor | None = None) -> torch.Tensor:
        """The values from which the advantages are estimated."""
        return self.value(batch[Columns.OBS]).squeeze(-1)


class Speaker(ActorCritic):
    """Turns a goal into a symbol."""


class Listener(ActorCritic):
    """Turns a symbol into a guess."""


def one_hot(index: int, size: int) -> np.ndarray:
    """A vector of zeros and one 1."""
    return np.eye(size, dtype=np.float32)[index]


def config(seed: int = 0) -> PPOConfig:
    """Stock PPO. The seed matters: RLlib's checker seeds all copies alike, and they would play the same episodes."""
    specs = {
        "speaker": RLModuleSpec(module_class=Speaker, model_config={"hidden": 32}),
        "listener": RLModuleSpec(module_class=Listener, model_config={"hidden": 32}),
    }
    return (
        PPOConfig()
        .environment(SpeakerListenerEnv)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=16)
        .multi_agent(policies=set(specs), policy_mapping_fn=lambda agent, episode, **_: agent)
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        .training(train_batch_size_per_learner=256, minibatch_size=64, num_epochs=8)
        .training(lr=0.01, gamma=1.0, entropy_coeff=0.01)
        .debugging(seed=seed, log_level="ERROR")
    )


def main(iterations: int = 15) -> list[float]:
    """Train, print the mean return of every iteration, and return them."""
    algo = config().build_algo()
    returns = []
    for iteration in range(iterations):
        returns.append(algo.train()["env_runners"]["episode_return_mean"])
        print(f"iteration {iteration + 1}: mean return, summed over the agents, {returns[-1]:+.2f}")
    algo.stop()
    return returns


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Speaker and listener under stock PPO.")
    parser.add_argument("--iterations", type=int, default=15)
    main(parser.parse_args().iterations)
