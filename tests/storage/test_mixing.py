"""Policies of several runs in one team: as they are, and refused where they would not be at home."""

import copy
import dataclasses
import json
import pathlib
from typing import Any

import pytest
import torch

from heliograph.analysis.evaluate import evaluate
from heliograph.cli import main
from heliograph.experiments.choices import EnvChoice, PolicyChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.registry import UnknownNameError
from heliograph.storage.mixing import mix
from heliograph.storage.run_folder import Run, RunFolderError, read_run, write_config, write_team
from heliograph.testing.small_teams import stir

SMALL = {"model_settings": {"size": 8}, "channel": "symbols"}


def written(folder: pathlib.Path, *, env: dict[str, Any] | None = None, seed: int = 0, **choices: Any) -> pathlib.Path:
    chosen, team = EnvChoice(env="speaker_listener", settings=env or {}), TeamChoices(**{**SMALL, **choices})
    write_team(folder, stir(build_team(team, facts_of(build_env(chosen, num_envs=1)), seed=seed), seed=seed))
    write_config(folder, env=chosen, choices=team, seed=seed)
    return folder


def in_other_words(run: Run) -> Run:
    """The same team with another code: symbol k is called k + 1, by message encoder and by message decoder."""
    team = copy.deepcopy(run.team)
    state = team.state_dict()
    for name, value in state.items():
        if name.startswith("policies.speaker.message_encoder") and value.shape[0] == 4:
            state[name] = value.roll(1, 0)
        if name.startswith("policies.listener.message_decoder") and value.dim() == 2 and value.shape[1] == 4:
            state[name] = value.roll(1, 1)
    team.load_state_dict(state)
    return dataclasses.replace(run, team=team)


def mean_return(run: Run) -> float:
    return float(evaluate(run, num_episodes=300)["episode_return_mean"])


def test_teams_with_codes_of_their_own_do_not_understand_each_other() -> None:
    a = read_run("recipe:speaker_listener_symbols")
    b = in_other_words(a)
    matrix = [[mean_return(mix(one, listener=other)) for other in (a, b)] for one in (a, b)]
    assert matrix[0][0] == matrix[1][1] == mean_return(a) > 0.95
    assert matrix[0][1] < 0.5 and matrix[1][0] < 0.5


def test_everything_of_each_stays_as_it_is(tmp_path: pathlib.Path) -> None:
    a = read_run(written(tmp_path / "a"))
    b = read_run(written(tmp_path / "b", seed=1, model="feedforward", normalise_observations=True))
    before = [{key: value.clone() for key, value in run.team.state_dict().items()} for run in (a, b)]
    both = mix(a, listener=b)
    evaluate(both, num_episodes=50)
    for run, kept in zip((a, b), before, strict=True):
        assert all(torch.equal(value, kept[key]) for key, value in run.team.state_dict().items())
    own = both.team.state_dict()
    speaker = {key: value for key, value in before[0].items() if "policies.speaker" in key}
    listener = {key: value for key, value in before[1].items() if "policies.listener" in key}
    assert speaker and listener and any("normaliser" in key for key in listener)
    assert all(torch.equal(own[key], value) for key, value in (speaker | listener).items())
    assert mean_return(mix(a, speaker=b, listener=b)) == mean_return(b)
    again = build_team(both.choices, both.facts, seed=0)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in own.items()}
    assert both.config["mixed"] == {"listener": {"run": str(tmp_path / "b"), "policy": "listener"}}


def test_a_policy_of_another_name_can_be_named(tmp_path: pathlib.Path) -> None:
    policies = {"s": PolicyChoice(agents=("speaker_0",)), "l": PolicyChoice(agents=("listener_0",))}
    a, b = written(tmp_path / "a"), written(tmp_path / "b", seed=1, policies=policies)
    assert mean_return(mix(a, speaker=(b, "s"), listener=(b, "l"))) == mean_return(read_run(b))
    assert mean_return(mix(b, {"l": (a, "listener")}, s=(a, "speaker"))) == mean_return(read_run(a))


def test_what_does_not_fit_is_refused(tmp_path: pathlib.Path) -> None:
    a = written(tmp_path / "a")
    for name, how, words in (
        ("goals", {"env": {"goals": 5}}, "action space of the first is Discrete"),
        ("channel", {"channel": "dru"}, r"channels differ \(channel symbols and dru"),
        ("words", {"channel_settings": {"vocabulary": 6}}, r"channels differ \(vocabulary 4 and 6\)"),
    ):
        with pytest.raises(RunFolderError, match=words):
            mix(a, listener=written(tmp_path / name, **how))
    code = [written(tmp_path / f"vq{seed}", seed=seed, channel="vq") for seed in (0, 1)]
    with pytest.raises(RunFolderError, match=r"weights of their own \(codes\)"):
        mix(code[0], listener=code[1])
    mix(code[0], listener=code[0])
    with pytest.raises(UnknownNameError, match="did you mean 'listener'"):
        mix(a, listner=a)
    with pytest.raises(UnknownNameError, match=r"policy of .*speaker"):
        mix(a, speaker=(a, "talker"))


def test_the_command_mixes(tmp_path: pathlib.Path, capsys: Any) -> None:
    a, b = written(tmp_path / "a"), written(tmp_path / "b", seed=1)
    command = ["evaluate", str(a), "--policy", f"listener={b}", "--episodes", "40", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["episode_return_mean"] == evaluate(mix(a, listener=b), num_episodes=40)["episode_return_mean"]
    assert main([*command[:2], "--policy", f"listener={tmp_path}/none"]) == 2
    assert "no run folder" in capsys.readouterr().err
