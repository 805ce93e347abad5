"""Names for roles, policies and agents: safe to be parts of paths and keys, and no two alike."""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn

__all__ = ["NAMELESS", "distinct", "plain_name", "safe_names"]

NAMELESS = "agent"
"""The role of agents whose names are nothing but numbers and signs."""
UNSAFE = re.compile(r"\W+")
TAKEN = frozenset({"team", *dir(nn.ModuleDict())})
"""Names that no policy can have, and so no role: that of what belongs to nobody, and attributes of its container."""


def safe_names(given: Iterable[Any]) -> dict[Any, str]:
    """Names for policies: letters, digits and `_`, no two of them alike in lower case; as given where possible."""
    asked = list(given)
    plain = [plain_name(name) for name in asked]
    free = [f"{name}_{NAMELESS}" if name in TAKEN else name or NAMELESS for name in plain]
    return dict(zip(asked, distinct(free), strict=True))


def plain_name(given: Any) -> str:
    """The same as letters, digits and `_`; nothing may be left of it."""
    return str(given) if str(given).isidentifier() else UNSAFE.sub("_", str(given)).strip("_")


def distinct(
    names: Sequence[str], *, taken: Iterable[str] = (), fold: Callable[[str], str] = str.casefold
) -> list[str]:
    """Names of which no two are alike once they are folded: numbers are added to later ones."""
    used = set(map(fold, taken))
    wanted = used | set(map(fold, names))
    found = []
    for name in names:
        if fold(name) in used:
            name = next(new for n in itertools.count(2) if fold(new := f"{name}_{n}") not in used | wanted)
        used.add(fold(name))
        found.append(name)
    return found
