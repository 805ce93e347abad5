"""Languages of other tools are read as what they are, without executing anything, and what is wrong is named."""

import collections
import json
import pathlib
import pickle
import sys
import types
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from heliograph.analysis.corpus_checks import CorpusError
from heliograph.analysis.language_files import is_language, read_language
from heliograph.analysis.measure_table import analyze
from heliograph.cli import main
from tests.analysis.languages import MEANINGS, MESSAGES, close

VALUES = {"entropy": 2.5, "mutual_information": 2.25, "posdis": 0.839454851252}


def written(path: pathlib.Path, content: Any) -> pathlib.Path:
    if path.suffix == ".npy":
        np.save(path, np.array(content))
    else:
        path.write_text(content)
    return path


def lines(rows: Any) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def made(kind: str, folder: pathlib.Path) -> pathlib.Path:
    """The reference corpus as a tool would have it."""
    columns = {"messages": MESSAGES, "meanings": MEANINGS}
    objects = [{"message": m, "observation": o, "reward": 1} for m, o in zip(MESSAGES, MEANINGS, strict=True)]
    if kind == "parquet":
        pd.DataFrame(columns).to_parquet(folder / "x.parquet")
        return folder / "x.parquet"
    if kind == "npz":
        np.savez(folder / "x.npz", messages=MESSAGES, observations=MEANINGS)
        return folder / "x.npz"
    if kind == "emlangkit":
        written(folder / "messages.npy", MESSAGES)
        written(folder / "observations.npy", MEANINGS)
        return folder
    if kind == "csar":
        named = [[m, [f"a{o[0]}", f"b{o[1]}"]] for m, o in zip(MESSAGES, MEANINGS, strict=True)]
        return written(folder / "x.json", json.dumps(named))
    content = {"columns.json": json.dumps(columns), "objects.jsonl": lines(objects)}[kind]
    return written(folder / kind, content)


@pytest.mark.parametrize("kind", ["parquet", "npz", "emlangkit", "csar", "columns.json", "objects.jsonl"])
def test_every_form_of_the_reference_has_its_values(kind: str, tmp_path: pathlib.Path) -> None:
    table = analyze(made(kind, tmp_path), measures=list(VALUES), permutations=0, bootstraps=0)
    assert all(close(*pair) for pair in zip(table["value"], VALUES.values(), strict=True)), table


def test_corpora_without_meanings(tmp_path: pathlib.Path) -> None:
    """ELCC's folder, XferBench's lines, and meanings in a second file."""
    (tmp_path / "elcc").mkdir()
    written(tmp_path / "elcc" / "corpus.jsonl", lines(MESSAGES))
    written(tmp_path / "elcc" / "metadata.json", json.dumps({"metrics": {"system": {"acc": 99.0}}}))
    assert is_language(tmp_path / "elcc")
    for path in (tmp_path / "elcc", tmp_path / "elcc" / "corpus.jsonl"):
        assert read_language(path) == {"messages": MESSAGES}
    meanings = written(tmp_path / "meanings.npy", MEANINGS)
    found = analyze(read_language(tmp_path / "elcc", meanings=meanings), measures=["posdis"], permutations=0)
    assert close(found["value"].item(), VALUES["posdis"])


def test_atoms_that_are_no_attributes_are_had_or_not(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "x.jsonl", lines([[[0], ["a", "b"]], [[1], ["b"]], [[2], ["c", "a"]]]))
    found = read_language(path)
    assert isinstance(found, dict)
    assert found["attributes"] == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert found["meanings"] == [["a", "b"], ["b"], ["a", "c"]]


