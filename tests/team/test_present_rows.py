"""Leaving out the rows of absent agents changes nothing but the work: outputs, memories and gradients are the same."""

from typing import Any

import pytest
import torch
from torch import Tensor

from heliograph.envs.switch_riddle import SwitchRiddle
from heliograph.envs.traffic_junction import TrafficJunction
from heliograph.experiments.choices import TeamChoices
from heliograph.models.ic3net import IC3Net
from heliograph.models.structure import side_by_side
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.team import present_rows
from heliograph.team.present_rows import HeardByRows, PresentRows, joined_rows, worth_packing
from heliograph.team.team import Team
from heliograph.testing.small_teams import small_team, stir
from heliograph.types import Heard

MODELS: dict[str, dict[str, Any]] = {
    "cnet": {"layers": 2},
    "commnet": {},
    "commnet-rounds": {"rounds": 2},
    "feedforward": {},
    "gacomm": {},
    "graph_attention": {},
    "ic3net": {},
    "magic": {},
    "mean_field": {},
    "silent": {},
    "tarmac": {},
    "tarmac-within": {"timing": "same_step", "rounds": 2},
}
TOLERANCE = {"atol": 1e-5, "rtol": 1e-4}


def junction() -> TrafficJunction:
    return TrafficJunction(num_envs=6, seed=0, p_arrive=0.2, steps=12)


def made(name: str, env: Any = None, channel: str = "gated+continuous") -> Team:
    settings = {"size": 8, **MODELS[name]}
    if name.startswith("magic") or name == "graph_attention":
        settings["heads"] = 2
    if name == "gacomm":
        settings["hard_size"] = 8
    choices = TeamChoices(model=name.split("-")[0], model_settings=settings, channel=channel)
    return stir(small_team(env or junction(), choices))


def packing(monkeypatch: pytest.MonkeyPatch, *, always: bool) -> None:
    monkeypatch.setattr(present_rows, "MOST_PRESENT", 1.0 if always else -1.0)
    monkeypatch.setattr(present_rows, "FEWEST_ABSENT", 0)


def outputs(team: Team, rollout: Rollout) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities, entropies and hidden features of who was there, and gradients of all weights."""
    unrolled = team.unroll(rollout)
    (policy,) = team.layout.policies
    size = team.policies[policy].model.hidden_size
    before, there = side_by_side(unrolled.before[policy], size), rollout.observing.unsqueeze(-1)
    known = (before * there)[:-1]
    scores = [unrolled.action_log_prob, unrolled.action_entropy, unrolled.message_log_prob]
    sum((score.sum() for score in scores), known.square().sum()).backward()
    gradients = [p.grad.clone() for p in team.parameters() if p.grad is not None]
    team.zero_grad()
    return [*scores, known], gradients


@pytest.mark.parametrize("name", MODELS)
def test_what_is_computed_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = "none" if name == "silent" else "gated+continuous"
    team, found = made(name, channel=channel), {}
    for always in (False, True):
        packing(monkeypatch, always=always)
        rollout = Sampler(junction(), team, seed=0).fragment(9)
        found[always] = rollout, *outputs(team, rollout)
        assert any(step.rows for step in team.unroll(rollout).steps) == (
            always and bool(team.policies["car"].model.row_by_row)
        )
    (plain, *whole), (packed, *rows) = found[False], found[True]
    assert 0.1 < plain.observing.float().mean() < 0.9
    assert torch.equal(plain.actions["car"][plain.acting], packed.actions["car"][packed.acting])
    for expected, value in zip((x for part in whole for x in part), (x for part in rows for x in part), strict=True):
        torch.testing.assert_close(value, expected, **TOLERANCE)


def test_agents_are_told_apart_though_others_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    env = SwitchRiddle(num_envs=40, seed=0, prisoners=4)
    team = made("cnet", env, channel="dru")
    rollout = Sampler(env, team, seed=0).fragment(6)
    found = {}
    for always in (False, True):
        packing(monkeypatch, always=always)
        found[always] = outputs(team, rollout)
    for expected, value in zip(found[False][0] + found[False][1], found[True][0] + found[True][1], strict=True):
        torch.testing.assert_close(value, expected, **TOLERANCE)


def test_rows_go_where_they_came_from() -> None:
    whole = torch.arange(12.0).view(2, 3, 2)
    rows = PresentRows(rows=None, index=torch.tensor([1, 5]), shape=(2, 3))
    taken = rows.taken({"a": whole})
    assert taken["a"].tolist() == [[[2, 3]], [[10, 11]]]
    alone = rows.alone(taken)["a"]
    assert alone[0, 1].tolist() == [2, 3] and alone.count_nonzero() == 4
    assert rows.put(-taken["a"], into=whole)[:, 1:].tolist() == [[[-2, -3], [4, 5]], [[8, 9], [-10, -11]]]


def test_steps_are_joined_whether_packed_or_not() -> None:
    features = torch.arange(6.0).view(3, 2, 1, 1)  # three steps of two copies with an agent each
    first = PresentRows(rows=features[0, 1:], index=torch.tensor([1]), shape=(2, 1))
    nobody = PresentRows(rows=features[0, :0], index=torch.tensor([], dtype=torch.long), shape=(2, 1))
    found = joined_rows([first, None, nobody], whole=list(features))
    assert found is not None and found.rows.flatten().tolist() == [1, 2, 3] and found.index.tolist() == [1, 2, 3]
    assert found.alone(found.rows).flatten().tolist() == [0, 1, 2, 3, 0, 0] and found.shape == (3, 2, 1)
    assert joined_rows([None, None], whole=list(features)) is None


def test_who_is_there_hears_the_mean_of_all() -> None:
    messages, mask = torch.tensor([[[[2.0], [4.0], [9.0]]]]), torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 0, 0]]]).bool()
    rows = PresentRows(rows=None, index=torch.tensor([1, 2]), shape=(1, 3))
    whole = Heard(messages=messages, mask=mask)
    heard = HeardByRows(whole, present=rows)
    assert whole.mean().flatten().tolist() == [4.0, 5.5, 0.0]
    assert heard.mean().flatten().tolist() == [5.5, 0.0] and heard.count().flatten().tolist() == [2, 0]


def test_it_is_done_where_it_is_worth_it() -> None:
    team = made("ic3net")
    model = team.policies["car"].model
    assert isinstance(model, IC3Net)
    few, most = torch.arange(400).view(20, 20) < 100, torch.arange(400).view(20, 20) < 390
    assert worth_packing(model, few) and not worth_packing(model, most)
    assert not worth_packing(made("tarmac").policies["car"].model, few)  # it reads single messages
