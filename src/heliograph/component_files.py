"""Component files: which modules of a folder hold a component, and which class or function that is, by their source.

Nothing is imported, since to import a model takes seconds. A component file holds one concrete public class of its
kind's base, over bases in the same folder. A measure is a function with the file's name: one of `messages`
(or of anything, in a file that declares a `MEASURE`). Any other module of the folder is a helper. Recipes stand in
tables (see `heliograph.recipes.tables`).
"""

import ast
import dataclasses
import functools
import pathlib
import re

__all__ = ["component_in", "docstring_of"]

PACKAGE = pathlib.Path(__file__).parent
BASES = {
    "env": "heliograph.envs.base.TeamEnv",
    "channel": "heliograph.channels.base.Channel",
    "topology": "heliograph.topologies.base.Topology",
    "model": "heliograph.models.base.Model",
    "population": "heliograph.populations.base.Population",
    "loss": "heliograph.losses.base.AuxiliaryLoss",
    "algorithm": "heliograph.rllib.config.CommunicationConfig",
}
"""The class on top of which each kind of component is written."""
MEASURE = "measure"
"""The kind whose components are functions of messages."""
DECLARED = "MEASURE"
"""The name in a file that says that its function is a measure, whatever that takes."""
HEAD = re.compile(r"^class (\w+)\(([^)]*)\)", re.MULTILINE)
ALIAS = re.compile(r"\b(\w+) as (\w+)")
WORD = re.compile(r"\w+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Class:
    """A class at the top of a file: `bases` as they are written there."""

    bases: tuple[str, ...]
    is_concrete: bool
    docstring: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Function:
    """A function at the top of a file, and whether its first argument is `messages`."""

    is_of_messages: bool
    docstring: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Module:
    """Record of what a file defines by name, and what the names stand for that it imports."""

    classes: dict[str, _Class]
    functions: dict[str, _Function]
    imports: dict[str, str]
    declares_measure: bool


@functools.cache
def component_in(kind: str, path: pathlib.Path) -> str | None:
    """The name of the class or function that is the component of a file; None where it holds none.

    Of several classes it is the one that is called as the file is; a file without such a one holds helpers.
    """
    if kind == MEASURE:
        function = _module(path).functions.get(path.stem)
        is_measure = function is not None and (_module(path).declares_measure or function.is_of_messages)
        return path.stem if is_measure else None
    if kind not in BASES or not _may_derive(path, BASES[kind]):
        return None
    classes = (name for name, found in _module(path).classes.items() if found.is_concrete and not name.startswith("_"))
    found = [name for name in classes if _derives(path, name, BASES[kind])]
    if len(found) > 1:
        found = [name for name in found if name.lower() == path.stem.replace("_", "")]
    return found[0] if found else None


def docstring_of(path: pathlib.Path, name: str) -> str | None:
    """The docstring of a class or function at the top of a file."""
    found = _module(path)
    return (found.classes.get(name) or found.functions[name]).docstring


def _may_derive(path: pathlib.Path, base: str) -> bool:
    """Tell whether a file may derive a class from a base, by the names in its folder.

    To parse a file takes milliseconds.
    """
    heads, wanted = _heads(path.parent), base.rpartition(".")[2]
    seen: set[str] = set()
    above = {word for _, bases in HEAD.findall(path.read_text(encoding="utf8")) for word in WORD.findall(bases)}
    while wanted not in above and above - seen:
        seen |= above
        above = {word for name in above for word in heads.get(name, ())}
    return wanted in above


@functools.cache
def _heads(folder: pathlib.Path) -> dict[str, list[str]]:
    """The classes of a folder and other names of them, with the names of what they are derived from."""
    sources = [path.read_text(encoding="utf8") for path in folder.glob("*.py")]
    aliases = {alias: [name] for source in sources for name, alias in ALIAS.findall(source)}
    return aliases | {name: WORD.findall(bases) for source in sources for name, bases in HEAD.findall(source)}


def _derives(path: pathlib.Path, name: str, base: str) -> bool:
    """Tell whether a class is one of a base, over as many files of this package as it takes."""
    module = _module(path)
    if name not in module.classes:
        return False
    for written in module.classes[name].bases:
        first, dot, rest = written.partition(".")
        above = f"{module.imports.get(first, first)}{dot}{rest}"
        if above == base:
            return True
        origin, _, found = above.rpartition(".")
        other = _file_of(origin) if origin else path
        if other is not None and _derives(other, found, base):
            return True
    return False


def _file_of(module: str) -> pathlib.Path | None:
    package, *parts = module.split(".")
    path = PACKAGE.joinpath(*parts).with_suffix(".py")
    return path if package == PACKAGE.name and parts and path.exists() else None


@functools.cache
def _module(path: pathlib.Path) -> _Module:
    body = ast.parse(path.read_text(encoding="utf8")).body
    imports = (node for node in body if isinstance(node, ast.ImportFrom) and node.level == 0)
    assigned = {ast.unparse(name) for node in body if isinstance(node, ast.Assign) for name in node.targets}
    return _Module(
        classes={node.name: _read_class(node) for node in body if isinstance(node, ast.ClassDef)},
        functions={node.name: _read_function(node) for node in body if isinstance(node, ast.FunctionDef)},
        imports={x.asname or x.name: f"{node.module}.{x.name}" for node in imports for x in node.names},
        declares_measure=DECLARED in assigned,
    )


def _read_class(node: ast.ClassDef) -> _Class:
    bases = tuple(ast.unparse(base.value if isinstance(base, ast.Subscript) else base) for base in node.bases)
    methods = (method for method in node.body if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef))
    marks = (ast.unparse(mark).rpartition(".")[2] for method in methods for mark in method.decorator_list)
    is_abstract = bool(node.keywords or {"ABC", "abc.ABC"} & {*bases} or "abstractmethod" in marks)
    return _Class(bases=bases, is_concrete=not is_abstract, docstring=ast.get_docstring(node))


def _read_function(node: ast.FunctionDef) -> _Function:
    of_messages = bool(node.args.args) and node.args.args[0].arg == "messages"
    return _Function(is_of_messages=of_messages, docstring=ast.get_docstring(node))
