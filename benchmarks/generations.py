"""Iterated learning beside a control, and what a language is worth to a team with another task.

    OMP_NUM_THREADS=1 python benchmarks/generations.py --out benchmarks/results/lewis/generations.json

Chains: generations of `reconstruction` (2 attributes of 4 values, words of two symbols of four), each of which learns
from `--bottleneck` utterances of the one before and then plays; the control is as many teams of other seeds that learn
from nobody. Transfer: the last team's words are taught to the senders of `classification` and `discrimination` of the
same objects; env steps until the mean return of training is `--enough`, with lessons and without, of the same seeds.
"""

import argparse
import json
import pathlib
from typing import Any

import torch

from heliograph import CommPPOConfig, LocalTrainer
from heliograph.analysis.corpus import Corpus
from heliograph.analysis.measure_table import analyze
from heliograph.analysis.recording import record
from heliograph.rllib.runs.generations import Generation, iterated_learning
from heliograph.storage.run_folder import write_json

OBJECTS = {"attributes": 2, "values": 4}
TASKS: dict[str, dict[str, Any]] = {"classification": {}, "discrimination": {"candidates": 4}}
MOST_UPDATES = 120


def config_of(env: str, settings: dict[str, Any], *, seed: int) -> CommPPOConfig:
    """The settings of training."""
    return (
        CommPPOConfig()
        .environment(env, env_config={**OBJECTS, **settings})
        .communication(
            model="feedforward",
            model_settings={"size": 48},
            channel="symbols",
            channel_settings={"vocabulary": 4, "length": 2},
            losses=["imitation"],
        )
        .env_runners(num_envs_per_env_runner=512)
        .training(train_batch_size_per_learner=1024, minibatch_size=512, num_epochs=4, lr=3e-3, entropy_coeff=0.01)
        .debugging(seed=seed)
    )


def structure(generation: Generation) -> dict[str, float]:
    """What a generation's language is like, over all objects, and how well it is used."""
    corpus = record(generation.run, num_episodes=None)
    rows = analyze(
        corpus.of_role("sender"), measures=["topographic_similarity", "posdis"], permutations=0, bootstraps=0
    )
    found = {row.measure: float(row.value) for row in rows.itertuples()}
    return {**found, "first_return": generation.returns[0], "last_return": generation.returns[-1]}


def steps_to(env: str, settings: dict[str, Any], *, seed: int, enough: float, corpus: Corpus | None) -> int | None:
    """Env steps until training pays so much; None where it never does."""
    config = config_of(env, settings, seed=seed)
    if corpus is not None:
        config.communication(learn_from=corpus, learn_policies=["sender"])
    trainer = LocalTrainer(config)
    for _ in range(MOST_UPDATES):
        progress = trainer.train()
        if progress.env_runner["episode_return_mean"] >= enough:
            return progress.num_env_steps
    return None


def main() -> None:
    """Run chains, the control and the transfer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, default=4)
    parser.add_argument("--bottleneck", type=int, default=24)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--enough", type=float, default=0.9)
    parser.add_argument("--out", default="benchmarks/results/lewis/generations.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"settings": vars(given), "chains": {}, "control": {}, "transfer": {}}
    for seed in range(given.seeds):
        config = config_of("reconstruction", {"reward": "share"}, seed=seed)
        how = {"bottleneck": given.bottleneck, "iterations": given.iterations}
        chain = iterated_learning(config, generations=given.generations, **how)
        found["chains"][seed] = [structure(generation) for generation in chain]
        for env, settings in TASKS.items():
            corpus = record(chain[-1].run, num_episodes=512)
            steps = {
                kind: steps_to(env, settings, seed=seed, enough=given.enough, corpus=taught)
                for kind, taught in (("taught", corpus), ("alone", None))
            }
            found["transfer"].setdefault(env, {})[seed] = steps
        alone = [iterated_learning(config.copy(copy_frozen=False).debugging(seed=100 * seed + 17 + number),
                                   generations=1, **how)[0] for number in range(given.generations)]  # fmt: skip
        found["control"][seed] = [structure(generation) for generation in alone]
        write_json(pathlib.Path(given.out), found)
        print(seed, json.dumps({key: found[key] for key in ("chains", "control", "transfer")}), flush=True)


if __name__ == "__main__":
    main()