def stored_interaction(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> pathlib.Path:
    """A file as EGG writes it, whose class is known while it is written alone."""
    module = types.ModuleType("egg.core.interaction")
    kind = type("Interaction", (), {"__module__": "egg.core.interaction"})
    module.Interaction = kind  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        for name in ("egg", "egg.core"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, "egg.core.interaction", module)
        interaction = kind()
        vars(interaction).update(receiver_input=None, receiver_output=None, aux_input={}, aux={}, labels=None, **fields)
        torch.save(interaction, path)
    return path


def test_interactions_of_egg(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths include the end, which is no symbol of the message; symbols behind it are none either."""
    message = torch.tensor([[1, 2, 0], [1, 0, 7], [3, 4, 5]])
    path = stored_interaction(
        tmp_path / "x.pt", monkeypatch, message=message, message_length=torch.tensor([3, 2, 3]),
        sender_input=torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
    )  # fmt: skip
    found = read_language(path)
    assert isinstance(found, dict)
    assert found["messages"] == [[1, 2], [1], [3, 4, 5]]
    assert found["meanings"].tolist() == [[0, 1], [1, 0], [1, 1]]
    one_hot = torch.nn.functional.one_hot(message, 8).float()
    path = stored_interaction(tmp_path / "y.pt", monkeypatch, message=one_hot, message_length=None, sender_input=None)
    again = read_language(path)
    assert isinstance(again, dict) and again["messages"].tolist() == message.tolist()


def test_nothing_in_a_file_is_executed(tmp_path: pathlib.Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (pathlib.Path.touch, (tmp_path / "executed",))

    torch.save({"message": torch.zeros(3), "aux": Evil()}, tmp_path / "evil.pt")
    np.save(tmp_path / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pt", "evil.npy", "plain.pt"):
        with pytest.raises(CorpusError, match=name):
            read_language(tmp_path / name)
    assert not (tmp_path / "executed").exists()
    torch.save({"message": torch.zeros(3), "more": collections.OrderedDict()}, tmp_path / "good.pt")
    assert isinstance(read_language(tmp_path / "good.pt"), dict)


BROKEN = {
    "half.jsonl": ("[1, 2]\n[1, 2", "half.jsonl, line 2 cannot be read.*cut off"),
    "fraction.jsonl": ("[1, 2]\n[1, 2.5]\n", "fraction.jsonl, row 1, column messages: has 2.5"),
    "nested.jsonl": ("[1, [2]]\n", "row 0, column messages: has .2.: symbols must be"),
    "nothing.jsonl": ("", "nothing.jsonl is empty"),
    "number.json": ("3", "number.json holds 3: must be a list"),
    "columns.json": ('{"words": [1]}', "columns.json has no column messages: it has words"),
    "gap.jsonl": ('{"message": [1]}\n{"meaning": [1]}\n', "gap.jsonl, row 1, column messages: is missing"),
    "half.parquet": ("PAR1", "half.parquet cannot be read"),
    "half.npy": ("", "half.npy"),
    "half.pt": ("PK", "half.pt is damaged, or holds more"),
    "deep.json": ("[" * 100_000, "deep.json cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_file_is_named(name: str, tmp_path: pathlib.Path) -> None:
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content.encode())
    with pytest.raises(CorpusError, match=message):
        read_language(tmp_path / name)


def test_the_command_prints_a_table_json_and_csv(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    path = str(made("csar", tmp_path))
    quick = ["--permutations", "9", "--bootstraps", "9", "--measures", "entropy", "posdis", "speaker_consistency"]
    assert main(["analyze", path, *quick]) == 0
    shown = capsys.readouterr().out
    assert "posdis" in shown and "0.8395" in shown and "not defined: speaker_consistency (not given: actions)" in shown
    assert main(["analyze", path, *quick, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["measure"] for row in rows] == quick[5:] and rows[2]["value"] is None and close(rows[0]["value"], 2.5)
    assert main(["analyze", path, *quick, "--csv"]) == 0
    assert capsys.readouterr().out.startswith("role,measure,value,chance,")


def test_the_command_says_what_is_wrong(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["analyze", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["analyze", str(made("csar", tmp_path)), "--measures", "posdiss"]) == 2
    assert "did you mean 'posdis'" in capsys.readouterr().err
    assert main(["analyze", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("heliograph analyze: error:")


def test_a_team_is_played_and_every_listed_measure_is_told(capsys: pytest.CaptureFixture) -> None:
    quick = ["--permutations", "9", "--bootstraps", "9", "--episodes", "60"]
    assert main(["analyze", "recipe:speaker_listener_symbols", *quick, "--json"]) == 0
    rows = {row["measure"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["instantaneous_coordination"]["value"] > 1.0 and rows["posdis"]["role"] == "speaker"
    assert not [row for row in rows.values() if "Error" in (row["reason"] or "")]
