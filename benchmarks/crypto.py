"""Alice, Bob and the eavesdropper of `simple_crypto_v3`: what Bob and Eve come to know of a secret, by training.

    python benchmarks/crypto.py [--seeds 3] [--updates 200] [--one-team] [--out FILE]

Alice may speak through a channel of two symbols, which Bob, who shares a key with her, and Eve both hear. All three
learn at once by PPO, in two teams; with `--one-team` as they would without `team_of=`. A message and the guess that it
leads to fall into one step, so `gamma` is 0. Each seed writes its curve (mean reward of a guess of each team, and what
Alice's message tells by itself) and, of 400 fresh episodes of the last weights with sampled actions, the bits that
messages and guesses tell of the secret, with chance beside them. Costs about 5 CPU minutes a seed, most of it in mpe2.
"""

import argparse
import pathlib
import time
from typing import Any

import torch
from protocols import command, commit, machine
from watched import deployed, result_file

from heliograph.analysis.evaluate import measured_corpus, play_run
from heliograph.analysis.information import information_in, utterances_of
from heliograph.analysis.measures.permutation_baseline import permutation_baseline
from heliograph.analysis.overhearing import known_by_actions
from heliograph.experiments.settings import TrainSettings, settings_from
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of, versions
from heliograph.storage.run_folder import Run, write_json
from heliograph.types import Choice

GUESSES, COPIES, FRAGMENT = 25, 200, 5
EVERY = 10
EPISODES = 400
ALICE = "alice_0"


def settings_of(seed: int, *, one_team: bool) -> TrainSettings:
    """Those of one run."""
    env_settings: dict[str, Any] = {"builtin_symbols": False}
    if one_team:
        env_settings["team_of"] = dict.fromkeys(("eve", "alice", "bob"), "all")
    batch = COPIES * FRAGMENT
    return settings_from({
        "env": "heliograph.adapters.mpe:make_crypto", "env_settings": env_settings, "seed": seed,
        "model": "commnet", "model_settings": {"core": "mlp", "size": 64}, "critic": "state",
        "channel": "symbols", "channel_settings": {"vocabulary": 2},
        "algorithm": "ppo",
        "algorithm_settings": {
            "gamma": 0.0, "lr": 0.01, "entropy_coeff": 0.03, "message_entropy_coeff": 0.1, "num_epochs": 3,
            "num_envs_per_env_runner": COPIES, "rollout_fragment_length": FRAGMENT,
            "batch_mode": "truncate_episodes", "train_batch_size_per_learner": batch, "minibatch_size": batch,
        },
    })  # fmt: skip


def train_one(seed: int, *, updates: int, one_team: bool) -> dict[str, Any]:
    """Train one seed, and find out who knows what."""
    settings, begun, curve = settings_of(seed, one_team=one_team), time.process_time(), []
    trainer = LocalTrainer(config_of(settings))
    for update in range(1, updates + 1):
        row = trainer.train().env_runner
        if update % EVERY == 0:
            curve.append({"update": update, **_guesses(row), "message_bits": round(row["mutual_information_bits"], 3)})
            print(seed, curve[-1], flush=True)
    return {
        "seed": seed, "one_team": one_team, "updates": updates, "env_steps": updates * COPIES * FRAGMENT,
        "cpu_seconds": round(time.process_time() - begun), "curve": curve, **known(trainer, settings),
    }  # fmt: skip


def _guesses(row: Any) -> dict[str, float]:
    """The mean reward of a guess, of the episodes that ended in an update; nothing where none did."""
    returns = row.get("agent_episode_returns_mean", {})
    return {agent: round(float(value) / GUESSES, 3) for agent, value in returns.items()}


def known(trainer: LocalTrainer, settings: TrainSettings) -> dict[str, Any]:
    """Bits of the secret in Alice's messages, by themselves and beside the key, and in each listener's guesses."""
    config = trainer.config
    run = Run(
        folder=None, config={}, env=config.env_choice(), choices=config.choices(), facts=config.facts(),  # type: ignore[arg-type]
        team=deployed(trainer),
    )  # fmt: skip
    played = play_run(run, num_episodes=EPISODES, choice=Choice.SAMPLED, seed=settings.seed)
    said = information_in(utterances_of(measured_corpus(run, played.rollouts)), num_permutations=200)
    found = known_by_actions(played, run.facts, speaker=ALICE)
    return {
        "message_bits": _rounded(said.mutual_information_bits, said.chance_bits),
        "message_and_key_bits": _with_key(played.rollouts),
        "guess_bits": {agent: _rounded(it.bits, it.chance_bits) for agent, it in found.items()},
        "returns": {agent: round(float(played.episodes.of_agent(n).mean()) / GUESSES, 3)
                    for n, agent in enumerate(run.facts.agents)},
    }  # fmt: skip


def _with_key(rollouts: list[Any]) -> dict[str, float]:
    """What a message tells of the secret to somebody who knows the key: Bob's observation begins with it."""
    said = torch.cat([r.messages[0].symbols[-1, :, 2, 0] for r in rollouts])
    meant = torch.cat([r.meaning[r.num_steps - 1, :, 2, 0] for r in rollouts])
    key = torch.cat([r.observations["bob"][r.num_steps - 1, :, 0, :4].argmax(-1) for r in rollouts])
    told = permutation_baseline(said.numpy(), meant.numpy(), given=key.numpy(), num_permutations=200)
    return _rounded(told.observed_bits, told.mean_bits)


def _rounded(bits: float, chance: float) -> dict[str, float]:
    return {"bits": round(bits, 3), "by_chance": round(chance, 3)}


def main() -> None:
    """Train the seeds one after the other, and write the results as they come."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--one-team", action="store_true", help="all three are one team, as without team_of=")
    parser.add_argument("--out", default=None, metavar="FILE")
    given = parser.parse_args()
    out = pathlib.Path(given.out or result_file("crypto", "one_team" if given.one_team else "two_teams"))
    header = {"command": command(), "commit": commit(), "versions": versions(), "hardware": machine()}
    header["settings"] = settings_of(0, one_team=given.one_team).model_dump(mode="json")
    runs: list[dict[str, Any]] = []
    for seed in range(given.seeds):
        runs.append(train_one(seed, updates=given.updates, one_team=given.one_team))
        write_json(out, {**header, "runs": runs})


if __name__ == "__main__":
    main()
