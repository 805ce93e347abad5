"""A word for each of several teams, of scripts whose returns under interventions are worked out by hand."""

import json
import pathlib
from typing import Any

import pytest
import torch

from heliograph.analysis.evaluate import evaluate, play_run
from heliograph.analysis.interventions import Messages
from heliograph.analysis.judging import judged
from heliograph.analysis.overhearing import known_by_actions
from heliograph.analysis.team_verdicts import members_of
from heliograph.analysis.verdict import word_in
from heliograph.cli import main
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.registry import UnknownNameError
from heliograph.reports.report import report_page
from heliograph.reports.report_data import gather
from heliograph.reports.run_results import read_result
from heliograph.rollouts.statistics import Episodes
from heliograph.storage.run_folder import SUMMARY, Run, write_config, write_json, write_team

EPISODES = 100
HOW = {"num_episodes": EPISODES, "seed": 1}


def run_of(folder: pathlib.Path | None = None, **env: Any) -> Run:
    """Alice says the secret and all guess what they hear."""
    choice = EnvChoice(env="tests.adapters.spied:spied", settings=env)
    script = {"function": "tests.adapters.spied:plain"}
    choices = TeamChoices(
        model="scripted", model_settings=script, channel="symbols", channel_settings={"vocabulary": 4}
    )
    facts = facts_of(build_env(choice, num_envs=1))
    team = build_team(choices, facts, seed=0).eval()
    config = {"env": choice.model_dump(), "team": choices.model_dump(), "training": {"algorithm": "ppo"}}
    if folder is not None:
        write_team(folder, team)
        write_config(folder, env=choice, choices=choices, training={"algorithm": "ppo"})
    return Run(
        folder=folder or pathlib.Path("none"), config=config, env=choice, choices=choices, facts=facts, team=team
    )


@pytest.fixture(scope="module")
def overheard() -> dict[str, Any]:
    return judged(run_of(), **HOW)


def test_returns_are_those_of_teams(overheard: dict[str, Any]) -> None:
    assert overheard["team_returns_mean"] == {"spies": 1.0, "ours": 1.0}  # 2 for Bob, less 1 for Eve
    assert overheard["episode_return_mean"] == pytest.approx(1.0)


def test_each_team_has_its_word(overheard: dict[str, Any]) -> None:
    teams = overheard["teams"]
    assert {name: found["diagnosis"] for name, found in teams.items()} == {"spies": "silent", "ours": "used"}
    assert teams["ours"]["agents"] == ["bob", "alice"] and teams["spies"]["num_utterances"] == 0
    assert teams["ours"]["mutual_information_bits"] == pytest.approx(2.0, abs=0.1)
    assert teams["spies"]["mutual_information_bits"] is None
    assert overheard["diagnosis"] == "unknown" and "see teams" in overheard["diagnosis_means"]
    assert word_in(overheard, silent={"episode_return_mean": 0.0}) == "spies: silent, ours: used"


def test_what_resampling_costs_a_team_and_who_listens(overheard: dict[str, Any]) -> None:
    ours = overheard["teams"]["ours"]
    # a word of another episode is right in about a quarter: Bob earns 2/4 and loses Eve's 1/4
    assert ours["episode_return_mean_resampled"] == pytest.approx(0.25, abs=0.2)
    assert ours["difference_mean_resampled"] == pytest.approx(ours["episode_return_mean_resampled"] - 1)
    assert ours["changed_share_resampled"] == ours["rivals_changed_share_resampled"] == pytest.approx(0.75, abs=0.15)


def test_rivals_that_may_not_hear_do_not_listen() -> None:
    ours = judged(run_of(rivals_hear=False), **HOW)["teams"]["ours"]
    assert ours["rivals_changed_share_resampled"] == 0.0 < ours["changed_share_resampled"]
    assert ours["episode_return_mean"] == pytest.approx(1.75, abs=0.15) and ours["diagnosis"] == "used"


