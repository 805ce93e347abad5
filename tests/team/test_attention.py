"""Weights that hearers give: worked by hand, those of sampling found again by replaying, and nothing left behind."""

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph import registry
from heliograph.models.base import Model
from heliograph.models.graph_attention import GraphAttention
from heliograph.models.structure import taken_apart, total_size
from heliograph.models.tarmac import TarMAC
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.team.attention import attention_in, weights_given
from heliograph.team.team import Team
from heliograph.types import Choice, Heard, MessageForm, map_tensors
from tests.models import test_gacomm, test_magic
from tests.models.test_magic import SPEC
from tests.parts import Ring, make_sampler

ATTENDING = {
    "tarmac": {},
    "tarmac-same-step": {"timing": "same_step", "rounds": 2},
    "graph_attention": {"rounds": 2, "heads": 2},
    "magic": {"heads": 2},
    "gacomm": {},
}
each_model = pytest.mark.parametrize("name", ATTENDING)


def sampler_of(name: str, *, env: str = "mixed", channel: str = "continuous-pathwise", **more: Any) -> Sampler:
    if env == "predator_prey":
        more["env"] = {"time_limit": 5}
    return make_sampler(env, model=name.split("-")[0], channel=channel, model_settings=ATTENDING[name], **more)


def given(model: Model, hidden: Tensor, heard: Heard) -> list[float]:
    """The weights of a single hearer."""
    if isinstance(model, TarMAC):
        model.attended(hidden, heard)
    else:
        model.listen(taken_apart(hidden, model.hidden_size), heard)
    return weights_in(heard)[0, 0].tolist()


def attends(heard: Heard) -> bool:
    return heard.attention is not None


def weights_in(heard: Heard) -> Tensor:
    assert heard.attention is not None
    return weights_given(heard.attention, num_slots=heard.mask.shape[-1])


@pytest.mark.parametrize(("arrives", "expected"), [((True, True), [3 / 6, 2 / 6]), ((False, True), [0, 2 / 3]),
                                                   ((True, False), [3 / 4, 0]), ((False, False), [0, 0])])  # fmt: skip
def test_tarmac_by_hand(arrives: tuple[bool, bool], expected: list[float]) -> None:
    """The query 1 matches signatures ln 3 and ln 2, and its own of 0: 3, 2 and 1 parts of all."""
    model = TarMAC(SPEC, size=2, signature_size=1, value_size=1)
    model.query.weight.data = torch.tensor([[1.0, 0.0]])
    model.message.weight.data.zero_()
    said = torch.tensor([[[[math.log(3), 5.0], [math.log(2), -1.0]]]])
    heard = Heard(messages=said, mask=torch.tensor([[list(arrives)]]))
    assert given(model, torch.tensor([[[1.0, 0.0]]]), heard) == pytest.approx(expected, abs=1e-6)


def test_graph_attention_by_hand() -> None:
    """Scores ln 3, ln 2 and 0 for one head, all alike for the other: the mean of 3, 2, 1 and of 2, 2, 2 parts."""
    model = GraphAttention(SPEC, size=2, heads=2)
    model.layers[0].values.weight.data = torch.eye(2)
    model.layers[0].scores.data = torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]]])
    said = torch.tensor([[[[math.log(3), 7.0], [math.log(2), 1.0]]]])
    hidden = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]])
    heard = Heard(messages=said, mask=torch.tensor([[[True, True]]]))
    assert given(model, hidden, heard) == pytest.approx([5 / 12, 4 / 12], abs=1e-6)
    heard = Heard(messages=said, mask=torch.tensor([[[False, True]]]))
    assert given(model, hidden, heard) == pytest.approx([0, (2 / 3 + 1 / 2) / 2], abs=1e-6)


@pytest.mark.parametrize(("noise", "expected"), [([1.0, 1.0, 1.0], [3 / 6, 2 / 6]), ([1.0, -1.0, 1.0], [3 / 4, 0]),
                                                 ([-1.0, 1.0, -1.0], [0, 1]), ([-1.0] * 3, [0, 0])])  # fmt: skip
def test_magic_by_hand(noise: list[float], expected: list[float]) -> None:
    """Edges that were not chosen weigh exactly nothing."""
    hidden = torch.tensor([[test_magic.OWN * 2]])
    found = given(test_magic.tiny(), hidden, test_magic.heard(noise))
    assert found == pytest.approx(expected, abs=1e-6) and [w == 0 for w in found] == [w == 0 for w in expected]


@pytest.mark.parametrize(("noise", "expected"), [([1.0, 1.0], [3 / 5, 2 / 5]), ([1.0, -1.0], [3 / 5, 0]),
                                                 ([-1.0, -1.0], [0, 0])])  # fmt: skip
def test_gacomm_by_hand(noise: list[float], expected: list[float]) -> None:
    """The weights of those that are not taken are dropped, not shared out."""
    said = torch.tensor([[[[math.log(3), -5.0], [math.log(2), 1.0]]]])
    heard = Heard(messages=said, mask=torch.tensor([[[True, True]]]), draw=torch.tensor([[noise]]))
    found = given(test_gacomm.tiny(), torch.tensor([[[math.sqrt(2), 0.0, 0.0, 0.0]]]), heard)
    assert found == pytest.approx(expected, abs=1e-6) and [w == 0 for w in found] == [w == 0 for w in expected]


