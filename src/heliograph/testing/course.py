"""Checks of the course of episodes: endings, automatic resets, time limits, talking."""

import torch

from heliograph.envs.base import TeamEnv
from heliograph.testing.contract import NUM_COPIES, NUM_STEPS, MakeEnv, conformance, expect
from heliograph.testing.play import equal, equal_at, play, random_actions, stream
from heliograph.types import TeamStep


@conformance
def check_endings(make_env: MakeEnv) -> None:
    """An agent terminates or is truncated, not both; when an episode is over all have ended, within the horizon."""
    env = make_env(num_envs=NUM_COPIES, seed=4)
    age = torch.zeros(env.num_envs, dtype=torch.long, device=env.device)
    for time, step in play(env, steps=2 * NUM_STEPS):
        ended = step.terminated | step.truncated
        expect(time or not (ended.any() or step.rewards.any()), "no ending and no reward at a reset")
        expect(not (step.terminated & step.truncated).any(), "terminated and truncated never both")
        expect(ended[step.episode_over].all(), "all agents to end with their episode")
        age = age + (time > 0)
        expect(env.horizon is None or (age <= env.horizon).all(), f"episodes of at most {env.horizon} steps")
        age = age.masked_fill(step.episode_over, 0)


@conformance
def check_auto_reset(make_env: MakeEnv) -> None:
    """After an ending the new episode is shown, and `final_observations` what the old one would have shown next."""
    for limit in (1, 2, 3):
        cut, free = make_env(num_envs=NUM_COPIES, seed=5, time_limit=limit), make_env(num_envs=NUM_COPIES, seed=5)
        generator = stream(cut, seed=0)
        step, going_on = cut.reset(), free.reset()
        for _ in range(limit):
            actions = random_actions(cut, step=step, generator=generator)
            step, going_on = cut.step(actions), free.step(actions)
        if step.episode_over.any():
            _check_ending(cut, step, going_on)


def _check_ending(env: TeamEnv, step: TeamStep, going_on: TeamStep) -> None:
    """Compare a step in which copies were cut with the same step of an environment that goes on."""
    expect(equal(step.observations, env.view().observations), "the observations of the new episode")
    cut, same = step.episode_over & ~going_on.episode_over, ~step.episode_over
    last = step.final_observations
    expect(equal_at(step.terminated, going_on.terminated, copies=cut), "a time limit to truncate, never to terminate")
    expect(equal_at(last, going_on.observations, copies=cut), "final_observations of the old episode")
    expect(equal_at(step.final_state, going_on.state, copies=cut), "final_state of the old episode")
    expect(equal_at(last, step.observations, copies=same), "final_observations as shown where no episode ended")


@conformance
def check_time_limit(make_env: MakeEnv) -> None:
    """No episode is longer than a limit of the user's; whoever has not terminated by then is truncated."""
    for limit in (1, 3):
        env = make_env(num_envs=NUM_COPIES, seed=6, time_limit=limit)
        age = torch.zeros(env.num_envs, dtype=torch.long, device=env.device)
        for time, step in play(env, steps=NUM_STEPS):
            age = age + (time > 0)
            expect((age < limit)[~step.episode_over].all(), f"no episode longer than time_limit={limit}")
            expect((step.terminated | step.truncated)[step.episode_over].all(), "all agents to end at the limit")
            expect(not (step.terminated & step.truncated).any(), "truncation only of agents that did not terminate")
            age = age.masked_fill(step.episode_over, 0)


@conformance
def check_talk_steps(make_env: MakeEnv) -> None:
    """In the first `talk_steps` steps of every episode all observe and speak, nobody acts and nothing moves."""
    talk = 2
    plain, env = make_env(num_envs=NUM_COPIES, seed=7), make_env(num_envs=NUM_COPIES, seed=7, talk_steps=talk)
    if plain.horizon is not None:
        expect(env.horizon == plain.horizon + talk, f"horizon to grow by talk_steps, to {plain.horizon + talk}")
    age = torch.zeros(env.num_envs, dtype=torch.long, device=env.device)
    begun = plain.reset()
    for time, step in play(env, steps=NUM_STEPS):
        expect(time > talk or equal(step.state, begun.state), "a state that does not move while the team talks")
        talked = (age > 0) & (age <= talk)
        expect((step.rewards[talked] == 0).all(), "no reward for talk")
        expect(not (step.episode_over | step.terminated.any(1))[talked].any(), "no ending while the team talks")
        age = torch.where(step.episode_over, 0, age)
        talking = age < talk
        expect(not step.acting[talking].any(), "nobody to act while the team talks")
        expect((step.observing & step.speaking)[talking].all(), "all to observe and speak while the team talks")
        age = age + 1
