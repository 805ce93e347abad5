"""A trainer's whole state in one safetensors file: tensors, and as JSON how they fit together.

Reading executes nothing. Beside plain values, lists and dicts it holds NumPy arrays and Heliograph's own dataclasses.
"""

import dataclasses
import importlib
import json
import pathlib
import re
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from heliograph.moved import present_name
from heliograph.storage.atomic import replacing

__all__ = ["StateFileError", "read_state", "write_state"]

FORMAT_VERSION = "1"
KIND = "heliograph trainer state"
OURS = re.compile(r"heliograph(\.\w+)+:\w+")


class StateFileError(ValueError):
    """A state file that is missing, damaged, or was not written by Heliograph."""


def write_state(path: str | pathlib.Path, state: Any) -> None:
    """Write a state so that the file is either the old or the new one, whatever happens."""
    tensors: dict[str, Tensor] = {}
    tree = _encoded(state, tensors, where="state")
    content = safetensors.torch.save(
        tensors, {"kind": KIND, "format_version": FORMAT_VERSION, "tree": json.dumps(tree)}
    )
    with replacing(pathlib.Path(path)) as draft:
        draft.write_bytes(content)


def read_state(path: str | pathlib.Path) -> Any:
    """The state that a file holds."""
    if not pathlib.Path(path).is_file():
        raise StateFileError(f"{path} does not exist, or is no file: save() writes it")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError) as error:
        raise StateFileError(f"{path} is damaged or no safetensors file: {error}") from error
    if about.get("kind") != KIND or about.get("format_version") != FORMAT_VERSION:
        raise StateFileError(f"{path} is no {KIND} of format_version {FORMAT_VERSION}")
    try:
        return _decoded(json.loads(about["tree"]), tensors)
    except (LookupError, TypeError, ValueError, AttributeError, ImportError, RecursionError) as error:
        raise StateFileError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _encoded(value: Any, tensors: dict[str, Tensor], *, where: str) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        name = str(len(tensors))
        tensors[name] = torch.as_tensor(np.asarray(value) if isinstance(value, np.generic) else value).detach().clone()
        tensors[name] = tensors[name].cpu().contiguous()
        return {"tensor": name} if isinstance(value, Tensor) else {"array": name}
    if isinstance(value, dict):
        items = [[key, _encoded(item, tensors, where=f"{where}.{key}")] for key, item in value.items()]
        if all(type(key) in (str, int) for key in value):
            return {"dict": items}
    if isinstance(value, (list, tuple)):
        parts = [_encoded(item, tensors, where=f"{where}.{i}") for i, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    kind = type(value)
    if dataclasses.is_dataclass(kind) and OURS.fullmatch(f"{kind.__module__}:{kind.__name__}"):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        encoded = {key: _encoded(item, tensors, where=f"{where}.{key}") for key, item in fields.items()}
        return {"class": f"{kind.__module__}:{kind.__name__}", "fields": encoded}
    raise TypeError(f"{where} is a {kind.__name__}: a saved state holds tensors, arrays and plain values")


def _decoded(node: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(node, dict):
        return node
    if "tensor" in node:
        return tensors[node["tensor"]]
    if "array" in node:
        return tensors[node["array"]].numpy()
    if "dict" in node:
        return {key: _decoded(item, tensors) for key, item in node["dict"]}
    if "list" in node:
        return [_decoded(item, tensors) for item in node["list"]]
    if "tuple" in node:
        return tuple(_decoded(item, tensors) for item in node["tuple"])
    return _class(node["class"])(**{key: _decoded(item, tensors) for key, item in node["fields"].items()})


def _class(name: str) -> Any:
    """One of Heliograph's dataclasses; nothing else is ever imported or called."""
    if not OURS.fullmatch(name):
        raise TypeError(f"{name!r} is none of Heliograph's structures")
    module, _, attribute = present_name(name).partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise TypeError(f"{name!r} is no structure")
    return found
