"""Run folders: what is written is read back bit by bit, and what is damaged or foreign is refused in one sentence."""

import json
import pathlib

import pytest
import safetensors.torch
import torch

from heliograph.envs.identity import Identity
from heliograph.experiments.choices import EnvChoice, PolicyChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.storage.run_folder import (
    CONFIG,
    WEIGHTS,
    RunFolderError,
    plain,
    read_config,
    read_run,
    rewrite_config,
    write_config,
    write_json,
    write_team,
)
from heliograph.storage.safe_files import CHECKSUM
from heliograph.testing.small_teams import stir

POLICIES = {
    "a": PolicyChoice(agents=("agent_0",), model="feedforward", model_settings={"size": 8}),
    "b": PolicyChoice(agents=("agent_1",)),
}


def written(folder: pathlib.Path, *, env: EnvChoice | None = None, **choices) -> pathlib.Path:
    env = env or EnvChoice(env="identity", settings={"values": 3})
    team = TeamChoices(**{"channel": "symbols", "channel_settings": {"vocabulary": 3}, **choices})
    made = stir(build_team(team, facts_of(build_env(env, num_envs=1)), seed=1))
    write_config(folder, env=env, choices=team, seed=7)
    write_team(folder, made)
    return folder


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"policies": POLICIES, "normalise_observations": True},
        {"channel": "garbled+symbols", "channel_settings": {"gradient": "gumbel", "length": 2}},
        {"topology": "given", "topology_settings": {"mask": [[False, True], [True, False]]}},
    ],
)
def test_a_team_is_read_back_bit_by_bit(tmp_path: pathlib.Path, choices: dict) -> None:
    run = read_run(written(tmp_path, **choices))
    again = read_run(str(tmp_path))
    stored = safetensors.torch.load_file(str(tmp_path / WEIGHTS))
    assert set(stored) == set(run.team.state_dict()) and not run.team.training
    for name, value in run.team.state_dict().items():
        assert torch.equal(value, stored[name]) and value.dtype == stored[name].dtype
        assert torch.equal(value, again.team.state_dict()[name])
    assert run.choices == again.choices and run.env.settings == {"values": 3} and run.config["seed"] == 7
    returns = [
        play_episodes(Sampler(build_env(r.env, num_envs=20), r.team, seed=3), 40)[0].agent_returns for r in (run, again)
    ]
    assert torch.equal(*returns)


def refused(folder: pathlib.Path, words: str, **how) -> None:
    with pytest.raises(RunFolderError, match=words) as caught:
        read_run(folder, **how)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def edit(folder: pathlib.Path, change) -> None:
    config = json.loads((folder / CONFIG).read_text())
    change(config)
    (folder / CONFIG).write_text(json.dumps({key: value for key, value in config.items() if key != CHECKSUM}))


def test_a_configuration_that_was_changed_is_told(tmp_path: pathlib.Path) -> None:
    written(tmp_path)
    text = (tmp_path / CONFIG).read_text()
    (tmp_path / CONFIG).write_text(text.replace('"seed": 7', '"seed": 6'))
    refused(tmp_path, r"does not fit its checksum: .* deletes the entry 'sha256'")
    edit(tmp_path, lambda config: None)
    assert read_run(tmp_path).config["seed"] == 6
    rewrite_config(tmp_path, read_config(tmp_path))
    assert (tmp_path / CONFIG).read_text() != text and CHECKSUM in read_config(tmp_path)


def test_no_run_folder(tmp_path: pathlib.Path) -> None:
    refused(tmp_path / "nothing", "no run folder")
    written(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    refused(tmp_path, "had not finished an iteration")


def test_damaged_files(tmp_path: pathlib.Path) -> None:
    whole = (written(tmp_path) / WEIGHTS).read_bytes()
    for part in (whole[: len(whole) // 2], whole[:4], b""):
        (tmp_path / WEIGHTS).write_bytes(part)
        refused(tmp_path, "damaged")
    (tmp_path / CONFIG).write_text('{"format_version": 1,')
    refused(tmp_path, "cannot be read")
    (tmp_path / CONFIG).write_text("[1]")
    refused(tmp_path, "format_version None")


def test_other_versions_and_missing_parts(tmp_path: pathlib.Path) -> None:
    written(tmp_path)
    edit(tmp_path, lambda c: c.update(format_version=3))
    refused(tmp_path, "format_version 3: this Heliograph reads 1 and 2")
    edit(tmp_path, lambda c: (c.update(format_version=1), c.pop("team")))
    refused(tmp_path, "lacks 'team'")


def test_unknown_keys_and_names(tmp_path: pathlib.Path) -> None:
    written(tmp_path)
    edit(tmp_path, lambda c: c["team"].update(colour="red"))
    refused(tmp_path, "colour")
    edit(tmp_path, lambda c: (c["team"].pop("colour"), c["team"].update(model="cnett")))
    refused(tmp_path, "did you mean 'cnet'")
    edit(tmp_path, lambda c: c["team"].update(model="cnet", policies=3))
    refused(tmp_path, "policies")


def test_weights_of_another_team(tmp_path: pathlib.Path) -> None:
    written(tmp_path)
    edit(tmp_path, lambda c: c["team"].update(model_settings={"size": 8}))
    refused(tmp_path, "has shape .*asks")
    edit(tmp_path, lambda c: c["team"].update(model="silent"))
    refused(tmp_path, "does not fit")


def test_code_from_elsewhere_is_imported_only_on_trust(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null/nowhere")  # where nothing can be remembered
    path = "heliograph.models.cnet:CNet"
    written(tmp_path, model=path)
    refused(tmp_path, "would import code.*--trust")
    assert read_run(tmp_path, trust=True).choices.model == path
    written(tmp_path, policies={"a": PolicyChoice(agents=("agent_0", "agent_1"), model=path)})
    refused(tmp_path, "would import code")
    written(tmp_path, env=EnvChoice(env="heliograph.envs.identity:Identity", settings={"values": 3}))
    refused(tmp_path, "would import code")


def test_nothing_is_imported_before_it_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path)
    edit(tmp_path, lambda c: c["team"].update(channel="garbled+evil.module:Thing"))
    refused(tmp_path, "would import code")
    edit(tmp_path, lambda c: c["team"].update(channel="symbols", model_settings={"function": "os:abort"}))
    refused(tmp_path, "would import code")


def test_classes_are_written_by_path_and_other_objects_cannot_be_read(tmp_path: pathlib.Path) -> None:
    assert plain(Identity) == "heliograph.envs.identity:Identity"
    written(tmp_path, env=EnvChoice(env=Identity, settings={"values": 3}))
    refused(tmp_path, "would import code")
    assert read_run(tmp_path, trust=True).facts.agents == ("agent_0", "agent_1")
    written(tmp_path, env=EnvChoice(env=lambda **settings: Identity(**settings)))
    refused(tmp_path, "was a Python object", trust=True)


def test_json_is_written_whole_or_not_at_all(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "deep" / "summary.json"
    write_json(path, {"b": torch.tensor(1.5), "a": (1, 2), "c": {3}})
    assert json.loads(path.read_text()) == {"a": [1, 2], "b": 1.5, "c": [3]}
    with pytest.raises(TypeError):
        write_json(path, {("no", "key"): 1})
    assert json.loads(path.read_text())["b"] == 1.5 and [p.name for p in path.parent.iterdir()] == ["summary.json"]