def test_messages_of_one_team_alone_are_replaced() -> None:
    run = run_of(speaking=lambda agent: True)
    as_sent, ours = (
        play_run(run, **HOW, messages=m, senders=members_of(run, "ours")) for m in ("as-sent", "resampled")
    )
    replaced = play_run(run, **HOW, messages=Messages.RESAMPLED)
    for before, one, all_ in zip(as_sent.rollouts, ours.rollouts, replaced.rollouts, strict=True):
        eve, alice = (lambda rollout, slot=slot: rollout.messages[0].payload[0, :, slot] for slot in (0, 2))
        assert torch.equal(eve(one), eve(before))
        assert torch.equal(alice(one), alice(all_)) and not torch.equal(alice(one), alice(before))


def test_one_team_has_one_word() -> None:
    found = judged(run_of(team_of={"eve": "all", "bob": "all", "alice": "all"}), **HOW)
    assert found["diagnosis"] == "used" and "teams" not in found and "team_returns_mean" not in found


def test_who_knows_the_secret() -> None:
    for rivals_hear, of_eve in ((True, 2.0), (False, 0.0)):
        run = run_of(rivals_hear=rivals_hear)
        played = play_run(run, **HOW)
        known = known_by_actions(played, run.facts, speaker="alice")
        assert known["bob"].bits == pytest.approx(2.0, abs=0.1) and known["bob"].num_actions == EPISODES
        assert known["eve"].bits == pytest.approx(of_eve, abs=0.1)
        first = known_by_actions(played, run.facts, speaker="alice", last_step=False)
        assert (
            first["bob"].num_actions == 2 * EPISODES and first["bob"].bits < 1.5
        )  # in the first step nothing is heard
    with pytest.raises(UnknownNameError, match="unknown agent 'alise'; did you mean 'alice'"):
        known_by_actions(played, run.facts, speaker="alise")


def test_a_team_of_which_nobody_came_has_no_return() -> None:
    earned = torch.tensor([[1.0, 2.0, 4.0], [3.0, 0.0, 0.0]])
    here = torch.tensor([[True, True, True], [True, False, False]])
    episodes = Episodes(agent_returns=earned, present=here, lengths=torch.ones(2).long(), success=torch.zeros(2))
    found = episodes.team_returns(("a", "b"), (0, 1, 1))
    assert found["a"].tolist() == [1.0, 3.0]
    assert found["b"][0] == 3.0 and found["b"][1].isnan()
    assert episodes.team_returns(("a",), (0, 0, 0)) == {}


def test_evaluate_and_report_show_every_team(tmp_path: pathlib.Path, capsys: Any) -> None:
    run_of(tmp_path / "run")
    asked = ["evaluate", str(tmp_path / "run"), "--episodes", "40", "--trust"]
    assert main([*asked, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["teams"]) == {"spies", "ours"}
    assert main(asked) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.split()[:1] in (["ours"], ["spies"])]
    assert [row[0] for row in rows] == ["spies", "ours"] and [row[-1] for row in rows] == ["silent", "used"]
    text = report_page(gather(tmp_path / "run", num_episodes=40, trust=True))
    assert "Which team is heard, and by whom?" in text and "ours is used (" in text and "spies is silent (" in text
    assert "Nobody speaks" not in text


def test_runs_are_compared_by_the_return_of_a_team(tmp_path: pathlib.Path) -> None:
    run = run_of(tmp_path / "run")
    done = {"num_env_steps": 10, "wall_seconds": 1.0, "iterations": 1, "seed": 0}
    write_json(tmp_path / "run" / SUMMARY, {**evaluate(run, num_episodes=50), **done})
    assert read_result(tmp_path / "run", metric="team_return_mean/ours").value == 1.0
    with pytest.raises(UnknownNameError, match="unknown team in a metric 'our'; did you mean 'ours'"):
        read_result(tmp_path / "run", metric="team_return_mean/our")
