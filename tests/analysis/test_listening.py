"""Who listens to whom, from corpus to report: weights at their places, means and entropies by hand, words that fit."""

import json
import math
import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from heliograph.analysis import corpus as corpora
from heliograph.analysis.corpus import Corpus
from heliograph.analysis.evaluate import play_run
from heliograph.analysis.listening import Attention, attention_of, gates, hearings, who_listens
from heliograph.analysis.recording import record
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.reports import listening_plots
from heliograph.reports.listening_section import listening, words
from heliograph.reports.report import write_report
from heliograph.storage.run_folder import Run, write_config, write_team
from heliograph.team.attention import attention_in
from heliograph.testing.small_teams import stir
from heliograph.types import Choice
from tests.analysis.teams import scripted_run
from tests.analysis.test_report import Checked


def attending(
    model: str, *, env: str = "predator_prey", channel: str = "continuous", folder: pathlib.Path | None = None,
    model_settings: dict[str, Any] | None = None, **settings: Any,
) -> Run:  # fmt: skip
    choice = EnvChoice(env=env, settings={"time_limit": 5} if env == "predator_prey" else settings)
    own = {"size": 8, **({"heads": 2} if model in ("magic", "graph_attention") else {}), **(model_settings or {})}
    choices = TeamChoices(model=model, model_settings=own, channel=channel)
    facts = facts_of(build_env(choice, num_envs=1))
    team = stir(build_team(choices, facts, seed=0)).eval()
    config = {"env": choice.model_dump(), "team": choices.model_dump(), "training": {"algorithm": "ppo"}}
    if folder is not None:
        write_team(folder, team)
        write_config(folder, env=choice, choices=choices, training={"algorithm": "ppo"})
    where = folder or pathlib.Path("none")
    return Run(folder=where, config=config, env=choice, choices=choices, facts=facts, team=team)


@pytest.mark.parametrize(
    ("model", "settings", "env", "channel"),
    [
        ("tarmac", {}, "traffic_junction", "continuous"),  # read a step later, if at all
        ("tarmac", {}, "switch_riddle", "dru"),
        ("magic", {}, "traffic_junction", "lossy+continuous"),  # two rounds, edges not taken
        ("gacomm", {}, "predator_prey", "gated+continuous"),
    ],
)
def test_weights_stand_beside_the_readings_that_they_belong_to(
    model: str, settings: dict[str, Any], env: str, channel: str
) -> None:
    run = attending(model, env=env, channel=channel, model_settings=settings)
    rollout = play_run(run, num_episodes=30, choice=Choice.SAMPLED).rollouts[0]
    corpus = corpora.from_rollouts(run.team, run.facts, [rollout])
    weights, agents = attention_in(run.team, rollout), list(run.facts.agents)
    assert weights is not None
    checked = 0
    for row in corpus.utterances.itertuples():
        assert len(row.attention) == len(row.read) == len(row.hearers)
        for hearer, step, weight in zip(row.hearers, row.read, row.attention, strict=True):
            assert (step is None) == (weight is None)
            if step is not None:
                given = weights[row.round][step, row.episode, agents.index(hearer)]
                slot = agents.index(row.sender) if len(given) == len(agents) else 0  # the riddle's light is one slot
                assert weight == pytest.approx(float(given[slot]), abs=1e-6)
                checked += weight > 0
    assert checked > 20


def test_weights_of_what_is_read_together_sum_to_at_most_one() -> None:
    heard = hearings(record(attending("tarmac"), num_episodes=10))
    totals = heard.groupby(["episode", "step", "round", "hearer"])["weight"].agg(["sum", "size"])
    assert set(totals["size"]) == {2} and totals["sum"].between(0, 1).all() and totals["sum"].std() > 0.01


