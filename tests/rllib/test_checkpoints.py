"""A checkpoint that is not as it was written is never opened: pickles of flipped bits can be anything."""

import pathlib
import random
import re
import shutil

import pytest

from heliograph.rllib.runs import checkpoints
from heliograph.rllib.runs.checkpoints import check_checkpoint, complete_checkpoints, write_checkpoint
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.run_folder import RunFolderError
from tests.rllib.test_train import small

VARIANTS = 300


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    def save(path: str) -> None:
        for name in ("state.pkl", "learner/module/weights.pkl", "empty"):
            file = pathlib.Path(path, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"" if name == "empty" else random.randbytes(500))

    for iteration in (1, 2):
        write_checkpoint(tmp_path, iteration=iteration, save=save)
    return tmp_path


def damage(checkpoint: pathlib.Path) -> str:
    """Damage something, and say what."""
    kind = random.choice(("flip", "cut", "grow", "lose", "add", "swap"))
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.stat().st_size)
    file = random.choice(files)
    content = bytearray(file.read_bytes())
    if kind == "flip":
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    elif kind == "cut":
        content = content[: random.randrange(len(content))]
    elif kind == "grow":
        content += random.randbytes(random.randint(1, 9))
    file.write_bytes(content)
    if kind == "lose":
        file.unlink()
    elif kind == "add":
        (checkpoint / "more.pkl").write_bytes(b"pickle")
    elif kind == "swap":
        (checkpoint / "empty").write_bytes(content)
    return f"{kind} {file.name}"


def test_a_whole_checkpoint_passes(run: pathlib.Path) -> None:
    for checkpoint in complete_checkpoints(run):
        check_checkpoint(checkpoint)


def test_every_damage_is_told_and_what_to_do_about_it(run: pathlib.Path) -> None:
    last = complete_checkpoints(run)[-1]
    whole = shutil.copytree(last, run / "whole")
    for _ in range(VARIANTS):
        what = damage(last)
        with pytest.raises(RunFolderError) as told:
            check_checkpoint(last)
        message = str(told.value)
        assert re.match(
            rf"{last} is damaged \(.+\): delete it, and --resume goes on from iteration_000001$", message
        ), what
        shutil.rmtree(last)
        shutil.copytree(whole, last)
    check_checkpoint(last)


def test_where_there_is_none_before_the_remedy_is_another(run: pathlib.Path) -> None:
    first, last = complete_checkpoints(run)
    (first / checkpoints.DIGESTS).unlink()
    with pytest.raises(RunFolderError, match=r"lacks sha256\.json.*there is none before it: train anew"):
        check_checkpoint(first)
    (last / checkpoints.DIGESTS).write_text("[]")
    with pytest.raises(RunFolderError, match="no table"):
        check_checkpoint(last)


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(ray_session: None, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "run"
    train(small(iterations=2, checkpoint_every=1), out=folder)
    last = complete_checkpoints(folder)[-1]
    weights = max(last.rglob("*.pkl"), key=lambda path: path.stat().st_size)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 4
    weights.write_bytes(content)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match=rf"{weights.name} is not as it was written"):
        resume(folder, iterations=3)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    shutil.rmtree(last)
    assert resume(folder, iterations=3)["iterations"] == 3
