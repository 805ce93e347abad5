"""Fields of a step, which stay as they were at the first reset: what is there, in which shape and dtype, and where.

A rollout is a stack of steps. A field that is there in some of them only could not be stacked, and what is replayed
would not be what was sampled: optional fields are there always or never.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from heliograph.envs.checking import EnvError
from heliograph.types import Edges, Tree

__all__ = ["Fields", "Form", "form_of"]

Form = Any
"""Of a tensor its shape, dtype and device; of a structure those of its parts; None where there is nothing."""

REMEDIES = {
    "action_mask": "True wherever every action is legal",
    "hearing": "edges from all to all where everybody is heard",
    "info": "any value in steps in which it says nothing",
}
"""What an optional field holds where it has nothing to say, as far as that is not plain."""


def form_of(tree: Tree) -> Form:
    """Return what stays the same of a value from step to step."""
    if isinstance(tree, Tensor):
        return tree.shape, tree.dtype, tree.device
    if isinstance(tree, dict):
        return {key: form_of(value) for key, value in tree.items()}
    if isinstance(tree, Edges):
        return {"senders": form_of(tree.senders), "mask": form_of(tree.mask)}
    return None if tree is None else type(tree)


@dataclasses.dataclass(kw_only=True)
class Fields:
    """Records how the fields of an environment's views, and those of its infos, looked like when each was first seen.

    They are kept by number of copies: what goes on with some copies of another environment may share them with it.
    """

    views: dict[int, Form] = dataclasses.field(default_factory=dict)
    infos: dict[int, Form] = dataclasses.field(default_factory=dict)

    def hold(self, view: Any, *, num_envs: int, when: str) -> None:
        """Raise `EnvError` where a view differs from the first one in more than its values."""
        found = {name: form_of(value) for name, value in vars(view).items()}
        first = self.views.setdefault(num_envs, found)
        if found != first:
            raise EnvError(f"{when}: {_difference(first, found, names=(), since='the first reset()')}")

    def hold_info(self, info: Mapping[str, Tensor], *, num_envs: int, when: str) -> None:
        """Raise `EnvError` where `info` has other keys than in the first step, or values of another form."""
        found = form_of(info)
        first = self.infos.setdefault(num_envs, found)
        if first is found:
            for key, value in info.items():
                if not isinstance(value, Tensor) or value.shape[:1] != (num_envs,):
                    given = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                    raise EnvError(f"{when}: info[{key!r}] is {given}: must be a tensor with one row a copy")
        elif found != first:
            raise EnvError(f"{when}: {_difference(first, found, names=('info',), since='the first step')}")


def _difference(before: Form, after: Form, *, names: tuple[str, ...], since: str) -> str:
    """Say which field differs first, and how."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            if before.get(key) != after.get(key):
                return _difference(before.get(key), after.get(key), names=(*names, key), since=since)
    what = _called(names)
    if before is None or after is None:
        seen, now = ("missing", "there") if before is None else ("there", "missing")
        remedy = REMEDIES.get(names[0], "its value where it changes nothing")
        told = f"{what} is {now} in all copies, but was {seen} at {since}"
        return f"{told}: an optional field is there always or never; give it from {since} on, {remedy}"
    return f"{what} {_change(before, after)} at {since}: must stay as it was"


def _called(names: tuple[str, ...]) -> str:
    """A field as its author knows it: observations of role 'car', 'image'; hearing.senders; info['success']."""
    first, *rest = names
    if first in ("observations", "action_mask") and rest:
        return ", ".join([f"{first} of role {rest[0]!r}", *map(repr, rest[1:])])
    if first == "info":
        return "".join([first, *(f"[{key!r}]" for key in rest)])
    return ".".join(names)


def _change(before: Form, after: Form) -> str:
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return f"is {_kind(after)}, but was {_kind(before)}"
    aspects = zip(("shape", "dtype", "device"), before, after, strict=True)
    name, old, new = next((name, old, new) for name, old, new in aspects if old != new)
    return f"has {name} {_plain(new)}, but had {_plain(old)}"


def _kind(form: Form) -> str:
    if isinstance(form, (tuple, dict)):
        return "a tensor" if isinstance(form, tuple) else "a structure"
    return f"a {form.__name__}"


def _plain(aspect: Any) -> str:
    return str(list(aspect)) if isinstance(aspect, tuple) else str(aspect)
