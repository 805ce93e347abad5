import argparse
import csv
import inspect
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from heliograph import registry
from heliograph.analysis.interventions import Messages
from heliograph.cli import TRAINING, arguments, main
from heliograph.cli.choosing import jobs_of, settings_from_arguments
from heliograph.cli.shown import jsonable, share_done
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.experiments.jobs import MAIN, controls_of
from heliograph.experiments.settings import COLUMNS, EVALUATED, TrainSettings, check_training, settings_from
from heliograph.reports.run_results import METRICS
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.described import known_settings
from heliograph.storage.run_folder import write_config, write_team
from heliograph.types import Choice

SHARED = {"-h", "--help", "--json", "--debug"}
RUN = {"run", "--episodes", "--seed", "--trust"}
FROZEN = {
    "list": {"kind", "name"},
    "envs": {"target", "--env", "--seed"},
    "train": {
        "target", "--out", "--resume", "--model", "--channel", "--topology", "--algorithm", "--loss", "--set",
        "--load-policy", "--controls", "--no-controls", "--iterations", "--env-steps", "--until", "--seed", "--seeds",
        "--env-runners", "--learners", "--threads", "--jobs", "--checkpoint-every", "--evaluate-every",
        "--patience", "--overwrite", "--config", "--policy", "--freeze", "--gpus",
        "--wandb", "--mlflow", "--callbacks", "--learn-from", "--population", "--size", "--record-every",
    },
    "controls": {"run", "--only", "--jobs", "--overwrite"},
    "show": {"run"},
    "diff": {"first", "second"},
    "evaluate": RUN | {"--actions", "--env", "--messages", "--policy"},
    "record": RUN | {"--actions", "--env", "--out", "--policy", "--overwrite"},
    "analyze": {
        "path", "--meanings", "--measures", "--eos", "--unique", "--permutations", "--bootstraps", "--csv",
        "--episodes", "--seed", "--trust",
    },
    "protocol": RUN,
    "replay": RUN | {"--actions", "--env", "--policy"},
    "render": RUN | {"--actions", "--env", "--out", "--fps", "--overwrite", "--policy"},
    "report": RUN | {"--out", "--overwrite"},
    "export": {"run", "out", "--policy", "--overwrite", "--trust", "--with-source", "--agent", "--format"},
    "compare": {"runs", "--out", "--metric", "--seed", "--overwrite"},
    "timelapse": {"path", "--out", "--overwrite"},
    "crossplay": {"runs", "--exchange", "--episodes", "--seed", "--trust", "--script"},
    "sweep": {
        "target", "--out", "--grid", "--seeds", "--scheduler", "--grace", "--metric", "--model", "--channel",
        "--topology", "--load-policy",
        "--algorithm", "--loss", "--set", "--iterations", "--env-steps", "--until", "--jobs",
        "--checkpoint-every", "--resume", "--patience", "--config", "--policy", "--freeze",
        "--controls", "--no-controls", "--evaluate-every", "--threads", "--overwrite", "--seed", "--gpus",
        "--env-runners", "--learners", "--wandb", "--mlflow", "--callbacks", "--learn-from", "--population", "--size",
        "--record-every",
    },
    "migrate": {"files", "--write"},
    "bench": {"target", "--iterations", "--threads", "--model", "--channel", "--topology", "--algorithm", "--loss",
              "--set", "--load-policy", "--config", "--policy", "--freeze", "--callbacks", "--learn-from",
              "--population", "--size"},
    "demo": {"--out", "--jobs", "--overwrite"},
}  # fmt: skip
"""What others' scripts rely on. Adding is free; for anything else say in CHANGELOG.md how to change a script."""


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = arguments.build_parser()._actions
    (found,) = [action.choices for action in actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found)


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings or [action.dest]}


def parsed(*words: str) -> Any:
    return arguments.build_parser().parse_args(words)


def train(*words: str) -> Any:
    return settings_from_arguments(parsed("train", *words))


def test_the_command_line_is_what_it_was() -> None:
    assert {name: options(parser) - SHARED for name, parser in commands().items()} == FROZEN


def test_every_command_speaks_json() -> None:
    assert all(SHARED <= options(parser) for parser in commands().values())


def test_choices_are_those_of_the_library() -> None:
    assert tuple(m.value for m in Messages) == arguments.MESSAGES
    assert {c.value for c in Choice} == set(arguments.ACTIONS)
    assert METRICS == arguments.METRICS
    assert sorted(arguments.KINDS.values()) == sorted(registry.KINDS)


