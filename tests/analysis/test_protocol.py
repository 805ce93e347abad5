"""Decision tables are what teams do; facts explain messages; tables play as their teams do."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from heliograph import registry
from heliograph.analysis.evaluate import play_run
from heliograph.analysis.recording import record
from heliograph.envs.base import BaseSettings, EnvState, Outcome, TeamEnv, Unpack, View
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.envs.wording import Condition, Reading, Turn
from heliograph.experiments.choices import EnvChoice
from heliograph.protocols.agent_steps import turns
from heliograph.protocols.decision_table import tabulate
from heliograph.protocols.env_wording import reading_of
from heliograph.protocols.message_meanings import interpret
from heliograph.protocols.protocol import protocol_in, protocol_of
from heliograph.protocols.replay_text import HEADINGS, replay, told
from heliograph.protocols.table_play import play_table, playable
from heliograph.reports.decisions_section import decisions
from heliograph.storage.run_folder import RunFolderError
from heliograph.texts import NOTHING
from heliograph.types import Bounds, Edges, Role
from tests.analysis.teams import last_day, perfect_bits, riddle_run, scripted_run
from tests.analysis.test_corpus import trained

PRISONERS = ("prisoner_0", "prisoner_1", "prisoner_2")


@pytest.fixture(scope="module")
def corpus():
    return record(riddle_run(), num_episodes=None)


@pytest.fixture(scope="module")
def protocol(corpus):
    return protocol_of(corpus)


def test_the_table_of_the_riddle_row_by_row(corpus, protocol) -> None:
    (table,) = protocol.tables
    assert table.headings == ("day", "been here before", "light before", "light after", "does", "turns", "sure")
    rows = {row[:3]: row[3:] for row in table.rows()}
    assert table.followed == 1.0 and len(rows) == 19 and table.num_turns == len(corpus)
    assert rows["1", "no", NOTHING] == ("off", "nothing", "729", "100 %")
    assert rows["2", "no", "off"] == ("on", "nothing", "486", "100 %")
    assert rows["2", "yes", "off"] == ("off", "nothing", "243", "100 %")
    assert rows["3", "no", "on"] == (NOTHING, "tells", "162", "100 %")  # 3 * 2 * 1 of 27 sequences of three days
    assert rows["3", "yes", "on"] == ("on", "nothing", "324", "100 %")


def test_what_the_light_means(protocol) -> None:
    (meaning,) = protocol.meanings
    assert meaning.fact == "2 or more prisoners have visited" and meaning.holds == 1.0
    assert meaning.num_messages == 2709 and meaning.by_step == pytest.approx(2349 / 2709)
    assert meaning.words(protocol.reading)[:2] == [
        "light off: fewer than 2 prisoners have visited",
        "light on: 2 or more prisoners have visited",
    ]
    assert meaning.others["whether I have been here before"] < 0.97


def test_a_table_plays_as_its_team(protocol) -> None:
    assert protocol.played.normalised_return == pytest.approx(1.0) and protocol.played.unknown_share == 0.0
    assert protocol.optimal and protocol.team_normalised_return == pytest.approx(1.0)
    blind = protocol_of(record(riddle_run(last_day), num_episodes=None))
    assert blind.played.normalised_return == pytest.approx(0.65) and not blind.optimal
    assert blind.team_normalised_return == pytest.approx(0.65)


def test_situations_without_a_row_are_counted(protocol) -> None:
    (table,) = protocol.tables
    fewer = dataclasses.replace(table, decisions=tuple(row for row in table.decisions if row.conditions[0] != "6"))
    played = play_table(fewer, EnvChoice(env="switch_riddle"))
    told_late = 90 / 729  # sequences in which the third newcomer comes on day six
    assert played.episode_return_mean == pytest.approx(20 / 27 - told_late)
    assert played.unknown_share == pytest.approx(279 / 3438)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelayState(EnvState):
    """A secret bit, and the step, from 0."""

    secret: Tensor
    number: Tensor


class Relay(TeamEnv[RelayState]):
    """The first agent knows a bit and speaks; then the second must choose it. Somebody else's environment."""

    takes_turns = True
    horizon = 2
    num_starts = 2

    def __init__(self, **base: Unpack[BaseSettings]):
        space = spaces.Box(0.0, 1.0, (1,))
        role = Role(name="runner", agents=("a", "b"), observation_space=space, action_space=spaces.Discrete(2))
        super().__init__((role,), **base)

    @classmethod
    def reading(cls, agents: Sequence[str]) -> Reading:
        """The word is what it tells by."""
        word = Condition(heading="word", value=lambda turn: turn.heard or NOTHING)
        knows = Condition(heading="secret", value=lambda turn: str(turn.knows[0]))
        return Reading(step="leg", conditions=(knows, word), finer=(), facts=())

    def fix_starts(self, numbers: Tensor) -> None:
        """The secret is the number."""
        self.plan_start(RelayState(secret=numbers, number=torch.zeros_like(numbers)))

    def bounds(self) -> Bounds:
        """Guessing, and knowing."""
        return Bounds(random=0.5, blind=0.5, full_information=1.0, source="by hand")

    def start(self) -> RelayState:
        """A fair bit."""
        secret = torch.randint(2, (self.num_envs,), generator=self.start_generator)
        return RelayState(secret=secret, number=torch.zeros_like(secret))

    def advance(self, state: RelayState, actions: dict[str, Tensor]) -> tuple[RelayState, Outcome]:
        """Pay what the second chooses."""
        over = state.number == 1
        right = over & (actions["runner"][:, 1] == state.secret)
        everyone = over[:, None].expand(-1, 2)
        outcome = Outcome(rewards=right.float()[:, None].expand(-1, 2), terminated=everyone, episode_over=over)
        return dataclasses.replace(state, number=state.number + 1), outcome

    def observe(self, state: RelayState) -> View:
        """The first sees the bit; the second hears the first."""
        first = state.number == 0
        turn = torch.stack([first, ~first], 1)
        shown = torch.where(turn & first[:, None], state.secret[:, None], -1)
        heard = Edges(
            senders=torch.zeros(self.num_envs, 2, 1, dtype=torch.long), mask=(~turn & first[:, None])[..., None]
        )
        return View(
            observations={"runner": shown.clamp(min=0).float()[..., None]},
            observing=torch.ones_like(turn), acting=turn, speaking=turn, meaning=shown[..., None], hearing=heard,
        )  # fmt: skip


