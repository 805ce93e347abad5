"""What lies where one is, is never taken for a package; names `module:Name` are found there when one asks for them."""

import importlib.metadata
import os
import pathlib
import subprocess
import sys

import pytest

from heliograph.importing import FOLDER, imported, looking_in
from heliograph.rllib.ppo import CommPPOConfig
from tests.storage.test_sharing import run_folder

ROOT = pathlib.Path(__file__).parents[1]
MARKER = """import os
with open(os.environ["EXECUTED"], "a") as file:
    print(__name__, file=file)
raise ImportError("a stranger's file was taken for a package")
"""
TINY = ["--set", "model.size=8", "training.train_batch_size_per_learner=64", "training.minibatch_size=64"]
TINY += ["training.num_envs_per_env_runner=32", "--iterations", "1"]
READING = [
    ["list"],
    ["evaluate", ".", "--episodes", "5"],
    ["record", ".", "--episodes", "5", "--out", "corpus"],
    ["protocol", "."],
    ["protocol", "corpus"],
    ["replay", "."],
    ["render", "."],
    ["report", ".", "--episodes", "5"],
    ["compare", ".", "--out", "compare.html"],
    ["export", ".", "handed_on.safetensors"],
]
MINE = """import helpers
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.rllib.ppo import CommPPOConfig

assert helpers.HERE


class Mine(SpeakerListener):
    pass


class MyPPO(CommPPOConfig):
    pass
"""


def strange(folder: pathlib.Path) -> None:
    """Files that bear the names of all packages, of ours and of the standard library, and of some that are not here."""
    absent = ("sitecustomize", "usercustomize", "triton", "tensorflow", "cupy", "wandb", "dotenv", "IPython")
    names = {*sys.stdlib_module_names, *importlib.metadata.packages_distributions(), *absent}
    for name in names:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(MARKER)
    os.mkfifo(folder / "matplotlibrc")


@pytest.fixture
def inside(tmp_path: pathlib.Path) -> pathlib.Path:
    """A stranger's run folder."""
    folder = run_folder(tmp_path / "run", size=8)
    (folder / "summary.json").write_text('{"episode_return_mean": 0.5, "num_env_steps": 9, "wall_seconds": 1.0}')
    (folder / "progress.csv").write_text("num_env_steps,episode_return_mean\n64,0.1\n128,0.2\n")
    strange(folder)
    return folder


def commands(folder: pathlib.Path, lines: list[list[str]], *, how: tuple[str, ...] = ()) -> None:
    """Run commands in one process as the installed script does, with `folder` as working directory."""
    script = folder.parent / "bin" / "heliograph"
    script.parent.mkdir(exist_ok=True)
    script.write_text(
        f"import sys\nfrom heliograph.cli import main\nfor words in {lines!r}:\n"
        "    code = main(words)\n    assert code == 0, (words, code)\n"
    )
    marks = folder.parent / "executed"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "EXECUTED": str(marks),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, *(how or (str(script),))]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    executed = sorted(set(marks.read_text().split())) if marks.exists() else []
    assert not executed, f"taken from the working directory: {executed}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_commands_that_read_execute_nothing_of_the_folder_one_is_in(inside: pathlib.Path) -> None:
    commands(inside, READING)


@pytest.mark.slow
def test_nor_does_python_m_heliograph(inside: pathlib.Path) -> None:
    (inside.parent / "nothing.py").write_text("import sys; print(*sys.modules)")
    command = [sys.executable, "-m", "nothing"]
    loaded = subprocess.run(command, cwd=inside.parent, capture_output=True, text=True, check=True).stdout.split()
    for name in ("heliograph", *loaded):
        (inside / f"{name}.py").unlink(missing_ok=True)  # what Python takes before anything of ours begins
    commands(inside, [], how=("-m", "heliograph", "evaluate", ".", "--episodes", "5"))


@pytest.mark.slow
@pytest.mark.parametrize("more", [["--env-runners", "1"], ["--seeds", "0", "1", "--jobs", "2"]], ids=["ray", "workers"])
def test_training_takes_nothing_from_where_one_is(inside: pathlib.Path, more: list[str]) -> None:
    commands(inside, [["train", "speaker_listener", "--out", "../new", *TINY, *more]])


@pytest.mark.slow
def test_nor_do_the_trials_of_a_sweep(inside: pathlib.Path) -> None:
    commands(inside, [["sweep", "speaker_listener", "--grid", "training.lr=1e-3", "--out", "../sweep", *TINY]])


@pytest.mark.slow
@pytest.mark.parametrize("more", [["--env-runners", "1"], ["--seeds", "0", "1", "--jobs", "2"]], ids=["ray", "workers"])
def test_names_of_ones_own_are_found_beside_a_queue_of_ones_own(tmp_path: pathlib.Path, more: list[str]) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in {"mine": MINE, "helpers": "HERE = True\n", "queue": MARKER, "rich": MARKER}.items():
        (folder / f"{name}.py").write_text(text)
    out = "../new/seed_0" if "--seeds" in more else "../new"
    train = ["train", "mine:Mine", "--algorithm", "mine:MyPPO", "--out", "../new", *TINY, *more]
    lines = [train, ["evaluate", out, "--episodes", "5", "--trust"]]
    resumed = ["train", "--resume", out, "--iterations", "2"]
    commands(folder, lines if "--seeds" in more else [*lines, resumed])


def test_with_a_safe_path_nothing_of_where_one_is_is_imported(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").write_text(MARKER)
    words = ["train", "mine:Mine", "--out", "x"]
    code = f"import sys; from heliograph.cli import main; sys.exit(main({words!r}))"
    marks = tmp_path / "executed"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONSAFEPATH": "1", "EXECUTED": str(marks)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and "'mine:Mine' cannot be imported: No module named 'mine'" in done.stderr
    assert not marks.exists()


def test_a_folder_is_looked_in_last_and_only_for_a_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("import sys\nlooked = list(sys.path)\n")
    monkeypatch.delenv(FOLDER, raising=False)
    before = list(sys.path)
    with pytest.raises(ImportError), looking_in(None):
        imported("only_here:looked")
    with looking_in(str(tmp_path)):
        assert sys.path == before
        assert imported("only_here:looked") == [*before, str(tmp_path)]
        assert sys.path == before and os.environ[FOLDER] == str(tmp_path)
    assert FOLDER not in os.environ
    monkeypatch.delitem(sys.modules, "only_here")


class Own(CommPPOConfig):
    """An algorithm of a user's own."""


def test_a_pickled_configuration_names_its_class() -> None:
    _, arguments, state = Own().__reduce_ex__(2)
    assert arguments == (f"{__name__}:Own",) and state["lr"] == Own().lr
