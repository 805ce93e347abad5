"""The switch riddle: its exact values by enumeration, a day by hand, and who hears whom."""

import itertools
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from heliograph.envs import switch_riddle
from heliograph.envs.switch_riddle import SwitchRiddle, scripted_n3
from heliograph.testing import episodes
from heliograph.types import TeamStep

ALL_N3 = torch.tensor(list(itertools.product(range(3), repeat=6)))
BEST_SILENT = """
00001 000001 000101 000111 001001 001011 001101 010001 010011 010101 010111 011001 011011 100001 100011 100101 100111
101001 101011 110001 110011
""".split()
"""When to tell: for each day, the days on which the occupant has been in the room, today last (found by annealing)."""


def play(visits: Tensor, policy: Callable[[int, TeamStep], Tensor], **settings: int) -> Tensor:
    """The return of every sequence of visits; `policy` gives what the occupant does, [B]."""
    env = SwitchRiddle(num_envs=len(visits), **settings)
    env.fix_visits(visits)
    step = env.reset()
    total, playing = torch.zeros(len(visits)), torch.ones(len(visits), dtype=torch.bool)
    for day in range(visits.shape[1]):
        action = policy(day, step)[:, None].expand(-1, env.num_agents)
        step = env.step({"prisoner": action})
        total += step.rewards[:, 0] * playing
        playing &= ~step.episode_over
    assert not playing.any()
    return total


def of_occupant(values: Tensor, visits: Tensor, day: int) -> Tensor:
    return values[torch.arange(len(visits)), visits[:, day]]


def test_bounds_are_the_published_fractions() -> None:
    three, four = SwitchRiddle().bounds(), SwitchRiddle(prisoners=4).bounds()
    assert three.full_information == pytest.approx(20 / 27, abs=1e-15)
    assert three.blind == 390 / 729
    assert four.full_information == pytest.approx(102315 / 131072, abs=1e-15)
    assert four.blind == pytest.approx(0.5717, abs=5e-5)
    assert four.blind / four.full_information == pytest.approx(0.732, abs=5e-4)


def test_telling_as_soon_as_it_is_true_scores_20_of_27_over_all_sequences() -> None:
    seen = torch.tensor([[len(set(row[: day + 1])) for day in range(6)] for row in ALL_N3.tolist()])
    returns = play(ALL_N3, lambda day, _: (seen[:, day] == 3).long())
    assert Fraction(int(returns.sum()), 729) == Fraction(20, 27)
    assert returns.min() == 0


@pytest.mark.parametrize("prisoners", [3, 4])
def test_the_oracle_scores_full_information(prisoners: int) -> None:
    env = SwitchRiddle(prisoners=prisoners, num_envs=4096, seed=5)
    returns, lengths = episodes(env, number=20_000, policy=lambda _: env.oracle(env.state))
    error = returns.std() / len(returns) ** 0.5
    assert abs(returns.mean() - env.bounds().full_information) < 3 * error
    assert error < 0.004
    assert lengths.min() == prisoners
    assert lengths.max() == 4 * prisoners - 6


def test_the_scripted_protocol_is_optimal_and_never_wrong() -> None:
    bits = torch.zeros(729, dtype=torch.long)

    def policy(day: int, step: TeamStep) -> Tensor:
        nonlocal bits
        before = of_occupant(step.meaning, ALL_N3, day)[:, 0] > 0
        bits, action = scripted_n3(before, day=torch.full((729,), day), bit=bits)
        return action

    returns = play(ALL_N3, policy)
    assert Fraction(int(returns.sum()), 729) == Fraction(20, 27)
    assert returns.min() == 0


def test_the_scripted_protocol_ignores_what_lies_in_the_room_on_day_0() -> None:
    bit, action = scripted_n3(torch.tensor([False]), day=torch.tensor([0]), bit=torch.tensor([1]))
    assert (bit.item(), action.item()) == (0, 0)


def test_a_silent_policy_attains_the_blind_bound() -> None:
    tells = set(BEST_SILENT)

    def policy(day: int, _: TeamStep) -> Tensor:
        histories = ["".join("01"[v == row[day]] for v in row[: day + 1]) for row in ALL_N3.tolist()]
        return torch.tensor([int(history in tells) for history in histories])

    assert play(ALL_N3, policy).sum() == 390
    assert SwitchRiddle().bounds().blind == 390 / 729


@pytest.mark.parametrize(("prisoners", "days"), [(2, 3), (3, 5), (3, 6), (4, 6)])
def test_the_silent_heuristic_and_the_random_score_by_enumeration(prisoners: int, days: int) -> None:
    visits = torch.tensor(list(itertools.product(range(prisoners), repeat=days)))
    own = [row.count(row[-1]) for row in visits.tolist()]
    likely = {k: switch_riddle.all_visited(prisoners - 1, days=days - k) > 0.5 for k in range(1, days + 1)}
    tell = torch.tensor([int(likely[k]) for k in own])
    settings = {"prisoners": prisoners, "horizon": days}
    silent = play(visits, lambda day, _: tell * (day == days - 1), **settings)
    assert silent.mean().item() == pytest.approx(switch_riddle.count_own_visits(prisoners, days=days), abs=1e-6)
    sure = [play(visits, lambda day, _, on=on: torch.full_like(tell, day == on), **settings) for on in range(days)]
    by_chance = sum(0.5 ** (on + 1) * returns.mean().item() for on, returns in enumerate(sure))
    bounds = SwitchRiddle(**settings).bounds()
    assert bounds.random == pytest.approx(by_chance, abs=1e-6)
    assert bounds.random < bounds.blind <= bounds.full_information


