"""A trained team in one file: exported, evaluated, reported, loaded into training; and nothing of it is executed."""

import json
import pathlib
from typing import Any

import pytest
import safetensors.torch
import torch
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from heliograph.cli import main
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.registry import UnknownNameError
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.storage.run_folder import (
    CONFIG,
    TEAM,
    RunFolderError,
    read_run,
    rewrite_config,
    write_config,
    write_team,
)
from heliograph.storage.safe_files import read_tensors, write_tensors
from heliograph.storage.team_file import export, read_policy
from heliograph.testing.small_teams import stir


def run_folder(folder: pathlib.Path, *, size: int = 8, env: Any = "speaker_listener") -> pathlib.Path:
    choice, team = EnvChoice(env=env), TeamChoices(model_settings={"size": size}, channel="symbols")
    write_config(folder, env=choice, choices=team, seed=3)
    write_team(folder, stir(build_team(team, facts_of(build_env(choice, num_envs=1)), seed=1)))
    return folder


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    return run_folder(tmp_path / "run")


def config(*, size: int = 8, **communication: Any) -> CommPPOConfig:
    chosen = {"model": "cnet", "model_settings": {"size": size}, "channel": "symbols", **communication}
    return (
        CommPPOConfig()
        .environment("speaker_listener")
        .communication(**chosen)
        .env_runners(num_envs_per_env_runner=8)
        .training(train_batch_size_per_learner=32, minibatch_size=32, num_epochs=1)
        .debugging(seed=0)
    )