@pytest.mark.parametrize("kind", [kind for kind in arguments.KINDS if kind != "algorithms"])
def test_list_names_and_explains_all_components(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found) == registry.names(arguments.KINDS[kind])
    loaded = {name: registry.load(arguments.KINDS[kind], name) for name in found}
    if kind != "recipes":  # of which more is told than their first lines
        assert found == {name: (inspect.getdoc(part) or "").split("\n")[0] for name, part in loaded.items()}
    assert all(found.values()), f"no summary: {found}"
    main(["list", kind])
    if kind == "recipes":  # which are listed in two parts
        return
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == sorted(found)


def test_listing_needs_neither_torch_nor_ray(tmp_path: pathlib.Path) -> None:
    heavy = "{'torch', 'ray'} & sys.modules.keys()"
    code = f"import sys; from heliograph.cli import main; main(['list']); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "set()"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "speaker_listner", "--out", "x"], "speaker_listener"),
        (["train", "--out", "x"], "recipe"),
        (["train", "identity"], "--out"),
        (["train", "identity", "--out", "x", "--model", "cnets"], "did you mean 'cnet'"),
        (["train", "identity", "--out", "x", "--channel", "garbled+drew"], "'dru'"),
        (["train", "identity", "--out", "x", "--algorithm", "pro"], "'ppo'"),
        (["train", "identity", "--out", "x", "--loss", "reconstruct"], "'reconstruction'"),
        (["train", "identity", "--out", "x", "--set", "model.sise=3"], "'size'"),
        (["train", "identity", "--out", "x", "--set", "modell.size=3"], "'model'"),
        (["train", "identity", "--out", "x", "--set", "team.critics=state"], "'critic'"),
        (["train", "identity", "--out", "x", "--set", "team.critic=stat"], "critic"),
        (["train", "identity", "--out", "x", "--set", "model.size"], "KEY=VALUE"),
        (["train", "identity", "--out", "x", "--until", "return=1"], "episode_return_mean"),
        (["train", "identity", "--out", "x", "--until", "success_rate=high"], "number"),
        (["train", "identity", "--out", "x", "--until", "evaluation_return_mean=1"], "--evaluate-every"),
        (["train", "identity", "--out", "x", "--seeds", "1", "1"], "once"),
        (["train", "identity", "--resume", "x"], "cannot go with --resume"),
        (["train", "--resume", "nowhere"], "no run folder"),
        (["evaluate", "nowhere"], "no run folder"),
        (["render", "nowhere"], "no run folder"),
        (["render", "nowhere", "--out", "film.mp4"], "must end in .gif or .png"),
        (["render", "nowhere", "--fps", "0"], "fps=0.0: must be"),
        (["render", "nowhere", "--episodes", "101"], "at most 100"),
        (["compare", "nowhere"], "nowhere is no folder"),
        (["compare", "."], "holds no run"),
        (["sweep", "identity", "--out", "x", "--grid", "trainin.lr=1"], "'training'"),
        (["sweep", "identity", "--out", "x", "--grid", "training.lrr=1"], "'lr'"),
        (["sweep", "identity", "--out", "x", "--grid", "chanel=dru"], "'channel'"),
        (["sweep", "identity", "--out", "x", "--grid", "channel=drew"], "'dru'"),
        (["sweep", "identity", "--out", "x", "--grid", "team.critc=state"], "'critic'"),
        (["sweep", "identity", "--out", "x", "--grid", "model.siz=8"], "'size'"),
        (["sweep", "identity", "--out", "x", "--grid", "loss.imitate=0,1"], "'imitation'"),
        (["sweep", "identity", "--out", "x", "--grid", "training.lr=1,1.0", "--iterations", "1"], "different values"),
        (["sweep", "identity", "--out", "x", "--grid", "training.lr"], "KEY=VALUE"),
        (["sweep", "identity", "--out", "x", "--grid", "training.lr=1", "--seeds", "1", "1"], "once"),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: list[str], said: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert said in err and len(err.splitlines()) == 1 and not out
    assert not list(tmp_path.iterdir()), "a refused run leaves nothing behind"
    with pytest.raises(ValueError):
        main([*words, "--debug"])


