"""For `migrate`: hooks of a user's own classes by their present names, and what must be rewritten by hand."""

import ast
from collections.abc import Iterator

from heliograph.renamed import MEMBERS

__all__ = ["left_to_do", "with_present_hooks"]

STEPPING = ("_start", "_advance", "_observe")
WITH_HOOKS = ("TeamEnv", "Topology", "Wrapper")
"""Base classes whose members are renamed where a class is derived from them; those of models are plain words."""
GUIDE = "docs/extending/environment.md"


def with_present_hooks(text: str) -> str:
    """Python code in which classes derived from `TeamEnv`, `Topology` or `Wrapper` name their hooks as they are now."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    for line, column, old, new in sorted(_renamings(ast.parse(text)), reverse=True):
        at = lines[line - 1].find(old.encode(), column)
        lines[line - 1] = lines[line - 1][:at] + new.encode() + lines[line - 1][at + len(old.encode()) :]
    return b"".join(lines).decode()


def left_to_do(text: str) -> list[tuple[int, str]]:
    """Lines of Python code in which something is to be rewritten by hand, and what."""
    tree = ast.parse(text)
    found = []
    for node, base in _derived(tree):
        own = [part.name for part in node.body if isinstance(part, ast.FunctionDef) and part.name in STEPPING]
        if base == "TeamEnv" and own:
            told = f"class {node.name} fills in {', '.join(own)}: fill in start, advance and observe, given a state"
            found.append((node.lineno, f"{told}; see {GUIDE}"))
    for call in ast.walk(tree):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in ("oracle", "scene")
        ):
            takes_state = call.args and isinstance(call.args[0], (ast.Name, ast.Attribute))
            if not takes_state:
                found.append((call.lineno, f"{call.func.attr}() of an environment is given a state: env.state"))
    return sorted(found)


def _derived(tree: ast.Module) -> Iterator[tuple[ast.ClassDef, str]]:
    """Classes whose base is one with hooks, by its name, or another of them in the same file; with that base."""
    known = {name: name for name in WITH_HOOKS}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                name = _last_name(base)
                if name in known:
                    known[node.name] = known[name]
                    yield node, known[name]
                    break


def _last_name(base: ast.expr) -> str:
    if isinstance(base, ast.Subscript):
        return _last_name(base.value)
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def _renamings(tree: ast.Module) -> Iterator[tuple[int, int, str, str]]:
    """Line, column from which to look, old and new name: of methods, and where `self` and `super()` name them."""
    for node, base in _derived(tree):
        names = MEMBERS[base]
        own = {part.name for part in node.body if isinstance(part, ast.FunctionDef)} & names.keys()
        for part in ast.walk(node):
            if isinstance(part, ast.FunctionDef) and part in node.body and part.name in own:
                yield part.lineno, part.col_offset, part.name, names[part.name]
            elif isinstance(part, ast.Attribute) and part.attr in own and _is_own(part.value):
                assert part.value.end_lineno is not None and part.value.end_col_offset is not None
                yield part.value.end_lineno, part.value.end_col_offset, part.attr, names[part.attr]


def _is_own(value: ast.expr) -> bool:
    called = value.func if isinstance(value, ast.Call) else value
    return isinstance(called, ast.Name) and called.id in ("self", "super")