def weights(policy: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in policy.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_team_file_is_the_team_bit_by_bit(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    team = read_run(export(run, tmp_path / "team.safetensors"))
    whole = read_run(run)
    assert same(weights(team.team), weights(whole.team)) and (team.env, team.choices) == (whole.env, whole.choices)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "team.safetensors"]


def test_export_evaluate_record_report_by_command(run: pathlib.Path, tmp_path: pathlib.Path, capsys: Any) -> None:
    team = tmp_path / "team.safetensors"
    assert main(["export", str(run), str(team), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == team.stat().st_size
    results = []
    for source in (run, team):
        assert main(["evaluate", str(source), "--episodes", "20", "--json"]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0] == results[1]
    assert main(["record", str(team), "--episodes", "5", "--out", str(tmp_path / "corpus")]) == 0
    assert main(["report", str(team), "--episodes", "20"]) == 0
    assert "What speaker_listener agents say" in (tmp_path / "team.html").read_text()


def test_nothing_is_overwritten_unless_asked(run: pathlib.Path, tmp_path: pathlib.Path, capsys: Any) -> None:
    team = tmp_path / "team.safetensors"
    team.write_text("mine")
    assert main(["export", str(run), str(team)]) == 2
    assert "--overwrite" in capsys.readouterr().err and team.read_text() == "mine"
    assert main(["export", str(run), str(team), "--overwrite"]) == 0 and read_run(team).config["seed"] == 3
    with pytest.raises(RunFolderError, match="weights of a run folder"):
        export(run, run / "team.safetensors", overwrite=True)


def test_one_policy_is_no_team(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    speaker = export(run, tmp_path / "speaker.safetensors", policy="speaker")
    with pytest.raises(RunFolderError, match=r"a policy and no team.*--load-policy"):
        read_run(speaker)
    found = read_policy(speaker, "anyone")
    assert found.name == "speaker" and same(found.tensors, weights(read_run(run).team.policies["speaker"]))
    with pytest.raises(UnknownNameError, match="did you mean 'speaker'"):
        export(run, tmp_path / "x.safetensors", policy="speeker")
    with pytest.raises(UnknownNameError, match=r"policy in .* 'driver'"):
        read_policy(run, "driver")


@pytest.mark.parametrize("source", ["run", "team", "speaker"])
@pytest.mark.parametrize("how", ["communication", "rl_module"])
def test_a_speaker_is_loaded_into_a_new_run(run: pathlib.Path, tmp_path: pathlib.Path, source: str, how: str) -> None:
    if source != "run":
        export(run, tmp_path / f"{source}.safetensors", policy="speaker" if source == "speaker" else None)
    path = str(run if source == "run" else tmp_path / f"{source}.safetensors")
    if how == "communication":
        chosen = config(load_policies={"speaker": path})
    else:
        spec = MultiRLModuleSpec(rl_module_specs={"speaker": RLModuleSpec(load_state_path=path)})
        chosen = config().rl_module(rl_module_spec=spec)
    trainer = LocalTrainer(chosen.multi_agent(policies_to_train=["listener"]))
    old = weights(read_run(run).team.policies["speaker"])
    fresh = weights(LocalTrainer(config()).team.policies["listener"])
    assert same(weights(trainer.team.policies["speaker"]), old)
    assert same(weights(trainer.env_runner.module.team.policies["speaker"]), old), "it plays with them too"
    assert same(weights(trainer.team.policies["listener"]), fresh), "nothing else is loaded"
    trainer.train()
    assert same(weights(trainer.team.policies["speaker"]), old), "frozen"
    assert not same(weights(trainer.team.policies["listener"]), fresh)


def test_a_policy_that_does_not_fit_is_refused(run: pathlib.Path) -> None:
    with pytest.raises(RunFolderError, match=r"load_policies: policy 'speaker'.*size': 8.*has shape") as caught:
        LocalTrainer(config(size=16, load_policies={"speaker": run}))
    assert "\n" not in str(caught.value) and "choose the same model" in str(caught.value)
    with pytest.raises(RunFolderError, match="channel='symbols'"):
        LocalTrainer(config(channel="dru", load_policies={"speaker": run}))
    with pytest.raises(UnknownNameError, match="policy in load_policies"):
        config(load_policies={"speaker": read_policy(run, "speaker"), "driver": read_policy(run, "speaker")}).validate()


@pytest.mark.ray
def test_train_with_a_loaded_speaker_by_command(run: pathlib.Path, tmp_path: pathlib.Path, ray_session: None) -> None:
    speaker = export(run, tmp_path / "speaker.safetensors", policy="speaker")
    small = ["training.train_batch_size_per_learner=32", "training.minibatch_size=32", "training.num_epochs=1"]
    small += ["training.num_envs_per_env_runner=8", "model.size=8", "training.lr=1e-12"]
    command = ["train", "speaker_listener", "--channel", "symbols", "--load-policy", f"speaker={speaker}"]
    assert main([*command, "--iterations", "1", "--set", *small, "--out", str(tmp_path / "new")]) == 0
    speaker.unlink()  # a resumed run needs it no more
    assert main(["train", "--resume", str(tmp_path / "new"), "--iterations", "2"]) == 0
    new, old = (weights(read_run(folder).team.policies["speaker"]) for folder in (tmp_path / "new", run))
    learnt = [key for key in old if key.endswith(("weight", "bias"))]
    assert learnt and all(torch.allclose(new[key], old[key], atol=1e-6) for key in learnt)
    assert main(["export", str(tmp_path / "new"), str(tmp_path / "again.safetensors")]) == 0


@pytest.mark.ray
def test_divergence_leaves_the_weights_from_before(tmp_path: pathlib.Path, ray_session: None, capsys: Any) -> None:
    small = ["training.train_batch_size_per_learner=32", "training.minibatch_size=32", "training.num_epochs=1"]
    small += ["training.num_envs_per_env_runner=8", "model.size=8", "training.lr=1e30"]
    command = ["train", "speaker_listener", "--iterations", "9", "--checkpoint-every", "1", "--set", *small]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "diverged after" in said and "loss is" in said and "'speaker'" in said and "lower lr (now 1e+30)" in said
    team = read_run(tmp_path / "run").team
    assert all(bool(torch.isfinite(value).all()) for value in team.state_dict().values())


# ---- what a stranger hands over -----------------------------------------------------------------------------------


def team_file(path: pathlib.Path, change: Any, run: pathlib.Path) -> pathlib.Path:
    """A team file made by hand, with a checksum that fits."""
    content = {"format_version": 1, **{key: json.loads((run / CONFIG).read_text())[key] for key in ("env", "team")}}
    change(content)
    tensors = safetensors.torch.load_file(str(run / "team.safetensors"))
    write_tensors(path, tensors, metadata={TEAM: json.dumps(content), "format_version": "1"})
    return path


HOSTILE = {
    "env": lambda c: c["env"].update(env="os:system"),
    "model": lambda c: c["team"].update(model="os:system"),
    "channel": lambda c: c["team"].update(channel="garbled+os:system"),
    "topology": lambda c: c["team"].update(topology="tests.sentinel:Thing"),
    "function": lambda c: c["team"].update(model="scripted", model_settings={"function": "tests.sentinel:run"}),
    "deep": lambda c: c["env"].update(settings={"a": [{"b": "tests.sentinel:run"}]}),
    "policies": lambda c: c["team"].update(policies={"a": {"agents": ["speaker_0"], "model": "tests.sentinel:Thing"}}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_code_that_a_team_file_names_is_not_imported(
    name: str, run: pathlib.Path, tmp_path: pathlib.Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tests_sentinel.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    change = HOSTILE[name]

    def rename(content: dict) -> None:
        change(content)
        text = json.dumps(content).replace("tests.sentinel", "tests_sentinel")
        content.clear()
        content.update(json.loads(text))

    path = team_file(tmp_path / "team.safetensors", rename, run)
    for command in (["evaluate"], ["report"], ["record", "--out", str(tmp_path / "c")]):
        assert main([*command, str(path)]) == 2
        assert "would import code" in capsys.readouterr().err
    assert not (tmp_path / "executed").exists() and not (tmp_path / "c").exists()


def test_user_classes_are_imported_on_trust(tmp_path: pathlib.Path, monkeypatch: Any, capsys: Any) -> None:
    run = run_folder(tmp_path / "mine", env="heliograph.envs.speaker_listener:SpeakerListener")
    with pytest.raises(RunFolderError, match="--trust"):
        export(run, tmp_path / "team.safetensors")
    team = export(run, tmp_path / "team.safetensors", trust=True)
    assert main(["evaluate", str(team), "--episodes", "5"]) == 0  # who was trusted once is remembered
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "of_another_user"))
    assert main(["evaluate", str(team), "--episodes", "5"]) == 2
    assert main(["evaluate", str(team), "--episodes", "5", "--trust"]) == 0


@pytest.mark.parametrize(("key", "value"), [("goals", 10**9), ("rounds", 10**400), ("goals", 5e9)])
def test_giants_are_refused_unbuilt(key: str, value: Any, run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = team_file(tmp_path / "team.safetensors", lambda c: c["env"].update(settings={key: value}), run)
    with pytest.raises(RunFolderError, match="is larger than"):
        read_run(path)
    path = team_file(tmp_path / "team.safetensors", lambda c: c["team"].update(model_settings={"size": 99_999}), run)
    with pytest.raises(RunFolderError, match="has shape"):
        read_run(path)


def test_links_that_a_stranger_planted_are_not_followed(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    diary = tmp_path / "diary"
    diary.write_text("secret")
    for name in ("report.html", "report.html.draft", "team.safetensors.draft", "config.json.draft"):
        (run / name).symlink_to(diary)
    assert main(["report", str(run), "--episodes", "10"]) == 2
    assert main(["report", str(run), "--episodes", "10", "--overwrite"]) == 0
    assert diary.read_text() == "secret" and not (run / "report.html").is_symlink()
    (tmp_path / "shared.safetensors").symlink_to(diary)
    assert main(["export", str(run), str(tmp_path / "shared.safetensors")]) == 2
    assert main(["export", str(run), str(tmp_path / "shared.safetensors"), "--overwrite"]) == 0
    assert diary.read_text() == "secret"


INJECTION = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'$x"


def test_names_in_a_report_are_text(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    config = json.loads((run / CONFIG).read_text())
    config |= {"command": INJECTION, "versions": {INJECTION: INJECTION}, "training": {"algorithm": INJECTION}}
    config["team"]["policies"] = {
        INJECTION.replace(".", ""): {"agents": ["speaker_0"]}, "b": {"agents": ["listener_0"]}
    }  # fmt: skip
    tensors = safetensors.torch.load_file(str(run / "team.safetensors"))
    names = {"policies.speaker.": f"policies.{INJECTION}.", "policies.listener.": "policies.b."}
    renamed = {
        next((new + key.removeprefix(old) for old, new in names.items() if key.startswith(old)), key): value
        for key, value in tensors.items()
    }
    folder = tmp_path / "a$x<script>alert(3)<"
    folder.mkdir()
    rewrite_config(folder, config)
    write_tensors(folder / "team.safetensors", renamed, metadata={"format_version": "1"})
    assert main(["report", str(folder), "--episodes", "20"]) == 0
    page = (folder / "report.html").read_text()
    assert "<script" not in page and "<img" not in page and "onerror=alert(2)&gt;" in page
    assert "&lt;script&gt;" in page


def test_messages_cannot_colour_the_terminal(run: pathlib.Path, capsys: Any) -> None:
    config = json.loads((run / CONFIG).read_text())
    config["format_version"] = "\x1b[31m\nred"
    config["team"]["model"] = "\x1b[31mred"
    (run / CONFIG).write_text(json.dumps(config))
    assert main(["evaluate", str(run)]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_equal_tensors_make_equal_files(tmp_path: pathlib.Path) -> None:
    metadata = {str(number): "é" for number in range(20)}
    for name in ("one", "other"):
        write_tensors(tmp_path / name, {"ß": torch.ones(3), "a": torch.zeros(2)}, metadata=metadata)
        metadata = dict(reversed(metadata.items()))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    found, said = read_tensors(tmp_path / "one")
    assert said == metadata and torch.equal(found["ß"], torch.ones(3))
