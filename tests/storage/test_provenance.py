"""What a run folder says of where its run comes from: settings with all defaults, code of the user's, plug-ins, git."""

import importlib
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from heliograph.cli import main
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.curriculum import Points, schedules_of
from heliograph.experiments.resolved import defaults_of, resolved_choices
from heliograph.experiments.settings import settings_from
from heliograph.importing import FOLDER
from heliograph.rllib.runs.configured import config_of
from heliograph.rllib.runs.described import batch_of, batch_told, description, refuse_nameless
from heliograph.rllib.runs.train import train
from heliograph.storage.provenance import components_in, origin
from heliograph.storage.run_folder import RunFolderError, open_team_file, plain, read_config, read_run, write_config
from heliograph.storage.team_file import export

SMALL = {
    "model_settings": {"size": 8},
    "algorithm_settings": {"num_envs_per_env_runner": 32, "train_batch_size_per_learner": 100, "minibatch_size": 32},
    "evaluation_episodes": 10,
    "iterations": 1,
}
ENV = """
import my_line_help
from heliograph.envs.speaker_listener import SpeakerListener


class Line(SpeakerListener):
    pass
"""


@pytest.fixture
def workplace(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A folder with an environment of the user's, in git, in which the user is."""
    (tmp_path / "my_line.py").write_text(ENV)
    (tmp_path / "my_line_help.py").write_text("VALUE = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=me", "-c", "user.email=me@example.com", "commit", "-qm", "env"],
    ):
        subprocess.run(["git", *words], check=True, cwd=tmp_path)
    yield tmp_path
    for name in ("my_line", "my_line_help"):
        sys.modules.pop(name, None)


def test_a_run_folder_holds_all_settings_and_code(workplace: pathlib.Path, capsys: Any) -> None:
    train(settings_from({**SMALL, "env": "my_line:Line", "channel": "lossy+symbols"}), out="run")
    config = read_config(workplace / "run")
    resolved = config["resolved"]
    assert resolved["training"]["gamma"] == 0.99 and resolved["training"]["minibatch_size"] == 32
    assert resolved["env"]["goals"] == 3 and resolved["env"]["talk_steps"] == 0 and "num_envs" not in resolved["env"]
    assert {"vocabulary", "drop", "gradient"} <= resolved["channel"].keys()
    assert resolved["models"]["speaker"]["model"] == "cnet" and resolved["models"]["speaker"]["size"] == 8
    assert config["batch"] == {"asked_env_steps": 100, "env_steps": 128, "fragment_env_steps": 2, "num_envs": 32}
    rows = (workplace / "run" / "progress.csv").read_text().splitlines()
    assert rows[1].split(",")[1] == "128"  # the batch that was told is the one that was sampled
    assert (config["git"]["dirty"], len(config["git"]["commit"])) == (False, 40)
    assert config["components"] == [
        {"where": "env", "name": "my_line:Line", "import_path": "my_line:Line", "package": None, "version": None}
    ]
    assert set(config["sources"]) == {"my_line", "my_line_help"}
    assert (workplace / "run" / "source" / "my_line.py.txt").read_text() == ENV
    assert {"cores", "gpus"} <= config["hardware"].keys() and config["seeds"]["training"] == 0
    assert not list((workplace / "run").rglob("*.py"))
    texts = [
        open_team_file(export("run", pathlib.Path(f"{x}.safetensors"), trust=True, with_source=x))[0]
        for x in (True, False)
    ]
    assert texts[0]["source_texts"]["my_line"] == ENV and not {"source_texts", "sources", "made_in"} & texts[1].keys()

    assert main(["show", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["resolved"]["training"]["lambda_"] == 0.95
    assert main(["show", "run"]) == 0
    assert "resolved.training.lr" in capsys.readouterr().out
    _what_is_changed_or_missing_is_told(workplace)


def _what_is_changed_or_missing_is_told(workplace: pathlib.Path) -> None:
    (workplace / "my_line_help.py").write_text("VALUE = 2\n")
    with pytest.warns(UserWarning, match=r"my_line_help .* has changed since .*source/my_line_help\.py\.txt"):
        read_run("run", trust=True)
    for name in ("my_line", "my_line_help"):
        del sys.modules[name]
        (workplace / f"{name}.py").unlink()
    importlib.invalidate_caches()
    with pytest.raises(RunFolderError, match=r"'my_line:Line' came from the module my_line, which was .*not found"):
        read_run("run", trust=True)


def test_two_runs_are_compared_by_what_was_in_force(tmp_path: pathlib.Path, capsys: Any) -> None:
    lr = {**SMALL["algorithm_settings"], "lr": 0.001}  # type: ignore[dict-item]
    for name, changes in (("a", {}), ("b", {"algorithm_settings": lr, "seed": 1})):
        settings = settings_from({**SMALL, **changes})
        config = config_of(settings)
        about = description(config, settings)
        write_config(tmp_path / name, env=config.env_choice(), choices=config.choices(), **about)
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seed"] == [0, 1] and not any(".lr" in key for key in found)
    assert all(key.startswith(("seed", "training.seed", "untrained")) for key in found), found
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "a")]) == 0
    assert "say the same" in capsys.readouterr().out