@pytest.mark.parametrize(("listens", "earned"), [(True, 1.0), (False, 0.5)])
def test_tables_of_a_stranger_s_environment_that_takes_turns_are_played(listens: bool, earned: float) -> None:
    """Its words are its own, and what its table earns is right whether the second heeds the first or not."""
    reading = reading_of(Relay, agents=("a", "b"))
    assert (reading.step, [c.heading for c in reading.conditions]) == ("leg", ["secret", "word"])
    spoken = [Turn(step=0, role="runner", knows=(z,), says=str(z), does="0", read=True) for z in (0, 1)]
    acted = [
        Turn(step=1, role="runner", knows=(-1,), heard=str(z), says="0", does=str(z if listens else 0)) for z in (0, 1)
    ]
    (table,) = tabulate([*spoken, *acted] * 5, reading)
    played = play_table(table, EnvChoice(env=Relay))
    assert (played.episode_return_mean, played.unknown_share) == (earned, 0.0)


def test_a_table_needs_its_environment() -> None:
    assert not playable(EnvChoice(env="speaker_listener")) and playable(EnvChoice(env="switch_riddle"))
    assert not playable(EnvChoice(env="switch_riddle", settings={"talk_steps": 1}))
    assert not playable(EnvChoice(env="switch_riddle", settings={"prisoners": 5}))  # 6 * 10^9 sequences
    protocol = protocol_of(record(scripted_run(), num_episodes=30))
    assert protocol.played is None and protocol.optimal is None
    with pytest.raises(ValueError, match="no table of it can be played"):
        play_table(protocol.tables[0], EnvChoice(env="speaker_listener"))