def test_arguments_become_settings() -> None:
    what = train(
        "switch_riddle", "--model", "feedforward", "--channel", "symbols", "--topology", "given", "--env-steps", "99",
        "--until", "success_rate=1", "--seed", "7", "--env-runners", "2", "--learners", "1", "--loss",
        "reconstruction=0.5", "--set", "env.prisoners=4", "channel.gradient=gumbel", "--set", "training.lr=1e-4",
        "training.minibatch_size=null", "team.critic=state",
    )  # fmt: skip
    assert what.settings == TrainSettings(
        env="switch_riddle",
        env_settings={"prisoners": 4},
        model="feedforward",
        channel="symbols",
        channel_settings={"gradient": "gumbel"},
        topology="given",
        algorithm_settings={"lr": 1e-4, "minibatch_size": None},
        losses=(["reconstruction", 0.5],),
        critic="state",
        env_steps=99,
        until={"success_rate": 1.0},
        seed=7,
        num_env_runners=2,
        num_learners=1,
    )
    assert not what.controls and train("identity", "--controls").controls


@pytest.mark.parametrize("name", registry.names("recipe"))
def test_recipes_are_sound(name: str) -> None:
    recipe, what = registry.load("recipe", name)(), train(name)
    goals = recipe.goals
    assert recipe.name == name and recipe.paper and goals and set(goals) <= {*COLUMNS, "normalised_return"}
    assert what.controls == recipe.control_kinds and what.settings == settings_from(recipe.settings)
    check_training(what.settings)


def test_what_is_given_replaces_what_the_recipe_says() -> None:
    recipe = train("speaker_listener_dru").settings
    other = train("speaker_listener_dru", "--channel", "continuous", "--env-steps", "5", "--no-controls")
    assert (other.settings.channel, other.settings.channel_settings) == ("continuous", {})
    assert (other.settings.iterations, other.settings.env_steps) == (None, 5)
    assert other.settings.model_settings == recipe.model_settings and not other.controls
    smaller = train("speaker_listener_dru", "--set", "training.lr=0.5").settings.algorithm_settings
    assert smaller == {**recipe.algorithm_settings, "lr": 0.5}


def test_a_curriculum_is_a_section_of_set() -> None:
    rising = "curriculum.p_arrive=[[0, 0.1], [1e6, 0.3]]"
    settings = train("traffic_junction", "--set", rising, "env.vision=0").settings
    assert settings.curriculum == {"p_arrive": [[0, 0.1], [1e6, 0.3]]}
    assert settings.env_choice().settings == {"vision": 0, "p_arrive": 0.3}
    assert train("traffic_junction", "--set", rising, "curriculum.p_arrive=null").settings.env_choice().settings == {}
    with pytest.raises(ValueError, match=r"p_arrive=0.2: its curriculum ends at 0.3"):
        train("traffic_junction", "--set", rising, "env.p_arrive=0.2")


def test_seeds_and_controls_have_folders_of_their_own() -> None:
    out = pathlib.Path("runs")
    (job,) = jobs_of(train("identity"), out=out, seeds=None)
    assert (job.name, job.out) == (MAIN, out)
    assert [(t.name, t.out) for t in controls_of(job)] == [("silent", out / "silent"), ("garbled", out / "garbled")]
    jobs = jobs_of(train("identity"), out=out, seeds=[3, 5])
    assert [(j.name, j.settings.seed, j.out) for j in jobs] == [
        ("seed_3", 3, out / "seed_3"),
        ("seed_5", 5, out / "seed_5"),
    ]
    assert controls_of(jobs[0])[1].out == out / "seed_3" / "garbled"


def test_time_left_is_that_of_the_budget() -> None:
    row = {"iteration": 25, "num_env_steps": 100}
    assert share_done(settings_from({}), row) == 0.25
    assert share_done(settings_from({"env_steps": 400}), row) == 0.25
    assert share_done(settings_from({"until": {"success_rate": 1.0}}), row) is None


def test_json_has_no_nan() -> None:
    assert jsonable({"a": (float("nan"), 1), "b": pathlib.PurePath}) == {"a": [None, 1], "b": "pathlib:PurePath"}


