"""Do seeds understand one another, with and without other-play? Cross-play of teams that were trained apart.

    OMP_NUM_THREADS=1 python benchmarks/strangers.py --out benchmarks/results/strangers.json

Seeds of speaker_listener with three goals, of four channels: four symbols; four symbols that in training are renamed in
each episode (`relabelled+symbols`); words of up to two symbols, and such words renamed, whose length can still tell
something. A pair of strangers agrees where its return is more than half way from blind guesses, -1/3, to 1.
"""

import argparse
import json
import pathlib
from typing import Any

import numpy as np
import torch

from heliograph import CommPPOConfig, LocalTrainer, crossplay
from heliograph.storage.run_folder import Run, write_json

GOALS = 3
WORDS = {"vocabulary": 3, "length": 2, "eos": True, "spelling_size": 16}
CHANNELS: dict[str, tuple[str, dict[str, Any]]] = {
    "symbols": ("symbols", {"vocabulary": 4}),
    "renamed symbols": ("relabelled+symbols", {"vocabulary": 4}),
    "words": ("symbols", WORDS),
    "renamed words": ("relabelled+symbols", WORDS),
}
BLIND = 2 / GOALS - 1
HALF_WAY = (BLIND + 1) / 2


def trained(channel: str, settings: dict[str, Any], *, seed: int, updates: int) -> Run:
    """A team of one seed."""
    config = (
        CommPPOConfig()
        .environment("speaker_listener", env_config={"goals": GOALS})
        .communication(model="feedforward", model_settings={"size": 16}, channel=channel, channel_settings=settings)
        .env_runners(num_envs_per_env_runner=512)
        .training(train_batch_size_per_learner=1024, minibatch_size=256, num_epochs=4, lr=1e-2, entropy_coeff=0.02)
        .debugging(seed=seed)
    )
    trainer = LocalTrainer(config)
    for _ in range(updates):
        trainer.train()
    return trainer.run()


def main() -> None:
    """Train and cross all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--out", default="benchmarks/results/strangers.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"settings": vars(given), "channels": {}}
    for name, (channel, settings) in CHANNELS.items():
        runs = [trained(channel, settings, seed=seed, updates=given.updates) for seed in range(given.seeds)]
        table = crossplay(runs, num_episodes=given.episodes)
        apart = table.returns[~np.eye(given.seeds, dtype=bool)]
        found["channels"][name] = {
            "returns": table.returns.tolist(),
            "own": table.of_returns.own,
            "cross": table.of_returns.cross,
            "gap": table.of_returns.gap,
            "pairs_that_agree": float((apart > HALF_WAY).mean()),
        }
        print(name, json.dumps({k: v for k, v in found["channels"][name].items() if k != "returns"}), flush=True)
        write_json(pathlib.Path(given.out), found)


if __name__ == "__main__":
    main()
