"""Environments written before they had a state: they work for one minor version, with a warning.

Their hooks were `_start`, `_advance` and `_observe`, their state all tensors among their attributes. All that is kept
for them is here, and what is named here in `envs/base.py`.
"""

import contextlib
import dataclasses
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from heliograph.envs.state import EnvState
from heliograph.envs.view import Outcome, View
from heliograph.renamed import MEMBERS, rename_members, renamed

__all__ = ["AttributeState", "OlderHooks", "state_may_lack"]

STEPPING = {"_start": "start", "_advance": "advance", "_observe": "observe"}
GUIDE = "see docs/extending/environment.md"
OF_BASE = ("_elapsed", "team_of_agent")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttributeState(EnvState):
    """The state of an environment that keeps it in attributes: all of them that are tensors, by name."""

    attributes: dict[str, Tensor]


IN_ATTRIBUTES = "_in_attributes"
"""The attribute of a class that keeps its state in attributes."""
LENIENT = "_may_lack_state"
"""The attribute of a hook that can be called without a state already."""
HELD = AttributeState(attributes={})
"""Stands for the state that is in the attributes now."""


def state_may_lack(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate `oracle` or `scene` so that it can be called without a state, as before, with a warning."""

    @functools.wraps(hook)
    def called(self: Any, state: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(state, EnvState):
            return hook(self, state, *args, **kwargs)
        given = f"{hook.__name__}(env.state)"
        warnings.warn(f"{hook.__name__}() is given a state now: call env.{given}", DeprecationWarning, stacklevel=2)
        args = args if state is None else (state, *args)
        return hook(self, self.state, *args, **kwargs)

    setattr(called, LENIENT, True)
    return called


class OlderHooks:
    """The part of `TeamEnv` that takes older names and older environments."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = renamed(cls.__init__)  # type: ignore[method-assign]
        rename_members(cls, MEMBERS["TeamEnv"])
        _adopt_stepping(cls)
        for name in ("oracle", "scene"):
            hook = vars(cls).get(name)
            if inspect.isfunction(hook) and not hasattr(hook, LENIENT):
                takes_state = "state" in inspect.signature(hook).parameters
                if not takes_state and not hasattr(cls, IN_ATTRIBUTES):
                    warnings.warn(
                        f"{cls.__name__}.{name} is given a state now; {GUIDE}", DeprecationWarning, stacklevel=3
                    )
                setattr(cls, name, state_may_lack(hook if takes_state else _of_present(hook)))

    @property
    def num_copies(self) -> int:
        """The older name of `num_envs`."""
        warnings.warn("TeamEnv.num_copies is called num_envs now", DeprecationWarning, stacklevel=2)
        return int(self.num_envs)  # type: ignore[attr-defined]


def _adopt_stepping(cls: type) -> None:
    """Let a class with the older hooks keep its state in attributes; TypeError where it overrides what is no more."""
    older = [name for name, new in STEPPING.items() if name in vars(cls) and new not in vars(cls)]
    if not older or hasattr(cls, IN_ATTRIBUTES):
        return
    if not getattr(cls.start, "__isabstractmethod__", False):  # type: ignore[attr-defined]
        told = ", ".join(f"{name} ({STEPPING[name]} now)" for name in older)
        raise TypeError(
            f"{cls.__name__} overrides {told}, which the class that it is derived from has no more: {GUIDE}"
        )
    warnings.warn(
        f"{cls.__name__} fills in {', '.join(STEPPING)}, with its state in attributes: fill in start, advance and "
        f"observe, which are given a state; {GUIDE}",
        DeprecationWarning,
        stacklevel=4,
    )
    for name, function in vars(_InAttributes).items():
        if not name.startswith("__"):
            setattr(cls, name, function)


def _of_present(hook: Callable[..., Any]) -> Callable[..., Any]:
    """An older `oracle` or `scene`, which reads attributes, as one of a state."""

    @functools.wraps(hook)
    def called(self: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        with _attributes_of(self, state):
            return hook(self, *args, **kwargs)

    return called


@contextlib.contextmanager
def _attributes_of(env: Any, state: Any) -> Iterator[None]:
    """Have a state in the attributes of an environment, and what was there back afterwards."""
    attributes = getattr(state, "attributes", {})
    present = {name: getattr(env, name) for name in attributes}
    vars(env).update(attributes)
    try:
        yield
    finally:
        vars(env).update(present)


class _InAttributes:
    """Methods that `TeamEnv` is given where the state is in attributes, which the hooks change in place."""

    _in_attributes = True
    num_envs: int
    device: torch.device
    _state: Any
    _start: Callable[..., None]
    _advance: Callable[..., Outcome]
    _observe: Callable[..., View]

    @property
    def state(self) -> AttributeState:
        """All attributes that are tensors."""
        found = {key: value for key, value in vars(self).items() if isinstance(value, Tensor) and key not in OF_BASE}
        return AttributeState(attributes=found)

    @state.setter
    def state(self, state: AttributeState) -> None:
        vars(self).update(state.attributes)
        self._state = HELD

    def start(self) -> AttributeState:
        """Begin a new episode in all copies."""
        self._start(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))
        return self.state

    def advance(self, state: AttributeState, actions: dict[str, Tensor]) -> tuple[AttributeState, Outcome]:
        """Move all copies."""
        self.state = state
        outcome = self._advance(actions, torch.ones(self.num_envs, dtype=torch.bool, device=self.device))
        return self.state, outcome

    def observe(self, state: AttributeState) -> View:
        """Show a state."""
        with _attributes_of(self, state):
            return self._observe()

    def selected(self, copies: Tensor) -> Any:
        """Refused: which of the attributes have a row for each copy is not known."""
        raise TypeError(f"{type(self).__name__} keeps its state in attributes: give it a state to go on from; {GUIDE}")

    def _restart(self, starting: Tensor) -> None:
        self._start(starting)
        self._state = HELD

    def _advanced(self, actions: dict[str, Tensor], moving: Tensor | None) -> Outcome:
        everywhere = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        return self._advance(actions, everywhere if moving is None else moving)

    def _look(self) -> View:
        return self._observe()

    def _form(self) -> AttributeState:
        return self.state
