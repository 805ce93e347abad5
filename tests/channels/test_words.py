"""Words of any length: where they end, what is counted of them, and who reads them."""

import itertools
import math

import pytest
import torch

from heliograph import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.analysis.candidate_messages import candidates_of, words_of_channel
from heliograph.analysis.corpus import Corpus, CorpusError, from_rollouts, load_corpus
from heliograph.analysis.measure_table import analyze
from heliograph.channels.spelling import forced, said_places, said_shares, score_of_lengths, without_rest
from heliograph.channels.symbols import Symbols
from heliograph.experiments.choices import build_channel
from heliograph.experiments.compatibility import rehearse
from heliograph.models.base import Model
from heliograph.models.word_networks import NETWORKS, SymbolReader, build_listener, build_speaker
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.team.alone import LoneAgent
from heliograph.testing.small_teams import stir
from heliograph.types import Choice, MessageForm

LN = torch.log
SETTINGS = {"vocabulary": 3, "length": 3, "eos": True, "spelling_size": 8}


def words_channel(**settings) -> Symbols:
    return Symbols(**{**SETTINGS, **settings})


def said(channel: Symbols, logits: torch.Tensor, word: list[int]) -> torch.Tensor:
    """The channel input of a word that was said with these logits."""
    guide = forced(torch.tensor(word), channel.num_symbols)
    return torch.cat([logits.flatten(), guide.flatten()])[None]


# ---- masks, by hand -----------------------------------------------------------------------------------------------


def test_a_word_is_said_up_to_its_first_end() -> None:
    symbols = torch.tensor([[2, 0, 1], [0, 0, 2], [1, 2, 1], [1, 2, 0]])
    places = [[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]]
    assert said_places(symbols, ends=True).int().tolist() == places
    assert said_places(symbols, ends=False).all()
    assert without_rest(symbols, ends=True).tolist() == [[2, 0, 0], [0, 0, 0], [1, 2, 1], [1, 2, 0]]
    hard = torch.nn.functional.one_hot(symbols, 3).float()
    assert torch.equal(said_shares(hard, ends=True), torch.tensor(places).float())


def test_half_an_end_leaves_half_of_the_word() -> None:
    soft = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.25, 0.0, 0.75], [0.0, 0.0, 1.0]])
    assert said_shares(soft, ends=True).tolist() == [1.0, 1.0, 0.5, 0.375]


def test_log_probability_and_entropy_count_what_is_said() -> None:
    channel = words_channel()
    odds = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.1, 0.8, 0.1]])
    for word, likely in (([2, 0, 0], 0.25 * 0.2), ([0, 0, 0], 0.5), ([1, 2, 1], 0.25 * 0.4 * 0.8)):
        channel_input = said(channel, LN(odds), word)
        found = channel.log_prob(channel_input, torch.tensor([word]))
        assert found.exp().item() == pytest.approx(likely, rel=1e-5)
        each = -(odds * odds.log()).sum(-1)
        number = min(3, [*word, 0].index(0) + 1)
        assert channel.entropy(channel_input).item() == pytest.approx(float(each[:number].sum()), rel=1e-5)
        assert channel.entropy_by_place(channel_input)[0, number:].eq(0).all()
        message, _ = channel.send(channel_input, draw=torch.tensor([word]), form=MessageForm.EXECUTION)
        assert message.bits.item() == pytest.approx(number * math.log2(3))
        assert message.payload.view(3, 3).sum(-1).tolist() == [1.0] * number + [0.0] * (3 - number)
        assert channel.expected_bits(channel_input).item() == pytest.approx(number * math.log2(3))


def test_probabilities_of_all_words_sum_to_one() -> None:
    """Of a speaker whose symbols hang on those before; each word is spelt again by force."""
    channel = words_channel()
    speaker, words = spoken_by(channel), words_of_channel(channel)
    assert len(words) == 1 + 2 + 4 + 8
    features = torch.randn(1, 5, generator=torch.Generator().manual_seed(3)).expand(len(words), -1)
    guide = channel.guide(words)
    channel_input = speaker(features, guide=guide, choose=lambda x: channel.choose(x, form=MessageForm.TRAINING))
    assert torch.equal(channel.sample(channel_input, generator=None, choice=Choice.SAMPLED), words)
    assert channel.log_prob(channel_input, words).exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("network", ["gru", "lstm", "transformer"])
def test_words_are_drawn_as_often_as_they_are_likely(network: str) -> None:
    channel = words_channel(length=2, spelling=network)
    speaker, words = spoken_by(channel), words_of_channel(channel)
    features = torch.randn(1, 5, generator=torch.Generator().manual_seed(1))

    def spelt(guide: torch.Tensor) -> torch.Tensor:
        rows = features.expand(len(guide), -1)
        with torch.no_grad():
            return speaker(rows, guide=guide, choose=lambda x: channel.choose(x, form=MessageForm.TRAINING))

    likely = channel.log_prob(spelt(channel.guide(words)), words).exp()
    generator = torch.Generator().manual_seed(0)
    guide = channel.ahead((20_000,), device=torch.device("cpu"), generator=generator, choice=Choice.SAMPLED)
    drawn = channel.sample(spelt(guide), generator=None, choice=Choice.SAMPLED)
    shares = (drawn[:, None] == words).all(-1).float().mean(0)
    assert (shares - likely).abs().max() < 0.015 and likely.max() < 0.95
    assert shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("network", ["gru", "lstm"])
