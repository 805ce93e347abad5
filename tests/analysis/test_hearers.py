"""A team is asked what its hearers would do after other messages: it answers as it would have acted."""

import dataclasses
import math
import pathlib

import numpy as np
import pytest
import torch

from heliograph.analysis.candidate_messages import candidates_of, words_of_channel
from heliograph.analysis.evaluate import play_run
from heliograph.analysis.hearers import effects_table, hearer_probabilities, heeded_places, influence_between
from heliograph.analysis.measures.causal_influence import causal_influence
from heliograph.analysis.measures.measure import measure_of
from heliograph.analysis.measures.positive_listening import positive_listening
from heliograph.analysis.measures.undefined import reason_of
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.registry import UnknownNameError
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.storage.run_folder import Run
from heliograph.types import Message, MessageForm, Timing, changed
from tests.analysis.crowd import crowd_run, repeating
from tests.analysis.teams import collapsed, scripted_run

SPEAKER, LISTENER = "speaker_0", "listener_0"


def untrained_run(model: str, *, env: str = "predator_prey", seed: int = 0, model_settings=(), **settings) -> Run:
    time_limit = {} if env == "speaker_listener" else {"time_limit": 4}
    choice = EnvChoice(env=env, settings=time_limit)
    choices = TeamChoices(model=model, model_settings={"size": 16, **dict(model_settings)}, **settings)
    facts = facts_of(build_env(choice, num_envs=1))
    team = build_team(choices, facts, seed=seed).eval()
    config = {"env": choice.model_dump(), "team": choices.model_dump(), "training": {"algorithm": "ppo"}}
    return Run(folder=pathlib.Path("none"), config=config, env=choice, choices=choices, facts=facts, team=team)


def test_a_listener_that_names_the_symbol() -> None:
    found = hearer_probabilities(scripted_run(), sender=SPEAKER, hearer=LISTENER, num_episodes=60)
    assert len(found) == 60 and found.words.tolist() == [[0], [1], [2], [3]]
    expected = np.tile(np.eye(3)[[0, 1, 2, 2]], (60, 1, 1))
    assert np.abs(found.actions - expected).max() < 1e-6
    assert np.abs(found.silenced - np.eye(3)[0]).max() < 1e-6 and np.abs(found.zeroed - found.silenced).max() < 1e-9
    told = influence_between(found)
    assert told["causal_influence_uniform"] == pytest.approx(1.5, abs=1e-5)
    assert told["causal_influence"] == pytest.approx(0.0, abs=1e-5)  # a speaker that is sure says one message
    assert told["signalling"] == pytest.approx(math.log2(3), abs=0.1)
    assert told["l1_silenced"] == pytest.approx(2 * (found.said > 0).mean(), abs=1e-5)


def test_effects_of_symbols_as_a_table() -> None:
    found = hearer_probabilities(scripted_run(), sender=SPEAKER, hearer=LISTENER, num_episodes=200)
    table = effects_table(found)
    one = table[(table["message"] == "1") & (table["action"] == 1)].iloc[0]
    assert one["probability"] == pytest.approx(1.0, abs=1e-6)
    assert one["share"] == pytest.approx((found.said == 1).mean(), abs=1e-6)
    assert table["share"].sum() == pytest.approx(3.0)  # once for each action


def test_a_speaker_of_one_message_has_influence_only_by_those_it_never_says() -> None:
    told = influence_between(hearer_probabilities(scripted_run(collapsed), sender=SPEAKER, hearer=LISTENER))
    assert told["causal_influence"] == pytest.approx(0.0, abs=1e-5)
    assert told["causal_influence_uniform"] == pytest.approx(1.5, abs=1e-5)


MODELS = {
    "next step": ("commnet", {"channel": "symbols", "channel_settings": {"vocabulary": 3}}),
    "same step": ("tarmac", {"timing": "same_step", "channel": "symbols"}),
    "rounds": ("tarmac", {"timing": "same_step", "rounds": 2, "channel": "symbols"}),
    "words": ("tarmac", {"channel": "symbols", "channel_settings": {"vocabulary": 2, "length": 2}}),
    "bits": ("feedforward", {"channel": "dru", "channel_settings": {"bits": 2}}),
    "gate": ("commnet", {"channel": "gated+symbols", "channel_settings": {"vocabulary": 3}}),
    "delay": ("commnet", {"channel": "delayed+symbols", "channel_settings": {"vocabulary": 3, "steps": 1}}),
    "loss": ("commnet", {"channel": "lossy+symbols", "channel_settings": {"vocabulary": 3, "drop": 0.5}}),
    "nearest": ("commnet", {"channel": "symbols", "topology": "nearest", "topology_settings": {"number": 1}}),
    "choice": ("magic", {"channel": "symbols", "channel_settings": {"vocabulary": 3}}),
}
each_model = pytest.mark.parametrize("name", MODELS)


