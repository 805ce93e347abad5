"""Files that may come from a stranger: read without executing anything, within bounds, and written whole or not at all.

Tensors are in safetensors, everything else in JSON. A checksum in the safetensors metadata tells a damaged file.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from heliograph.storage.atomic import replacing, telling
from heliograph.texts import one_line

MAX_JSON_BYTES = 16_000_000
MAX_HEADER_BYTES = 16_000_000
MAX_TENSORS = 20_000
CHECKSUM, VERSION = "sha256", "format_version"
DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64,
    "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
}  # fmt: skip
"""What safetensors calls the dtypes that weights may have."""


class RunFolderError(ValueError):
    """A run folder or team file that is missing, damaged, foreign, or would execute code that nobody vouched for."""


def make_folder(path: pathlib.Path) -> None:
    """Make a folder and its parents, where they are not there yet."""
    with telling(path):
        path.mkdir(parents=True, exist_ok=True)


def write_text(path: pathlib.Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf8")


def read_json(path: pathlib.Path) -> Any:
    """The content of a JSON file of moderate size; raises `RunFolderError` where it is none."""
    return parse_json(read_text(path, at_most=MAX_JSON_BYTES), where=str(path))


def read_text(path: pathlib.Path, *, at_most: int) -> str:
    """The text in a file of so many bytes at most; raises `RunFolderError` where it is none, or cannot be read."""
    refuse_irregular(path)
    try:
        with path.open("rb") as file:  # no more is read than is allowed, whatever the file says of its size
            content = file.read(at_most + 1)
        if len(content) > at_most:
            size = max(path.stat().st_size, len(content))
            raise RunFolderError(f"{path} has {size} bytes: more than {at_most} are refused")
        return content.decode("utf8")
    except (UnicodeDecodeError, OSError) as error:
        raise RunFolderError(f"{path} cannot be read: {one_line(error)}") from error


def parse_json(text: str, *, where: str) -> Any:
    """Return what a JSON text says; raises `RunFolderError` where it is none, or nested without end."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{where} cannot be read: {one_line(error)}") from error


def refuse_irregular(path: pathlib.Path) -> None:
    """Refuse what is there but no file, such as a pipe, which would be waited for."""
    if path.exists() and not path.is_file():
        raise RunFolderError(f"{path} is no file")


def write_tensors(path: pathlib.Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str]) -> None:
    """Write tensors with their metadata and a checksum of both, whole or not at all: equal content, equal bytes."""
    own = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    content = safetensors.torch.save(own, metadata={**metadata, CHECKSUM: checksum(own, metadata)})
    with replacing(path) as draft:
        draft.write_bytes(_ordered(content))


def _ordered(content: bytes) -> bytes:
    """The same safetensors with its metadata by name, which the library writes in an order that changes."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outline:
    """Record of what a header says of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TensorFile:
    """A safetensors file whose header was read: its metadata, and what tensors it holds."""

    path: pathlib.Path
    metadata: dict[str, str]
    outlines: dict[str, Outline]

    def read(self) -> dict[str, Tensor]:
        """All tensors; raises `RunFolderError` where they do not fit their checksum."""
        try:
            with safetensors.safe_open(str(self.path), framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in self.outlines}
        except Exception as error:  # whatever the parser makes of a stranger's bytes
            raise RunFolderError(f"{self.path} is damaged or no safetensors file: {one_line(error)}") from error
        own = {key: value for key, value in self.metadata.items() if key != CHECKSUM}
        if CHECKSUM in self.metadata and self.metadata[CHECKSUM] != checksum(tensors, own):
            raise RunFolderError(f"{self.path} is damaged: its content does not fit its checksum")
        return tensors


def open_tensors(path: pathlib.Path) -> TensorFile:
    """Read the header of a safetensors file alone; raises `RunFolderError` where it is damaged, or none at all."""
    refuse_irregular(path)
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MAX_HEADER_BYTES:
                raise RunFolderError(f"{path} is damaged or no safetensors file: its header would have {size} bytes")
            _refuse_many(path, file.read(size).count(b'"data_offsets"'))
        with safetensors.safe_open(str(path), framework="np") as file:  # torch's would ask for the memory of all
            _refuse_many(path, len(file.keys()))
            outlines = {name: _outline(file.get_slice(name)) for name in file.keys()}
            return TensorFile(path=path, metadata=dict(file.metadata() or {}), outlines=outlines)
    except RunFolderError:
        raise
    except Exception as error:  # whatever the parser makes of a stranger's bytes
        raise RunFolderError(f"{path} is damaged or no safetensors file: {one_line(error)}") from error


def _refuse_many(path: pathlib.Path, number: int) -> None:
    if number > MAX_TENSORS:
        raise RunFolderError(f"{path} holds {number:,} tensors: more than {MAX_TENSORS:,} are refused")


def _outline(part: Any) -> Outline:
    return Outline(shape=tuple(part.get_shape()), dtype=DTYPES[part.get_dtype()])


def read_tensors(path: pathlib.Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; raises `RunFolderError` where it is damaged, or none at all."""
    found = open_tensors(path)
    return found.read(), {key: value for key, value in found.metadata.items() if key != CHECKSUM}


def checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """A SHA-256 of names, dtypes, shapes and bytes of all tensors, and of the metadata."""
    found = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def file_digest(path: pathlib.Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_out(path: pathlib.Path) -> None:
    """Refuse a place where no folder can be made or written, before any work is done."""
    there = next(p for p in (path, *path.absolute().parents) if p.exists() or p.is_symlink())
    if not there.is_dir():
        raise RunFolderError(f"{there} is a file: choose another --out, a folder that is new or empty")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RunFolderError(f"{there} cannot be written: choose another --out, or change its permissions")


__all__ = [
    "Outline", "RunFolderError", "TensorFile", "check_out", "checksum", "file_digest", "make_folder", "open_tensors",
    "parse_json", "read_json", "read_tensors", "read_text", "refuse_irregular", "write_tensors", "write_text",
]  # fmt: skip
