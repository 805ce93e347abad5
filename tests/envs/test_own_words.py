"""Words of a task's own: what arrives of them, that they are utterances, and controls and interventions of them."""

import dataclasses
import math
import pathlib
from typing import Any

import pytest
import torch

from heliograph import registry
from heliograph.analysis.evaluate import evaluate, interventions_table, play_run
from heliograph.analysis.interventions import Messages
from heliograph.analysis.own_words import says_nothing, speaking_team
from heliograph.analysis.recording import record
from heliograph.envs.mpe_speaker_listener import MPESpeakerListener
from heliograph.envs.own_words import HEARD, HEARING, WordsHeard, heard_instead
from heliograph.envs.particle_task import ParticleTask
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_team, facts_of
from heliograph.experiments.settings import control_of, settings_from
from heliograph.storage.run_folder import Run
from tests.envs.mpe2_twin import WITH_WORDS

SETTINGS: dict[str, Any] = {
    "env": "mpe_speaker_listener", "env_settings": {"words": "task", "steps": 6}, "model": "feedforward",
    "model_settings": {"size": 16}, "channel": "none", "algorithm": "ppo",
}  # fmt: skip


def talking(*, deaf: bool = False) -> Run:
    """A team by hand: the speaker names the goal; the listener pushes by what it heard, unless it is deaf."""
    choices = TeamChoices(**{key: value for key, value in SETTINGS.items() if key in TeamChoices.model_fields})
    env = MPESpeakerListener(words="task", steps=6)
    facts = facts_of(env)
    team = build_team(choices, facts, seed=0)
    with torch.no_grad():
        for name, policy in team.policies.items():
            for parameter in policy.parameters():
                parameter.zero_()
            first = next(m for m in policy.model.torso.modules() if isinstance(m, torch.nn.Linear))
            first.weight[:3] = torch.eye(3, 3 if name == "speaker" else 11) * 9
            if name == "listener":
                first.weight[:3] = 0
                first.weight[:3, 8:] = torch.eye(3) * (0 if deaf else 9)
            policy.model.middle.weight[:3, :3] = torch.eye(3) * 3
            policy.model.head.weight[:3, :3] = torch.eye(3) * 9
    choice = EnvChoice(env=SETTINGS["env"], settings=SETTINGS["env_settings"])
    config = {"env": choice.model_dump(), "team": choices.model_dump(), "training": SETTINGS}
    return Run(folder=pathlib.Path("here"), config=config, env=choice, choices=choices, facts=facts, team=team)


def test_what_arrives_by_hand() -> None:
    word = torch.eye(4).unsqueeze(1).expand(-1, 2, -1)  # copy b says b, twice
    speaking, generator = torch.tensor([True, False]), torch.Generator().manual_seed(0)
    found = {heard: heard_instead(word, heard, speaking=speaking, generator=generator) for heard in WordsHeard}
    assert torch.equal(found[WordsHeard.SAID], word) and float(found[WordsHeard.NOTHING][:, 0].abs().sum()) == 0
    assert all(torch.equal(x[:, 1], word[:, 1]) for x in found.values())  # who does not speak may have guessed
    swapped = found[WordsHeard.RESAMPLED][:, 0].argmax(-1)
    assert sorted(swapped.tolist()) == [0, 1, 2, 3] and (swapped != torch.arange(4)).all()
    many = heard_instead(word.repeat(500, 1, 1), WordsHeard.NOISE, speaking=speaking, generator=generator)[:, 0]
    assert many.sum(-1).eq(1).all() and many.mean(0).min() > 0.2


@pytest.mark.parametrize("name", [*sorted(WITH_WORDS), "rover_tower"])
def test_words_are_read_off_actions_and_so_is_who_hears_them(name: str) -> None:
    env: ParticleTask = registry.load("env", name)(words="task", num_envs=3)
    assert env.own_words is not None and registry.load("env", name)().own_words is None
    env.reset()
    generator = torch.Generator().manual_seed(0)
    actions = {
        role.name: torch.randint(int(role.action_space.n), (3, len(role.agents)), generator=generator)
        for role in env.roles
    }
    step = env.step(actions)
    speaks = step.speaking
    assert torch.equal(env.own_words.said(actions)[speaks], step.info[HEARD].argmax(-1)[speaks])
    hearing = step.info[HEARING]
    assert (hearing.any(1) == speaks).all() and not (hearing & ~speaks.unsqueeze(1)).any()


