"""The package as a stranger gets it: a wheel, installed into an empty folder and used outside the checkout."""

import os
import pathlib
import re
import resource
import subprocess
import sys

import pytest

import heliograph

ROOT = pathlib.Path(__file__).parents[1]
HELP_CPU_SECONDS = 1.0


def run(*command: object, cwd: pathlib.Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("package")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    target = folder / "installed"
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel, cwd=folder)
    return target


@pytest.mark.xdist_group("package")
def test_the_wheel_is_complete(installed: pathlib.Path) -> None:
    source = ROOT / "src" / "heliograph"
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.suffix != ".pyc" and path.is_file()}
    assert pathlib.Path("py.typed") in wanted
    missing = [str(path) for path in wanted if not (installed / "heliograph" / path).exists()]
    assert not missing, f"the wheel lacks {missing}"
    (information,) = installed.glob("heliograph-*.dist-info")
    assert (information / "licenses" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.xdist_group("package")
def test_the_wheel_imports_outside_the_checkout(installed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    origin = run("-c", "import heliograph; print(heliograph.__file__)", cwd=tmp_path, PYTHONPATH=str(installed))
    assert pathlib.Path(origin.strip()).is_relative_to(installed)


@pytest.mark.xdist_group("package")
def test_the_wheel_has_a_command_line(installed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert "train" in run("-m", "heliograph", "--help", cwd=tmp_path, PYTHONPATH=str(installed))


def test_versions_agree() -> None:
    (top, *_) = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    (cited,) = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert heliograph.__version__ == top == cited


def test_importing_the_package_is_light(tmp_path: pathlib.Path) -> None:
    code = "import sys, heliograph; print(*{'torch', 'ray', 'pandas', 'matplotlib'} & sys.modules.keys())"
    assert run("-c", code, cwd=tmp_path).split() == []


def test_help_is_light(tmp_path: pathlib.Path) -> None:
    heavy = {"torch", "ray", "pandas", "matplotlib", "PIL"}
    code = f"""if True:
        import sys
        from heliograph.cli import main
        for words in (["--help"], ["render", "--help"]):
            try:
                main(words)
            except SystemExit:
                print("heavy:", *{heavy} & sys.modules.keys())
    """
    out = run("-c", code, cwd=tmp_path)
    assert [line.split()[1:] for line in out.splitlines() if line.startswith("heavy:")] == [[], []]


def test_help_answers_at_once(tmp_path: pathlib.Path) -> None:
    """In processor seconds, as other tests run at the same time; the best of three."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run("-m", "heliograph", "--help", cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < HELP_CPU_SECONDS, f"processor seconds of each run: {spent}"