@pytest.fixture
def run_folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A team that was never trained."""
    env, choices = EnvChoice(env="speaker_listener"), TeamChoices(model_settings={"size": 8}, channel="symbols")
    team = build_team(choices, facts_of(build_env(env, num_envs=1)), seed=0)
    write_team(tmp_path / "run", team)
    write_config(tmp_path / "run", env=env, choices=choices)
    return tmp_path / "run"


def test_evaluate_prints_json_and_facts(run_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", str(run_folder), "--episodes", "50", "--actions", "sampled", "--messages", "noise"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"episode_return_mean", "episode_return_se", "success_rate", "normalised_return"} <= found.keys()
    assert (found["num_episodes"], found["messages"], found["actions"]) == (50, "noise", "sampled")
    assert main(command) == 0
    assert "episode_return_mean" in capsys.readouterr().out


def test_evaluate_elsewhere(run_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run_folder), "--episodes", "5", "--env", "rounds=3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["episode_len_mean"] == 6
    assert main(["evaluate", str(run_folder), "--episodes", "5", "--env", "goals=7"]) == 2
    assert "goals=7: agents, observations or actions would not be those of" in capsys.readouterr().err
    assert main(["evaluate", str(run_folder), "--episodes", "5", "--env", "round=3"]) == 2
    assert "rounds" in capsys.readouterr().err


def test_a_folder_of_runs_names_its_runs(run_folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run_folder.parent)]) == 2
    assert str(run_folder) in capsys.readouterr().err


def test_record_writes_a_corpus(run_folder: pathlib.Path, tmp_path: pathlib.Path, capsys: Any) -> None:
    assert main(["record", str(run_folder), "--episodes", "5", "--out", str(tmp_path / "corpus"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_utterances"] == 5
    assert {p.name for p in (tmp_path / "corpus").iterdir()} == {"utterances.parquet", "corpus.jsonl", "metadata.json"}
    again = ["record", str(run_folder), "--episodes", "6", "--out", str(tmp_path / "corpus"), "--json"]
    assert main(again) == 2
    assert "holds a corpus already" in capsys.readouterr().err
    assert main([*again, "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["num_utterances"] == 6


def test_code_of_a_folder_is_imported_only_if_trusted(run_folder: pathlib.Path, capsys: Any) -> None:
    config = json.loads((run_folder / "config.json").read_text())
    config["env"]["env"] = "heliograph.envs.speaker_listener:SpeakerListener"
    (run_folder / "config.json").write_text(json.dumps(config))
    assert main(["evaluate", str(run_folder), "--episodes", "5"]) == 2
    assert "checksum" in capsys.readouterr().err
    del config["sha256"]
    (run_folder / "config.json").write_text(json.dumps(config))
    assert main(["evaluate", str(run_folder), "--episodes", "5"]) == 2
    assert "--trust" in capsys.readouterr().err
    assert main(["evaluate", str(run_folder), "--episodes", "5", "--trust"]) == 0


def test_columns_of_progress_are_documented() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "command_line.md").read_text()
    rows = csv.reader(page.splitlines(), delimiter="|")
    explained = {word.strip(" `") for row in rows if len(row) > 3 for word in row[1].split(",")}
    columns = {*COLUMNS, *EVALUATED}
    assert columns <= explained, f"not in docs/command_line.md: {columns - explained}"


@pytest.mark.parametrize(
    ("words", "setting", "default"),
    [
        (("models", "cnet"), "size", 128),
        (("envs", "speaker_listener"), "goals", 3),
        (("channels", "limited"), "max_messages", None),
        (("algorithms", "ppo"), "gamma", 0.99),
        (("recipes", "dial_switch3"), "channel", "dru"),
    ],
)
def test_one_component_is_told_with_its_settings(
    words: tuple[str, str], setting: str, default: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"][setting] == default and found["about"]
    assert (found.get("paper") is not None) == (words[0] == "recipes")
    assert main(["list", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == found["about"].split("\n")[0] and any(line.startswith(setting) for line in lines)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["models", "cnett"], "did you mean 'cnet'"),
        (["cnett"], "did you mean 'cnet'"),
        (["none"], "none is several things: heliograph list channels none or heliograph list topologies none"),
        (["modls", "cnet"], "did you mean 'models'"),
    ],
)
def test_an_unknown_component_is_told_with_the_nearest(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_component_is_found_by_its_name_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models", "cnet", "--json"]) == main(["list", "cnet", "--json"]) == 0
    both = capsys.readouterr().out
    assert both[: len(both) // 2] == both[len(both) // 2 :]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--lr=1", "did you mean --set training.lr=1?"),
        ("--learning-rate=1", " or --set training.lr=1?"),
        ("--mini-batch-size=64", "did you mean --set training.minibatch_size=64?"),
        ("--quiet", "unknown --quiet. See"),
    ],
)
def test_a_setting_that_is_given_as_an_option_is_told_as_a_setting_that_there_is(
    option: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "speaker_listener", option])
    assert told in capsys.readouterr().err
    assert set(TRAINING) <= set(known_settings(CommPPOConfig()))


def test_what_to_train_in_is_not_taken_for_a_control(capsys: pytest.CaptureFixture[str]) -> None:
    """`--controls` takes names, so that what stands behind it is one."""
    with pytest.raises(SystemExit):
        main(["train", "--controls", "speaker_listener", "--out", "x"])
    assert "'speaker_listener' is no control (silent, garbled, self); ENV or" in capsys.readouterr().err
