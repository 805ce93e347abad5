"""The house rules that can be counted: imports go one way, Ray stays in its folder, files and functions stay short."""

import ast
import graphlib
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

import heliograph

PACKAGE = pathlib.Path(heliograph.__file__).parent
ROOT = pathlib.Path(__file__).parents[1]
LAYERS = (
    {
        "types",
        "moved",
        "renamed",
        "observations",
        "names",
        "registry",
        "component_files",
        "functional",
        "td",
        "distributions",
        "importing",
        "own_files",
        "memory",
        "texts",
        "checks",
        "isolation",
        "hardware",
    },
    {"envs", "channels", "topologies", "models", "populations"},
    {"team", "rollouts"},
    {"losses", "storage", "experiments", "recipes"},
    {"analysis", "protocols", "reports", "rendering", "adapters"},
    {"rllib"},
    {"testing"},
    {"cli"},
    {"__init__", "__main__"},
)
"""From the bottom up: a module imports from its own layer and those before it."""
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer}
MAX_FILE_LINES = 400
MAX_LINES_WITH_A_REASON = 600
LONG_FILES = {
    "envs/base.py": "the hooks that an author fills in and the steps that call them are read together",
    "rllib/learner.py": "one update, from a batch to the statistics that it moves, is read from top to bottom",
    "experiments/choices.py": "what is chosen by name and how each choice is built mirror each other, part by part",
}
"""Files that are longer than most may be, each with the reason why its one idea would not read better in two."""
MAX_FUNCTION_LINES = 60

FILES = sorted(PACKAGE.rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


def imported(tree: ast.AST, *, package: list[str]) -> Iterator[tuple[int, str]]:
    """Line and full name of every module (or name in one) that is imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            yield from ((node.lineno, ".".join([*module, alias.name])) for alias in node.names)


def imports_of(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    package = ["heliograph", *path.relative_to(PACKAGE).parts[:-1]]
    for line, name in imported(ast.parse(path.read_text()), package=package):
        yield line, name.split(".")


def layer_of(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_a_layer() -> None:
    homeless = {layer_of(path) for path in FILES} - LEVEL.keys()
    assert not homeless, f"say in tests/test_layers.py which layer these belong to: {sorted(homeless)}"


@each_file
def test_imports_go_one_way(path: pathlib.Path) -> None:
    own = LEVEL.get(layer_of(path), len(LAYERS))
    upward = [
        f"line {line}: {'.'.join(parts)}"
        for line, parts in imports_of(path)
        if parts[0] == "heliograph" and len(parts) > 1 and LEVEL.get(parts[1], -1) > own
    ]
    assert not upward, f"{layer_of(path)} imports from a layer above it: {upward}"


def needs_of(path: pathlib.Path) -> set[str]:
    """Modules of ours that a module needs when it runs, those imported in functions too; not those for its hints."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for _, name in imported(tree, package=["heliograph", *path.relative_to(PACKAGE).parts[:-1]]):
        for full in (name, name.rpartition(".")[0]):
            file = PACKAGE.parent / f"{full.replace('.', '/')}.py"
            if file.exists():
                found.add(str(file.relative_to(PACKAGE)))
                break
    return found


def test_no_modules_need_each_other() -> None:
    sorter = graphlib.TopologicalSorter({str(path.relative_to(PACKAGE)): needs_of(path) for path in FILES})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


@each_file
def test_ray_is_imported_in_its_folder_only(path: pathlib.Path) -> None:
    lines = [line for line, parts in imports_of(path) if parts[0] == "ray"]
    assert not lines or layer_of(path) == "rllib", f"imports ray outside rllib/ in lines {lines}"


@each_file
def test_files_are_short(path: pathlib.Path) -> None:
    num_lines = len(path.read_text().splitlines())
    limit = MAX_LINES_WITH_A_REASON if str(path.relative_to(PACKAGE)) in LONG_FILES else MAX_FILE_LINES
    assert num_lines <= limit, f"{num_lines} lines; at most {limit}: split the idea in two, or say why it is one"


def test_every_long_file_is_long() -> None:
    lines = {path: len((PACKAGE / path).read_text().splitlines()) for path in LONG_FILES}
    assert all(number > MAX_FILE_LINES for number in lines.values()), f"no reason is needed: {lines}"


def test_a_public_name_is_defined_in_one_module() -> None:
    found: dict[str, list[str]] = {}
    for path in FILES:
        for name in public_names(ast.parse(path.read_text())):
            found.setdefault(name, []).append(str(path.relative_to(PACKAGE)))
    several = {name: paths for name, paths in found.items() if len(paths) > 1}
    assert not several, f"a name means one thing: call all but one of these otherwise: {several}"


def public_names(tree: ast.Module) -> set[str]:
    """The functions and classes of a module that have no underscore in front."""
    defined = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef))
    return {node.name for node in defined if not node.name.startswith("_")}


@each_file
def test_functions_are_short(path: pathlib.Path) -> None:
    nodes = ast.walk(ast.parse(path.read_text()))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {node.name: num_code_lines(node) for node in functions if num_code_lines(node) > MAX_FUNCTION_LINES}
    assert not long, f"functions of more than {MAX_FUNCTION_LINES} lines, docstring aside: {long}"


def num_code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the signature to the end, docstring aside."""
    assert function.end_lineno is not None
    num_lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return num_lines
    docstring = function.body[0]
    assert docstring.end_lineno is not None
    return num_lines - (docstring.end_lineno - docstring.lineno + 1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import ray", "ray"),
        ("def f():\n    from ray.rllib import algorithms", "ray.rllib.algorithms"),
        ("from heliograph import cli", "heliograph.cli"),
        ("from ..rllib.learner import TeamLearner", "heliograph.rllib.learner.TeamLearner"),
        ("from . import base", "heliograph.envs.base"),
    ],
)
def test_imports_are_found_however_they_are_written(source: str, expected: str) -> None:
    assert [name for _, name in imported(ast.parse(source), package=["heliograph", "envs"])] == [expected]


def test_nothing_that_a_run_left_is_kept_at_the_root() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split("/")[0] for line in listed.splitlines()} == {
        ".ci", ".gitignore", "CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "README.md", "benchmarks",
        "constraints.txt", "docs", "examples", "findings", "pyproject.toml", "src", "tests",
    }  # fmt: skip


def test_what_takes_a_second_to_import_is_not_loaded_by_every_worker() -> None:
    """Modules that a training loads leave `scipy.stats`, plots and classifiers to those that need them."""
    slow, seen, waiting = {"scipy.stats", "matplotlib", "sklearn"}, set(), ["heliograph.rllib.env_runner"]
    while waiting:
        name = waiting.pop()
        path = PACKAGE.parent / pathlib.Path(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in seen or not path.exists():
            continue
        seen.add(name)
        loaded = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        found = [each for _, each in imported(ast.Module(loaded, []), package=name.split(".")[:-1])]
        assert not [each for each in found for bad in slow if f"{each}.".startswith(f"{bad}.")], name
        waiting += [
            part for each in found if each.startswith("heliograph.") for part in (each, each.rpartition(".")[0])
        ]
    assert len(seen) > 100
