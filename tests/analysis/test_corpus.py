"""A corpus says who said what to whom and what followed, exactly; it survives the disk, and bad folders are refused."""

import dataclasses
import json
import pathlib

import numpy as np
import pandas as pd
import pytest
import torch

from heliograph.analysis import corpus as corpora
from heliograph.analysis.corpus import CorpusError, load_corpus
from heliograph.analysis.evaluate import play_run
from heliograph.analysis.recording import record
from heliograph.analysis.utterances import first_from, rows_of
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.protocols.agent_steps import turns
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.storage.run_folder import Run
from heliograph.types import Choice, Edges
from tests.analysis.teams import collapsed, perfect_bits, scripted_run
from tests.channels.arrivals import Queue


def trained(env: str, *, channel: str = "symbols", model: str = "cnet", **settings) -> Run:
    own = {"drop": 0.4} if channel.startswith("lossy") else {}
    choice = EnvChoice(env=env, settings=settings)
    choices = TeamChoices(model=model, channel=channel, channel_settings=own)
    facts = facts_of(build_env(choice, num_envs=1))
    team = build_team(choices, facts, seed=1)
    config = {"env": choice.model_dump(), "team": choices.model_dump()}
    return Run(folder=pathlib.Path("none"), config=config, env=choice, choices=choices, facts=facts, team=team)


def test_a_perfect_protocol_row_by_row() -> None:
    corpus = record(scripted_run(rounds=2), num_episodes=30)
    table = corpus.utterances
    assert len(table) == 60
    assert table["episode"].tolist() == [e for e in range(30) for _ in range(2)]
    assert table["step"].tolist() == [0, 2] * 30
    assert set(table["sender"]) == {"speaker_0"}
    assert set(table["role"]) == {"speaker"}
    assert table["hearers"].tolist() == [["listener_0"]] * 60
    assert np.array_equal(corpus.messages(), corpus.meanings())
    assert [[[float(goal)]] for goal in corpus.meanings()[:, 0]] == table["actions"].tolist()
    assert table["reward"].tolist() == [1.0] * 60
    assert table["bits"].tolist() == [2.0] * 60
    assert table["length"].tolist() == [1] * 60
    assert table["vector"].isna().all()
    assert corpus.metadata["vocabulary"] == 4
    assert corpus.metadata["num_episodes"] == 30
    assert corpus.metadata["episode_return_mean"] == 2.0


def test_reward_runs_until_the_next_utterance() -> None:
    table = record(scripted_run(collapsed, rounds=3), num_episodes=40).utterances
    expected = [1.0 if meaning == [1] else -1.0 for meaning in table["meaning"].map(list)]
    assert table["reward"].tolist() == expected


def test_bits_and_vectors() -> None:
    bits = record(scripted_run(perfect_bits, channel="dru"), num_episodes=12)
    assert bits.messages().shape == (12, 3)
    assert np.array_equal(bits.messages().argmax(1), bits.meanings()[:, 0])
    vectors = record(trained("speaker_listener", channel="continuous"), num_episodes=12)
    assert not vectors.discrete
    assert vectors.messages().dtype == np.float64
    pairs = {(int(code), tuple(vector)) for (code,), vector in zip(vectors.codes(), vectors.messages(), strict=True)}
    assert len(pairs) == len({code for code, _ in pairs}) == len({vector for _, vector in pairs}) == 3
    assert vectors.utterances["symbols"].isna().all()


def test_switch_riddle_hearers_are_the_next_occupants() -> None:
    run = trained("switch_riddle")
    rollout = play_run(run, num_episodes=50, choice=Choice.SAMPLED).rollouts[0]
    corpus = corpora.from_rollouts(run.team, run.facts, [rollout])
    assert len(corpus) == rollout.env_steps()
    by_time = {(row.episode, row.step): row for row in corpus.utterances.itertuples()}
    for (episode, step), row in by_time.items():
        after = by_time.get((episode, step + 1))
        if after is not None:
            assert row.hearers == [after.sender]
            slot = run.facts.agents.index(after.sender)
            assert row.actions == [[float(rollout.actions["prisoner"][step + 1, episode, slot])]]
            assert row.read == [step + 1]
        elif row.hearers:  # told: the episode ended before the next occupant came
            assert row.actions == row.read == [None]
        own = rollout.actions["prisoner"][step, episode, run.facts.agents.index(row.sender)]
        assert row.action == [float(own)]


