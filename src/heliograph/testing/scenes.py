"""The check of what an environment shows to be drawn."""

from torch import Tensor

from heliograph.envs.base import TeamEnv
from heliograph.testing.contract import NUM_COPIES, NUM_STEPS, MakeEnv, conformance, expect
from heliograph.testing.play import equal, play


@conformance
def check_scene(make_env: MakeEnv) -> None:
    """A scene has one actor for each agent, in the order of slots, at any time; to look at it changes nothing."""
    env, twin = (make_env(num_envs=NUM_COPIES, seed=16, time_limit=NUM_STEPS // 2) for _ in range(2))
    ended = []

    def at_end(over: Tensor) -> None:
        ended.append(over)
        _check_scenes(env)

    env.on_end = at_end
    for (_, step), (_, shown) in zip(play(env, steps=NUM_STEPS), play(twin, steps=NUM_STEPS), strict=True):
        expect(equal(step, shown), "scene() to change nothing")
        _check_scenes(env)
    expect(len(ended) > 0, "on_end to be called where an episode ends")


def _check_scenes(env: TeamEnv) -> None:
    for copy in range(env.num_envs):
        scene = env.scene(env.state, copy)
        names = tuple(actor.name for actor in scene.agents)
        expect(names == env.agents, f"scene({copy}).agents to be those of the team, in the order of slots, not {names}")
