"""The check of what hooks make of a state: that it holds everything, and that nobody writes into it."""

from typing import Any

import torch
from torch import Tensor

from heliograph import distributions
from heliograph.envs.base import TeamEnv
from heliograph.envs.fields import form_of
from heliograph.envs.foreign import ForeignEnv
from heliograph.envs.older_hooks import AttributeState
from heliograph.envs.state import clone, named_tensors
from heliograph.testing.contract import NUM_COPIES, NUM_STEPS, ConformanceError, MakeEnv, conformance, expect
from heliograph.testing.play import equal, random_actions, stream
from heliograph.types import TeamStep

__all__ = ["check_states"]

ANOTHER = 21
STREAMS = ("generator", "start_generator")


@conformance
def check_states(make_env: MakeEnv) -> None:
    """States keep their form, hooks write nothing into them, and steps depend on them and the random streams alone."""
    env = make_env(num_envs=NUM_COPIES, seed=20, time_limit=NUM_STEPS // 6)
    step = env.reset()
    if isinstance(env, ForeignEnv) or isinstance(env.state, AttributeState):
        return
    generator = stream(env, seed=5)
    form = form_of(named_tensors(env.state))
    expect(form_of(named_tensors(env.start())) == form, "start() to give states of one form")
    for _ in range(NUM_STEPS // 4):
        actions = random_actions(env, step=step, generator=generator)
        _check_start(env)
        _check_advance(env, actions, form)
        branches = [env.selected(torch.arange(NUM_COPIES, device=env.device)) for _ in range(2)]
        first, second = (branch.step(actions) for branch in branches)
        step = env.step(actions)
        expect(equal(first, second) and equal(first, step), "two branches from one state to go the same way")
    _check_some(env, step)


def _check_start(env: TeamEnv) -> None:
    """`start` draws from its own stream alone, and what it draws follows from it."""
    before = _streams(env)
    first = env.start()
    expect(torch.equal(before["generator"], env.generator.get_state()), "start() to draw from start_generator alone")
    _rewind(env, before)
    expect(equal(first, env.start()), "start() to give the same from the same random stream")
    _rewind(env, before)


def _check_advance(env: TeamEnv, actions: dict[str, Tensor], form: Any) -> None:
    state, before = env.state, _streams(env)
    kept = clone(state)
    legal = {role.name: distributions.legal(role.action_space, actions[role.name]) for role in env.roles}
    moved, outcome = env.advance(state, legal)
    expect(equal(state, kept), "advance() to write nothing into the state that it is given")
    expect(form_of(named_tensors(moved)) == form, "advance() to keep names, shapes and dtypes of the fields of a state")
    told = "start() to draw from start_generator alone, and advance() from generator"
    expect(torch.equal(before["start_generator"], env.start_generator.get_state()), told)
    drawn, after = _streams(env), clone(moved)
    shown = env.observe(moved)
    expect(equal(moved, after), "observe() to write nothing into the state that it is given")
    expect(equal(drawn, _streams(env)), "observe() to draw nothing")
    env.start_generator.manual_seed(ANOTHER)
    env.start()
    _rewind(env, before)
    again = env.advance(state, legal)
    words = "from the same state, with the same random streams: keep all that changes in the state"
    expect(equal((moved, outcome), again), f"advance() to do the same {words}")
    expect(equal(shown, env.observe(moved)), f"observe() to show the same {words}")
    _rewind(env, before)


def _check_some(env: TeamEnv, step: TeamStep) -> None:
    """Some of the copies go on alone, some of them twice."""
    copies = torch.tensor([1, 0, 1], device=env.device)
    part = env.selected(copies)
    try:
        seen = part.view()
        for _ in range(2):
            part.step(random_actions(part, step=part.view(), generator=stream(env, seed=6)))
    except Exception as error:
        words = "hooks to go by the state and num_envs, so that some copies can go on alone"
        raise ConformanceError(f"{words}, not {type(error).__name__}: {error}") from error
    expect(equal(seen.meaning, step.meaning[copies]), "selected copies to show what they did")


def _streams(env: TeamEnv) -> dict[str, Tensor]:
    return {name: getattr(env, name).get_state() for name in STREAMS}


def _rewind(env: TeamEnv, states: dict[str, Tensor]) -> None:
    for name, state in states.items():
        getattr(env, name).set_state(state)
