"""The command `migrate`: old names of Heliograph's modules, classes and hooks rewritten in the user's own files."""

import ast
import difflib
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from heliograph.cli.migrating_hooks import left_to_do, with_present_hooks
from heliograph.moved import MODULES, NAMES
from heliograph.renamed import KEYWORDS, MEMBERS
from heliograph.storage.atomic import replacing

__all__ = ["rewritten", "run_migrate"]

Shown = tuple[Any, Callable[[Any], None]]
SUFFIXES = (".py", ".ipynb", ".md", ".yaml", ".yml", ".json", ".toml")
LONGEST_FIRST = sorted(MODULES, key=len, reverse=True)
PATHS = re.compile(rf"\b({'|'.join(map(re.escape, LONGEST_FIRST))})(?!\w)")
PLAIN_WORDS = {old: KEYWORDS[old] for old in ("num_copies", "mouth_gain")}
PLAIN_WORDS |= {old: new for old, new in MEMBERS["Model"].items() if old.startswith("build_")}
"""Older names that mean one thing wherever they stand, and their present ones."""
WORDS = re.compile(rf"\b({'|'.join(PLAIN_WORDS)})\b")
PLACES = re.compile(rf"\b({'|'.join(map(re.escape, NAMES))})(?!\w)")


def run_migrate(given: Any) -> Shown:
    """`heliograph migrate`."""
    changes, by_hand = {}, []
    for path in _files(given.files):
        before = path.read_text(encoding="utf-8")
        try:
            after = rewritten(before, is_python=path.suffix == ".py")
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if path.suffix == ".py" and "heliograph" in after:
            by_hand += [f"{path}:{line}: {what}" for line, what in left_to_do(after)]
        if after == before:
            continue
        changes[str(path)] = "".join(
            difflib.unified_diff(before.splitlines(True), after.splitlines(True), str(path), str(path))
        )
        if given.write:
            with replacing(path) as draft:
                draft.write_text(after, encoding="utf-8")
    return {"changed": changes, "written": bool(given.write), "by_hand": by_hand}, _show


def _show(found: dict[str, Any]) -> None:
    for diff in found["changed"].values():
        print(diff, end="" if diff.endswith("\n") else "\n")
    number = len(found["changed"])
    done = "rewritten" if found["written"] else "to be rewritten: add --write to do so" if number else "to be rewritten"
    print(f"{number} file{'s' * (number != 1)} {done}")
    if found["by_hand"]:
        print("to be rewritten by hand:", *found["by_hand"], sep="\n")


def _files(given: list[str]) -> Iterator[pathlib.Path]:
    for name in given:
        path = pathlib.Path(name)
        if not path.exists():
            raise FileNotFoundError(f"{name} does not exist")
        inside = path.rglob("*") if path.is_dir() else [path]
        yield from sorted(p for p in inside if p.is_file() and (p.suffix in SUFFIXES or p == path))


def rewritten(text: str, *, is_python: bool = True) -> str:
    """A text with present names in the place of old ones: import paths anywhere, and in Python imports of any form.

    In Python files that name Heliograph, keyword arguments, attributes and hooks are called as they are now, too.
    """
    text = _with_moved_names(text) if is_python else text
    if is_python and "heliograph" in text:
        text = with_present_hooks(WORDS.sub(lambda found: PLAIN_WORDS[found[1]], text))
    text = PLACES.sub(lambda found: NAMES[found[0]], text)
    return PATHS.sub(lambda found: MODULES[found[1]], text)


def _with_moved_names(text: str) -> str:
    """Python code whose from-imports name where things are now; raises ValueError where it cannot be parsed."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno} is no Python of this version: {error.msg}") from error
    lines = text.splitlines(keepends=True)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    for node in sorted(found, key=lambda node: node.lineno, reverse=True):
        imports = _present(node)
        if imports is None:
            continue
        assert node.end_lineno is not None
        last, rest = lines[node.end_lineno - 1], lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
        lead = lines[node.lineno - 1][: node.col_offset]
        ended = rest or ("\n" if last.endswith("\n") else "")
        separator = f"\n{lead}" if not lead.strip() else "; "
        lines[node.lineno - 1 : node.end_lineno] = [lead + separator.join(imports) + ended]
    return "".join(lines)


def _present(node: ast.ImportFrom) -> list[str] | None:
    """The imports that stand for one, each name from where it is now; None where all are where their module is."""
    module, places = node.module or "", dict[str, list[str]]()
    present = MODULES.get(module, module)
    for alias in node.names:
        if f"{module}.{alias.name}" in MODULES:
            place, _, name = MODULES[f"{module}.{alias.name}"].rpartition(".")
        else:
            place, _, name = NAMES.get(f"{module}:{alias.name}", f"{present}:{alias.name}").partition(":")
        known_as = alias.asname or alias.name
        places.setdefault(place, []).append(name if known_as == name else f"{name} as {known_as}")
    if list(places) == [present] and not any(f"{module}:{alias.name}" in NAMES for alias in node.names):
        return None
    return [f"from {place} import {', '.join(names)}" for place, names in places.items()]
