"""Measures of what messages do to their hearers agree with values worked by hand, and hold their bounds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.analysis.measures.bandwidth import bandwidth, bits_of_numbers
from heliograph.analysis.measures.causal_influence import causal_influence, influence_by_situation, mixed_actions
from heliograph.analysis.measures.communication_value import communication_value
from heliograph.analysis.measures.majority_decoder import MEASURE, majority_decoder
from heliograph.analysis.measures.positive_listening import positive_listening
from heliograph.analysis.measures.positive_signalling import positive_signalling, positive_signalling_loss
from heliograph.analysis.measures.probe_selectivity import probe_selectivity
from heliograph.analysis.measures.symbol_effects import symbol_effects
from heliograph.analysis.measures.undefined import reason_of
from heliograph.analysis.recording import record
from heliograph.analysis.talk import talk_table
from tests.analysis.teams import scripted_run
from tests.analysis.test_hearers import run_of

EXACT = {"abs": 1e-9}
HEEDS = [[0.8, 0.2], [0.4, 0.6]]
SAID = ["00", "01", "02", "10", "11", "12", "12", "00"]
MEANT = ["00", "01", "02", "10", "11", "12", "11", "00"]
ODDS = st.lists(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3), min_size=2, max_size=2)


def normalised(rows: list) -> np.ndarray:
    table = np.array(rows)
    return table / table.sum(-1, keepdims=True)


def test_influence_by_the_speakers_messages_and_by_uniform_ones() -> None:
    assert causal_influence(HEEDS, [0.25, 0.75], unit="nats") == pytest.approx(0.063287824418, **EXACT)
    assert causal_influence(HEEDS, unit="nats") == pytest.approx(0.086304621736, **EXACT)
    assert causal_influence(HEEDS, [0.25, 0.75]) == pytest.approx(0.063287824418 / math.log(2), **EXACT)


def test_influence_is_a_sum_over_messages_and_no_mean() -> None:
    """The released code of Lowe et al. divides the marginal by the number of messages: ln 2, or ln 3, too high."""
    assert causal_influence(np.eye(2), unit="nats") == pytest.approx(math.log(2), **EXACT)
    assert causal_influence(np.tile([0.3, 0.7], (3, 1))) == 0.0


def test_influence_of_the_message_that_was_said() -> None:
    situations, says = np.tile(HEEDS, (4, 1, 1)), [0.25, 0.75]
    said = np.array([0, 1, 1, 1])
    jaques = causal_influence(situations, says, said=said, convention="jaques", unit="nats")
    assert jaques == pytest.approx(causal_influence(HEEDS, says, unit="nats"), **EXACT)
    each = influence_by_situation(situations, says, said=said, convention="jaques", unit="nats")
    assert each[0] == pytest.approx(0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5), **EXACT)
    with pytest.raises(ValueError, match="give said="):
        causal_influence(situations, says, convention="jaques")
    with pytest.raises(ValueError, match="below 2"):
        causal_influence(situations, says, said=[0, 1, 2, 0], convention="jaques")


def test_a_speaker_of_one_message_has_no_influence_by_its_own_habits() -> None:
    assert causal_influence(np.eye(2), [1.0, 0.0]) == 0.0
    assert causal_influence(np.eye(2)) == pytest.approx(1.0, **EXACT)


@given(ODDS, st.lists(st.floats(0.01, 1.0), min_size=2, max_size=2))
def test_influence_is_bounded_by_the_entropy_of_messages_and_of_actions(rows: list, weights: list) -> None:
    actions, says = normalised(rows), normalised(weights)
    bits = causal_influence(actions, says)
    mixed = mixed_actions(actions, says)[0]
    most = min(-(says * np.log2(says)).sum(), -(mixed * np.log2(mixed)).sum())
    assert -1e-12 <= bits <= most + 1e-9
    assert bits == pytest.approx(causal_influence(actions[::-1, ::-1], says[::-1]), **EXACT)
    doubled = np.concatenate([actions, actions]), np.concatenate([says, says]) / 2
    assert bits == pytest.approx(causal_influence(*doubled), **EXACT)


@pytest.mark.parametrize(
    ("actions", "says", "told"),
    [
        ([[0.5, 0.6]], None, "sums to 1.1"),
        ([[1.5, -0.5]], None, "no probability"),
        ([[math.nan, 1.0]], None, "no probability"),
        ([0.5, 0.5], None, "must be"),
        (HEEDS, [1.0, 0.0, 0.0], "must be"),
    ],
)
def test_tables_that_hold_no_probabilities_are_refused(actions, says, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        causal_influence(actions, says)


def test_probabilities_of_float32_are_taken_as_they_are() -> None:
    table = np.float32([[0.8, 0.2], [0.4, 0.6]])
    assert causal_influence(table, unit="nats") == pytest.approx(0.086304621736, abs=1e-7)


def test_signalling_and_the_loss_for_it() -> None:
    says = [[1.0, 0.0], [0.5, 0.5]]
    found = positive_signalling(says, unit="nats")
    assert (found.entropy, found.given_situation) == pytest.approx((0.562335144619, 0.346573590280), **EXACT)
    assert found.information == pytest.approx(found.entropy - found.given_situation, **EXACT)
    assert positive_signalling_loss(says, weight=0.1, target=0.5) == pytest.approx(0.087419402217, **EXACT)
    assert positive_signalling_loss(says, weight=0.1, target=[0.0, math.log(2)]) < 0.0
    assert positive_signalling([[0.3, 0.7]] * 3).information == pytest.approx(0.0, **EXACT)
    assert positive_signalling(np.eye(4)).information == pytest.approx(2.0, **EXACT)


def test_listening_by_three_distances() -> None:
    given_message, without = [[0.9, 0.1]], [[0.5, 0.5]]
    assert positive_listening(given_message, without) == pytest.approx(0.8, **EXACT)
    kl = positive_listening(given_message, without, distance="kl", unit="nats")
    assert kl == pytest.approx(0.368064207168, **EXACT)
    assert positive_listening(given_message, without, distance="js") == pytest.approx(0.146793, abs=1e-6)


def test_listening_is_a_divergence_and_no_root() -> None:
    """scipy's jensenshannon is the root, in nats."""
    from scipy.spatial.distance import jensenshannon

    found = positive_listening([[0.9, 0.1]], [[0.5, 0.5]], distance="js", unit="nats")
    assert found == pytest.approx(jensenshannon([0.9, 0.1], [0.5, 0.5]) ** 2, **EXACT)
    assert positive_listening(np.eye(2)[:1], np.eye(2)[1:], distance="js") == pytest.approx(1.0, **EXACT)
    assert positive_listening(np.eye(2)[:1], np.eye(2)[1:], distance="kl") == math.inf
    assert positive_listening(np.eye(2)[:1], [[0.5, 0.5]], distance="kl") == pytest.approx(1.0, **EXACT)


