"""One table gives the word for a protocol; what must not matter does not move it, and no word claims what none saw."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.diagnosis import Diagnosis
from heliograph.analysis.evaluate import evaluate, interventions_table
from heliograph.analysis.judging import FIRST_WEIGHTS, judged, untrained
from heliograph.analysis.verdict import TABLE, Evidence, Word, evidence_in, evidence_of, verdict, word_in, word_of
from heliograph.cli import main
from heliograph.cli.shown import summary_table
from heliograph.models.scripted import ScriptedOutput, say_symbol
from heliograph.reports.run_results import read_result
from heliograph.storage.run_folder import read_run
from heliograph.types import Bounds
from tests.analysis.crowd import babbling, chattering, crowd_run, repeating
from tests.analysis.teams import GOALS, collapsed, perfect, scripted_run

ANSWERS = (True, False, None)
EVERYTHING = [Evidence(tells=t, read=r, pays=p) for t, r, p in itertools.product(Diagnosis, ANSWERS, ANSWERS)]


def deaf(inputs, memory, heard) -> ScriptedOutput:
    """The speaker says its goal, and the listener names always the same."""
    out = perfect(inputs, memory, heard)
    first = say_symbol(out.action_inputs[..., 0].long() * 0, out.action_inputs.shape[-1])
    return ScriptedOutput(action_inputs=first, channel_input=out.channel_input, memory=out.memory)


def contrary(inputs, memory, heard) -> ScriptedOutput:
    """The listener names another goal than the one that it hears."""
    out = perfect(inputs, memory, heard)
    turned = out.action_inputs.roll(1, -1) if out.action_inputs.shape[-1] == GOALS else out.action_inputs
    return ScriptedOutput(action_inputs=turned, channel_input=out.channel_input, memory=out.memory)


def own(function) -> str:
    return f"{__name__}:{function.__name__}"


# ---- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evidence", EVERYTHING, ids=str)
def test_all_evidence_has_a_word(evidence: Evidence) -> None:
    word = word_of(evidence)
    assert (word is Word.USED) == (evidence.pays is True and evidence.tells is not Diagnosis.SILENT)
    if word in (Word.REDUNDANT, Word.UNHEARD):
        assert evidence.read is (word is Word.REDUNDANT)
    if evidence.read is evidence.pays is None:
        assert word in (Word.SILENT, Word.COLLAPSED, Word.BABBLING, Word.UNKNOWN)


def test_all_words_have_evidence_and_a_meaning() -> None:
    assert {word_of(evidence) for evidence in EVERYTHING} == set(Word)
    assert [rule.word for rule in TABLE if not rule.means] == []
    assert {word.value for word in Word} == {
        "used", "redundant", "unheard", "babbling", "collapsed", "silent", "unknown",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("function", "channel", "expected"),
    [
        (perfect, "symbols", Word.USED),
        (collapsed, "symbols", Word.COLLAPSED),
        (perfect, "none", Word.SILENT),
        (deaf, "symbols", Word.UNHEARD),
        (contrary, "symbols", Word.REDUNDANT),
    ],
)
def test_words_of_scripts(function, channel: str, expected: Word) -> None:
    run = scripted_run(own(function) if function.__module__ == __name__ else function, channel=channel)
    found = judged(run, num_episodes=300)
    assert found["diagnosis"] == expected.value
    assert json.loads(json.dumps(found)) == found
    assert verdict(found, interventions_table(run, num_episodes=300), bounds=None).word in (expected, Word.USED)
    alone = evaluate(run, num_episodes=300)["diagnosis"]
    assert alone == (expected.value if expected in (Word.COLLAPSED, Word.SILENT) else "unknown")


@pytest.mark.parametrize("function", [chattering, repeating])
@pytest.mark.parametrize("settings_", [{}, {"anyone": True}, {"size": 40}, {"roles": 3}])
def test_one_who_knows_is_heard_in_a_crowd(function, settings_) -> None:
    run = crowd_run(function, **settings_)
    found = judged(run, num_episodes=300)
    if settings_.get("anyone") is None:
        assert found["episode_return_mean"] == 1.0
    assert found["information"] == Diagnosis.INFORMATIVE and found["diagnosis"] == "used"
    told = verdict(found, interventions_table(run, num_episodes=300), bounds=None)
    assert "hearers use it" in told.headline


def test_a_crowd_of_chatterers_babbles() -> None:
    assert judged(crowd_run(babbling), num_episodes=300)["diagnosis"] == "babbling"


# ---- what must not matter --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings_", [{"offset": -20.0}, {"offset": 1e4}, {"scale": 1e-3}, {"scale": 1e6}])
@pytest.mark.parametrize(("function", "expected"), [(chattering, "used"), (babbling, "babbling")])
def test_rewards_in_another_unit_or_from_another_origin(function, expected: str, settings_) -> None:
    assert judged(crowd_run(function, size=4, **settings_), num_episodes=300)["diagnosis"] == expected


def summary(mean: float, drop: float, *, blind: float | None = None, before: float | None = None) -> dict:
    return {
        "information": "above_chance", "episode_return_mean": mean, "episode_return_se": 0.02, "blind_return": blind,
        "episode_return_mean_resampled": mean - drop, "difference_mean_resampled": -drop,
        "difference_se_resampled": 0.025, "num_replaced_resampled": 500, "changed_share_resampled": 0.4,
        "episode_return_mean_untrained": before, "episode_return_se_untrained": 0.02,
    }  # fmt: skip


def moved(found: dict, *, scale: float, offset: float) -> dict:
    """The same with rewards in another unit and from another origin."""

    def new(key: str, value):
        if value is None or ("return" not in key and "difference" not in key):
            return value
        return scale * value + (0.0 if "difference" in key or "_se" in key else offset)

    return {key: new(key, value) for key, value in found.items()}


RETURNS = st.floats(-2, 2)


@settings(deadline=None, max_examples=200)
@given(
    RETURNS, st.floats(-1, 1), st.none() | RETURNS, st.none() | RETURNS, st.none() | RETURNS, st.floats(1e-3, 1e3),
    st.floats(-100, 100),
)  # fmt: skip
def test_units_and_origin_of_rewards_move_no_word(mean, drop, blind, before, silent, scale, offset) -> None:
    found = summary(mean, drop, blind=blind, before=before)
    control = None if silent is None else {"episode_return_mean": silent, "episode_return_se": 0.02}
    other = None if control is None else moved(control, scale=scale, offset=scale * offset)
    near = [abs(x) for x in (drop, *(mean - y for y in (blind, before, silent) if y is not None))]
    if any(abs(distance - limit) < 1e-3 for distance in near for limit in (0.0, 0.0392, 0.049, 0.0554)):
        return  # at the limit itself, and within the rounding of float32, any word will do
    one = evidence_in(found, silent=control)
    assert evidence_in(moved(found, scale=scale, offset=scale * offset), silent=other) == one


def test_a_drop_is_judged_by_its_own_uncertainty() -> None:
    """0.49 with a standard error of 0.025, whether the return is 0.9 or -19.1; 0.01 is nothing, however small it is."""
    for mean in (0.9, -19.1, 1000.9):
        assert word_of(evidence_in(summary(mean, 0.49))) is Word.USED
        assert evidence_in(summary(mean, 0.01)).pays is False
    exact = summary(1.0, 0.001) | {"difference_se_resampled": 0.0, "episode_return_se": 0.0}
    assert evidence_in(exact).pays is True


@pytest.mark.parametrize("reference", ["blind", "before", "silent"])
def test_what_is_no_better_than_without_talking_is_redundant(reference: str) -> None:
    """Messages are read, and without them the return falls; but a team that does without reaches as much."""
    control = {"episode_return_mean": 0.9, "episode_return_se": 0.02} if reference == "silent" else None
    others = {} if reference == "silent" else {reference: 0.9}
    assert word_of(evidence_in(summary(0.9, 0.5, **others), silent=control)) is Word.REDUNDANT
    assert word_of(evidence_in(summary(1.2, 0.5, **others), silent=control)) is Word.USED


def test_a_silent_control_counts_for_more_than_the_blind_bound() -> None:
    found, control = summary(0.9, 0.5, blind=2.0), {"episode_return_mean": 0.1, "episode_return_se": 0.02}
    assert (word_in(found | {"diagnosis": "redundant"}), word_in(found, silent=control)) == ("redundant", "used")


@pytest.mark.parametrize("missing", [{"num_replaced_resampled": 3}, {"difference_se_resampled": None}])
def test_too_little_to_go_on_is_unknown(missing: dict) -> None:
    assert word_of(evidence_in(summary(0.9, 0.0) | missing | {"changed_share_resampled": None})) is Word.UNKNOWN


def test_messages_that_could_not_be_replaced_show_nothing() -> None:
    """Of a single copy there is no other episode."""
    found = judged(scripted_run(), num_episodes=40, num_envs=1)
    assert (found["replaced_share_resampled"], found["diagnosis"]) == (0.0, "unknown")


# ---- words of before, and of controls --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now"),
    [("informative", "unknown"), ("babbling", "babbling"), ("silent", "silent"), ("garrulous", "garrulous"), (3, "3")],
)
def test_earlier_summaries_are_read(before, now: str, tmp_path) -> None:
    scripted_run(folder=tmp_path)
    numbers = {"episode_return_mean": 1.0, "num_env_steps": 5, "wall_seconds": 1.0, "diagnosis": before}
    (tmp_path / "summary.json").write_text(json.dumps(numbers))
    assert read_result(tmp_path, metric="episode_return_mean").diagnosis == word_in(numbers) == now


def test_tables_have_a_dash_for_controls_and_the_untrained_beside_the_trained(capsys) -> None:
    made = summary(0.9, 0.5) | {"diagnosis": "used", "num_env_steps": 10, "mutual_information_bits": 0.93}
    made["mutual_information_bits_untrained"] = 0.41
    control = made | {"diagnosis": "unheard", "mutual_information_bits": 0.91, "episode_return_mean": 0.1}
    summary_table({"run": made, "silent": control, "garbled": control})
    _, team, silent, garbled = capsys.readouterr().out.splitlines()
    assert "0.93 (untrained 0.41)" in team and team.split()[-1] == "used"
    for row in (silent, garbled):
        assert row.split()[-1] == "-" and "0.91" not in row
    summary_table({"run": made, "silent": control | {"episode_return_mean": 0.9}})
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "redundant"


def test_compare_tells_the_word_and_a_dash_for_controls(tmp_path, capsys) -> None:
    for name, channel in (("", "symbols"), ("silent", "none"), ("garbled", "garbled+symbols")):
        scripted_run(folder=tmp_path / name, channel=channel)
        mean = 1.0 if not name else -0.3
        found = summary(mean, 0.5) | {"diagnosis": "used", "num_env_steps": 10, "wall_seconds": 1.0}
        (tmp_path / name / "summary.json").write_text(json.dumps(found))
    assert main(["compare", str(tmp_path), "--json"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [run["diagnosis"] for group in groups for run in group["runs"]] == ["used", None, None]
    assert main(["compare", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[1:4]] == ["used", "-", "-"]


# ---- the untrained team ----------------------------------------------------------------------------------------------


def test_a_script_has_nothing_to_learn() -> None:
    assert untrained(scripted_run(), num_episodes=20) is None


def test_what_training_kept_is_believed_where_it_fits(tmp_path) -> None:
    run = scripted_run(folder=tmp_path)
    kept = {"entropy_bits": 1.0, "mutual_information_bits": 0.5, "episode_return_mean": 1.0, "episode_return_se": 0.0}
    told = {**run.config, FIRST_WEIGHTS: kept}
    here = read_run(tmp_path, trust=True)
    here.config.update(told)
    assert untrained(here, num_episodes=20) == kept
    assert judged(here, num_episodes=200)["diagnosis"] == "redundant"  # as good before it learnt
    assert untrained(here.in_env({"rounds": 2}), num_episodes=20) is None
    for broken in ({}, {**kept, "episode_return_mean": "1"}, {**kept, "episode_return_se": float("nan")}, 3):
        here.config[FIRST_WEIGHTS] = broken
        assert untrained(here, num_episodes=20) is None


def test_the_verdict_names_the_untrained_bits() -> None:
    run = scripted_run()
    found, rows = evaluate(run, num_episodes=200), interventions_table(run, num_episodes=200)
    before = {"mutual_information_bits": 0.41, "episode_return_mean": -0.3, "episode_return_se": 0.03}
    bounds = Bounds(random=-1 / 3, blind=-1 / 3, full_information=1.0, source="exact")
    told = verdict(found, rows, bounds=bounds, untrained=before)
    assert told.word is Word.USED and "(untrained: 0.41)" in told.sentences[0]
    assert "% of them differ" in told.sentences[1]


def test_evidence_without_interventions_is_of_information_alone() -> None:
    assert evidence_of({"information": "babbling"}, None) == Evidence(tells=Diagnosis.BABBLING)