def brute_force_reading(run: Run, rollout: Rollout, *, time: int, copy: int, sender: int, hearer: int) -> int:
    """Walks through time as the runtime does: when does this hearer read what was said at `time`?"""
    late = run.team.policies[run.team.layout.policies[0]].model.timing.value == "next_step"
    drop = "lost" if "lossy" in run.choices.channel else None
    queue = Queue(rollout, delay=run.team.channel.delay_env_steps, drop=drop)
    arrival = time + queue.delay
    if arrival >= rollout.num_steps or not queue.arrives(arrival, copy, sender):
        return -1
    for t in range(arrival, rollout.num_steps):
        observing = bool(rollout.observing[t, copy, hearer])
        if late and t > arrival and observing:
            return t
        if t > arrival and queue.arrives(t, copy, sender):
            return -1
        if not late and observing:
            return t
        if bool((rollout.terminated | rollout.truncated)[t, copy, [sender, hearer]].any()):
            return -1
    return -1


@pytest.mark.parametrize(
    ("model", "channel"),
    [("cnet", "symbols"), ("feedforward", "symbols"), ("cnet", "delayed+symbols"), ("cnet", "lossy+symbols")],
)
@pytest.mark.parametrize(("env", "settings"), [("speaker_listener", {"rounds": 2}), ("identity", {}),
                                               ("switch_riddle", {"talk_steps": 1})])  # fmt: skip
def test_actions_are_those_of_the_step_in_which_a_message_is_read(
    model: str, channel: str, env: str, settings: dict
) -> None:
    run = trained(env, model=model, channel=channel, **settings)
    rollout = play_run(run, num_episodes=6, choice=Choice.SAMPLED).rollouts[0]
    # agents that look and speak at random times, so that messages wait, are replaced and get lost
    generator = torch.Generator().manual_seed(3)
    rollout = dataclasses.replace(
        rollout,
        observing=torch.rand(rollout.observing.shape, generator=generator) < 0.5,
        speaking=torch.rand(rollout.speaking.shape, generator=generator) < 0.6,
    )
    slots = {agent: slot for slot, agent in enumerate(run.facts.agents)}
    starts = {r.name: slots[r.agents[0]] for r in run.facts.roles}
    role_of = {agent: role.name for role in run.facts.roles for agent in role.agents}
    for row in rows_of(run.team, run.facts, rollout).itertuples():
        for hearer, action, step in zip(row.hearers, row.actions, row.read, strict=True):
            read = brute_force_reading(
                run, rollout, time=row.step, copy=row.episode, sender=slots[row.sender], hearer=slots[hearer]
            )
            if rollout.edges is not None and rollout.edges.senders is not None:
                continue  # inbox places are shared between senders there: see the test of the riddle
            assert step == (None if read < 0 else read)
            if read < 0 or not rollout.acting[read, row.episode, slots[hearer]]:
                assert action is None
            else:
                role = role_of[hearer]
                done = rollout.actions[role][read, row.episode, slots[hearer] - starts[role]]
                assert action == done.reshape(-1).tolist()


@pytest.mark.parametrize("channel", ["delayed+symbols", "lossy+symbols", "symbols"])
def test_hearers_are_those_whom_a_message_reaches(channel: str) -> None:
    run = trained("speaker_listener", channel=channel, rounds=3)
    rollout = play_run(run, num_episodes=50, choice=Choice.SAMPLED).rollouts[0]
    corpus = corpora.from_rollouts(run.team, run.facts, [rollout])
    assert corpus.utterances["step"].tolist() == [0, 2, 4] * 50
    queue = Queue(rollout, delay=run.team.channel.delay_env_steps, drop="lost" if "lossy" in channel else None)
    for row in corpus.utterances.itertuples():
        reached = queue.arrives(row.step + queue.delay, row.episode, 0)
        assert row.hearers == (["listener_0"] if reached else [])
        if reached:  # it arrives while the listener acts, who has it at hand when it acts next
            late = row.step + 3 if channel.startswith("delayed") else row.step + 1
            assert row.read == [late if late < 6 else None]
    heard = corpus.utterances["hearers"].map(len).mean()
    assert heard == pytest.approx(0.6, abs=0.12) if "lossy" in channel else heard == 1


def test_sparse_edges_and_symbolic_edges_say_the_same() -> None:
    run = trained("identity")
    rollout = play_run(run, num_episodes=9, choice=Choice.SAMPLED).rollouts[0]
    num_agents = rollout.speaking.shape[-1]
    mask = rollout.static_edges.mask
    senders = torch.arange(num_agents).expand(mask.shape).flip(-1).contiguous()
    sparse = dataclasses.replace(rollout, static_edges=Edges(senders=senders, mask=mask.flip(-1)))
    one, other = (rows_of(run.team, run.facts, r) for r in (rollout, sparse))
    pd.testing.assert_frame_equal(one, other)


def test_first_from() -> None:
    flags = torch.tensor([False, True, False, True, False])
    assert first_from(flags).tolist() == [1, 1, 3, 3, 5, 5]


