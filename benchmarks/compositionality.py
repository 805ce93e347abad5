"""EGG's compositionality game with words of any length: what seeds of it say of combinations that they never saw.

    OMP_NUM_THREADS=1 python benchmarks/compositionality.py --values 4 --hidden 50 --seeds 0 1 2 3 4

The game of Chaabouni et al. 2020 (`compo_vs_generalization` of EGG): name all attributes of an object from a word. A
seed stops once greedy play names `--enough` of the seen objects, or after `--updates` updates. Settings are those
below: the sender learns by PPO and is paid the share of attributes, the receiver is also told the right answer, as in
EGG (loss `imitation`); GRUs of `--hidden` units. EGG's own defaults cannot name more than 10 of 73. Seeds that are in
the file already are not run again.
"""

import argparse
import json
import pathlib
import time
from typing import Any

import torch

from heliograph import CommPPOConfig, EnvChoice, LocalTrainer
from heliograph.analysis.exact import exact_return
from heliograph.analysis.measure_table import analyze
from heliograph.analysis.recording import record
from heliograph.storage.run_folder import write_json

OUT = "benchmarks/results/lewis/compositionality_{values}x{values}_{hidden}.json"
MEASURES = ("topographic_similarity", "posdis", "bosdis", "message_length")
EVERY = 5
"""Updates between two looks at greedy play."""


def main() -> None:
    """Run what is missing of the seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=50)
    parser.add_argument("--vocabulary", type=int, default=10, help="symbols, the end among them")
    parser.add_argument("--length", type=int, default=3)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--enough", type=float, default=0.99)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    given = parser.parse_args()
    path = pathlib.Path(OUT.format(values=given.values, hidden=given.hidden))
    found = json.loads(path.read_text()) if path.exists() else {"settings": vars(given), "seeds": {}}
    for seed in given.seeds:
        if str(seed) in found["seeds"]:
            continue
        found["seeds"][str(seed)] = of_seed(given, seed)
        write_json(path, found)
        print(seed, json.dumps(found["seeds"][str(seed)]), flush=True)


def of_seed(given: Any, seed: int) -> dict[str, Any]:
    """Train one seed, and ask what it has."""
    torch.set_num_threads(1)
    trainer, started = LocalTrainer(config_of(given, seed)), time.process_time()
    curve = []
    while trainer.iteration < given.updates:
        trainer.train()
        if trainer.iteration % EVERY == 0:
            seen = accuracy(trainer, given, "train")
            curve.append([trainer.env_runner.num_env_steps_sampled_lifetime, seen])
            if seen >= given.enough:
                break
    table = language(trainer)
    return {
        "env_steps": trainer.env_runner.num_env_steps_sampled_lifetime,
        "cpu_seconds": time.process_time() - started,
        "seen": accuracy(trainer, given, "train"),
        "unseen": accuracy(trainer, given, "test"),
        "unseen_share": accuracy(trainer, given, "test", reward="share"),
        **table,
        "curve": curve,
    }


def objects(given: Any, split: str, *, reward: str) -> dict[str, Any]:
    """The settings of the game."""
    return {"attributes": 2, "values": given.values, "split": split, "reward": reward}


def config_of(given: Any, seed: int) -> CommPPOConfig:
    """The settings of training."""
    words = {"vocabulary": given.vocabulary, "length": given.length, "eos": True, "spelling_size": given.hidden}
    return (
        CommPPOConfig()
        .environment("reconstruction", env_config=objects(given, "train", reward="share"))
        .communication(
            model="feedforward",
            model_settings={"size": given.hidden},
            channel="symbols",
            channel_settings=words,
            losses=["imitation"],  # the receiver is told the object afterwards, as by EGG's cross entropy
        )
        .env_runners(num_envs_per_env_runner=1024)
        .training(
            train_batch_size_per_learner=2048,
            minibatch_size=512,
            num_epochs=4,
            lr=[[0, 3e-3], [200_000, 3e-3], [500_000, 5e-4]],
            entropy_coeff=0.01,
            message_entropy_coeff=0.03,
        )
        .debugging(seed=seed)
    )


def accuracy(trainer: LocalTrainer, given: Any, split: str, *, reward: str = "all") -> float:
    """The share of objects of which greedy play names all attributes (or, by `reward`, the share of attributes)."""
    return exact_return(trainer.team, EnvChoice(env="reconstruction", settings=objects(given, split, reward=reward)))


def language(trainer: LocalTrainer) -> dict[str, float]:
    """Measures of the words for all objects, seen and unseen, each said once."""
    corpus = record(trainer.run().in_env({"split": "all"}), num_episodes=None)
    rows = analyze(corpus.of_role("sender"), measures=MEASURES, permutations=0, bootstraps=0)
    return {row.measure: float(row.value) for row in rows.itertuples()}


if __name__ == "__main__":
    main()
