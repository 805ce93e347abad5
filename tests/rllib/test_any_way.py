"""One way to run: what settings, files, recipes and configurations say is trained the same, and read the same."""

import json
import pathlib
from typing import Any

import pytest
import torch

from heliograph.analysis.evaluate import evaluate
from heliograph.cli import main
from heliograph.experiments.settings import settings_from
from heliograph.experiments.settings_file import settings_in
from heliograph.registry import UnknownNameError
from heliograph.reports.run_results import read_summary
from heliograph.rllib.callbacks import TeamCallbacks
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.mapping import OwnNetwork
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.configured import beyond_settings, config_of, given_settings, settings_of_config
from heliograph.rllib.runs.controls import train_controls
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.session import quiet
from heliograph.rllib.runs.train import resume, train
from heliograph.storage.progress_file import read_progress
from heliograph.storage.run_folder import RunFolderError, read_config, read_run

ROLLOUTS = {"num_envs_per_env_runner": 32}
UPDATES = {"train_batch_size_per_learner": 64, "minibatch_size": 32, "num_epochs": 1}
SMALL: dict[str, Any] = {
    "channel": "none",
    "model_settings": {"size": 8},
    "algorithm_settings": {**ROLLOUTS, **UPDATES},
    "evaluation_episodes": 10,
    "seed": 3,
}


def small_config() -> CommPPOConfig:
    config = CommPPOConfig().environment("speaker_listener")
    config.communication(channel="none", model_settings={"size": 8}).training(**UPDATES).env_runners(**ROLLOUTS)
    return config.debugging(seed=3)


class Noticing(TeamCallbacks):
    """Logs a number of its own."""

    def on_episodes_end(self, *, episodes: Any, env_runner: Any, metrics_logger: Any) -> None:
        metrics_logger.log_value("half", 0.5, window=1)


def weights(folder: pathlib.Path) -> dict[str, torch.Tensor]:
    return read_run(folder).team.state_dict()


def test_a_configuration_leaves_the_run_folder_that_settings_leave(tmp_path: pathlib.Path) -> None:
    by_settings = train(settings_from(SMALL), out=tmp_path / "a", iterations=2)
    config = small_config().callbacks(Noticing).multi_agent(policies_to_train=["speaker", "listener"])
    by_config = train(config, out=tmp_path / "b", iterations=2, evaluation_episodes=10)
    assert by_settings["episode_return_mean"] == by_config["episode_return_mean"]
    assert all(torch.equal(value, weights(tmp_path / "b")[key]) for key, value in weights(tmp_path / "a").items())
    one, other = (read_config(tmp_path / name) for name in "ab")
    assert one["resolved"] == other["resolved"] and set(other["beyond_settings"]) == {"policies_to_train"}
    assert {row["callback_half"] for row in read_progress(tmp_path / "b")} == {0.5}
    with pytest.raises(ValueError, match="seed"):
        train(config, out=tmp_path / "c", seed=4)
    assert not (tmp_path / "c").exists()


def test_callbacks_are_settings_too(tmp_path: pathlib.Path) -> None:
    name = f"{__name__}:Noticing"
    train(settings_from({**SMALL, "callbacks": [name]}), out=tmp_path / "a", iterations=1)
    train(small_config().callbacks(Noticing), out=tmp_path / "b", iterations=1)
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert {row["callback_half"] for row in read_progress(folder)} == {0.5}
        assert read_config(folder)["training"]["callbacks"] == [name]
        assert [part["name"] for part in read_config(folder)["components"]] == [name]


@pytest.mark.parametrize("given", ["Noticing", "pathlib:Path", f"{__name__}:small_config"])
def test_what_is_no_callback_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"callbacks=.*must be"):
        config_of(settings_from({**SMALL, "callbacks": [given]}))


def test_what_only_a_configuration_says_is_not_begun_anew(tmp_path: pathlib.Path) -> None:
    class Stopped(Exception):
        pass

    def stop(row: dict[str, Any]) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        frozen = small_config().multi_agent(policies_to_train=["speaker"])
        train(frozen, out=tmp_path / "run", iterations=5, on_progress=stop)
    with pytest.raises(RunFolderError, match="no checkpoint yet, and policies_to_train"):
        resume(tmp_path / "run")


def test_policies_and_freezing_by_settings(tmp_path: pathlib.Path) -> None:
    policies = {"teller": {"agents": ["speaker_0"], "model": "feedforward", "lr": 1e-4}}
    settings = settings_from({**SMALL, "channel": "dru", "policies": policies, "freeze": ["listener"]})
    config = config_of(settings)
    config.validate()
    assert set(config.choices().policies or {}) == {"teller", "listener"}
    assert config.is_trained("teller") and not config.is_trained("listener") and config.lr_of("teller") == 1e-4
    assert (config.choices().policies or {})["teller"].model == "feedforward"
    for wrong, words in (
        ({"policies": {"a": {"agents": ["speaker"]}}}, "did you mean 'speaker_0'"),
        ({"policies": {**policies, "b": policies["teller"]}}, "'speaker_0' is played by 'teller' and by 'b'"),
        ({"policies": policies, "networks": "separate"}, "leave out policies"),
        ({"freeze": ["speeker"]}, "policy to freeze 'speeker'; did you mean 'speaker'"),
    ):
        with pytest.raises(ValueError, match=words):
            config_of(settings_from({**SMALL, **wrong}))