def run_of(name: str) -> Run:
    model, settings = MODELS[name]
    own = {key: settings[key] for key in ("timing", "rounds") if key in settings}
    return untrained_run(model, **{key: value for key, value in settings.items() if key not in own}, model_settings=own)


def lag_of(run: Run) -> int:
    timing = run.team.policies[run.team.layout.policies[0]].model.timing
    return int(timing is Timing.NEXT_STEP) + run.team.channel.delay_env_steps


@each_model
def test_what_was_said_leads_to_what_was_done(name: str) -> None:
    """With the message that was said in its own place, the hearer is as likely to act as when it was played."""
    run = run_of(name)
    sender, hearer = run.facts.agents[:2]
    found = hearer_probabilities(run, sender=sender, hearer=hearer, num_episodes=6)
    (rollout,) = play_run(run, num_episodes=6).rollouts
    read = found.step + lag_of(run)
    action = rollout.actions[run.facts.roles[0].name][read, found.episode, 1].numpy()
    likely = rollout.action_log_prob[read, found.episode, 1].exp().double().numpy()
    assert (found.said >= 0).all() and len(found) >= 6
    assert found.actions[np.arange(len(found)), found.said, action] == pytest.approx(likely, abs=1e-5)
    assert found.actions.sum(-1) == pytest.approx(np.ones(found.actions.shape[:2]))
    assert influence_between(found)["causal_influence_uniform"] > 0.0
    if found.says is not None:
        assert found.says.sum(1) == pytest.approx(np.ones(len(found)))


@pytest.mark.parametrize("name", ["next step", "same step", "delay", "gate"])
def test_another_message_leads_to_what_is_done_when_it_is_put_in_its_place(name: str) -> None:
    """In the first step of an episode an intervention on the same sender makes the team act by the same odds."""
    run = run_of(name)
    sender, hearer = run.facts.agents[:2]
    found = hearer_probabilities(run, sender=sender, hearer=hearer, num_episodes=5)
    (rollout,) = play_run(run, num_episodes=5).rollouts
    candidates = candidates_of(run.team.channel, [rollout], sender=0, words=None, seed=0, round_index=0)
    payload, steps = candidates.payload[1], []

    def instead(message: Message, step, edges, alive) -> Message:
        steps.append(len(steps))
        other = message.payload.clone()
        if len(steps) == 1:
            other[:, 0] = payload
        return changed(message, payload=other)

    env = build_env(run.env, num_envs=5, seed=0x5EED_0000)
    sampler = Sampler(env, run.team, seed=0x5EED_0000)
    _, (other,) = play_episodes(sampler, 5, form=MessageForm.EXECUTION, intervention=instead)
    lag, role = lag_of(run), run.facts.roles[0].name
    action, odds = other.actions[role][lag, :, 1], other.action_log_prob[lag, :, 1].exp()
    first = found.step == 0
    chosen = found.actions[first, 1][np.arange(first.sum()), action.numpy()[found.episode[first]]]
    assert chosen == pytest.approx(odds.numpy()[found.episode[first]], abs=1e-5)


def test_speakers_of_symbols_say_how_likely_they_are() -> None:
    run = untrained_run("commnet", channel="symbols", channel_settings={"vocabulary": 3})
    sender, hearer = run.facts.agents[:2]
    found = hearer_probabilities(run, sender=sender, hearer=hearer, num_episodes=4)
    assert found.says is not None
    assert (found.says.argmax(1) == found.said).all()  # greedy episodes say what is likeliest


def test_vectors_are_taken_from_what_was_said() -> None:
    run = untrained_run("commnet", channel="continuous")
    sender, hearer = run.facts.agents[:2]
    found = hearer_probabilities(run, sender=sender, hearer=hearer, num_episodes=4)
    assert found.says is None and found.words.dtype.kind == "f"
    told = influence_between(found)
    assert told["causal_influence"] is None and told["causal_influence_uniform"] > 0.0
    with pytest.raises(ValueError, match="messages are vectors"):
        hearer_probabilities(run, sender=sender, hearer=hearer, words=[[0]])


