"""A run and its controls, by the command and from Python: one plan, the same folders; recipes and losses by path."""

import json
import pathlib
import shutil
from typing import Any

import pytest
import torch

from heliograph.cli import main
from heliograph.cli.arguments import build_parser
from heliograph.cli.choosing import settings_from_arguments
from heliograph.experiments.jobs import controls_named
from heliograph.experiments.recipe_paths import recipe_at
from heliograph.experiments.settings import settings_from
from heliograph.recipes.base import Recipe
from heliograph.registry import UnknownNameError
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.runs.configured import config_of, given_settings
from heliograph.rllib.runs.controls import control_config, train_controls
from heliograph.rllib.runs.train import train
from heliograph.storage.progress_file import read_progress
from heliograph.storage.run_folder import RunFolderError, read_config, read_run
from heliograph.storage.safe_files import read_json

ROLLOUTS = {"num_envs_per_env_runner": 32}
UPDATES = {"train_batch_size_per_learner": 64, "minibatch_size": 64, "num_epochs": 1}
SMALL: dict[str, Any] = {
    "model": "feedforward",
    "model_settings": {"size": 8},
    "algorithm_settings": {**ROLLOUTS, **UPDATES},
    "iterations": 1,
    "evaluation_episodes": 10,
}
FILE = pathlib.Path(__file__)


def one_bit() -> Recipe:
    """A recipe as a user writes it."""
    return Recipe(name="one_bit", paper="ours", target={"normalised_return": 0.95}, settings=SMALL, controls=("self",))


def quiet(batch: Any) -> Any:
    """A loss that is a function."""
    return batch.unrolled.channel_inputs[0].square().mean()


def left(folder: pathlib.Path) -> dict[str, dict[str, torch.Tensor]]:
    """Weights of each run in a folder, by its place."""
    runs = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("config.json")}
    return {run: read_run(folder / run).team.state_dict() for run in sorted(runs)}


def test_a_command_settings_and_a_configuration_leave_the_same_run_and_controls(tmp_path: pathlib.Path) -> None:
    (tmp_path / "plan.yaml").write_text(json.dumps(SMALL))
    words = ["--config", str(tmp_path / "plan.yaml"), "--controls", "self", "--jobs", "1"]
    assert main(["train", *words, "--out", str(tmp_path / "command")]) == 0
    train(settings_from(SMALL), out=tmp_path / "python", controls="self")
    first, found = left(tmp_path / "command"), left(tmp_path / "python")
    assert list(found) == list(first) == [".", "self"]
    assert all(torch.equal(x, first[run][key]) for run in found for key, x in found[run].items())
    plans = [read_json(tmp_path / name / "plan.json") for name in ("command", "python")]
    assert plans[0] == plans[1] and plans[0]["controls"] == ["self"]
    with pytest.raises(RunFolderError, match=r"--resume .* makes what is missing"):
        train(settings_from(SMALL), out=tmp_path / "python")

    shutil.copytree(tmp_path / "python" / "self", tmp_path / "python" / "silent")  # of an earlier training
    config: CommunicationConfig = config_of(settings_from(SMALL))
    config.multi_agent(policies_to_train=["speaker", "listener"])  # settings do not say this, so there is no plan
    seen: list[Any] = []
    how: dict[str, Any] = {"on_progress": seen.append, "stop": lambda: "enough" if seen else False}
    train(config, out=tmp_path / "python", controls="self", overwrite=True, iterations=9, evaluation_episodes=10, **how)
    again = left(tmp_path / "python")
    assert list(again) == [".", "self"] and not (tmp_path / "python" / "plan.json").exists()
    assert all(torch.equal(x, first[run][key]) for run in again for key, x in again[run].items())
    assert len(seen) == 1 and read_config(tmp_path / "python" / "self")["team"]["topology"] == "self_only"
    ended = [read_json(tmp_path / "python" / name / "summary.json") for name in ("", "self")]
    assert [(run["stopped_by"], run["num_env_steps"]) for run in ended] == [("enough", 64), ("env_steps", 64)]


@pytest.mark.parametrize(
    ("changes", "controls", "told"),
    [
        ({"channel": "none"}, True, "its own no-communication control; leave controls out"),
        ({}, "silnt", "unknown control 'silnt'; did you mean 'silent'"),
        ({}, ["garbled", "nobody"], "unknown control 'nobody'"),
    ],
)
def test_controls_that_cannot_be_are_refused_before_training(
    tmp_path: pathlib.Path, changes: dict[str, Any], controls: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        train(settings_from({**SMALL, **changes}), out=tmp_path / "run", controls=controls)
    assert not (tmp_path / "run").exists()


def test_the_command_refuses_controls_of_a_silent_run(tmp_path: pathlib.Path, capsys: Any) -> None:
    words = ["--channel", "none", "--controls", "--out", str(tmp_path / "run")]
    assert main(["train", "speaker_listener", *words]) == 2
    assert "controls silent, garbled: channel='none' lets nobody speak" in capsys.readouterr().err


def test_controls_have_names() -> None:
    assert (controls_named(True), controls_named(False)) == (("silent", "garbled"), ())
    assert controls_named("self") == ("self",)
    assert controls_named(["garbled", "silent", "garbled"]) == ("garbled", "silent")


def test_the_usual_controls_are_those_that_nobody_names(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    train(settings_from(SMALL), out=tmp_path)
    made: list[str] = []
    alone = "heliograph.rllib.runs.controls.train_alone"
    monkeypatch.setattr(alone, lambda what, *, out, **how: made.append(out.name) or {"stopped_by": "iterations"})
    assert list(train_controls(tmp_path)) == made == ["silent", "garbled"]
    config = config_of(settings_from(SMALL))
    assert [control_config(config, kind).choices().topology for kind in ("garbled", "self")] == ["full", "self_only"]


def test_a_recipe_is_found_by_its_path(tmp_path: pathlib.Path) -> None:
    for name in (f"{__name__}:one_bit", f"{FILE}:one_bit"):
        assert recipe_at(name).name == "one_bit" and given_settings(name, {}) == settings_from(SMALL)
    assert recipe_at(f"{__name__}:quiet") is None and recipe_at(f"{__name__}:Recipe") is None
    with pytest.raises(ValueError, match=r"is no recipe.* to train in it say \{'env'"):
        train(f"{__name__}:quiet", out=tmp_path / "run")
    with pytest.raises(UnknownNameError, match="unknown recipe 'one_bit'"):
        train("one_bit", out=tmp_path / "run")
    chosen = settings_from_arguments(build_parser().parse_args(["train", f"{FILE}:one_bit"]))
    assert (chosen.settings, chosen.controls) == (settings_from(SMALL), ("self",))


def test_a_loss_that_is_a_function_trains_by_its_path(tmp_path: pathlib.Path) -> None:
    train(settings_from({**SMALL, "losses": [[f"{FILE}:quiet", 0.1]]}), out=tmp_path)
    (row,) = read_progress(tmp_path)
    assert row["loss_quiet"] > 0 and row["coefficient_quiet"] == 0.1
