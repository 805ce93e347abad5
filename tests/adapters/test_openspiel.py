import functools
from typing import Any

import numpy as np
import pytest
import torch

from heliograph import testing
from heliograph.adapters.openspiel import DEALT, FromOpenSpiel, dealt
from heliograph.adapters.spiel_match import Match
from heliograph.envs.checking import EnvError
from heliograph.testing import random_actions

pyspiel = pytest.importorskip("pyspiel")

GAMES = {
    "lewis_signaling": 20, "trade_comm(num_items=3)": 20, "tiny_hanabi": 20, "negotiation": 20, "kuhn_poker": 20,
    "tic_tac_toe": 20, "matrix_rps": 20, "goofspiel(num_cards=4)": 20, "coop_box_pushing(horizon=10)": 20,
    "laser_tag(horizon=10)": 20,
}  # fmt: skip
"""Games of turns and of simultaneous moves, of chance, with pay in the end and underway; episodes to compare."""


@pytest.mark.parametrize("game", ["negotiation", "coop_box_pushing(horizon=3)"])
def test_runs_can_be_repeated_and_resumed(game: str) -> None:
    testing.check_seeding(functools.partial(FromOpenSpiel, game))
    testing.check_state_round_trip(functools.partial(FromOpenSpiel, game))


@pytest.mark.parametrize("game", list(GAMES))
def test_each_step_is_that_of_the_game_played_by_hand(game: str) -> None:
    env, generator = FromOpenSpiel(game), torch.Generator().manual_seed(0)
    step = env.reset()
    for _ in range(GAMES[game]):
        match: Match = env.envs[0]
        raw = follow(pyspiel.load_game(str(match.game)).new_initial_state(), match.state.history())
        paid, over = np.zeros(2), False
        while not over:
            asked = [p for p in range(2) if raw.is_simultaneous_node() or raw.current_player() == p]
            assert step.acting[0].tolist() == step.observing[0].tolist() == [p in asked for p in range(2)]
            for player in asked:
                assert step.action_mask["player"][0, player].tolist() == legal(raw, player)
                assert sorted(step.observations["player"][0, player].flatten().tolist()) == sorted(seen(raw, player))
            actions = random_actions(env, step=step, generator=generator)
            step = env.step(actions)
            chosen = actions["player"][0].tolist()
            raw.apply_actions(chosen) if raw.is_simultaneous_node() else raw.apply_action(chosen[asked[0]])
            paid, over = paid + step.rewards[0].numpy(), bool(step.episode_over)
            if not over:
                raw = follow(raw, match.state.history()[len(raw.history()) :])
        raw = raw if raw.is_terminal() else only_end(raw)
        assert raw.is_terminal() and step.terminated.all()
        assert np.allclose(paid, raw.returns(), atol=1e-4)


def follow(state: Any, moves: list[int]) -> Any:
    """Play on as the adapted game did: moves of chance."""
    for move in moves:
        assert state.is_chance_node()
        state.apply_action(move)
    return state


def only_end(state: Any) -> Any:
    """Play the chance that follows the last move, which changes no return in these games."""
    while state.is_chance_node():
        state.apply_action(state.chance_outcomes()[0][0])
    return state


def legal(state: Any, player: int) -> list[bool]:
    flags = np.zeros(state.get_game().num_distinct_actions(), bool)
    flags[state.legal_actions(player)] = True
    return flags.tolist()


def seen(state: Any, player: int) -> list[float]:
    told = state.get_game().get_type().provides_information_state_tensor
    return state.information_state_tensor(player) if told else state.observation_tensor(player)


def test_a_sender_that_names_the_state_earns_one_and_chance_is_even() -> None:
    env = FromOpenSpiel("lewis_signaling", num_envs=120)
    step = env.reset()
    state = step.meaning[:, 0, 0]
    assert torch.bincount(state).min() > 20 and (step.meaning[:, 1] == -1).all()  # 40 each, of 3 states
    assert step.observations["player"][:, 0, 3:].argmax(-1).equal(state)  # what the sender sees is what it means
    step = env.step({"player": torch.stack([state, state], 1)})
    assert step.acting[:, 1].all() and not step.acting[:, 0].any() and not step.rewards.any()
    step = env.step({"player": torch.stack([state, state], 1)})
    assert (step.rewards == 1).all() and step.terminated.all()


@pytest.mark.parametrize("game", ["negotiation", "kuhn_poker"])
def test_chance_comes_from_the_seed(game: str) -> None:
    def first(seed: int) -> torch.Tensor:
        return FromOpenSpiel(game, num_envs=8, seed=seed).reset().state

    assert first(1).equal(first(1)) and not first(1).equal(first(2))


@pytest.mark.parametrize("game", list(DEALT))
def test_players_see_what_they_mean_and_do_not_see_what_others_mean(game: str) -> None:
    env = FromOpenSpiel(game, num_envs=80)
    env.reset()
    for player in range(len(DEALT[game](env.envs[0]))):
        meant = [dealt(match, f"player_{player}") for match in env.envs]
        own, others = ([tuple(seen(match.state, p)) for match in env.envs] for p in (player, 1 - player))
        assert len(set(meant)) == len(set(own)) == len(set(zip(meant, own, strict=True))) > 1
        assert len(set(zip(meant, others, strict=True))) > len(set(others))
    assert env.reset().meaning[0, :, 0].tolist() == [dealt(env.envs[0], "player_0"), -1]  # player_1 has had no turn


def test_illegal_actions_never_reach_a_game() -> None:
    env = FromOpenSpiel("tic_tac_toe")
    env.reset()
    corner = {"player": torch.zeros(1, 2, dtype=torch.long)}
    assert env.step(corner).action_mask["player"][0, 1].tolist() == [False] + [True] * 8
    with pytest.raises(EnvError, match=r"player 1 chose 0 in tic_tac_toe, where only \[1, 2"):
        env.step(corner)


def test_the_tensor_is_chosen_and_parameters_are_kept() -> None:
    sizes = [
        FromOpenSpiel("kuhn_poker(players=3)", spiel_tensor=tensor).roles[0].observation_space.shape
        for tensor in (None, "information_state", "observation")
    ]
    game = pyspiel.load_game("kuhn_poker(players=3)")
    assert sizes == [(game.information_state_tensor_size(),)] * 2 + [(game.observation_tensor_size(),)]
    assert FromOpenSpiel(game).num_agents == FromOpenSpiel(lambda: game).num_agents == 3
    assert FromOpenSpiel("negotiation(num_items=4)", seed=1).envs[0].game.get_parameters()["num_items"] == 4


@pytest.mark.parametrize(
    ("game", "settings", "error", "told"),
    [
        ("coin_game", {}, ValueError, "shows no tensor"),
        ("mfg_crowd_modelling", {}, ValueError, "mean-field"),
        ("tic_tac_toe", {"spiel_tensor": "information_state"}, ValueError, "tic_tac_toe has 'observation'"),
        ("tic_tac_toe", {"masks_in_infos": False}, ValueError, "masks_in_infos=False"),
        (3, {}, TypeError, "not int"),
    ],
)
def test_what_cannot_be_played_is_named(game: Any, settings: dict, error: type, told: str) -> None:
    with pytest.raises(error, match=told):
        FromOpenSpiel(game, **settings)
