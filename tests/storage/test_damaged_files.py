"""A thousand damaged or foreign files: reading each gives one clear message or the same content, and nothing else."""

import hashlib
import json
import os
import pathlib
import pickle
import random
import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliograph.analysis import corpus as corpora
from heliograph.analysis.corpus import CHECKSUM, METADATA, SCHEMA, UTTERANCES, CorpusError
from heliograph.analysis.recording import record
from heliograph.registry import UnknownNameError
from heliograph.storage import safe_files
from heliograph.storage.run_folder import CONFIG, TEAM, WEIGHTS, RunFolderError, read_run
from heliograph.storage.safe_files import write_tensors
from heliograph.storage.team_file import export, read_policy
from tests.storage.test_sharing import run_folder

CLEAR = (RunFolderError, CorpusError, UnknownNameError)
TRICKS = ("flip", "truncate", "insert", "delete", "splice", "zero", "grow", "digits")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A run folder, a team file and a corpus."""
    folder = tmp_path_factory.mktemp("whole")
    run = run_folder(folder / "run", size=2)
    export(run, folder / "team.safetensors")
    record(read_run(run), num_episodes=8, out=folder / "corpus")
    return folder


def damaged(content: bytes, source: random.Random) -> bytes:
    """One of `TRICKS` played on some bytes."""
    trick, at = source.choice(TRICKS), source.randrange(len(content))
    if trick == "flip":
        return content[:at] + bytes([content[at] ^ (1 << source.randrange(8))]) + content[at + 1 :]
    if trick == "digits":
        places = [i for i, byte in enumerate(content) if chr(byte).isdigit()] or [at]
        at = source.choice(places)
        return content[:at] + source.choice((b"9" * 30, b"-1", b"1e308", b"null", b"[]")) + content[at + 1 :]
    end = min(len(content), at + source.randrange(1, 40))
    other = {
        "truncate": content[:at],
        "insert": content[:at] + source.randbytes(9) + content[at:],
        "delete": content[:at] + content[end:],
        "splice": content[:at] + content[: end - at] + content[end:],
        "zero": content[:at] + bytes(end - at) + content[end:],
        "grow": content + content[:end],
    }
    return other[trick]


def same_team(one: Any, other: Any) -> bool:
    mine, theirs = one.team.state_dict(), other.team.state_dict()
    equal = mine.keys() == theirs.keys() and all(torch.equal(x, theirs[key]) for key, x in mine.items())
    return equal and (one.env, one.choices) == (other.env, other.choices)


def outcome(read: Callable[[], Any]) -> Any:
    """What was read, or None where it was refused in one line; any other exception fails the test."""
    try:
        return read()
    except CLEAR as error:
        assert "\n" not in str(error) and len(str(error)) < 2000, str(error)
        return None


@pytest.mark.parametrize("name", ["team.safetensors", f"run/{WEIGHTS}"])
def test_damaged_weights(name: str, whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    source, content = random.Random(name), (whole / name).read_bytes()
    original, refused = read_run(whole / "run"), 0
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    (path.parent / CONFIG).write_bytes((whole / "run" / CONFIG).read_bytes())
    for _ in range(200):
        path.write_bytes(variant := damaged(content, source))
        found = outcome(lambda: read_run(path.parent if path.name == WEIGHTS and path.parent != tmp_path else path))
        outcome(lambda: read_policy(path.parent if path.parent != tmp_path else path, "speaker"))
        refused += found is None
        assert found is None or same_team(found, original)
        assert path.read_bytes() == variant
    assert refused > 190


def test_damaged_configurations(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    source, content = random.Random(1), (whole / "run" / CONFIG).read_bytes()
    (tmp_path / WEIGHTS).write_bytes((whole / "run" / WEIGHTS).read_bytes())
    refused = 0
    for _ in range(250):
        (tmp_path / CONFIG).write_bytes(variant := damaged(content, source))
        found = outcome(lambda: read_run(tmp_path))
        refused += found is None
        assert found is None or found.config == json.loads(variant)
        assert found is None or safe_files.CHECKSUM not in found.config or found.config == json.loads(content)
        assert (tmp_path / CONFIG).read_bytes() == variant
        assert sorted(p.name for p in tmp_path.iterdir()) == [CONFIG, WEIGHTS]
    assert refused > 225


@pytest.mark.parametrize("name", [UTTERANCES, METADATA])
@pytest.mark.parametrize("checksum", [True, False])
def test_damaged_corpora(name: str, checksum: bool, whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    source, original = random.Random(name), corpora.load_corpus(whole / "corpus")
    files = {file: (whole / "corpus" / file).read_bytes() for file in (UTTERANCES, METADATA)}
    if not checksum:
        metadata = {key: value for key, value in json.loads(files[METADATA]).items() if key != CHECKSUM}
        files[METADATA] = json.dumps(metadata).encode()
    for _ in range(60):
        for file, content in files.items():
            (tmp_path / file).write_bytes(damaged(content, source) if file == name else content)
        found = outcome(lambda: corpora.load_corpus(tmp_path))
        if found is not None and name == UTTERANCES and checksum:
            assert found.utterances.equals(original.utterances)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["cnet", "silent", "symbols", "none", "garbled+dru", "given", "os:system", "../x", "identity"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["env", "settings", "model", "model_settings", "channel", "channel_settings", "topology", "topology_settings",
     "policies", "goals", "rounds", "size", "layers", "vocabulary", "length", "time_limit", "normalise_observations",
     "talk_steps", "observation", "gradient", "temperature", "function", "mask"]
)  # fmt: skip


@given(where=st.lists(KEYS, min_size=1, max_size=3), part=st.sampled_from(["env", "team", "root"]), value=VALUES)
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_senseless_descriptions(whole: pathlib.Path, where: list[str], part: str, value: Any) -> None:
    """Valid JSON, but anything may stand anywhere."""
    config = json.loads((whole / "run" / CONFIG).read_text())
    del config[safe_files.CHECKSUM]  # or it would be refused before anybody looks at it
    place = config if part == "root" else config[part]
    for key in where[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place
    if isinstance(place, dict):
        place[where[-1]] = value
    folder = whole / "senseless"
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config))
    (folder / WEIGHTS).write_bytes((whole / "run" / WEIGHTS).read_bytes())
    outcome(lambda: read_run(folder))


# ---- files that are something else --------------------------------------------------------------------------------


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path: pathlib.Path):
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return (open, (self.path, "w"))


def header(text: bytes, *, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


def foreign(sentinel: pathlib.Path) -> dict[str, bytes]:
    zip_of_torch = sentinel.parent / "weights.pt"
    torch.save({"a": torch.zeros(3), "b": Payload(sentinel)}, zip_of_torch)
    huge = {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    none = {f"t{i}": {"dtype": "F32", "shape": [0, 2**60], "data_offsets": [0, 0]} for i in range(50)}
    return {
        "nothing": b"",
        "text": b"hello",
        "pickle": pickle.dumps(Payload(sentinel)),
        "torch": zip_of_torch.read_bytes(),
        "html": b"<html><script>alert(1)</script></html>",
        "gzip": b"\x1f\x8b" + bytes(100),
        "endless header": header(b"{}", size=2**63),
        "long header": header(b"{}", size=90_000_000),
        "spaces": header(b" " * 100_000),
        "deep": header(deep(50_000).encode()),
        "huge tensor": header(json.dumps(huge).encode()),
        "empty tensors": header(json.dumps(none).encode()),
        "overlap": header(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        )
        + bytes(4),
        "description is no JSON": header(json.dumps({"__metadata__": {TEAM: "{"}}).encode()),
        "description is deep": header(json.dumps({"__metadata__": {TEAM: deep(100_000)}}).encode()),
        "description is a list": header(json.dumps({"__metadata__": {TEAM: "[1]"}}).encode()),
    }


def test_foreign_files_are_refused_and_never_run(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    sentinel = tmp_path / "executed"
    files = foreign(sentinel)
    assert len(files) == 16
    for content in files.values():
        (tmp_path / "file").write_bytes(content)
        assert outcome(lambda: read_run(tmp_path / "file")) is None
        for name in (CONFIG, WEIGHTS):
            folder = tmp_path / "run"
            folder.mkdir(exist_ok=True)
            for other in (CONFIG, WEIGHTS):
                (folder / other).write_bytes((whole / "run" / other).read_bytes())
            (folder / name).write_bytes(content)
            assert outcome(lambda: read_run(tmp_path / "run")) is None
        for name in (UTTERANCES, METADATA):
            folder = tmp_path / "corpus"
            folder.mkdir(exist_ok=True)
            for other in (UTTERANCES, METADATA):
                (folder / other).write_bytes((whole / "corpus" / other).read_bytes())
            (folder / name).write_bytes(content)
            assert outcome(lambda: corpora.load_corpus(tmp_path / "corpus")) is None
    assert not sentinel.exists()


def test_numbers_without_end_and_nesting(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / WEIGHTS).write_bytes((whole / "run" / WEIGHTS).read_bytes())
    for text in (deep(100_000), "9" * 10_000, '{"a":' * 50_000, '"\ud800"', '{"format_version": 1e999}', "NaN"):
        (tmp_path / CONFIG).write_bytes(text.encode("utf8", "surrogatepass"))
        assert outcome(lambda: read_run(tmp_path)) is None
    (tmp_path / CONFIG).write_bytes(b" " * 17_000_000)
    with pytest.raises(RunFolderError, match="17000000 bytes"):
        read_run(tmp_path)


def test_pipes_and_folders_are_not_waited_for(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / CONFIG)
    assert outcome(lambda: read_run(tmp_path)) is None
    (tmp_path / CONFIG).unlink()
    (tmp_path / CONFIG).write_bytes((whole / "run" / CONFIG).read_bytes())
    os.mkfifo(tmp_path / WEIGHTS)
    assert outcome(lambda: read_run(tmp_path)) is None
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / WEIGHTS).mkdir()
    assert outcome(lambda: read_run(tmp_path)) is None
    os.mkfifo(tmp_path / METADATA)
    assert outcome(lambda: corpora.load_corpus(tmp_path)) is None


def test_a_parquet_with_a_pickle_in_its_metadata(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    sentinel = tmp_path / "executed"
    evil = pickle.dumps(Payload(sentinel))
    table = pq.read_table(whole / "corpus" / UTTERANCES)
    marks = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": evil}
    fields = [field.with_metadata(marks) for field in table.schema]
    schema = pa.schema(fields, metadata={b"pandas": evil, b"ARROW:schema": evil})
    pq.write_table(pa.table(table.columns, schema=schema), tmp_path / UTTERANCES)
    metadata = json.loads((whole / "corpus" / METADATA).read_text())
    metadata[CHECKSUM] = hashlib.sha256((tmp_path / UTTERANCES).read_bytes()).hexdigest()
    (tmp_path / METADATA).write_text(json.dumps(metadata))
    found = outcome(lambda: corpora.load_corpus(tmp_path))
    assert found is None or list(found.utterances.columns) == SCHEMA.names
    assert not sentinel.exists()


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "speaker/../../x", "\x00", "a" * 500])
def test_names_are_no_paths(name: str, whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    config = json.loads((whole / "run" / CONFIG).read_text())
    content = {key: config[key] for key in ("env", "team", "format_version")}
    content["policy"] = name
    path, own = tmp_path / "t.safetensors", {f"policies.{name}.w": torch.zeros(1)}
    write_tensors(path, own, metadata={TEAM: json.dumps(content)})
    outcome(lambda: read_policy(path, "x"))
    for key in ("model", "channel", "topology"):
        content["team"] = {**config["team"], key: name}
        write_tensors(path, {"w": torch.zeros(1)}, metadata={TEAM: json.dumps(content)})
        assert outcome(lambda: read_run(path)) is None
    assert [path.name for path in tmp_path.iterdir()] == ["t.safetensors"]
