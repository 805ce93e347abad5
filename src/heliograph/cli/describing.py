"""The command `envs`: what an environment is to a team, before anything is trained in it."""

import time
from collections.abc import Callable
from typing import Any

from heliograph.cli.choosing import pairs, value_of
from heliograph.cli.shown import console, print_table
from heliograph.envs.base import TeamEnv
from heliograph.types import TeamStep

__all__ = ["roles_of", "run_envs", "spaces_of"]

Shown = tuple[Any, Callable[[Any], None]]
SECONDS = 1.0
"""How long an environment is stepped to see how fast it is."""


def run_envs(given: Any) -> Shown:
    """`heliograph envs`."""
    from heliograph.experiments.choices import EnvChoice, opened

    settings = {key: value_of(text) for key, text in pairs(given.env, option="--env")}
    with opened(EnvChoice(env=given.target, settings=settings), seed=given.seed) as env:
        return _described(env), _show


def roles_of(env: TeamEnv) -> str:
    """Roles and their agents in words, with the rule by which an adapter found them."""
    told = "; ".join(f"{role.name} ({', '.join(role.agents)})" for role in env.roles)
    if len(env.teams) > 1:
        told = f"{told}; teams: {'; '.join(f'{name} ({ids})' for name, ids in _teams(env).items())}"
    if split := shared_by_rivals(env):
        told = f"{told}; rivals share the network of {', '.join(split)}, unless networks are separate"
    rule = getattr(env, "role_rule", None)
    return f"roles: {told}" + (f" [{rule}]" if rule else "")


def spaces_of(env: TeamEnv) -> str | None:
    """Return what agents of an adapted environment see and choose, in words: what is an image was decided by a rule."""
    told = _spaces(env)
    return None if told is None else "; ".join(f"{role} {sentence}" for role, sentence in told.items())


def _spaces(env: TeamEnv) -> dict[str, str] | None:
    return env.described_spaces() if hasattr(env, "described_spaces") else None


def _teams(env: TeamEnv) -> dict[str, str]:
    """The agents of each team."""
    numbers = env.team_of_agent.tolist()
    members = {n: [a for a, team in zip(env.agents, numbers, strict=True) if team == n] for n in range(len(env.teams))}
    return {name: ", ".join(members[number]) for number, name in enumerate(env.teams)}


def shared_by_rivals(env: TeamEnv) -> list[str]:
    """Roles whose agents belong to several teams: rivals with one network, unless networks are separate."""
    return [role.name for role in env.roles if len(env.team_of_agent[env.slots(role.name)].unique()) > 1]


def _described(env: TeamEnv) -> dict[str, Any]:
    from heliograph.adapters.stacked import StackedEnv

    inner = env.envs[0] if isinstance(env, StackedEnv) else None
    heeded = env.heeds_seed() if isinstance(env, StackedEnv) else True
    step = env.reset()
    return {
        "agents": list(env.agents),
        "role_rule": getattr(env, "role_rule", None),
        "teams": _teams(env) if len(env.teams) > 1 else None,
        "roles": {role.name: _role(env, role, step) for role in env.roles},
        "spaces": _spaces(env),
        "optional_fields": [name for name in ("hearing", "positions", "adjacency") if getattr(step, name) is not None],
        "state_size": step.state.shape[1],
        "horizon": env.horizon,
        "time_limit": env.time_limit,
        "heeds_seed": heeded,
        **_speed(env, inner=inner),
    }


def _role(env: TeamEnv, role: Any, step: TeamStep) -> dict[str, Any]:
    slots = env.slots(role.name)
    return {
        "agents": list(role.agents),
        "observation_space": str(role.observation_space),
        "action_space": str(role.action_space),
        "masked": bool(step.action_mask and role.name in step.action_mask),
        "present_at_reset": int(step.observing[0, slots].sum()),
        "speaking_at_reset": int(step.speaking[0, slots].sum()),
    }


def _speed(env: TeamEnv, *, inner: Any) -> dict[str, Any]:
    """Env steps a second of one copy with random legal actions, and of the Python environment in it alone."""
    from heliograph.testing.play import random_actions, stream

    watch = None if inner is None else _Watch(inner)
    generator, step, ended, steps = stream(env, seed=0), env.reset(), 0, 0
    if watch is not None:
        watch.seconds = 0.0
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < SECONDS:
        step = env.step(random_actions(env, step=step, generator=generator))
        steps, ended = steps + 1, ended + int(step.episode_over.sum())
    raw = None if watch is None else steps / max(watch.seconds, 1e-9)
    return {"episodes_ended": ended, "env_steps_per_second": steps / passed, "raw_env_steps_per_second": raw}


class _Watch:
    """Counts the seconds that a Python environment spends in calls of its own."""

    def __init__(self, env: Any):
        self.seconds = 0.0
        for name in ("reset", "step", "last"):
            if callable(getattr(env, name, None)):
                setattr(env, name, self._timed(getattr(env, name)))

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **settings: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*args, **settings)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def _show(found: dict[str, Any]) -> None:
    columns = ("role", "agents", "observes", "acts", "masked", "present at reset")
    parts = ("observation_space", "action_space", "masked", "present_at_reset")
    rows = [[name, ", ".join(r["agents"]), *(str(r[key]) for key in parts)] for name, r in found["roles"].items()]
    print_table(columns, rows)
    for key, value in found.items():
        if key not in ("roles", "agents") and value is not None:
            console().print(f"{key.replace('_', ' ')}: {_shown(value)}", soft_wrap=True)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} ({told})" for name, told in value.items())
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:,.0f}" if isinstance(value, float) else str(value)