def test_what_is_said_by_actions_is_a_corpus_like_any_other() -> None:
    run = talking()
    assert not says_nothing(run) and speaking_team(run).channel.vocabulary == 3
    corpus = record(run, num_episodes=40)
    rows = corpus.utterances
    assert len(rows) == 40 * 6 and set(rows["sender"]) == {"speaker_0"}
    assert rows["bits"].tolist() == pytest.approx([math.log2(3)] * 240)
    assert all(symbols == meaning for symbols, meaning in zip(rows["symbols"], rows["meaning"], strict=True))
    assert all(hearers == ["listener_0"] for hearers in rows["hearers"])
    early = rows[rows["step"] < 5]
    assert all(read == [step + 1] for read, step in zip(early["read"], early["step"], strict=True))
    assert all(action == [said] for action, said in zip(early["actions"], early["symbols"], strict=True))
    found = evaluate(run, num_episodes=200)
    assert found["mutual_information_bits"] == pytest.approx(math.log2(3), abs=0.05)
    assert found["num_utterances"] == 1200 and found["messages_per_episode"] == 6
    replaced = evaluate(run, num_episodes=200, messages="resampled")
    assert replaced["mutual_information_bits"] == pytest.approx(found["mutual_information_bits"], abs=0.01)
    assert replaced["heard_mutual_information_bits"] < 0.1 and replaced["replaced_share"] > 0.5


def test_interventions_change_what_is_done_where_anybody_listens() -> None:
    for deaf in (False, True):
        rows = {row["messages"]: row for row in interventions_table(talking(deaf=deaf), num_episodes=200)}
        assert set(rows) == {"as-sent", "resampled", "zeroed", "noise"}
        changed = {kind: row["changed_share"] for kind, row in rows.items()}
        if deaf:
            assert set(changed.values()) == {0.0}
        else:
            assert changed["as-sent"] == 0 and min(changed[kind] for kind in ("resampled", "noise", "zeroed")) > 0.6
        assert rows["resampled"]["replaced_share"] == pytest.approx(2 / 3, abs=0.1)
        assert rows["zeroed"]["replaced_share"] == 1.0


def test_what_hearers_got_is_told_apart_from_what_was_said() -> None:
    played = play_run(talking(), num_episodes=50, messages=Messages.ZEROED)
    assert played.said is not None and float(played.rollouts[0].messages[0].payload.abs().sum()) == 0
    assert torch.equal(played.said[0][0].symbols[:, :, 0, 0], played.rollouts[0].meaning[:, :, 0, 0])
    with pytest.raises(ValueError, match="messages='swapped': words of the task's own can only be replaced by"):
        play_run(talking(), num_episodes=5, messages=Messages.SWAPPED)


def test_controls_hear_nothing_or_noise() -> None:
    settings = settings_from(SETTINGS)
    silent, garbled = (control_of(settings, kind) for kind in ("silent", "garbled"))
    assert silent.env_settings["heard"] == "nothing" and garbled.env_settings["heard"] == "noise"
    assert silent.channel == garbled.channel == "none"
    spoken = settings_from({**SETTINGS, "env_settings": {"steps": 6}, "channel": "symbols"})
    assert "heard" not in control_of(spoken, "silent").env_settings


def test_a_task_without_words_of_its_own_refuses_to_replace_them() -> None:
    with pytest.raises(ValueError, match="heard='noise': is of the task's own words, words='task'"):
        MPESpeakerListener(heard="noise")
    with pytest.raises(ValueError, match="heard='loud': must be 'said', "):
        MPESpeakerListener(words="task", heard="loud")
    assert dataclasses.is_dataclass(MPESpeakerListener(words="task").own_words)