def test_an_episode_by_hand() -> None:
    env = SwitchRiddle(num_envs=2)
    visits = torch.tensor([[0, 1, 1, 2, 0, 0], [0, 1, 1, 2, 0, 0]])
    env.fix_visits(visits)
    step = env.reset()
    no, everyone = torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.long)
    expected_visited = [[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1]]
    expected_meaning = [[0, 0], [0, 1], [1, 2], [0, 3]]
    for day, visited in enumerate(expected_visited):
        occupant = visits[0, day].item()
        here = torch.arange(3) == occupant
        assert torch.equal(step.observations["prisoner"][0, :, 0], here.float())
        assert torch.equal(step.acting[0], here)
        assert torch.equal(step.speaking[0], here)
        assert step.observing.all()
        assert step.meaning[0, occupant].tolist() == expected_meaning[day]
        assert (step.meaning[0, ~here] == -1).all()
        assert step.state[0].tolist() == pytest.approx([*visited, *here.float().tolist(), day / 6])
        if day < 3:
            tell_elsewhere = everyone * ~here  # those outside cannot tell
            step = env.step({"prisoner": tell_elsewhere})
            assert not step.rewards.any()
            assert not step.episode_over.any()
    step = env.step({"prisoner": torch.stack([everyone[0], no[0]])})
    assert step.rewards.tolist() == [[1, 1, 1], [0, 0, 0]]
    assert step.terminated.tolist() == [[True] * 3, [False] * 3]
    assert step.info["success"].tolist() == [True, False]
    assert step.final_state[0, :3].tolist() == [1, 1, 1]


def test_telling_too_early_costs_one() -> None:
    returns = play(torch.tensor([[0, 1, 1, 2, 0, 0]]), lambda day, _: torch.tensor([int(day == 2)]))
    assert returns.tolist() == [-1]
    env = SwitchRiddle()
    env.reset()
    step = env.step({"prisoner": torch.ones(1, 3, dtype=torch.long)})
    assert step.rewards.tolist() == [[-1, -1, -1]]
    assert step.episode_over.all()
    assert not step.info["success"].any()


def test_never_telling_terminates_with_nothing() -> None:
    env = SwitchRiddle()
    env.reset()
    steps = [env.step({"prisoner": torch.zeros(1, 3, dtype=torch.long)}) for _ in range(6)]
    assert [bool(step.episode_over) for step in steps] == [False] * 5 + [True]
    assert steps[-1].terminated.all()
    assert not steps[-1].truncated.any()
    assert not steps[-1].info["success"].any()
    assert not any(step.rewards.any() for step in steps)
    nobody = steps[-1].final_observations["prisoner"]
    assert not nobody.any()


def test_the_next_occupant_hears_the_present_one_even_itself() -> None:
    env = SwitchRiddle()
    env.fix_visits(torch.tensor([[0, 1, 1, 2, 0, 0]]))
    step = env.reset()
    heard = []
    for _ in range(6):
        edges = step.hearing
        assert edges.senders.shape == edges.mask.shape == (1, 3, 1)
        heard.append([(n, edges.senders[0, n, 0].item()) for n in range(3) if edges.mask[0, n, 0]])
        step = env.step({"prisoner": torch.zeros(1, 3, dtype=torch.long)})
    assert heard == [[(1, 0)], [(1, 1)], [(2, 1)], [(0, 2)], [(0, 0)], []]


def test_before_the_first_day_all_can_talk_to_all_others() -> None:
    env = SwitchRiddle(talk_steps=1)
    env.fix_visits(torch.tensor([[0, 1, 1, 2, 0, 0]]))
    step = env.reset()
    assert torch.equal(step.hearing.mask[0], ~torch.eye(3, dtype=torch.bool))
    step = env.step({"prisoner": torch.ones(1, 3, dtype=torch.long)})
    assert step.hearing.senders is None
    assert step.hearing.mask[0].nonzero().tolist() == [[1, 0]]
    assert step.meaning[0, 0].tolist() == [0, 0]


def test_fixed_visits_hold_for_one_episode() -> None:
    env = SwitchRiddle(num_envs=64)
    visits = torch.zeros(64, 6, dtype=torch.long)
    env.fix_visits(visits)
    env.reset()
    assert torch.equal(env.visits, visits)
    for _ in range(6):
        env.step({"prisoner": torch.zeros(64, 3, dtype=torch.long)})
    assert not torch.equal(env.visits, visits)
    assert set(env.visits.unique().tolist()) == {0, 1, 2}


def test_own_visits_in_the_meaning_are_capped() -> None:
    env = SwitchRiddle()
    env.fix_visits(torch.zeros(1, 6, dtype=torch.long))
    step, counts = env.reset(), []
    for _ in range(6):
        counts.append(step.meaning[0, 0, 0].item())
        step = env.step({"prisoner": torch.zeros(1, 3, dtype=torch.long)})
    assert counts == [0, 1, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prisoners": 1}, "prisoners=1"),
        ({"prisoners": 0}, "prisoners=0"),
        ({"horizon": 0}, "horizon=0"),
    ],
)
def test_bad_settings_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SwitchRiddle(**settings)


def test_bad_visits_are_refused() -> None:
    env = SwitchRiddle(num_envs=2)
    with pytest.raises(ValueError, match=r"\[1, 6\].*\[2, 6\]"):
        env.fix_visits(torch.zeros(1, 6, dtype=torch.long))
    with pytest.raises(ValueError, match="prisoners 0 to 2"):
        env.fix_visits(torch.full((2, 6), 3))