def test_a_corpus_with_weights_and_gates_survives_the_disk(tmp_path) -> None:
    corpus = record(
        attending("magic", env="traffic_junction", channel="gated+continuous"), num_episodes=6, out=tmp_path
    )
    again = corpora.load_corpus(tmp_path)
    assert again.utterances["gate"].tolist() == corpus.utterances["gate"].tolist()
    assert set(again.utterances["gate"]) == {True, False}
    silent = [all(s == 0 for s in symbols) for symbols in again.utterances["symbols"]]
    assert again.utterances["gate"].tolist() == [not kept for kept in silent]
    pd.testing.assert_frame_equal(hearings(again), hearings(corpus))
    assert json.loads((tmp_path / "metadata.json").read_text())["format_version"] == 2


def test_corpora_without_attention_or_gates_say_so(tmp_path) -> None:
    record(scripted_run(), num_episodes=3, out=tmp_path)
    plain = corpora.load_corpus(tmp_path)
    assert plain.utterances[["attention", "gate"]].isna().all(axis=None)
    path, metadata = tmp_path / "utterances.parquet", json.loads((tmp_path / "metadata.json").read_text())
    pd.read_parquet(path).drop(columns=["attention", "gate"]).to_parquet(path)
    del metadata["utterances_sha256"]
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    older = corpora.load_corpus(tmp_path)
    for corpus in (plain, older):
        assert not len(hearings(corpus)) and not len(gates(corpus)) and list(listening(corpus)) == []
    assert attention_of(hearings(older)) == []


def by_hand(rows: list[tuple], *, agents: tuple[str, ...] = ("a", "b", "c", "d"), **columns: Any) -> Corpus:
    """A corpus of (episode, step, sender, hearers, weights), all read when said."""
    names = ("episode", "step", "sender", "hearers", "attention")
    table = pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])
    table["read"] = [[step] * len(hearers) for step, hearers in zip(table["step"], table["hearers"], strict=True)]
    table = table.assign(round=0, role="role", meaning=[[0]] * len(table), gate=None).assign(**columns)
    metadata = {"agents": list(agents), "roles": {"role": list(agents)}, "actions": "greedy"}
    return Corpus(utterances=table, metadata=metadata)


HARD = [
    (0, 0, "a", ["d"], [0.4]),
    (0, 0, "b", ["d"], [0.2]),
    (0, 0, "c", ["d"], [0.0]),
    (0, 1, "a", ["d"], [0.0]),
    (0, 1, "b", ["d", "a"], [0.0, None]),
    (1, 0, "b", ["d"], [1.0]),
]
"""d weighs a and b 2:1 and not c, then nobody of two, then the only one."""


def test_means_and_entropies_by_hand() -> None:
    (found,) = attention_of(hearings(by_hand(HARD)))
    assert (found.role, found.round, found.num_moments, found.hard) == ("role", 0, 3, True)
    assert found.num_read == pytest.approx((3 + 2 + 1) / 3)
    assert found.on_others == pytest.approx((0.6 + 0 + 1) / 3)
    assert found.taken == pytest.approx(3 / 6)
    assert found.entropy_bits == pytest.approx(math.log2(3) - 2 / 3)
    assert found.even_bits == pytest.approx(math.log2(3))


def test_maps_by_hand() -> None:
    corpus = by_hand(HARD)
    heard = hearings(corpus)
    weights, chosen = (who_listens(heard, corpus, hard=hard).loc["d"].to_dict() for hard in (False, True))
    assert weights == pytest.approx({"a": 0.2, "b": 0.4, "c": 0.0})
    assert chosen == pytest.approx({"a": 1 / 2, "b": 2 / 3, "c": 0.0})
    _, axes, tidy = listening_plots.attention_map(who_listens(heard, corpus, hard=False))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b", "c"]
    assert tidy["share"].tolist() == pytest.approx([0.2, 0.4, 0.0])


def test_crowds_are_shown_by_role() -> None:
    crowd = by_hand(HARD, agents=tuple("abcd") + tuple(f"x{i}" for i in range(30)))
    assert who_listens(hearings(crowd), crowd, hard=False).to_dict() == {"role": {"role": pytest.approx(1.6 / 6)}}
    assert "<figure" not in "".join(listening(crowd))