def test_places_that_a_hearer_heeds() -> None:
    found = hearer_probabilities(scripted_run(), sender=SPEAKER, hearer=LISTENER, num_episodes=100)
    assert heeded_places(found) == 1.0
    third = (found.said == 2).mean() / 3  # symbol 3 is as good as symbol 2
    assert heeded_places(found, replacing="mean") == pytest.approx(1.0 - third)
    deaf = dataclasses.replace(found, actions=np.full_like(found.actions, 1 / 3))
    assert heeded_places(deaf) == 0.0
    words = hearer_probabilities(run_of("words"), sender="predator_0", hearer="predator_1", num_episodes=3)
    changed = words.actions.argmax(-1)
    by_hand = [
        sum(changed[i, words.said[i] ^ bit] != changed[i, words.said[i]] for bit in (1, 2)) for i in range(len(words))
    ]
    assert heeded_places(words) == pytest.approx(np.mean(by_hand))
    assert reason_of(heeded_places(dataclasses.replace(found, words=found.words.astype(float))))


def test_answers_are_columns_of_measures() -> None:
    columns = hearer_probabilities(scripted_run(), sender=SPEAKER, hearer=LISTENER, num_episodes=30).as_columns()
    assert {len(column) for column in columns.values()} == {30}
    given = {name: columns[name] for name in measure_of(causal_influence).needs}
    assert causal_influence(**given) == pytest.approx(0.0, abs=1e-5)
    given = {name: columns[name] for name in measure_of(positive_listening).needs}
    assert positive_listening(**given) > 0.5


def test_only_one_of_a_crowd_is_heeded() -> None:
    run = crowd_run(repeating, size=4)
    found = [
        influence_between(hearer_probabilities(run, sender=f"r0_{s}", hearer="r0_1", num_episodes=20)) for s in (0, 2)
    ]
    assert found[0]["causal_influence_uniform"] > 1.0
    assert found[1]["causal_influence_uniform"] == pytest.approx(0.0, abs=1e-9)


def test_questions_that_have_no_answer_are_refused() -> None:
    run = scripted_run()
    with pytest.raises(UnknownNameError, match="did you mean 'speaker_0'"):
        hearer_probabilities(run, sender="speaker", hearer=LISTENER)
    with pytest.raises(ValueError, match="listener_0 never acted on a message of listener_0"):
        hearer_probabilities(run, sender=LISTENER, hearer=LISTENER, num_episodes=5)
    with pytest.raises(ValueError, match="round_index=1"):
        hearer_probabilities(run, sender=SPEAKER, hearer=LISTENER, round_index=1)
    with pytest.raises(ValueError, match="must be 1 symbols from 0 to 3"):
        hearer_probabilities(run, sender=SPEAKER, hearer=LISTENER, words=[[4]])
    garbled = scripted_run(channel="garbled+symbols")
    with pytest.raises(ValueError, match="noise whatever is said"):
        hearer_probabilities(garbled, sender=SPEAKER, hearer=LISTENER)


def test_a_long_vocabulary_asks_for_words() -> None:
    run = untrained_run("commnet", channel="symbols", channel_settings={"vocabulary": 9, "length": 2})
    with pytest.raises(ValueError, match="81 words, more than 64: name some"):
        words_of_channel(run.team.channel)
    sender, hearer = run.facts.agents[:2]
    found = hearer_probabilities(run, sender=sender, hearer=hearer, num_episodes=2, words=[[0, 1], [8, 8]])
    assert found.actions.shape[1] == 2


def test_values_are_no_odds() -> None:
    run = untrained_run("commnet", channel="symbols", channel_settings={"vocabulary": 3})
    values = dataclasses.replace(run, config={**run.config, "training": {"algorithm": "qlearning"}})
    sender, hearer = run.facts.agents[:2]
    found = hearer_probabilities(values, sender=sender, hearer=hearer, num_episodes=2)
    assert set(np.unique(found.actions)) == {0.0, 1.0} and found.says is None


def test_the_team_is_as_it_was() -> None:
    run = untrained_run("tarmac", channel="symbols", channel_settings={"vocabulary": 3})
    before = {name: tensor.clone() for name, tensor in run.team.state_dict().items()}
    sender, hearer = run.facts.agents[:2]
    found = [hearer_probabilities(run, sender=sender, hearer=hearer, num_episodes=3) for _ in range(2)]
    assert (found[0].actions == found[1].actions).all()
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.team.state_dict().items())