def test_a_reader_is_torchs_cell_over_an_embedding(network: str) -> None:
    torch.manual_seed(0)
    reader = SymbolReader(words_channel(spelling=network).spelling)
    symbols, hidden = torch.rand(6, 3), torch.randn(6, 8)
    state = reader.begun(hidden)
    found, expected = reader(reader.read(symbols), state), reader.cell(reader.embedding(symbols), state)
    pairs = zip(found, expected, strict=True) if network == "lstm" else [(found, expected)]
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in pairs)


def small_model() -> Model:
    env = build_env(EnvChoice(env="speaker_listener"), num_envs=1)
    choices = TeamChoices(model="feedforward", model_settings={"size": 5}, channel="symbols")
    return build_team(choices, facts_of(env), seed=0).policies["speaker"].model


def spoken_by(channel: Symbols) -> torch.nn.Module:
    """A speaker with weights large enough for what was said before to matter."""
    speaker = build_speaker(small_model(), channel)
    generator = torch.Generator().manual_seed(7)
    for weight in speaker.parameters():
        weight.data = 0.5 * torch.randn(weight.shape, generator=generator)
    return speaker


# ---- the price of length ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_read_and_spelt_alike_whether_it_is_learnt_from_or_played(network: str) -> None:
    """PyTorch has other code for transformers that do not learn, in which a place said in part was not heard."""
    channel = words_channel(spelling=network, gradient="gumbel")
    listener, speaker = build_listener(small_model(), channel), spoken_by(channel)
    generator = torch.Generator().manual_seed(0)
    rest = torch.rand(40, 3, generator=generator).cumprod(-1).unsqueeze(-1)
    payload = (torch.randn(40, 3, 3, generator=generator).softmax(-1) * rest).flatten(1)
    features, guide = torch.randn(40, 5, generator=generator), torch.zeros(40, 3, 3)

    def spoken() -> torch.Tensor:
        return speaker(features, guide=guide, choose=lambda logits: logits.softmax(-1))

    learnt = listener(payload).detach(), spoken().detach()
    with torch.no_grad():
        played = listener.eval()(payload), (speaker.eval(), spoken())[1]
    torch.testing.assert_close(played, learnt)


def test_the_gradient_of_the_mean_length_is_that_of_all_words() -> None:
    """Against the exact gradient, over all words of two places of one speaker without memory."""
    logits = torch.tensor([[0.3, -0.2, 0.1], [0.5, 0.2, -0.4]], requires_grad=True)
    words = torch.tensor(list(itertools.product(range(3), repeat=2)))
    log_odds = logits.log_softmax(-1)
    exact = 1 + (1 - log_odds[0, 0].exp())  # a second symbol is said where the first is no end
    (expected,) = torch.autograd.grad(exact, logits)
    with torch.no_grad():
        each = log_odds.exp()[0, words[:, 0]] * log_odds.exp()[1, words[:, 1]]
        drawn = words[torch.multinomial(each, 20_000, replacement=True, generator=torch.Generator().manual_seed(0))]
    log_probs = logits.log_softmax(-1).expand(len(drawn), -1, -1).gather(-1, drawn.unsqueeze(-1)).squeeze(-1)
    surrogate = score_of_lengths(log_probs, said_places(drawn, ends=True))
    assert surrogate.eq(0).all()
    (found,) = torch.autograd.grad(surrogate.mean(), logits)
    assert torch.allclose(found, expected, atol=0.01) and expected.abs().max() > 0.1


@pytest.mark.parametrize("gradient", ["gumbel", "straight_through"])
def test_a_relaxed_word_costs_what_is_said_of_it(gradient: str) -> None:
    channel = words_channel(gradient=gradient)
    logits = torch.zeros(3, 3)
    channel_input = torch.cat([logits.flatten(), torch.zeros(9)])[None].requires_grad_()
    found = channel.expected_bits(channel_input)
    shares = {"gumbel": 1 + 2 / 3 + 4 / 9, "straight_through": 1.0}[gradient]  # the first of equals is the end
    assert found.item() == pytest.approx(shares * math.log2(3))
    (back,) = torch.autograd.grad(found.sum(), channel_input)
    assert back[0, 0] < 0, "a likelier end costs less"


# ---- teams --------------------------------------------------------------------------------------------------------


