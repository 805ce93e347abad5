"""What an environment shows, held against its contract: which agent of which copy is wrong, and how.

`check_view` looks at everything (after a reset, after the first step, and where something failed); `check_outcome` at
the shapes of every step; `check_values` is one pass over the numbers of a whole rollout, and looks for the place only
where that fails.
"""

import contextlib
import pathlib
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from heliograph import distributions
from heliograph.envs.state import EnvState, named_tensors
from heliograph.isolation import isolated
from heliograph.types import Role, Tree, map_tensors, own_state


class EnvError(ValueError):
    """An environment that breaks its contract; the message names the agent, the copy and the step."""


def place_of(error: BaseException) -> str:
    """The file and the line that raised, in whichever process."""
    if hasattr(error, PLACE):
        return str(getattr(error, PLACE))
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{pathlib.Path(last.filename).name}, line {last.lineno}"


@contextlib.contextmanager
def tried(where: str = "") -> Iterator[None]:
    """While an environment is tried before training: what it raises becomes an `EnvError` that tells where it was.

    That is `where`, unless an adapter or a sampler has noted it more exactly.
    """
    try:
        yield
    except EnvError:
        raise
    except Exception as error:
        told = [note for note in getattr(error, "__notes__", ()) if not note.startswith(ELSEWHERE)]
        notes = told or ([where] if where else [])
        if not notes or notes[0].startswith(OF_TEAM):
            raise
        raise EnvError(f"{type(error).__name__}: {error} ({notes[0]}; {place_of(error)})") from error


def guarded(env: Any, call: str) -> contextlib.AbstractContextManager[None]:
    """While a method of an environment runs: it leaves the process as it was, and cannot end it.

    The environments of this package leave everything alone, and are not watched: that takes longer than some of their
    steps.
    """
    if type(env).__module__.startswith(SHIPPED):
        return UNWATCHED
    return isolated(f"{call}() of {type(env).__name__}", error=EnvError)


def close(env: Any) -> None:
    """Close an environment; raises `EnvError` where it cannot be closed."""
    try:
        with guarded(env, "close"):
            env.close()
    except EnvError:
        raise
    except Exception as error:
        where = f"in close() of {type(env).__name__}; {place_of(error)}"
        raise EnvError(f"{type(error).__name__}: {error} ({where})") from error


SHIPPED = "heliograph.envs."
"""How the modules of environments begin that are not watched."""
UNWATCHED = contextlib.nullcontext()
OF_TEAM = "while the team"
"""How a note on an exception begins that a team raised, and not its environment."""
ELSEWHERE = "in a worker process"
"""How a note on an exception begins that holds its traceback in another process."""
PLACE = "_place_in_worker"
"""The attribute of such an exception that tells the file and the line that raised."""
BOOLEAN, WHOLE, REAL = "torch.bool", "torch.int64", "real numbers"
FINITE = "must be finite"


def check_view(roles: Sequence[Role], view: Any, *, num_envs: int, when: str) -> None:
    """Raise `EnvError` where a view (or a step) has a wrong shape, dtype, key or value; `when` says which one it is."""
    table = (num_envs, sum(len(role.agents) for role in roles))
    for name in ("observing", "acting", "speaking"):
        _check_tensor(name, getattr(view, name), shape=table, dtype=BOOLEAN, when=when)
    _check_tensor("meaning", view.meaning, shape=(*table, None), dtype=WHOLE, when=when)
    state = own_state(view)
    if state is not None:
        _check_tensor("state", state, shape=(num_envs, None), dtype=REAL, when=when)
    _check_keys("observations", view.observations, [role.name for role in roles], when)
    for role in roles:
        what, batch = f"observations of role {role.name!r}", (num_envs, len(role.agents))
        _check_observation(what, view.observations[role.name], role.observation_space, batch, when)
        _warn_of_bounds(role, view.observations[role.name], when)
    _check_masks(roles, view.action_mask, num_envs, when)
    _check_hearing(view, table[1], when)
    single = map_tensors(lambda leaf: leaf[None], (view.observations, state))
    check_values(roles, single[0], {}, single[1], when=lambda t, copy: when)
    check_legal(roles, map_tensors(lambda mask: mask[None], view.action_mask), view.acting[None], when=lambda *_: when)


def check_env_state(state: Any, *, num_envs: int, when: str) -> None:
    """Raise `EnvError` where a state is no `EnvState`, or holds anything but tensors with a row for each copy."""
    if not isinstance(state, EnvState):
        raise EnvError(f"{when}: the state is a {type(state).__name__}: must be of a class derived from EnvState")
    try:
        tensors = named_tensors(state)
    except TypeError as error:
        raise EnvError(f"{when}: {error}") from error
    for name, tensor in tensors.items():
        if tensor.shape[:1] != (num_envs,):
            raise EnvError(
                f"{when}: {name} of the state has shape {list(tensor.shape)}: must begin with B = {num_envs}"
            )


