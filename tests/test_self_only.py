"""The self-only control: the same network, channel and gradients, and not a word from anybody else."""

import json
import pathlib
from typing import Any

import pytest
import torch

from heliograph.cli.arguments import build_parser
from heliograph.cli.choosing import settings_from_arguments
from heliograph.cli.shown import best_control
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_team, facts_of
from heliograph.experiments.jobs import MAIN, Job, controls_of
from heliograph.experiments.settings import control_of, settings_from
from heliograph.recipes.base import Recipe
from heliograph.reports.run_results import best_control_of, flat_settings
from heliograph.rllib.runs.plan import PLAN, Plan, read_plan, write_plan
from heliograph.rollouts.sampler import Sampler
from heliograph.storage.run_folder import SUMMARY, read_config, write_config, write_json
from heliograph.team.team import Team
from heliograph.testing.small_teams import small_team, stir
from heliograph.types import Heard

MODELS = ("cnet", "commnet", "ic3net", "tarmac", "magic", "gacomm", "graph_attention")


def grid(num_envs: int = 3) -> PredatorPrey:
    return PredatorPrey(num_envs=num_envs, seed=0, size=4, predators=4)


def team(topology: str, model: str = "ic3net") -> Team:
    return small_team(grid(), TeamChoices(model=model, channel="continuous", topology=topology))


@pytest.mark.parametrize("model", MODELS)
def test_what_an_agent_does_hangs_on_itself_alone(model: str) -> None:
    alone = stir(team("self_only", model))
    rollout = Sampler(grid(), alone, seed=0).fragment(4)
    shares = {}
    for name in ("self_only", "full"):
        made = team(name, model)
        made.load_state_dict(alone.state_dict())
        other = Sampler(grid(), made, seed=0).fragment(4)
        watched = {key: value.clone().requires_grad_() for key, value in other.observations.items()}
        other.observations = watched
        made.unroll(other).action_log_prob[:, :, 0].sum().backward()
        (gradient,) = (value.grad for value in watched.values())
        shares[name] = float(gradient[:, :, 1:].abs().sum())
    assert shares["self_only"] == 0 < shares["full"]
    assert (alone.unroll(rollout).action_log_prob - rollout.action_log_prob).abs().max() < 1e-5


def test_what_is_heard_is_what_was_said() -> None:
    heard: list[Heard] = []
    alone = team("self_only")
    perceive = alone.policies["predator"].model.perceive

    def noting(features: Any, memory: Any, inbox: Heard | None) -> Any:
        assert inbox is not None
        heard.append(inbox)
        return perceive(features, memory, inbox)

    alone.policies["predator"].model.perceive = noting  # type: ignore[method-assign]
    rollout = Sampler(grid(), alone, seed=0).fragment(2)
    (said,) = rollout.messages
    assert heard[1].messages.shape[1:3] == (4, 1) and heard[1].mask.all()
    decoded = alone.policies["predator"].message_decoder(said.payload[0])
    assert torch.allclose(heard[1].messages[:, :, 0], decoded, atol=1e-6)


def test_the_environment_may_not_forbid_it_and_nothing_else_changes() -> None:
    chosen = {"env": "graph_colouring", "env_settings": {"agents": 8}, "model": "commnet", "topology": "given"}
    settings = settings_from({**chosen, "channel": "continuous", "algorithm_settings": {"entropy_coeff": 0.2}})
    control = control_of(settings, "self")
    assert control.topology == "self_only" and control.topology_settings == {}
    same = {"topology", "topology_settings"}
    assert control.model_dump(exclude=same) == settings.model_dump(exclude=same)
    sizes = [
        sum(p.numel() for p in build_team(s.choices(), facts_of(env), seed=0).parameters())
        for s in (settings, control)
        for env in [grid()]
    ]
    assert sizes[0] == sizes[1]


def asked_for(*arguments: str) -> tuple[str, ...]:
    return settings_from_arguments(build_parser().parse_args(["train", *arguments, "--out", "x"])).controls


def test_the_command_line_names_controls(capsys: Any) -> None:
    assert asked_for("identity") == asked_for("speaker_listener_dru", "--no-controls") == ()
    assert asked_for("identity", "--controls") == asked_for("speaker_listener_dru") == ("silent", "garbled")
    assert asked_for("identity", "--controls", "self", "silent") == ("self", "silent")
    with pytest.raises(SystemExit):
        asked_for("identity", "--controls", "deaf")
    assert "'deaf' is no control (silent, garbled, self)" in capsys.readouterr().err


def test_plans_keep_the_names_and_older_ones_mean_the_usual_two(tmp_path: pathlib.Path) -> None:
    job = Job(name=MAIN, settings=settings_from({"env": "identity"}), out=tmp_path)
    assert [control.name for control in controls_of(job, ("self",))] == ["self"]
    write_plan(tmp_path, plan := Plan(jobs=(job,), controls=("self", "silent")))
    assert read_plan(tmp_path) == plan
    content = json.loads((tmp_path / PLAN).read_text())
    for written, meant in ((True, ("silent", "garbled")), (False, ())):
        write_json(tmp_path / PLAN, {**content, "controls": written})
        found = read_plan(tmp_path)
        assert found is not None and found.controls == meant


def test_a_recipe_may_ask_for_it() -> None:
    recipe = Recipe(name="r", paper="p", target={"success_rate": 1.0}, settings={}, controls=("silent", "self"))
    assert recipe.control_kinds == ("silent", "self")


def test_the_best_control_is_the_one_to_beat(tmp_path: pathlib.Path) -> None:
    returns = {"": 1.0, "silent": 0.2, "self": 0.6, "garbled": 0.4}
    env = EnvChoice(env="identity")
    for name, value in returns.items():
        channel = {"silent": "none", "garbled": "garbled+symbols"}.get(name, "symbols")
        topology = "self_only" if name == "self" else "full"
        write_config(tmp_path / name, env=env, choices=TeamChoices(channel=channel, topology=topology))
        write_json(tmp_path / name / SUMMARY, {"episode_return_mean": value, "episode_return_se": 0.01})
    assert best_control_of(tmp_path) == {"episode_return_mean": 0.6, "episode_return_se": 0.01}
    assert flat_settings(tmp_path / "self", read_config(tmp_path / "self"))["controls"] == "self"
    table = {name or "team": {"episode_return_mean": value} for name, value in returns.items()}
    assert best_control("team", table) == {"episode_return_mean": 0.6}
    write_config(tmp_path / "self", env=env, choices=TeamChoices(channel="symbols"))  # a run of its own
    assert best_control_of(tmp_path) == {"episode_return_mean": 0.4, "episode_return_se": 0.01}