def team_of_words(**settings):
    env = build_env(EnvChoice(env="speaker_listener", settings={"goals": 4}), num_envs=16)
    choices = TeamChoices(model="feedforward", channel="symbols", channel_settings={**SETTINGS, **settings})
    return env, stir(build_team(choices, facts_of(env), seed=0))


def test_what_comes_after_the_end_moves_nobody() -> None:
    """A listener reads the same of two words that differ after their end only."""
    _, team = team_of_words()
    decoder = team.policies["listener"].message_decoder
    words = torch.tensor([[2, 0, 1], [2, 0, 2], [2, 1, 0]])
    read = decoder(team.channel.spelt(words))
    assert torch.equal(read[0], read[1]) and not torch.allclose(read[0], read[2])


def test_an_agent_alone_spells_as_in_its_team() -> None:
    env, team = team_of_words()
    sampler = Sampler(env, team, seed=0)
    rollout = sampler.fragment(2, choice=Choice.GREEDY, form=MessageForm.EXECUTION)
    agent = LoneAgent(team, "speaker_0")
    for copy in range(4):
        observation = rollout.observations["speaker"][0, copy, 0]
        step = agent.act(observation, {}, agent.begin())
        assert torch.equal(step.messages[0].symbols, rollout.messages[0].symbols[0, copy, 0])


@pytest.fixture(scope="module")
def ragged() -> Corpus:
    env, team = team_of_words()
    return from_rollouts(team, facts_of(env), play_episodes(Sampler(env, team, seed=0), 64, choice=Choice.SAMPLED)[1])


def test_a_corpus_holds_words_without_their_ends(ragged: Corpus, tmp_path) -> None:
    rows = ragged.utterances
    lengths = rows["symbols"].map(len)
    assert ragged.eos == 0 and lengths.nunique() > 1 and (rows["length"] == lengths).all()
    assert not any(0 in word for word in rows["symbols"])
    ended = (lengths + 1).clip(upper=3)
    assert (rows["bits"] - ended * math.log2(3)).abs().max() < 1e-5
    assert ragged.messages().shape == (len(rows), 3)
    loaded = load_corpus(ragged.save(tmp_path / "corpus"))
    assert loaded.utterances["symbols"].map(list).tolist() == rows["symbols"].tolist() and loaded.eos == 0
    table = analyze(loaded, measures=["message_length"], permutations=0, bootstraps=0).set_index("measure")
    assert table.loc["message_length", "value"] == pytest.approx(lengths.mean())


def test_a_corpus_with_an_end_inside_a_word_is_refused(ragged: Corpus, tmp_path) -> None:
    words = ragged.utterances["symbols"].tolist()
    words[0] = [1, 0]
    wrong = Corpus(utterances=ragged.utterances.assign(symbols=words), metadata=ragged.metadata)
    with pytest.raises(CorpusError, match="symbols holds 0, which ends a word"):
        load_corpus(wrong.save(tmp_path / "wrong"))


def test_every_word_can_be_put_in_the_place_of_another() -> None:
    _, team = team_of_words(length=2)
    found = candidates_of(team.channel, [], sender=0, words=None, seed=0, round_index=0)
    assert found.words.tolist() == [[0, 0], [1, 0], [2, 0], [1, 1], [1, 2], [2, 1], [2, 2]]
    assert found.payload.view(7, 2, 3).sum(-1).tolist() == [[1, 0], *[[1, 1]] * 6]
    with pytest.raises(ValueError, match="only 0 may follow"):
        candidates_of(team.channel, [], sender=0, words=[[0, 1]], seed=0, round_index=0)


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("symbols", {"eos": True, "vocabulary": 2}, "vocabulary=2: with eos=True"),
        ("symbols", {"eos": True, "spelling": "apart"}, "spelling='apart'"),
        ("symbols", {"spelling": "rnn"}, "spelling='rnn': must be 'apart', 'gru', 'lstm' or 'transformer'"),
        ("symbols", {"spelling": "transformer", "spelling_size": 10}, "spelling_size=10: must be a multiple of 4"),
        ("gated+symbols", {"eos": True}, "an empty word says nothing already"),
        ("dru", {"eos": True}, "setting of channel 'dru' 'eos'"),
        ("vq", {"eos": True}, "setting of channel 'vq' 'eos'"),
    ],
)
def test_words_that_make_no_sense_are_refused(name: str, settings: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("+", r"\+")):
        build_channel(name, settings)


def test_who_cannot_learn_such_words_is_told() -> None:
    def tried(settings, *losses: str) -> None:
        choices = TeamChoices(model="feedforward", channel="symbols", channel_settings=settings)
        rehearse(EnvChoice(env="speaker_listener"), choices, [(loss, {}) for loss in losses])

    with pytest.raises(ValueError, match="spelling_size=8 would have no effect"):
        tried({"spelling_size": 8})
    with pytest.raises(ValueError, match="chosen apart from one another"):
        tried(SETTINGS, "positive_signalling")
    tried(SETTINGS, "message_cost", "reconstruction")