def test_speaker_and_listener_have_tables_of_their_own() -> None:
    protocol = protocol_of(record(scripted_run(rounds=2), num_episodes=60))
    listener, speaker = protocol.tables
    assert (listener.headings, speaker.headings) == (
        ("hears", "does", "turns", "sure"),
        ("goal", "says", "turns", "sure"),
    )
    assert [row[:2] for row in listener.rows()] == [(goal, goal) for goal in "012"]
    assert [row[:2] for row in speaker.rows()] == [(goal, goal) for goal in "012"]
    assert protocol.meanings[0].words(protocol.reading)[0] == "message 0: goal 0"
    bits = protocol_of(record(scripted_run(perfect_bits, channel="dru"), num_episodes=40))
    assert [row[:2] for row in bits.tables[1].rows()] == [("0", "100"), ("1", "010"), ("2", "001")]


def turn(step: int, says: str, *, goal: int = 0, visitors: int = 1, **more: object) -> Turn:
    spoke = frozenset(PRISONERS[:visitors])
    return Turn(step=step, role="prisoner", knows=(goal, step), says=says, read=True, spoke=spoke, **more)


def test_a_message_may_mean_one_thing_on_one_day_and_its_opposite_on_the_next() -> None:
    said = [turn(1, "0", visitors=1), turn(1, "1", visitors=2), turn(2, "1", visitors=1), turn(2, "0", visitors=2)] * 5
    reading = reading_of("switch_riddle", agents=PRISONERS)
    (meaning,) = interpret([*said, turn(3, "1"), dataclasses.replace(turn(4, "1"), read=False)], reading)
    assert (meaning.fact, meaning.holds, meaning.num_messages) == ("2 or more prisoners have visited", 1.0, 21)
    assert meaning.by_step == pytest.approx(11 / 21)
    assert meaning.words(reading)[:4] == [
        "day 2: light off: fewer than 2 prisoners have visited",
        "day 2: light on: 2 or more prisoners have visited",
        "day 3, 4: light off: 2 or more prisoners have visited",
        "day 3, 4: light on: fewer than 2 prisoners have visited",
    ]


def test_finer_conditions_are_added_where_they_decide_more() -> None:
    reading = reading_of("speaker_listener", agents=("speaker_0",), knows=1, roles=SpeakerListener().roles)
    plain = [Turn(step=0, role="speaker", knows=(goal,), says=str(goal), read=True) for goal in (0, 1)] * 10
    later = [Turn(step=1, role="speaker", knows=(0,), says="7", read=True, said_before=before) for before in "ab"] * 10
    (table,) = tabulate([*plain, *later], reading)
    assert [c.heading for c in table.conditions] == ["goal", "step"] and table.followed == 1.0
    swapped = [dataclasses.replace(t, step=0, says="7" if t.said_before == "a" else "8") for t in later]
    (table,) = tabulate(swapped, reading)
    assert [c.heading for c in table.conditions] == ["said before"]
    noisy = [*plain, dataclasses.replace(plain[0], says="9")]
    (table,) = tabulate(noisy, reading)
    assert table.followed == pytest.approx(20 / 21) and table.rows()[0][-1] == "91 %"
    unread = [*plain, dataclasses.replace(plain[0], says="9", read=False)]
    assert tabulate(unread, reading)[0].followed == 1.0


def test_turns_tell_what_was_heard_said_and_done(corpus) -> None:
    first, second = turns(corpus)[:2]
    assert (first.step, first.heard, first.says, first.does, first.read) == (0, None, "0", "0", True)
    assert (second.heard, second.said_before, second.spoke) == ("0", "0", frozenset({"prisoner_0"}))