def test_files_and_recipes_are_settings(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "channel: symbols\nmodel_settings: {size: 8}\npolicies: {p: {agents: [speaker_0]}}\n"
    )
    (tmp_path / "a.json").write_text(json.dumps(settings_in(tmp_path / "a.yaml")))
    yaml, plain = (given_settings(tmp_path / f"a.{end}", {"iterations": 2}) for end in ("yaml", "json"))
    assert yaml == plain and yaml.channel == "symbols" and yaml.iterations == 2
    recipe = given_settings("speaker_listener_dru", {"env_steps": 100})
    assert recipe.env_steps == 100 and recipe.iterations is None and recipe.channel == "dru"
    for text, words in (
        ("[1]", "holds no settings"),
        ("a: [", "is no YAML"),
        ("chanel: dru", "did you mean 'channel'"),
    ):
        (tmp_path / "b.yaml").write_text(text)
        with pytest.raises(ValueError, match=words):
            given_settings(tmp_path / "b.yaml", {})
    with pytest.raises(ValueError, match="no such file"):
        given_settings(tmp_path / "none.yaml", {})
    with pytest.raises(UnknownNameError, match="recipe"):
        given_settings("speaker_listener_dri", {})


def test_settings_and_configurations_say_the_same() -> None:
    given = {
        **SMALL,
        "channel": "dru",
        "losses": (["positive_signalling", 0.1, {}],),
        "curriculum": {"rounds": [[0, 1]]},
    }
    settings = settings_from({**given, "algorithm_settings": {**SMALL["algorithm_settings"], "lr": 1e-2}})
    again = settings_of_config(config_of(settings), {"evaluation_episodes": 10})
    assert again.model_dump(exclude={"curriculum"}) == settings.model_dump(exclude={"curriculum"})
    assert config_of(again).curriculum == config_of(settings).curriculum
    assert beyond_settings(small_config()) == {}
    own = OwnNetwork(names={"speaker_0": "a", "listener_0": "b"})
    mapped = small_config().multi_agent(policies={"a", "b"}, policy_mapping_fn=own)
    assert set(beyond_settings(mapped)) == {"policies", "policy_mapping_fn"}


def talking_config() -> CommunicationConfig:
    return small_config().communication(channel="dru")


def without_clocks(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("seconds", "env_steps_per_second")}


def test_trainers_save_run_folders_that_are_read(tmp_path: pathlib.Path, capsys: Any, monkeypatch: Any) -> None:
    with quiet():
        trainer = LocalTrainer(talking_config())
        trainer.train()
        run = trainer.save_run(tmp_path / "local", evaluation_episodes=10)
        assert all(torch.equal(value, trainer.team.state_dict()[key]) for key, value in run.team.state_dict().items())
        with pytest.raises(RunFolderError, match="holds a run already"):
            trainer.save_run(tmp_path / "local")
        trainer.stop()
        algo = talking_config().build_algo()
        algo.train()
        algo.save_run(tmp_path / "algo", evaluation_episodes=10)
        algo.save_to_path(str(tmp_path / "checkpoint"))
        algo.stop()
        restored = type(algo).from_checkpoint(str(tmp_path / "checkpoint"))  # as one does with those of Tune
        restored.save_run(tmp_path / "restored", evaluation_episodes=None)
        restored.stop()
        train(talking_config(), out=tmp_path / "trained", iterations=1, evaluation_episodes=10)
    folders = [tmp_path / name for name in ("trained", "local", "algo", "restored")]
    rows = [[without_clocks(row) for row in read_progress(folder)] for folder in folders]
    assert len(rows[0]) == 1 and rows == [rows[0]] * 4 and (tmp_path / "restored" / "tensorboard").is_dir()
    controls = {folder.name: train_controls(folder, only="silent") for folder in folders[:3]}
    assert len({found["silent"]["episode_return_mean"] for found in controls.values()}) == 1
    assert all(found["silent"]["iterations"] == 1 for found in controls.values())
    read = [read_run(tmp_path / name) for name in ("local", "algo")]
    with pytest.raises(RunFolderError, match=r"RLlib checkpoint, .* --trust"):
        read_run(tmp_path / "checkpoint")
    monkeypatch.chdir(tmp_path)
    read.append(read_run("checkpoint", trust=True))  # Ray takes relative paths for addresses
    first = read[0].team.state_dict()
    assert all(torch.equal(value, first[key]) for run in read[1:] for key, value in run.team.state_dict().items())
    assert len({evaluate(run, num_episodes=10)["episode_return_mean"] for run in (*read, trainer.run())}) == 1
    assert read_summary(tmp_path / "local")["num_env_steps"] == read_summary(tmp_path / "algo")["num_env_steps"] == 64
    assert main(["compare", str(tmp_path / "local"), str(tmp_path / "algo"), "--json"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert {group["name"]: group["num_seeds"] for group in groups} == {"team": 2, "controls: silent": 2}