def test_several_rollouts_number_their_episodes_on() -> None:
    run = scripted_run()
    sampler = Sampler(build_env(run.env, num_envs=8), run.team)
    _, rollouts = play_episodes(sampler, 20)
    corpus = corpora.from_rollouts(run.team, run.facts, rollouts)
    assert corpus.utterances["episode"].tolist() == list(range(20))
    assert corpus.metadata["num_episodes"] == 20


def test_a_silent_team_leaves_an_empty_corpus(tmp_path) -> None:
    corpus = record(scripted_run(channel="none"), num_episodes=5, out=tmp_path)
    assert len(corpus) == 0
    assert len(load_corpus(tmp_path)) == 0


@pytest.mark.parametrize("make", [lambda: scripted_run(rounds=2), lambda: trained("switch_riddle", channel="dru"),
                                  lambda: trained("speaker_listener", channel="continuous")])  # fmt: skip
def test_a_corpus_survives_the_disk(make, tmp_path) -> None:
    corpus = record(make(), num_episodes=7, out=tmp_path / "corpus")
    again = load_corpus(tmp_path / "corpus")
    assert again.metadata == json.loads((tmp_path / "corpus" / "metadata.json").read_text())
    assert np.array_equal(again.messages(), corpus.messages())
    assert np.array_equal(again.meanings(), corpus.meanings())
    assert np.array_equal(again.groups(), corpus.groups())
    plain = again.utterances["actions"].map(lambda xs: [None if x is None else list(x) for x in xs])
    assert plain.tolist() == corpus.utterances["actions"].tolist()
    assert [list(h) for h in again.utterances["hearers"]] == corpus.utterances["hearers"].tolist()
    lines = tmp_path / "corpus" / "corpus.jsonl"
    assert lines.exists() == corpus.discrete
    if corpus.discrete:
        assert [json.loads(line) for line in lines.read_text().splitlines()] == corpus.messages().tolist()


@pytest.fixture
def saved(tmp_path):
    record(scripted_run(), num_episodes=3, out=tmp_path)
    return tmp_path


def test_missing_and_damaged_folders_are_refused(saved, tmp_path) -> None:
    with pytest.raises(CorpusError, match="is no corpus"):
        load_corpus(tmp_path / "nowhere")
    metadata = json.loads((saved / "metadata.json").read_text())
    (saved / "metadata.json").write_text(json.dumps(metadata | {"format_version": 99}))
    with pytest.raises(CorpusError, match="format_version 99"):
        load_corpus(saved)
    (saved / "metadata.json").write_text(json.dumps(metadata | {"num_utterances": 99}))
    with pytest.raises(CorpusError, match="has 3 rows"):
        load_corpus(saved)
    (saved / "metadata.json").write_text("{")
    with pytest.raises(CorpusError, match="cannot be read"):
        load_corpus(saved)
    del metadata["agents"]
    (saved / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(CorpusError, match="lacks agents"):
        load_corpus(saved)


def test_damaged_tables_are_refused(saved) -> None:
    path, metadata = saved / "utterances.parquet", json.loads((saved / "metadata.json").read_text())
    table = pd.read_parquet(path)
    table.drop(columns="meaning").to_parquet(path)
    with pytest.raises(CorpusError, match="does not fit the checksum"):
        load_corpus(saved)
    del metadata["utterances_sha256"]  # as one that never had a checksum
    (saved / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(CorpusError, match="no column 'meaning'"):
        load_corpus(saved)
    table.assign(step="soon").to_parquet(path)
    with pytest.raises(CorpusError, match="column 'step' is"):
        load_corpus(saved)
    path.write_bytes(b"not parquet")
    with pytest.raises(CorpusError, match="cannot be read"):
        load_corpus(saved)
    path.unlink()
    with pytest.raises(CorpusError, match="it has no utterances"):
        load_corpus(saved)


def test_a_corpus_of_an_earlier_version_is_read(saved) -> None:
    path, metadata = saved / "utterances.parquet", json.loads((saved / "metadata.json").read_text())
    pd.read_parquet(path).drop(columns=["action", "read"]).to_parquet(path)
    del metadata["utterances_sha256"]
    (saved / "metadata.json").write_text(json.dumps(metadata))
    old = load_corpus(saved)
    assert len(old) == 3 and old.utterances["read"].isna().all() and old.utterances["action"].isna().all()
    with pytest.raises(ValueError, match="record it again"):
        turns(old)


def test_nothing_in_a_corpus_is_pickled(saved) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["corpus.jsonl", "metadata.json", "utterances.parquet"]
    assert b"pickle" not in (saved / "utterances.parquet").read_bytes()
