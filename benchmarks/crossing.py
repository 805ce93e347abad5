"""Cross-play of many teams in one call beside as many calls of `evaluate`, in one process.

    OMP_NUM_THREADS=1 python benchmarks/crossing.py --out benchmarks/results/crossing.json

Teams are untrained (speed does not hang on what they say) and play speaker_listener with symbols. `evaluate` is timed
on some pairs, and its mean taken for all of them: both play the same episodes. Times are those of the process (CPU
seconds).
"""

import argparse
import json
import pathlib
import time
from typing import Any

import torch

from heliograph import EnvChoice, TeamChoices, build_team, crossplay, evaluate
from heliograph.experiments.choices import facts_for
from heliograph.storage.mixing import mix
from heliograph.storage.run_folder import Run, write_json


def team(seed: int) -> Run:
    """An untrained team as a run."""
    env = EnvChoice(env="speaker_listener", settings={"goals": 3})
    choices, facts = TeamChoices(channel="symbols"), facts_for(env)
    config: dict[str, Any] = {"env": env.model_dump(), "team": choices.model_dump(), "training": {"algorithm": "ppo"}}
    made = build_team(choices, facts, seed=seed).eval()
    return Run(folder=pathlib.Path(f"team_{seed}"), config=config, env=env, choices=choices, facts=facts, team=made)


def main() -> None:
    """Time both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teams", type=int, default=32)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=24, help="of evaluate, that are timed")
    parser.add_argument("--out", default="benchmarks/results/crossing.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs = [team(seed) for seed in range(given.teams)]
    crossplay(runs[:2], num_episodes=10)
    started = time.process_time()
    table = crossplay(runs, num_episodes=given.episodes)
    together = time.process_time() - started
    places = [divmod(number * 37 % given.teams**2, given.teams) for number in range(given.calls)]
    pairs = [runs[i] if i == j else mix(runs[i], listener=runs[j]) for i, j in places]
    started, same = time.process_time(), []
    for (i, j), pair in zip(places, pairs, strict=True):
        same.append(evaluate(pair, num_episodes=given.episodes)["episode_return_mean"] == table.returns[i, j])
    each = (time.process_time() - started) / given.calls
    alone = each * given.teams**2
    found = {
        "teams": given.teams,
        "episodes": given.episodes,
        "crossplay_cpu_seconds": together,
        "evaluate_cpu_seconds_each": each,
        "evaluate_cpu_seconds_of_all": alone,
        "times_faster": alone / together,
        "same_returns": all(same),
    }
    write_json(pathlib.Path(given.out), found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
