"""States of environments as tests want them: whole fields replaced, or entries set in a copy."""

import dataclasses
from typing import Any

from heliograph.envs.base import TeamEnv


def put(env: TeamEnv, **fields: Any) -> None:
    """Replace fields of the state; of a part of it, as in `units__health`."""
    env.state = _replaced(env.state, fields)


def _replaced(state: Any, fields: dict[str, Any]) -> Any:
    own = {name: value for name, value in fields.items() if "__" not in name}
    for part in {name.split("__")[0] for name in fields if "__" in name}:
        inner = {name.split("__")[1]: value for name, value in fields.items() if name.startswith(f"{part}__")}
        own[part] = _replaced(getattr(state, part), inner)
    return dataclasses.replace(state, **own)


def put_at(env: TeamEnv, index: Any, **fields: Any) -> None:
    """Set entries of fields of the state."""
    new = {}
    for name, value in fields.items():
        tensor: Any = env.state
        for part in name.split("__"):
            tensor = getattr(tensor, part)
        new[name] = tensor.clone()
        new[name][index] = value
    put(env, **new)
