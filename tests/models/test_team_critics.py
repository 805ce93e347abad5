"""Critics of all agents: attention by hand, who sees whom, exchanged decisions, moving targets; MAPPO's normaliser."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from heliograph.models.critic import DebiasedMoments
from heliograph.models.team_critics import AttentionCritic, CriticSeat, JointCritic, TeamCritic, soft_update

SEATS = {
    "a": CriticSeat(num_agents=2, known_size=3, decision_size=4, num_decisions=4),
    "b": CriticSeat(num_agents=1, known_size=5, decision_size=2, num_decisions=2),
}
VALID = torch.ones(7, dtype=torch.bool)


def inputs(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    stream = torch.Generator().manual_seed(seed)
    return (
        {n: torch.randn(7, s.num_agents, s.known_size, generator=stream) for n, s in SEATS.items()},
        {n: torch.randn(7, s.num_agents, s.decision_size, generator=stream) for n, s in SEATS.items()},
    )


def attention(kind: str) -> AttentionCritic:
    torch.manual_seed(0)
    return AttentionCritic(SEATS, size=8, heads=2, attention=kind)


def joint() -> JointCritic:
    return JointCritic(SEATS, size=8)


def test_attention_by_hand() -> None:
    """One head, three agents: logits 0 and ln 3 of the first's two others are odds 1/4 and 3/4."""
    torch.manual_seed(0)
    seats = {"a": CriticSeat(num_agents=3, known_size=1, decision_size=1, num_decisions=2)}
    critic = AttentionCritic(seats, size=1, heads=1, attention="learnt")
    for layer in (critic.query, critic.key, critic.value):
        nn.init.ones_(layer.weight)
    nn.init.zeros_(critic.value.bias)
    own, both = torch.ones(1, 3, 1), torch.tensor([[[5.0], [0.0], [float(torch.log(torch.tensor(3.0)))]]])
    heard, logits = critic.heard_from_others(own, both)
    assert logits[0, 0, 0, 1:].tolist() == pytest.approx([0.0, 1.0986123])
    assert heard[0, 0].item() == pytest.approx(0.75 * 1.0986123)


def test_uniform_attention_is_the_mean_of_the_others() -> None:
    critic = attention("uniform")
    own, both = torch.randn(7, 3, 8), torch.randn(7, 3, 8)
    heard, _ = critic.heard_from_others(own, both)
    values = nn.functional.leaky_relu(critic.value(both))
    torch.testing.assert_close(heard[:, 0], (values[:, 1] + values[:, 2]) / 2)
    torch.testing.assert_close(heard[:, 2], (values[:, 0] + values[:, 1]) / 2)
    assert critic(*inputs(0), valid=VALID).penalty == 0


@pytest.mark.parametrize("kind", ["learnt", "uniform"])
def test_no_value_depends_on_ones_own_decision_and_every_one_on_those_of_others(kind: str) -> None:
    critic = attention(kind)
    known, decisions = inputs(1)
    before = critic(known, decisions, valid=VALID).values
    changed = {name: value.clone() for name, value in decisions.items()}
    changed["a"][:, 0] += 1
    after = critic(known, changed, valid=VALID).values
    assert torch.equal(before["a"][:, 0], after["a"][:, 0])
    assert not torch.allclose(before["a"][:, 1], after["a"][:, 1])
    assert not torch.allclose(before["b"], after["b"])
    assert before["a"].shape == (7, 2, 4) and before["b"].shape == (7, 1, 2)


def test_the_penalty_is_the_mean_square_of_logits_summed_over_heads_and_agents() -> None:
    critic = attention("learnt")
    logits = torch.zeros(7, 2, 3, 3)
    logits[:, :, 0, 1], logits[:, :, 1, 1] = 2.0, 100.0
    valid = VALID.clone()
    valid[0], logits[0] = False, 50.0
    assert float(critic._magnitude(logits, valid)) == pytest.approx(2 * 4.0 / 2)


def test_inputs_are_normalised_by_what_was_tracked_of_valid_steps() -> None:
    critic = attention("learnt")
    known, decisions = inputs(2)
    far = {name: 5 + 3 * value for name, value in known.items()}
    far["b"][0] = 1e6
    valid = VALID.clone()
    valid[0] = False
    critic.track(far, decisions, valid=valid)
    torch.testing.assert_close(critic.moments["b"].mean[:5], far["b"][1:].mean((0, 1)))
    assert float(critic.moments["b"].variance[:5].mean()) == pytest.approx(9, abs=6)


def test_a_joint_critic_exchanges_one_agents_decision_at_a_time() -> None:
    torch.manual_seed(0)
    critic = JointCritic(SEATS, size=8)
    (known, decisions), (_, others) = inputs(3), inputs(4)
    found = critic(known, decisions, valid=VALID, instead=others).values
    for name, agent in (("a", 0), ("a", 1), ("b", 0)):
        exchanged = {key: value.clone() for key, value in decisions.items()}
        exchanged[name][:, agent] = others[name][:, agent]
        whole = critic(known, exchanged, valid=VALID).values[name][:, agent]
        torch.testing.assert_close(found[name][:, agent], whole)
    same = critic(known, decisions, valid=VALID).values
    assert not torch.allclose(same["a"][:, 0], same["a"][:, 1])  # agents that share a critic are told apart


@pytest.mark.parametrize("make", [lambda: AttentionCritic(SEATS, size=8, heads=2, attention="learnt"), joint])
def test_a_soft_update_moves_weights_by_tau_and_takes_over_buffers(make: Callable[[], TeamCritic]) -> None:
    critic, target = make(), make()
    before = {name: weight.detach().clone() for name, weight in target.named_parameters()}
    critic.track(*inputs(5), valid=VALID)
    soft_update(target, critic, tau=0.25)
    ours = dict(critic.named_parameters())
    for name, weight in target.named_parameters():
        torch.testing.assert_close(weight, 0.75 * before[name] + 0.25 * ours[name])
    for kept, now in zip(target.buffers(), critic.buffers(), strict=True):
        assert torch.equal(kept, now)


def test_shared_weights_are_those_of_attention_and_of_what_others_see() -> None:
    critic = attention("learnt")
    shared = {id(p) for p in critic.shared_parameters()}
    named = {name.partition(".")[0] for name, p in critic.named_parameters() if id(p) in shared}
    assert named == {"query", "key", "value", "of_both"}
    assert not list(JointCritic(SEATS, size=8).shared_parameters())


def test_debiased_moments_by_hand() -> None:
    """Decay 1/2: means 4 and 8 have weights 1/4 and 1/2, so that their mean is 20/3; squares are 17 and 65."""
    moments = DebiasedMoments(decay=0.5)
    assert moments.restore(torch.full((1,), 3.0)).tolist() == pytest.approx([0.3])  # the least variance, as published
    one, count = torch.ones(1), torch.tensor(5.0)
    moments.merge(torch.tensor([4.0]), one, count)
    assert moments.normalise(torch.tensor([6.0])).tolist() == pytest.approx([2.0])
    moments.merge(torch.tensor([8.0]), one, count)
    mean, variance = 20 / 3, (17 / 4 + 65 / 2) / 0.75 - (20 / 3) ** 2
    assert moments.normalise(torch.tensor([10.0])).tolist() == pytest.approx([(10 - mean) / variance**0.5])
    moments.merge(torch.tensor([1e6]), one, torch.tensor(0.0))
    assert moments.restore(torch.zeros(1)).tolist() == pytest.approx([mean])
