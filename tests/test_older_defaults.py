"""Files that were written when the junction had sight by default mean what they meant; others have the present task."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from heliograph import registry
from heliograph.analysis.corpus import load_corpus
from heliograph.analysis.recording import record
from heliograph.cli.arguments import build_parser
from heliograph.cli.choosing import settings_from_arguments
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_for
from heliograph.experiments.jobs import Job
from heliograph.experiments.older_defaults import brought_up
from heliograph.experiments.settings import settings_from
from heliograph.experiments.settings_file import settings_in
from heliograph.renamed import RECIPES
from heliograph.rllib.runs.plan import PLAN, Plan, read_plan, write_plan
from heliograph.storage.run_folder import (
    CONFIG,
    TEAM,
    RunFolderError,
    read_config,
    read_run,
    write_config,
    write_json,
    write_team,
)
from heliograph.storage.safe_files import CHECKSUM, open_tensors, write_tensors
from heliograph.storage.team_file import export, read_policy

SIGHTED, BLIND = {"difficulty": "medium", "vision": 1}, {"difficulty": "medium"}
TRAINED = {"env": "traffic_junction", "env_settings": BLIND, "model": "feedforward"}


def written(folder: pathlib.Path, settings: dict[str, Any]) -> pathlib.Path:
    """A run folder of a small team in the junction, which says as much of its environment as `settings` do."""
    env = EnvChoice(env="traffic_junction", settings=settings)
    choices = TeamChoices(model="feedforward", model_settings={"size": 4}, channel="symbols")
    write_config(folder, env=env, choices=choices, training=settings_from({**TRAINED, "env_settings": settings}))
    write_team(folder, build_team(choices, facts_for(env), seed=0))
    return folder


def before(folder: pathlib.Path) -> pathlib.Path:
    """The same folder as it was written before: sight was the default."""
    config = json.loads((folder / CONFIG).read_text())
    config["env"]["settings"], config["training"]["env_settings"] = dict(BLIND), dict(BLIND)
    kept = {key: value for key, value in config.items() if key != CHECKSUM}
    write_json(folder / CONFIG, {**kept, "format_version": 1})
    return folder


def test_an_older_run_folder_keeps_its_sight_and_a_new_one_has_none(tmp_path: pathlib.Path) -> None:
    old, new = before(written(tmp_path / "old", SIGHTED)), written(tmp_path / "new", BLIND)
    assert read_run(old).env.settings == SIGHTED and read_config(old)["training"]["env_settings"] == SIGHTED
    assert read_run(new).env.settings == BLIND and build_env(read_run(new).env, num_envs=1).vision == 0
    config = json.loads((old / CONFIG).read_text())
    write_json(old / CONFIG, {**config, "format_version": 2})
    with pytest.raises(RunFolderError, match="do not fit its configuration"):
        read_run(old)


def test_an_older_team_file_and_policy_keep_their_sight(tmp_path: pathlib.Path) -> None:
    run = written(tmp_path / "run", SIGHTED)
    for policy, key in ((None, "env"), ("car", "trained_in")):
        stored = open_tensors(export(run, tmp_path / f"{key}.safetensors", policy=policy))
        content = json.loads(stored.metadata[TEAM])
        assert content["format_version"] == 2
        content |= {"format_version": 1, key: {"env": "traffic_junction", "settings": BLIND}}
        write_tensors(stored.path, stored.read(), metadata={TEAM: json.dumps(content)})
    assert read_run(tmp_path / "env.safetensors").env.settings == SIGHTED
    assert "'vision': 1" in read_policy(tmp_path / "trained_in.safetensors", "car").trained_as


def test_an_older_corpus_keeps_its_sight(tmp_path: pathlib.Path) -> None:
    record(read_run(written(tmp_path / "run", {**BLIND, "steps": 3})), num_episodes=2, out=tmp_path / "corpus")
    path = tmp_path / "corpus" / "metadata.json"
    assert "vision" not in load_corpus(path.parent).metadata["env"]["settings"]
    write_json(path, {**json.loads(path.read_text()), "format_version": 1})
    assert load_corpus(path.parent).metadata["env"]["settings"]["vision"] == 1


def test_an_older_plan_keeps_its_sight(tmp_path: pathlib.Path) -> None:
    job = Job(name="team", settings=settings_from(TRAINED), out=tmp_path / "run")
    write_plan(tmp_path, Plan(jobs=(job,), controls=("self",)))
    content = json.loads((tmp_path / PLAN).read_text())
    for version, settings in ((2, BLIND), (1, SIGHTED)):
        write_json(tmp_path / PLAN, {**content, "format_version": version})
        found = read_plan(tmp_path)
        assert found is not None and found.jobs[0].settings.env_settings == settings


@pytest.mark.parametrize(
    ("env", "settings", "meant"),
    [
        ("traffic_junction", {"difficulty": "hard"}, {"difficulty": "hard", "vision": 1}),
        ("heliograph.envs.traffic_junction:TrafficJunction", BLIND, SIGHTED),
        ("traffic_junction", {"difficulty": "hard", "vision": 0}, {"difficulty": "hard", "vision": 0}),
        ("traffic_junction", {"difficulty": "easy"}, {"difficulty": "easy"}),
        ("traffic_junction", {}, {}),
        ("predator_prey", {"difficulty": "hard"}, {"difficulty": "hard"}),
    ],
)
def test_what_an_environment_of_before_meant(env: str, settings: dict[str, Any], meant: dict[str, Any]) -> None:
    about = {"env": {"env": env, "settings": settings}}
    assert brought_up(about, version=1)["env"]["settings"] == meant
    assert brought_up(about, version=2) == about


def test_sight_that_a_curriculum_decides_is_left_to_it() -> None:
    rises = {**TRAINED, "curriculum": {"vision": {"by": "iteration", "points": [[0, 0]], "between": "hold"}}}
    assert brought_up({"training": rises}, version=1)["training"] == rises


def test_settings_in_a_file_must_say_which_junction_they_mean(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "settings.json"
    write_json(path, TRAINED)
    with pytest.raises(ValueError, match=r"vision is not said, .* write vision: 0, .* or vision: 1"):
        settings_in(path)
    write_json(path, {**TRAINED, "env_settings": SIGHTED})
    assert settings_in(path)["env_settings"] == SIGHTED


def chosen(name: str) -> dict[str, Any]:
    return dict(settings_from_arguments(build_parser().parse_args(["train", name, "--out", "x"])).settings.env_settings)


@pytest.mark.parametrize("read", [lambda name: registry.load("recipe", name)().settings["env_settings"], chosen])
def test_recipes_that_were_played_with_sight_resolve_by_their_older_names(read: Callable[[str], Any]) -> None:
    for older, present in RECIPES.items():
        registry.load.cache_clear()
        with pytest.warns(FutureWarning, match=f"{older} is called {present} now"):
            assert read(older)["vision"] == 1
    assert "vision" not in read("ic3net_traffic_junction_hard_published")
