"""Corpora that are recorded while a team is trained: training does not notice, and a resumed run writes the same."""

import pathlib

import pytest
import torch

from heliograph.analysis.timelapse import timelapse_of
from heliograph.experiments.settings import control_of, settings_from
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.safe_files import read_json
from tests.rllib.test_train import small, weights

RECORDED = {
    "channel": "symbols",
    "record_every": 2,
    "curriculum": {"rounds": {"by": "env_steps", "points": [[0, 1], [100, 2]], "between": "hold"}},
}


def corpora(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("corpora/*/utterances.parquet"))}


def test_recording_changes_nothing_and_is_gone_on_with(ray_session: None, tmp_path: pathlib.Path) -> None:
    train(small(**{**RECORDED, "record_every": None}), out=tmp_path / "plain")
    train(small(**RECORDED), out=tmp_path / "whole")
    same = zip(weights(tmp_path / "plain").items(), weights(tmp_path / "whole").items(), strict=True)
    assert all(one[0] == other[0] and torch.equal(one[1], other[1]) for one, other in same)

    train(small(**{**RECORDED, "iterations": 2}), out=tmp_path / "resumed")
    resume(tmp_path / "resumed", iterations=4)
    whole = corpora(tmp_path / "whole")
    assert list(whole) == ["iteration_000000", "iteration_000002", "iteration_000004"]
    assert corpora(tmp_path / "resumed") == whole and len(set(whole.values())) > 1

    about = read_json(tmp_path / "whole" / "corpora" / "iteration_000004" / "metadata.json")
    assert (about["iteration"], about["num_env_steps"]) == (4, 256)
    found = timelapse_of([tmp_path / "whole"])
    assert found.iterations == [0, 2, 4] and found.rows["num_env_steps"].tolist() == [0, 128, 256]
    assert "rounds" in found.changes[4]  # the second turn begins between the moments

    train(small(iterations=1), out=tmp_path / "whole", overwrite=True)
    assert not corpora(tmp_path / "whole")


def test_who_cannot_speak_is_not_recorded() -> None:
    with pytest.raises(ValueError, match=r"record_every=2.*lets nobody speak"):
        settings_from({"channel": "none", "record_every": 2})
    assert all(control_of(small(record_every=2), kind).record_every is None for kind in ("silent", "garbled"))
