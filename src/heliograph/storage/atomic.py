"""Files and folders that are there as a whole or not at all, whatever ends the process or fills the disk."""

import concurrent.futures
import contextlib
import ctypes
import errno
import glob
import os
import pathlib
import secrets
import shutil
from collections.abc import Callable, Iterator

__all__ = ["WriteError", "flush_tree", "replacing", "replacing_folder", "telling", "whole_folder"]

FLUSHERS = 8
DRAFT = "[0-9a-f]" * 8 + ".draft"
"""How the name of a draft ends, as a pattern; it begins with that of what it is to replace."""
HERE, EXCHANGE = -100, 2
"""Arguments of Linux's renameat2: paths are relative to where one is; both are renamed, each to the other."""
CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
REMEDIES = {
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "its disk is read-only; move the folder to another",
    errno.EACCES: "make it writable for you",
    errno.EPERM: "make it writable for you",
    errno.ENOENT: "make the folder that it is to lie in",
    errno.ENOTDIR: "choose a place in a folder",
    errno.EISDIR: "choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EBUSY: "it is a disk of its own: name a folder in it",
    errno.EXDEV: "it is a disk of its own: name a folder in it",
}


class WriteError(OSError):
    """A file that could not be written: which one, why, and what helps."""


@contextlib.contextmanager
def telling(path: pathlib.Path) -> Iterator[None]:
    """Turn what the system says while `path` is written into a `WriteError` that names it."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        remedy = REMEDIES.get(error.errno or 0, "see to its disk")
        told = WriteError(f"cannot write {path}: {why}; {remedy}")
        told.errno = error.errno
        raise told from error


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A draft beside `path` that takes its place, on disk, when the block ends; after an error nothing has changed."""
    draft = _draft_of(path)
    with telling(path):
        _discard_drafts(path)
        try:
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield draft
            _flush(draft)
            os.replace(draft, path)
            _flush(path.parent)
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A draft folder beside `path` that takes its place, on disk, when the block ends; after an error nothing has.

    Where `path` is there already the two change places at once, as far as its file system can do that.
    """
    path = path.absolute()
    draft = _draft_of(path)
    with telling(path):
        try:
            draft.mkdir(parents=True)
            yield draft
            flush_tree(draft)
            if path.exists():
                _exchange(draft, path)
            else:
                os.replace(draft, path)
            _flush(path.parent)
            _discard_drafts(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _exchange(one: pathlib.Path, other: pathlib.Path) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        if rename(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0:
            return
        number = ctypes.get_errno()
        if number not in CANNOT_EXCHANGE:
            raise OSError(number, os.strerror(number))
    aside = _draft_of(other)
    os.replace(other, aside)
    os.replace(one, other)
    os.replace(aside, one)


def _draft_of(path: pathlib.Path) -> pathlib.Path:
    """A name that nobody could have planted a link under."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")


def _discard_drafts(path: pathlib.Path) -> None:
    """Delete what a process that was killed has left."""
    for old in path.parent.glob(f"{glob.escape(path.name)}.{DRAFT}"):
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


def replacing_folder(path: pathlib.Path, *, write: Callable[[str], object], draft: pathlib.Path) -> None:
    """Let `write(draft)` fill a folder on the same disk that then appears as `path`, as a whole."""
    with telling(path):
        shutil.rmtree(draft, ignore_errors=True)
        draft.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(str(draft))
            flush_tree(draft)
            os.replace(draft, path)
            _flush(path.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def flush_tree(folder: pathlib.Path) -> None:
    """Have the disk hold all files of a folder, and their names; side by side, since a disk takes many at once."""
    paths = [pathlib.Path(parent, name) for parent, _, files in os.walk(folder) for name in (*files, "")]
    with concurrent.futures.ThreadPoolExecutor(FLUSHERS) as threads:
        for _ in threads.map(_flush, paths):
            pass


def _flush(path: pathlib.Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(number)