def test_what_has_no_import_path_is_refused_before_training(tmp_path: pathlib.Path) -> None:
    class Own(SpeakerListener):
        pass

    for changes, key in (({"env": Own}, "env"), ({"env_settings": {"goals": lambda: 3}}, r"env_settings\.goals")):
        with pytest.raises(ValueError, match=rf"{key}=.*move it to a file .*\.py and import it"):
            refuse_nameless({"": settings_from({**SMALL, **changes})})
    with pytest.raises(ValueError, match="LocalTrainer"):
        train(settings_from({**SMALL, "env": Own}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    refuse_nameless({"": settings_from({**SMALL, "env": SpeakerListener})})


def test_defaults_are_those_of_the_constructor() -> None:
    assert defaults_of(SpeakerListener) | {"goals": 3, "time_limit": None, "talk_steps": 0} == defaults_of(
        SpeakerListener
    )
    config = config_of(settings_from({**SMALL, "channel": "noisy+dru", "channel_settings": {"sigma": 0.5}}))
    found = resolved_choices(config.env_choice(), config.choices(), config.facts())
    assert found["channel"]["sigma"] == 0.5 and "bits" in found["channel"]


def test_the_real_batch_is_told() -> None:
    many = {"num_envs_per_env_runner": 256, "train_batch_size_per_learner": 4096}
    told = batch_of(config_of(settings_from({**SMALL, "env_settings": {"rounds": 6}, "algorithm_settings": many})))
    assert (told["asked_env_steps"], told["env_steps"], told["fragment_env_steps"]) == (4096, 6144, 12)
    assert batch_told(told) == "batch: 6,144 env steps an iteration (4,096 asked): 2 x 12 steps of 256 copies"
    whole = config_of(settings_from({**SMALL, "algorithm": "qlearning", "algorithm_settings": {}}))
    assert "whole episodes" in batch_told(batch_of(whole))


def test_a_folder_whose_code_was_not_run_is_not_compared(workplace: pathlib.Path) -> None:
    marker = workplace / "ran"
    (workplace / ".gitattributes").write_text("*.py filter=evil\n")
    subprocess.run(["git", "config", "filter.evil.clean", f"touch {marker}; cat"], check=True, cwd=workplace)
    (workplace / "my_line.py").write_text(f"{ENV}\n")
    found = origin([])
    assert found["git"]["dirty"] is None and len(found["git"]["commit"]) == 40 and not marker.exists()


def test_components_of_others_are_named_with_their_package() -> None:
    found = components_in({"env": "mpe2.simple_reference_v3:parallel_env", "channel": "noisy+my.own:Channel"})
    assert [(c.where, c.name, c.package) for c in found] == [
        ("env", "mpe2.simple_reference_v3:parallel_env", "mpe2"),
        ("channel", "my.own:Channel", None),
    ]
    assert components_in({"env": "speaker_listener", "command": "a b:c"}) == []


def test_schedules_are_written_as_they_are_given() -> None:
    for given in ([[0, 1], [10, 2]], {"by": "metric", "metric": "success_rate", "at_least": 0.5, "values": [1, 2]}):
        schedules = schedules_of({"goals": given}, metrics=["success_rate"])
        written = json.loads(json.dumps(schedules, default=plain))
        assert schedules_of(written, metrics=["success_rate"]) == schedules
    assert isinstance(schedules_of({"goals": [[0, 1]]}, metrics=[])["goals"], Points)