def check_outcome(outcome: Any, *, num_envs: int, num_agents: int, when: str) -> None:
    """Raise `EnvError` where rewards or ends have a shape or dtype that would be broadcast without a word."""
    table = (num_envs, num_agents)
    flags = {"terminated": table, "episode_over": table[:1]}
    flags |= {} if outcome.truncated is None else {"truncated": table}
    wrong = getattr(outcome.rewards, "shape", None) != table
    for name, shape in flags.items():
        value = getattr(outcome, name)
        wrong = wrong or getattr(value, "shape", None) != shape or value.dtype is not torch.bool
    if not wrong:
        return
    _check_tensor("rewards", outcome.rewards, shape=table, dtype="", when=when)
    for name, shape in flags.items():
        _check_tensor(name, getattr(outcome, name), shape=shape, dtype=BOOLEAN, when=when)


def check_values(
    roles: Sequence[Role],
    observations: dict[str, Tree],
    of_agents: dict[str, Tensor],
    state: Tensor | None,
    *,
    when: Callable[[int, int], str],
) -> None:
    """Raise `EnvError` where an observation, the state or a number of each agent (`of_agents`) is not as it must be.

    Where nothing of what was seen is kept, `observations` are {}. Tensors have the axes [T, B, ...], and
    `when(time, copy)` names a step; numbers must be finite, discrete observations within their space. `state` is one
    that the environment gave by itself: what is made of sound observations is sound.
    """
    for name, values in of_agents.items():
        if not all_finite(values):
            t, copy, slot = _first(~torch.isfinite(values))
            agent = [a for role in roles for a in role.agents][slot]
            problem = f"the {name} is {_at(values, t, copy, slot)}: {FINITE}"
            raise EnvError(_message(agent, copy, when(t, copy), problem))
    for role in roles if observations else ():
        for key, leaf, space in _leaves(observations[role.name], role.observation_space):
            bad = _outside(leaf, space)
            if bad is not None:
                t, copy, place = _first(bad)
                wanted = f"must lie in {space}" if leaf.dtype is torch.int64 else FINITE
                problem = f"the observation{key} is {_at(leaf, t, copy, place)}: {wanted}"
                raise EnvError(_message(role.agents[place], copy, when(t, copy), problem))
    if state is not None and not all_finite(state):
        t, copy, _ = _first(~torch.isfinite(state))
        raise EnvError(f"copy {copy}, {when(t, copy)}: the state that a critic sees holds NaN or infinity: {FINITE}")


def all_finite(values: Tensor) -> bool:
    """Tell whether all numbers are finite; a sum, which needs no memory, settles it unless it overflows."""
    total = values.sum() if values.is_floating_point() else values.new_zeros(())
    return bool(torch.isfinite(total)) or bool(torch.isfinite(values).all())


def _outside(leaf: Tensor, space: spaces.Space) -> Tensor | None:
    """Return where a leaf is not in its space, as far as that is checked; None where all is well."""
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        sizes = torch.as_tensor(space.n if isinstance(space, spaces.Discrete) else space.nvec, device=leaf.device)
        bad = (leaf < 0) | (leaf >= sizes)
        return bad if bool(bad.any()) else None
    if all_finite(leaf):
        return None
    return ~torch.isfinite(leaf)


def _warn_of_bounds(role: Role, observation: Tree, when: str) -> None:
    """Values outside a Box harm nothing by themselves, but are seldom what its author meant."""
    for key, leaf, space in _leaves(observation, role.observation_space):
        if isinstance(space, spaces.Box) and leaf.is_floating_point():
            low, high = (torch.as_tensor(x, dtype=leaf.dtype, device=leaf.device) for x in (space.low, space.high))
            outside = leaf[(leaf < low) | (leaf > high)]
            if len(outside):
                told = f"the observation{key} of role {role.name!r} holds {float(outside[0]):g}, outside of {space}"
                warnings.warn(f"{when}: {told}: used as it is; the space should tell what may come", stacklevel=2)


def _leaves(observation: Tree, space: spaces.Space, key: str = "") -> Iterator[tuple[str, Tensor, spaces.Space]]:
    if isinstance(space, spaces.Dict):
        for name, part in space.spaces.items():
            yield from _leaves(observation[name], part, f"{key} {name!r}")
    else:
        yield key, observation, space


def _first(bad: Tensor) -> list[int]:
    """Time, copy and place of the first bad entry."""
    return bad.nonzero()[0, :3].tolist()


