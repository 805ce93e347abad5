"""What is written is the old file or folder, or the new one: on a full disk, after a kill, beside planted links."""

import errno
import os
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from heliograph.analysis import corpus as corpora
from heliograph.analysis.corpus import METADATA, SYMBOLS, UTTERANCES, CorpusError
from heliograph.analysis.recording import record
from heliograph.cli import main
from heliograph.rendering.animation import write_pngs
from heliograph.storage import atomic as durable
from heliograph.storage.atomic import WriteError, replacing, whole_folder
from tests.analysis.teams import scripted_run
from tests.storage.test_sharing import run_folder

FILES = {UTTERANCES, SYMBOLS, METADATA}


def corpus(number: int) -> corpora.Corpus:
    return record(scripted_run(), num_episodes=number)


def content(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A disk of 600 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_corpus_on_a_full_disk_stays_what_it_was(small_disk: pathlib.Path, capsys: Any) -> None:
    folder, run = small_disk / "corpus", run_folder(small_disk.parent / "run")
    assert main(["record", str(run), "--episodes", "5", "--out", str(folder)]) == 0
    before = content(folder)
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "filling").write_bytes(bytes(free))
    capsys.readouterr()
    assert main(["record", str(run), "--episodes", "2000", "--out", str(folder), "--overwrite"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert str(folder) in said and "No space left" in said and "free some space" in said
    assert content(folder) == before and len(corpora.load_corpus(folder)) == 5
    assert sorted(path.name for path in small_disk.iterdir()) == ["corpus", "filling"], "no drafts are left"


def test_a_page_on_a_full_disk_leaves_nothing_and_says_what_helps(small_disk: pathlib.Path, capsys: Any) -> None:
    run = run_folder(small_disk.parent / "run")
    (run / "summary.json").write_text('{"episode_return_mean": 0.5, "num_env_steps": 9, "wall_seconds": 1.0}')
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "filling").write_bytes(bytes(free))
    assert main(["compare", str(run), "--out", str(small_disk / "compare.html")]) == 2
    said = capsys.readouterr().err
    assert "compare.html" in said and "free some space" in said
    assert [path.name for path in small_disk.iterdir()] == ["filling"]


@pytest.mark.parametrize("place", ["read-only", "file"])
def test_a_place_that_cannot_be_written_is_named_before_anything_is_played(
    place: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run = run_folder(tmp_path / "run")
    (tmp_path / "file").touch()
    (tmp_path / "read-only").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: "read-only" not in str(path))
    monkeypatch.setattr("heliograph.analysis.evaluate.play_run", None)
    assert main(["record", str(run), "--out", str(tmp_path / place / "corpus")]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / place) in said and "choose another --out" in said and len(said.splitlines()) == 1


def save_until(moment: int, new: corpora.Corpus, folder: pathlib.Path) -> int:
    """Save in a process that ends at once, as if killed, when it calls the system for the `moment`-th time."""
    calls = iter(range(1000))

    def dying(function: Any) -> Any:
        def call(*given: Any, **more: Any) -> Any:
            if next(calls) == moment:
                os._exit(9)
            return function(*given, **more)

        return call

    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        for name in ("replace", "fsync", "unlink", "rmdir", "mkdir"):
            setattr(os, name, dying(getattr(os, name)))
        durable._exchange = dying(durable._exchange)
        new.save(folder)
    finally:
        os._exit(0)


def test_a_kill_leaves_the_old_corpus_or_the_new_one(tmp_path: pathlib.Path) -> None:
    folder, new = tmp_path / "corpus", corpus(9)
    corpus(4).save(folder)
    found, codes = [], []
    for moment in range(40):
        codes.append(save_until(moment, new, folder))
        found.append(len(corpora.load_corpus(folder)))
        assert {path.name for path in folder.iterdir()} == FILES
        if codes[-1] == 0:
            break
    assert codes[0] == 9 and codes[-1] == 0, codes
    assert set(found) == {4, 9} and found == sorted(found), found
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"], "the next one clears up"


@pytest.mark.parametrize("exchange", [True, False])
def test_folders_change_places(exchange: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchange:  # a file system that cannot
        monkeypatch.setattr("ctypes.CDLL", lambda *given, **more: object())
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    with whole_folder(path) as draft:
        (draft / "new").touch()
        assert [x.name for x in path.iterdir()] == ["old"]
    assert [x.name for x in path.iterdir()] == ["new"] and [x.name for x in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(WriteError, match=r"cannot write .*folder: No space left.*free some space"):
        with whole_folder(path) as draft:
            raise OSError(errno.ENOSPC, "full")
    assert [x.name for x in path.iterdir()] == ["new"] and [x.name for x in tmp_path.iterdir()] == ["folder"]


def test_what_else_lies_in_a_folder_is_not_replaced(tmp_path: pathlib.Path) -> None:
    corpus(4).save(tmp_path)
    corpus(5).save(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CorpusError, match=r"holds notes\.txt: choose a folder that is new"):
        corpus(6).save(tmp_path)
    assert len(corpora.load_corpus(tmp_path)) == 5 and (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("command", ["record", "render"])
def test_a_link_in_the_place_of_a_folder_is_refused(command: str, tmp_path: pathlib.Path, capsys: Any) -> None:
    run, elsewhere = run_folder(tmp_path / "run"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for target in (elsewhere, tmp_path / "nowhere"):
        (run / "corpus").symlink_to(target)
        assert main([command, str(run), "--episodes", "5", "--out", str(run / "corpus")]) == 2
        assert "is a link, which is not followed" in capsys.readouterr().err
        (run / "corpus").unlink()
    assert not list(elsewhere.iterdir()) and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["compare.html", "compare.html.draft"])
def test_planted_links_are_replaced_and_never_followed(name: str, tmp_path: pathlib.Path) -> None:
    run, mine = run_folder(tmp_path / "run"), tmp_path / "mine"
    (run / "summary.json").write_text('{"episode_return_mean": 0.5, "num_env_steps": 9, "wall_seconds": 1.0}')
    mine.write_text("mine")
    (run / name).symlink_to(mine)
    assert main(["compare", str(run), "--out", str(run / "compare.html"), "--overwrite"]) == 0
    assert mine.read_text() == "mine" and not (run / "compare.html").is_symlink()
    assert "Heliograph" in (run / "compare.html").read_text()


def test_only_drafts_of_that_file_are_cleared_up(tmp_path: pathlib.Path) -> None:
    kept = ["page.html.old.draft", "page.html.0123456z.draft", "other.html.01234567.draft"]
    for name in [*kept, "page.html.01234567.draft"]:
        (tmp_path / name).touch()
    with replacing(tmp_path / "page.html") as draft:
        draft.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "page.html"])


def test_no_picture_is_replaced_before_all_are_drawn(tmp_path: pathlib.Path) -> None:
    black, white = np.zeros((4, 4, 3), dtype=np.uint8), np.full((4, 4, 3), 255, dtype=np.uint8)
    write_pngs([black, black], tmp_path)
    before = content(tmp_path)

    def failing() -> Iterator[Any]:
        yield white
        raise ValueError("cannot be shown")

    with pytest.raises(ValueError, match="cannot be shown"):
        write_pngs(failing(), tmp_path)
    assert content(tmp_path) == before
