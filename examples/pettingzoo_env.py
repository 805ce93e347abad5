"""A PettingZoo environment as a team environment: roles, messages beside its own symbols, and what its agents mean.

This example
------------
wraps mpe2's `simple_speaker_listener_v4` twice. First by hand, as you would wrap an environment of your own: a function
that makes one copy, who may speak through a Heliograph channel, and what the agents privately know, so that a protocol
can be measured. Then with the ready `make_speaker_listener`, whose built-in symbols can be muted: all that the listener
learns about the goal must then come through the channel. Both are stepped with random actions. At last a team trains
on the muted one for a moment, by the same path as on any other environment.

How to run
----------
    python examples/pettingzoo_env.py --iterations 100 --updates 20

Results to expect
-----------------
Random actions earn about -40 in an episode of 25 steps (the reward of a step is minus the squared distance).
Python environments are stepped one after the other, about 5000 env steps per second on one core.
After 20 updates of 800 env steps the team earns about -25: the listener has learnt to stay near (about 20 seconds).
"""

import argparse

import torch
from mpe2 import simple_speaker_listener_v4

from heliograph import CommPPOConfig, FromPettingZoo, LocalTrainer, TeamEnv
from heliograph.adapters.mpe import make_speaker_listener


def goal_of(env, agent: str) -> int:
    """The index of the goal, which the speaker knows; -1 for the listener, which knows none."""
    world = env.unwrapped.world
    return world.landmarks.index(world.agents[0].goal_b) if agent == "speaker_0" else -1


def by_hand(num_envs: int) -> TeamEnv:
    """Any ParallelEnv or AEC environment is wrapped like this."""
    return FromPettingZoo(
        simple_speaker_listener_v4.parallel_env,
        num_envs=num_envs,
        speaking=lambda agent: agent == "speaker_0",
        meaning_fn=goal_of,
    )


def play(env: TeamEnv, num_steps: int) -> float:
    """Random actions; the mean return of an agent in the episodes that ended."""
    env.reset()
    running, ended = torch.zeros(env.num_envs, env.num_agents), []
    for _ in range(num_steps):
        shape = {role.name: (env.num_envs, len(role.agents)) for role in env.roles}
        step = env.step({role.name: torch.randint(role.action_space.n, shape[role.name]) for role in env.roles})
        running += step.rewards
        ended.append(running[step.episode_over].mean(1))
        running[step.episode_over] = 0.0
    return torch.cat(ended).mean().item()


def train(updates: int) -> float:
    """The mean return after so many updates; an environment is named by the import path of what makes it."""
    config = (
        CommPPOConfig()
        .environment("heliograph.adapters.mpe:make_speaker_listener", env_config={"builtin_symbols": False})
        .communication(model="cnet", model_settings={"size": 64}, channel="dru")
        .env_runners(num_envs_per_env_runner=32)
        .training(train_batch_size_per_learner=800, minibatch_size=400)
        .debugging(seed=0)
    )
    trainer = LocalTrainer(config)
    return [trainer.train().env_runner["episode_return_mean"] for _ in range(updates)][-1]


def main(iterations: int = 100, *, updates: int = 1) -> dict[str, float]:
    """Step both environments so many times, print what they are, and train for so many updates."""
    torch.manual_seed(0)
    envs = {
        "by hand": by_hand(num_envs=8),
        "without built-in symbols": make_speaker_listener(num_envs=8, builtin_symbols=False),
    }
    returns = {}
    for name, env in envs.items():
        returns[name] = play(env, iterations)
        print(f"{name}: mean return {returns[name]:.1f} with random actions")
        for role in env.roles:
            print(f"  {role.name}: sees {role.observation_space}, does {role.action_space}")
    returns["trained"] = train(updates)
    print(f"after {updates} updates: mean return {returns['trained']:.1f}")
    return returns


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A PettingZoo environment as a team environment.")
    parser.add_argument("--iterations", type=int, default=100, help="env steps of every copy; an episode has 25")
    parser.add_argument("--updates", type=int, default=20, help="of training, 800 env steps each")
    arguments = parser.parse_args()
    main(arguments.iterations, updates=arguments.updates)