def test_long_corpora_are_cut_after_whole_episodes() -> None:
    assert set(hearings(by_hand(HARD), at_most=6)["episode"]) == {0}
    assert len(hearings(by_hand(HARD), at_most=6)) == 5
    assert len(hearings(by_hand(HARD), at_most=1)) == 5
    assert len(hearings(by_hand(HARD), at_most=7)) == 6


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = by_hand([HARD[i] for i in (4, 0, 5, 2, 3, 1)])
    assert attention_of(hearings(shuffled)) == attention_of(hearings(by_hand(HARD)))


BASE = {"role": "car", "round": 0, "num_moments": 9, "num_read": 3.0, "on_others": 0.75, "taken": 1.0}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"entropy_bits": 1.58, "even_bits": 1.585}, "Attention is even (1.58 bits of 1.58"),
        ({"entropy_bits": 1.0, "even_bits": 1.585}, "as if they listened to 2.0 of 3.0"),
        ({"entropy_bits": None, "even_bits": None}, "never weigh two"),
        ({"entropy_bits": 0.5, "even_bits": 1.0, "taken": 0.5}, "and choose 50 % of them"),
    ],
)
def test_words(changed: dict[str, Any], expected: str) -> None:
    told = words(Attention(**BASE | changed))
    assert expected in told and "75 %" in told and ("choose" in told) == ("taken" in changed)
    assert "round" not in told and "round 1" in words(Attention(**BASE | changed), num_rounds=2)


def spoken(opened: list[bool]) -> Corpus:
    rows = [(i // 2, i % 2, "ab"[i % 2], [], []) for i in range(len(opened))]
    return by_hand(rows, attention=None, gate=opened, meaning=[[i % 2] for i in range(len(opened))])


def test_gates_by_hand() -> None:
    table = gates(spoken([True, False, True, True, True, False]))
    _, _, by_step = listening_plots.gates_by_step(table)
    assert by_step["share"].tolist() == pytest.approx([1.0, 1 / 3]) and by_step["chances"].tolist() == [3, 3]
    _, axes, by_meaning = listening_plots.gates_by_meaning(table)
    assert dict(zip(by_meaning["meaning"], by_meaning["share"], strict=True)) == pytest.approx({"0": 1, "1": 1 / 3})
    assert [text.get_text() for text in axes.texts] == ["100 %", "33 %"]


@pytest.mark.parametrize(
    ("opened", "expected", "figures"),
    [
        ([True] * 4, "open at all 4 chances to speak: they decide nothing", 0),
        ([False] * 4, "closed at all 4 chances to speak: nothing is ever said", 0),
        ([True, False] * 2, "open at 50 % of 4 chances to speak", 2),
    ],
)
def test_gates_in_words(opened: list[bool], expected: str, figures: int) -> None:
    text = "".join(listening(spoken(opened)))
    assert expected in text and text.count("<figure") == figures and "Who speaks when" in text


@pytest.mark.parametrize(("model", "channel"), [("magic", "gated+continuous"), ("commnet", "continuous")])
def test_the_report_has_the_section_where_there_is_something_to_tell(model: str, channel: str, tmp_path) -> None:
    attending(model, channel=channel, folder=tmp_path)
    text = write_report(tmp_path, num_episodes=20).read_text(encoding="utf8")
    assert ("Who listens to whom" in text) is ("Who speaks when" in text) is (model == "magic")
    page = Checked(text)
    assert page.open == [] and page.unnamed == [] and len(page.ids) == len(set(page.ids))
    if model == "magic":
        assert "round 2 of 2" in text and "Played greedily" in text


def test_even_attention_is_called_even(tmp_path) -> None:
    run = attending("graph_attention")
    for policy in run.team.policies.values():
        for layer in policy.model.layers:
            torch.nn.init.zeros_(layer.scores)
    corpus = record(run, num_episodes=10)
    (found,) = [part for part in attention_of(hearings(corpus)) if part.role == "predator"]
    assert found.entropy_bits == pytest.approx(found.even_bits) and found.taken == 1
    assert "a plain mean would do as well" in "".join(listening(corpus))
    assert np.allclose(hearings(corpus)["weight"], 1 / (1 + found.num_read))