def test_what_has_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="messages are vectors"):
        protocol_of(record(trained("speaker_listener", channel="continuous"), num_episodes=5))
    with pytest.raises(ValueError, match="nothing was said"):
        protocol_of(record(scripted_run(channel="none"), num_episodes=5))
    continuous = record(scripted_run(), num_episodes=5)
    continuous.utterances["actions"] = [[[0.5]]] * 5
    with pytest.raises(ValueError, match="discrete actions"):
        turns(continuous)


def test_a_recorded_corpus_is_read(tmp_path: pathlib.Path) -> None:
    run = riddle_run()
    record(run, num_episodes=200, out=tmp_path)
    found = protocol_in(tmp_path)
    assert found.num_episodes == 200 and found.optimal
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    metadata["env"]["env"] = "tests.analysis.teams:riddle"
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(RunFolderError, match="would import code"):
        protocol_in(tmp_path)


def test_a_report_has_the_table_where_there_is_one(corpus) -> None:
    text = "".join(decisions(corpus))
    assert "light before" in text and "2 or more prisoners have visited" in text and "protocol is optimal" in text
    assert not list(decisions(record(scripted_run(channel="none"), num_episodes=5)))


def test_messages_that_tell_nothing_are_said_to() -> None:
    reading = reading_of("switch_riddle", agents=PRISONERS)
    (meaning,) = interpret([turn(day, str(day % 2), visitors=1 + day % 3) for day in range(6)] * 3, reading)
    (line,) = meaning.words(reading)
    assert line == "no fact tells more of the 18 messages that somebody read than the day alone: 100 %"


def test_an_episode_is_told_in_the_words_of_its_environment() -> None:
    run = riddle_run()
    rollout = play_run(run, num_episodes=4).rollouts[0]
    headings, rows = told(run, rollout, copy=2)
    assert headings == (
        "day", "in the room", "have visited", "been here before", "light before", "light after", "does", "team reward",
    )  # fmt: skip
    assert [row[0] for row in rows] == [str(day + 1) for day in range(len(rows))]
    assert [row[4] for row in rows[1:]] == [row[5] for row in rows[:-1]]  # each finds what the last one left
    assert rows[-1][6:] == ("tells", "1") and rows[-1][2] == "3"


def test_a_plain_episode_shows_what_was_heard() -> None:
    run = scripted_run(rounds=2)
    rollout = play_run(run, num_episodes=2).rollouts[0]
    headings, rows = told(run, rollout, copy=1)
    assert headings == HEADINGS and rows == replay(run, rollout, copy=1)
    hears, says = HEADINGS.index("hears"), HEADINGS.index("says")
    assert [row[hears] for row in rows] == ["", rows[0][says], "", rows[2][says]]


def test_roles_say_what_their_meanings_and_actions_are_called() -> None:
    space = spaces.Discrete(2)
    roles = [
        Role(name="guide", agents=("guide_0",), observation_space=space, action_space=space, meaning_names=("colour",)),
        Role(
            name="rover", agents=("rover_0",), observation_space=space, action_space=space, action_names=("stay", "go")
        ),
    ]
    reading = reading_of("my_env:Mine", agents=("guide_0", "rover_0"), knows=1, roles=roles)
    assert reading.conditions[0].heading == "colour" and reading.facts[0].name == "colour"
    assert reading.done("1", role="rover") == "go" and reading.done("1", role="guide") == "1"
    assert reading.done("7", role="rover") == "7"
    other = reading_of("my_env:Mine", agents=("guide_0",), knows=2, roles=roles)
    assert [c.heading for c in other.conditions[:2]] == ["knows 0", "knows 1"]
    assert dataclasses.replace(roles[0], meaning_names=()) == roles[0]  # names are for people


@pytest.mark.parametrize("env", ["reconstruction", "discrimination", "classification"])
def test_what_senders_know_of_an_object_is_called_attributes(env: str) -> None:
    made = registry.load("env", env)()
    knows = made.reset().meaning.shape[-1]
    reading = reading_of(env, agents=("sender_0",), knows=knows, roles=made.roles)
    assert [c.heading for c in reading.conditions[:knows]] == [f"attribute {i}" for i in range(knows)]