def test_listening_against_the_mean_over_messages_is_influence() -> None:
    says = [[0.25, 0.75]]
    found = positive_listening([HEEDS], mixed_actions([HEEDS], says), message_probabilities=says, distance="kl")
    assert found == pytest.approx(causal_influence([HEEDS], says), **EXACT)
    with pytest.raises(ValueError, match="2 actions with a message and 3 without"):
        positive_listening([[0.5, 0.5]], [[0.5, 0.5, 0.0]])


@settings(deadline=None, max_examples=40)
@given(ODDS)
def test_distances_of_actions_are_bounded(rows: list) -> None:
    one, other = normalised(rows)[:1], normalised(rows)[1:]
    assert 0.0 <= positive_listening(one, other) <= 2.0
    js = positive_listening(one, other, distance="js")
    assert 0.0 <= js <= 1.0 and js == pytest.approx(positive_listening(other, one, distance="js"), **EXACT)
    pinsker = positive_listening(one, other) ** 2 / 2
    assert positive_listening(one, other, distance="kl", unit="nats") >= pinsker - 1e-12


def test_effects_of_each_symbol() -> None:
    found = symbol_effects([HEEDS, HEEDS], [[0.25, 0.75], [0.75, 0.25]])
    assert found.actions == pytest.approx(np.array(HEEDS))
    assert found.share == pytest.approx([0.5, 0.5])
    assert found.shift == pytest.approx(np.array([[0.2, -0.2], [-0.2, 0.2]]))
    opposite = symbol_effects([np.eye(2), np.eye(2)[::-1]])
    assert opposite.shift == pytest.approx(np.zeros((2, 2)))  # which influence still sees
    assert causal_influence([np.eye(2), np.eye(2)[::-1]]) == pytest.approx(1.0, **EXACT)


def test_majority_decoder_of_the_reference_corpus() -> None:
    found = majority_decoder(SAID, MEANT)
    assert (found.accuracy, found.majority) == pytest.approx((0.875, 0.25), **EXACT)
    assert majority_decoder([0, 0, 0, 1, 1, 2], list("aabbbc")).accuracy == pytest.approx(5 / 6, **EXACT)


def test_majority_decoder_of_messages_that_are_said_once_claims_nothing() -> None:
    rng = np.random.default_rng(0)
    found = majority_decoder(np.arange(60), rng.integers(3, size=60))
    assert found.accuracy == found.chance == 1.0 and found.p == 1.0
    assert found.held_out <= 0.5
    code = majority_decoder(np.repeat(np.arange(3), 20), np.repeat(np.arange(3), 20))
    assert code.held_out == 1.0 and code.p < 0.01 and code.chance < code.chance_quantile < 1.0


def test_majority_decoder_of_two_roles_with_opposite_codes() -> None:
    meant, role = [0, 1] * 20, [0] * 20 + [1] * 20
    said = [m ^ r for m, r in zip(meant, role, strict=True)]
    assert majority_decoder(said, meant).accuracy == 0.5
    apart = majority_decoder(said, meant, given=role)
    assert (apart.accuracy, apart.majority, apart.held_out) == (1.0, 0.5, 1.0)
    assert reason_of(majority_decoder([1], [1]).held_out)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=30))
