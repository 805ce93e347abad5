"""Cross-play of hand-written protocols, whose scores with strangers are known."""

import json
import pathlib

import numpy as np
import pytest
import torch

from heliograph.analysis.crossplay import bridges, crossplay, families, understand
from heliograph.analysis.distinct_play import distinct_rows, is_deterministic, play_distinct
from heliograph.analysis.evaluate import evaluate
from heliograph.cli import main
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_team, facts_for, opened
from heliograph.registry import UnknownNameError
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.storage.mixing import mix
from heliograph.storage.run_folder import RunFolderError
from heliograph.testing.small_teams import stir
from tests.analysis.teams import collapsed, perfect, riddle_run, scripted_run, shifted


def test_partners_understand_one_another_and_strangers_of_other_codes_do_not() -> None:
    runs = [scripted_run(function) for function in (perfect, shifted, perfect)]
    table = crossplay(runs, num_episodes=60)
    assert table.names == ("none (0)", "none (1)", "none (2)") and table.exchanged == ("listener",)
    assert table.success_rates is not None
    assert table.success_rates.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert table.returns.tolist() == [[1, -1, 1], [-1, 1, -1], [1, -1, 1]]
    assert (table.of_returns.own, table.of_returns.cross, table.of_returns.gap) == (1.0, pytest.approx(-1 / 3), 4 / 3)
    assert table.families == (("none (0)", "none (2)"), ("none (1)",))


def test_the_teams_themselves_stay_as_they_are() -> None:
    runs = [scripted_run(perfect), scripted_run(shifted)]
    crossplay(runs, num_episodes=5)
    again = crossplay(runs, exchange=["speaker"], num_episodes=5)
    assert again.exchanged == ("speaker",) and np.diag(again.returns).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[1.0, 0.9], [0.9, 1.0]], ((0, 1),)),
        ([[1.0, 0.9], [0.1, 1.0]], ((0,), (1,))),  # both must understand
        ([[1, 0.9, 0.0], [0.9, 1, 0.9], [0.0, 0.9, 1]], ((0, 1, 2),)),  # the one in the middle bridges
        ([[1, 0, 0.8], [0, 1, 0], [0.8, 0, 1]], ((0, 2), (1,))),
    ],
)
def test_families_are_connected_by_pairs_that_understand(scores: list, expected: tuple) -> None:
    assert families(np.array(scores, dtype=np.float64), floor=0.0) == expected


def test_who_holds_a_family_together() -> None:
    scores = np.array([[1, 0.9, 0.0, 0], [0.9, 1, 0.9, 0], [0.0, 0.9, 1, 0], [0, 0, 0, 1]])
    assert bridges(understand(scores, floor=0.0)) == (1,)
    assert bridges(np.ones((3, 3), dtype=bool)) == ()


def test_a_single_policy_plays_with_another_agent_by_agent() -> None:
    """The first agent of one team among all others of the other; a team with itself is what it is alone."""
    one, other = riddle_run(), riddle_run()
    table = crossplay([one, other], num_episodes=40)
    assert table.exchanged == (f"all agents but {one.team.layout.agents[0]}",)
    alone = evaluate(one, num_episodes=40)["episode_return_mean"]
    assert np.allclose(table.returns, alone)


def test_a_script_is_a_further_team() -> None:
    table = crossplay([scripted_run(perfect)], scripts={"turned": shifted, "same": perfect}, num_episodes=30)
    assert table.names[1:] == ("turned", "same")
    assert table.returns.tolist() == [[1, -1, 1], [-1, 1, -1], [1, -1, 1]]


def test_pairs_play_what_an_evaluation_plays() -> None:
    """Returns of a pair are those of `evaluate` of the mixed team, to the last digit."""
    one, other = scripted_run(perfect), scripted_run(collapsed)
    table = crossplay([one, other], num_episodes=50, seed=3)
    mixed = evaluate(mix(one, listener=other), num_episodes=50, seed=3)
    assert table.returns[0, 1] == mixed["episode_return_mean"]
    assert table.standard_errors[0, 1] == pytest.approx(mixed["episode_return_se"])


def test_without_a_floor_the_worst_pair_is_it() -> None:
    assert families(np.array([[2.0, -3.0, 1.0], [-3.0, 2.0, -3.0], [1.0, -3.0, 2.0]])) == ((0, 2), (1,))


def test_what_cannot_be_crossed_is_told() -> None:
    run = scripted_run(perfect)
    with pytest.raises(ValueError, match="1 run: cross-play needs two or more"):
        crossplay([run])
    with pytest.raises(UnknownNameError, match="'hearer'"):
        crossplay([run, run], exchange=["hearer"])
    with pytest.raises(ValueError, match="must be some of the policies"):
        crossplay([run, run], exchange=["speaker", "listener"])
    with pytest.raises(RunFolderError, match="cross-play is between teams of one task"):
        crossplay([run, scripted_run(perfect, rounds=2)])


def test_the_command_prints_the_matrix_and_tells_it_as_json(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, function in (("plain", perfect), ("turned", shifted), ("mute", collapsed)):
        scripted_run(function, folder=tmp_path / name)
        (tmp_path / name / "summary.json").write_text("{}")
    command = ["crossplay", str(tmp_path), "--episodes", "30", "--trust"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "success of each team (row) with listener of each (column)" in shown and "strangers" in shown
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["teams"] == ["mute", "plain", "turned"] and told["success_rates"][1] == [1.0, 1.0, 0.0]
    assert told["return"]["gap"] > 0.9 and ["turned"] in told["families"]


@pytest.mark.parametrize("settings", [{"rounds": 3}, {"rounds": 2, "talk_steps": 1}])
def test_copies_that_are_alike_are_computed_once(settings: dict) -> None:
    """Episode by episode what a sampler plays, of a team whose memory and messages matter, in fewer rows."""
    env = EnvChoice(env="speaker_listener", settings=settings)
    team = stir(build_team(TeamChoices(model="cnet", model_settings={"size": 16}, channel="dru"), facts_for(env)))
    with opened(env, num_envs=64, seed=1) as made:
        assert is_deterministic(team.eval(), made)
        returns, success = play_distinct(team, made, num_episodes=50, assignment=None)
    with opened(env, num_envs=64, seed=1) as made:
        episodes, _ = play_episodes(Sampler(made, team), 50)
    assert torch.equal(returns, episodes.returns) and torch.equal(success, episodes.success)
    assert len(returns.unique()) > 1


def test_rows_are_told_apart_by_every_number() -> None:
    leaves = [torch.tensor([[1, 2], [1, 3], [1, 2], [1, 2]]), torch.tensor([True, True, True, False])]
    rows, copies = distinct_rows(leaves, size=4)
    assert sorted(rows.tolist()) == [0, 1, 3] and torch.equal(rows[copies], torch.tensor([0, 1, 0, 3]))