def _at(values: Tensor, t: int, copy: int, place: int) -> str:
    found = values[t, copy, place].flatten().tolist()
    return f"{found[0]}" if len(found) == 1 else f"{found[:8]}{'...' if len(found) > 8 else ''}"


def _message(agent: str, copy: int, when: str, problem: str) -> str:
    return f"agent {agent!r}, copy {copy}, {when}: {problem}"


def _check_keys(what: str, found: Any, wanted: list[str], when: str) -> None:
    missing = [name for name in wanted if not isinstance(found, dict) or name not in found]
    if missing:
        raise EnvError(f"{when}: {what} lack {missing}: there must be one tensor for each of {wanted}")


def _check_observation(what: str, found: Any, space: spaces.Space, batch: tuple[int, ...], when: str) -> None:
    if isinstance(space, spaces.Dict):
        _check_keys(what, found, list(space.spaces), when)
        for name, part in space.spaces.items():
            _check_observation(f"{what}, {name!r}", found[name], part, batch, when)
        return
    discrete = isinstance(space, (spaces.Discrete, spaces.MultiDiscrete))
    _check_tensor(what, found, shape=(*batch, *(space.shape or ())), dtype=WHOLE if discrete else "", when=when)


def _check_tensor(what: str, found: Any, *, shape: tuple[int | None, ...], dtype: str, when: str) -> None:
    if not isinstance(found, Tensor):
        raise EnvError(f"{when}: {what} is a {type(found).__name__}: must be a tensor of shape {_shown(shape)}")
    fits = len(found.shape) == len(shape) and all(b in (None, a) for a, b in zip(found.shape, shape, strict=True))
    if not fits:
        raise EnvError(f"{when}: {what} has shape {list(found.shape)}: must be {_shown(shape)}")
    real = dtype == REAL and (found.is_floating_point() or found.dtype == torch.bool)
    if (dtype and not real and str(found.dtype) != dtype) or found.is_complex():
        raise EnvError(f"{when}: {what} has dtype {found.dtype}: must be {dtype or REAL}")


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def _check_masks(roles: Sequence[Role], masks: Any, num_envs: int, when: str) -> None:
    if masks is None:
        return
    known = {role.name: role for role in roles}
    strangers = [name for name in masks if name not in known]
    if strangers:
        raise EnvError(f"{when}: action_mask has {strangers}, which no role is called: roles are {list(known)}")
    for name, mask in masks.items():
        space = known[name].action_space
        if isinstance(space, spaces.Box):
            raise EnvError(f"{when}: action_mask of role {name!r}: no mask limits actions of {space}: leave it out")
        shape = (num_envs, len(known[name].agents), distributions.num_inputs(space))
        _check_tensor(f"action_mask of role {name!r}", mask, shape=shape, dtype=BOOLEAN, when=when)


def check_legal(
    roles: Sequence[Role], masks: dict[str, Tensor] | None, acting: Tensor, *, when: Callable[[int, int], str]
) -> None:
    """Raise `EnvError` where an agent that is asked for an action may choose none; tensors have the axes [T, B, N]."""
    start = 0
    for role in roles:
        slots = slice(start, start + len(role.agents))
        start = slots.stop
        if masks is None or role.name not in masks:
            continue
        parts = masks[role.name].split(distributions.num_choices(role.action_space), -1)
        stuck = acting[..., slots] & ~torch.stack([part.any(-1) for part in parts]).all(0)
        if bool(stuck.any()):
            t, copy, place = _first(stuck)
            problem = "the action_mask allows no action: must allow one"
            raise EnvError(_message(role.agents[place], copy, when(t, copy), problem))


def _check_hearing(view: Any, num_agents: int, when: str) -> None:
    for name in ("hearing", "adjacency"):
        edges = getattr(view, name)
        if edges is None:
            continue
        slots = num_agents if edges.senders is None else None
        copies = edges.mask.shape[0]
        _check_tensor(f"{name}.mask", edges.mask, shape=(copies, num_agents, slots), dtype=BOOLEAN, when=when)
        if edges.senders is not None:
            _check_tensor(f"{name}.senders", edges.senders, shape=tuple(edges.mask.shape), dtype=WHOLE, when=when)
            if bool(((edges.senders < 0) | (edges.senders >= num_agents)).any()):
                last = num_agents - 1
                raise EnvError(f"{when}: {name}.senders names an agent that is not there: slots are 0 to {last}")


__all__ = [
    "ELSEWHERE",
    "PLACE",
    "EnvError",
    "check_env_state",
    "check_legal",
    "check_outcome",
    "check_values",
    "check_view",
    "close",
    "guarded",
    "place_of",
]  # fmt: skip