def test_majority_decoder_is_between_the_majority_and_1(pairs: list[tuple[int, int]]) -> None:
    said, meant = [p[0] for p in pairs], [p[1] for p in pairs]
    found = majority_decoder(said, meant, num_permutations=9)
    assert found.majority <= found.accuracy <= 1.0 and 0.0 <= found.held_out <= 1.0
    again = majority_decoder([f"w{s}" for s in said], [9 - m for m in meant], num_permutations=9)
    assert again.accuracy == found.accuracy


def test_probe_of_a_bijection_and_of_noise() -> None:
    meant = np.tile(np.arange(4), 15)
    found = probe_selectivity(np.stack([meant // 2, meant % 2], 1), meant)
    assert found.accuracy == 1.0 and found.majority == 0.25
    assert found.control < 0.5 and found.selectivity == pytest.approx(found.accuracy - found.control)
    noise = probe_selectivity(np.random.default_rng(0).integers(4, size=(60, 1)), meant)
    assert abs(noise.selectivity) < 0.25


def test_probe_is_decided_by_its_seed_and_reads_vectors_of_any_unit() -> None:
    rng = np.random.default_rng(0)
    meant = rng.integers(2, size=60)
    vectors = meant[:, None] + rng.normal(size=(60, 3))
    one, again, scaled = (probe_selectivity(v, meant, seed=1) for v in (vectors, vectors, 1e3 * vectors + 5))
    assert one == again
    assert one.accuracy == pytest.approx(scaled.accuracy)
    assert "two meanings" in str(reason_of(probe_selectivity([[0], [1]], [0, 1]).selectivity))
    with pytest.raises(ValueError, match="2 messages and 1 meanings"):
        probe_selectivity([[0], [1]], [0])


def test_talk_counted_by_hand() -> None:
    found = bandwidth(["ab", "ab", "--"], bits=[2.0, 2.0, 0.0], num_episodes=2, gates=[True, True, False], null="--")
    assert (found.utterances_per_episode, found.bits_per_episode) == (1.5, 2.0)
    assert (found.open_share, found.null_share) == pytest.approx((2 / 3, 1 / 3))
    unknown = bandwidth([[0], [1]])
    assert unknown.bits_per_episode == 2.0 and reason_of(unknown.open_share) and reason_of(unknown.null_share)
    with pytest.raises(ValueError, match="num_episodes=0"):
        bandwidth(["a"], num_episodes=0)
    with pytest.raises(ValueError, match="gates of 1"):
        bandwidth(["a", "b"], gates=[True])


def test_talk_of_a_team_by_role_and_step() -> None:
    corpus = record(scripted_run(rounds=2), num_episodes=50)
    (row,) = talk_table(corpus, null=[0]).to_dict("records")
    assert (row["role"], row["utterances_per_episode"], row["bits_per_episode"]) == ("speaker", 2.0, 4.0)
    assert row["null_share"] == pytest.approx((corpus.messages() == 0).mean()) and math.isnan(row["open_share"])
    steps = talk_table(corpus, by=("role", "step"))
    assert steps["step"].tolist() == [0, 2] and steps["bits_per_episode"].tolist() == [2.0, 2.0]
    assert talk_table(corpus, by=())["utterances_per_episode"].tolist() == [2.0]
    with pytest.raises(ValueError, match="'reward' is none of role"):
        talk_table(corpus, by=("reward",))


def test_talk_through_gates() -> None:
    run = run_of("gate")
    (row,) = talk_table(record(run, num_episodes=20)).to_dict("records")
    corpus = record(run, num_episodes=20)
    assert row["open_share"] == pytest.approx(corpus.utterances["gate"].astype(float).mean())
    assert len(talk_table(corpus.where([]))) == 0


def test_vectors_cost_the_bits_of_their_numbers() -> None:
    assert bits_of_numbers(np.zeros((2, 3), dtype=np.float32)).tolist() == [96.0, 96.0]
    assert bits_of_numbers(["abc", "d"]).tolist() == [6.0, 2.0]


def test_value_of_communication_lies_between_silence_and_full_information() -> None:
    assert communication_value(0.8, 0.3, 1.0) == pytest.approx(0.714285714286, **EXACT)
    assert communication_value(8.0 - 50, 3.0 - 50, 10.0 - 50) == pytest.approx(0.714285714286, **EXACT)
    assert "gains nothing" in str(reason_of(communication_value(0.8, 1.0, 1.0)))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=20), st.data())
def test_majority_decoder_of_draws_is_that_of_the_rows_themselves(rows: list, data) -> None:
    said, meant, group = (np.array(column) for column in zip(*rows, strict=True))
    resampling = MEASURE.resampling(said, meant, given=group)
    order = np.array(data.draw(st.permutations(range(len(rows)))))
    shuffled = majority_decoder(said, meant[order], given=group, num_permutations=1).accuracy
    assert resampling.shuffled(order) == pytest.approx(shuffled, **EXACT)
    times = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))) + (order == 0)
    chosen = np.repeat(np.arange(len(rows)), times)
    drawn = majority_decoder(said[chosen], meant[chosen], given=group[chosen], num_permutations=1).accuracy
    assert resampling.drawn(times) == pytest.approx(drawn, **EXACT)