def watched(sampler: Sampler, play: Callable[[], Rollout]) -> tuple[Rollout, dict[tuple[str, int], list[Any]]]:
    """A rollout, and the weights that every model left as it was sampled, by policy and round."""
    live: dict[tuple[str, int], list[Heard]] = {}

    def noting(name: str, hear: Callable[..., Heard]) -> Callable[..., Heard]:
        def noted(*given: Any, **how: Any) -> Heard:
            heard = hear(*given, **how)
            live.setdefault((name, heard.round_index), []).append(heard)
            return heard

        return noted

    for name, policy in sampler.team.policies.items():
        policy.hear = noting(name, policy.hear)
    rollout = play()
    for policy in sampler.team.policies.values():
        del policy.hear
    return rollout, {key: [weights_in(heard) for heard in found if attends(heard)] for key, found in live.items()}


def check(team: Team, rollout: Rollout, live: dict[tuple[str, int], list[Tensor]]) -> None:
    """Replaying finds what was left; NaN in steps in which nobody of a policy took part."""
    replayed = attention_in(team, rollout)
    assert replayed is not None and {r for _, r in live} == set(range(len(replayed))) == set(range(team.rounds))
    for (policy, r), steps in live.items():
        found = replayed[r][:, :, list(team.layout.seats[policy].slots)]
        found = found[~found.flatten(1).isnan().any(1)]
        assert torch.allclose(found, torch.stack(steps), atol=1e-5)
        assert float(found.min()) >= 0 and float(found.sum(-1).max()) <= 1 + 1e-5
        assert float(found.std()) > 1e-3, "or the test sees nothing"


@each_model
@pytest.mark.parametrize(("env", "topology"), [("predator_prey", "full"), ("predator_prey", Ring), ("mixed", "full")])
def test_replaying_finds_the_weights_of_sampling(name: str, env: str, topology: Any) -> None:
    sampler = sampler_of(name, env=env, topology=topology)
    sampler.fragment(3)
    rollout, live = watched(sampler, lambda: sampler.fragment(6))
    check(sampler.team, rollout, live)


@each_model
def test_nobody_listens_to_those_who_are_not_heard(name: str) -> None:
    sampler = sampler_of(name, env="predator_prey", channel="continuous-pathwise")
    rollout = sampler.fragment(4)
    edges = rollout.static_edges
    assert edges is not None and not bool(edges.mask.all())
    for weights in attention_in(sampler.team, rollout) or ():
        assert float(weights.masked_fill(edges.mask, 0.0).abs().max()) == 0


@pytest.mark.parametrize("channel", ["dru", "symbols-score", "gated+continuous-pathwise", "lossy+dru"])
@pytest.mark.parametrize("name", ["tarmac", "graph_attention"])
def test_as_deployed_and_with_other_messages(name: str, channel: str) -> None:
    """What was said is replayed, and not said again: in execution form, and replaced on its way."""
    sampler = sampler_of(name, env="predator_prey", channel=channel)
    deployed = functools.partial(sampler.episodes, choice=Choice.GREEDY, form=MessageForm.EXECUTION)
    replaced = functools.partial(deployed, intervention=lambda message, *_: map_tensors(lambda x: x.flip(0), message))
    for play in (deployed, replaced):
        check(sampler.team, *watched(sampler, play))


def test_parts_of_a_rollout_are_replayed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = sampler_of("magic", env="predator_prey")
    rollout = sampler.fragment(5)
    whole = attention_in(sampler.team, rollout)
    monkeypatch.setattr("heliograph.team.attention.MAX_TURNS", 1)
    parts = attention_in(sampler.team, rollout)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize("name", registry.names("model"))
def test_models_that_attend_say_so_and_leave_their_weights(name: str) -> None:
    sampler = make_sampler("mixed", model=name, channel="dru")
    _, live = watched(sampler, lambda: sampler.fragment(2))
    leaves = any(weights is not None for found in live.values() for weights in found)
    assert leaves is registry.load("model", name).attends


def test_nobody_attends() -> None:
    sampler = make_sampler("mixed", model="commnet")
    assert attention_in(sampler.team, sampler.fragment(2)) is None
    silent = make_sampler("mixed", model="tarmac", channel="none")
    assert attention_in(silent.team, silent.fragment(2)) is None


@pytest.mark.parametrize("name", [name for name in ATTENDING if name != "gacomm"])
def test_weights_are_permuted_with_the_agents(name: str) -> None:
    """But for GA-Comm, whose hard attention reads the others as a sequence."""
    sampler = sampler_of(name, env="predator_prey")
    model, num_agents = next(iter(sampler.team.policies.values())).model, sampler.env.num_agents
    order, hidden = (
        torch.randperm(num_agents),
        taken_apart(torch.randn(4, num_agents, total_size(model.hidden_size)), model.hidden_size),
    )
    mask = (torch.rand(4, num_agents, num_agents) > 0.3) & ~torch.eye(num_agents, dtype=torch.bool)
    draw = model.draw((4, num_agents, num_agents), round_index=0, choice=Choice.SAMPLED, generator=None)
    permuted = map_tensors(lambda leaf: leaf[:, order], hidden)
    own = [*order.tolist(), num_agents]
    one, other = (
        Heard(messages=model.speak(x).unsqueeze(1), mask=m, draw=z)
        for x, m, z in (
            (hidden, mask, draw),
            (permuted, mask[:, order][:, :, order], None if draw is None else draw[:, order][:, :, own]),
        )
    )
    listen = model.attended if isinstance(model, TarMAC) else model.listen
    listen(hidden, one), listen(permuted, other)
    assert torch.allclose(weights_in(other), weights_in(one)[:, order][:, :, order], atol=1e-5)


def test_nothing_is_left_behind() -> None:
    sampler = sampler_of("tarmac")
    rollout = sampler.fragment(3)
    before = sampler.team.unroll(rollout).action_log_prob
    attention_in(sampler.team, rollout)
    after = sampler.team.unroll(rollout).action_log_prob
    assert torch.equal(before, after) and after.requires_grad
