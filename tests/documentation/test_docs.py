"""The documentation holds: public names are explained, and what README.md and docs/ show can be run.

A block marked ```python runs, all blocks of a page one after the other in one Python, in an empty folder. A block
marked ```python notest is only compiled. A line of a ```shell block that starts with `heliograph` names a sub-command
and options that exist.
"""

import ast
import dataclasses
import functools
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

import heliograph
from tests.warm_python import WarmPython, warm_python

PACKAGE = pathlib.Path(heliograph.__file__).parent
ROOT = pathlib.Path(__file__).parents[2]
BUILT = {"_build", "_generated"}
PAGES = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if path.exists() and not BUILT.intersection(path.parts)
]
SHELLS = {"shell", "bash", "sh", "console"}
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<code>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL)
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MPLBACKEND": "Agg",
}


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    info: tuple[str, ...]
    code: str
    first_line: int

    @property
    def language(self) -> str:
        return self.info[0] if self.info else ""


def blocks_of(text: str) -> list[Block]:
    return [
        Block(
            info=tuple(match["info"].split()),
            code=match["code"],
            first_line=text.count("\n", 0, match.start("code")) + 1,
        )
        for match in FENCE.finditer(text)
    ]


def script_of(text: str) -> str:
    """The blocks of a page that run, each at the line where it stands there, so that tracebacks point into the page."""
    lines: list[str] = []
    for block in blocks_of(text):
        if block.info == ("python",):
            lines += [""] * (block.first_line - 1 - len(lines))
            lines += block.code.splitlines()
    return "\n".join(lines)


def commands_of(text: str) -> list[str]:
    """The lines of shell blocks that call `heliograph`, continued lines joined, prompts and comments dropped."""
    shell = "\n".join(block.code for block in blocks_of(text) if block.language in SHELLS)
    lines = (line.strip().removeprefix("$ ") for line in shell.replace("\\\n", " ").splitlines())
    return [line for line in lines if line.split()[:1] == ["heliograph"]]


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def undocumented(tree: ast.Module) -> list[str]:
    """Public classes and functions of a module without a docstring; `__all__` says which are public, where it is."""
    defined = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    listed = exported(tree)
    public = [node for node in defined if (node.name in listed if listed is not None else node.name[0] != "_")]
    return [node.name for node in public if not ast.get_docstring(node)]


def exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return None


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_names_are_explained(path: pathlib.Path) -> None:
    missing = undocumented(ast.parse(path.read_text()))
    assert not missing, f"no docstring: {missing}"


def runnable_pages() -> list:
    """The pages with code that runs; those that may start Ray share the worker of the other tests that do."""
    pages = {path: script_of(path.read_text()) for path in PAGES}
    starts_ray = re.compile("ray|rllib|build_algo")
    return [
        pytest.param(path, id=name_of(path), marks=[pytest.mark.ray] if starts_ray.search(script) else [])
        for path, script in pages.items()
        if script
    ]


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmPython]:
    names = ["CommPPOConfig", "LocalTrainer", "evaluate", "train", "report"]
    with warm_python(names, environment=ENVIRONMENT) as python:
        yield python


@pytest.mark.parametrize("page", runnable_pages())
def test_python_blocks_run(page: pathlib.Path, tmp_path: pathlib.Path, warm: WarmPython) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    script = tmp_path / f"{page.name}.py"
    script.write_text(script_of(page.read_text()))
    done = warm.run(script, folder=folder)
    assert done.returncode == 0, f"line numbers are those of {name_of(page)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_compile(page: pathlib.Path) -> None:
    for block in blocks_of(page.read_text()):
        if block.language == "python":
            assert block.info in [("python",), ("python", "notest")], f"line {block.first_line}: {block.info}"
            compile(block.code, f"{name_of(page)}, block at line {block.first_line}", "exec")


@functools.cache
def help_of(command: tuple[str, ...]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "heliograph", *command, "--help"],
        env={**ENVIRONMENT, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    usage = done.stdout.strip().partition("\n\n")[0]
    known = all(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", usage) for word in command)
    assert done.returncode == 0 and known, f"no sub-command {' '.join(command)!r}: {done.stderr or usage}"
    return done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if commands_of(page.read_text())], ids=name_of)
def test_shell_blocks_name_commands_and_options_that_exist(page: pathlib.Path) -> None:
    for line in commands_of(page.read_text()):
        words = shlex.split(line, comments=True)[1:]
        command = tuple(words[:1]) if words and not words[0].startswith("-") else ()
        valid = set(re.findall(r"(?<![\w-])--?[a-z][\w.-]*", help_of(command)))
        unknown = [word for word in words if word.startswith("-") and word.split("=")[0] not in {*valid, "--help"}]
        assert not unknown, f"{line!r}: no option {unknown}"


def listed_in(index: str) -> list[str]:
    """The pages that the tables of contents of a page name."""
    trees = [block.code for block in blocks_of(index) if block.info == ("{toctree}",)]
    lines = [line.strip() for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    return [re.sub(r"^.*<(.+)>$", r"\1", line) for line in lines]


def test_every_page_stands_at_one_place_in_the_contents() -> None:
    docs = ROOT / "docs"
    pages = [str(page.relative_to(docs).with_suffix("")) for page in PAGES if docs in page.parents]
    written = {"index", "genindex"}
    assert sorted(["index", *listed_in((docs / "index.md").read_text())]) == sorted({*pages, *written})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_that_are_named_are_there(page: pathlib.Path) -> None:
    text = FENCE.sub("", page.read_text())
    named = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    gone = sorted(link for link in named if link and not (page.parent / link).exists())
    assert not gone, f"not in the checkout: {gone}; what the build writes is included in components.md and reference.md"


def test_blocks_are_read_as_they_are_written() -> None:
    page = "A\n```python\nx = 1\n```\n\n```python notest\nnever()\n```\n"
    page += "```shell\n$ heliograph list \\\n  --json  # all\nls\n```\n```python\nassert x == 1\n```\n"
    script = script_of(page)
    exec(compile(script, "page", "exec"), {})
    assert script.splitlines().index("x = 1") + 1 == 3
    assert "never" not in script
    assert [shlex.split(line, comments=True) for line in commands_of(page)] == [["heliograph", "list", "--json"]]


def test_names_without_docstring_are_found() -> None:
    assert undocumented(ast.parse("def f(): ...\ndef _g(): ...\nclass C:\n    'Yes.'")) == ["f"]
    assert undocumented(ast.parse("__all__ = ['f']\ndef f(): ...\ndef g(): ...")) == ["f"]
