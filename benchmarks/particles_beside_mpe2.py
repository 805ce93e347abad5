"""All particle tasks of mpe2 beside mpe2 itself: the same states and actions, 500 episodes of 25 steps.

    python benchmarks/particles_beside_mpe2.py [--episodes 500] [--only mpe_spread ...] [--out FILE]

For each task, with discrete and with continuous actions, the largest differences of observations, rewards and `state()`
over all steps, and in how many steps ends differed. Actions are random; tests do the same with few episodes. Where one
is above 1e-5 the script fails. Costs about 3 CPU minutes, nearly all of them mpe2's.
"""

import argparse
import pathlib
import sys
import time
from importlib.metadata import version
from typing import Any

from protocols import command, commit, machine

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from heliograph.rllib.runs.train import versions
from heliograph.storage.run_folder import write_json
from tests.envs.mpe2_twin import NAMES, played_together

TOLERANCE = 1e-5
AT_ONCE = 50
"""Episodes that are played side by side; each has a start of its own."""


def compared(name: str, *, continuous: bool, episodes: int) -> dict[str, Any]:
    """The largest differences of one task."""
    begun = time.process_time()
    parts = [
        played_together(name, copies=min(AT_ONCE, episodes - first), continuous=continuous, first_seed=first)
        for first in range(0, episodes, AT_ONCE)
    ]
    worst = {key: max(getattr(part, key) for part in parts) for key in ("observations", "rewards", "states")}
    ends = sum(part.ends for part in parts)
    return {**worst, "ends_that_differ": ends, "cpu_seconds": round(time.process_time() - begun, 1)}


def main() -> None:
    """Compare, write, and fail where anything differs."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--only", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--out", type=pathlib.Path)
    given = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for name in given.only:
        for continuous in (False, True):
            key = f"{name}, {'continuous' if continuous else 'discrete'}"
            found[key] = compared(name, continuous=continuous, episodes=given.episodes)
            print(key, found[key], flush=True)
            if given.out:
                about = {"command": command(), "commit": commit(), "machine": machine()}
                sides = {**versions(), "mpe2": version("mpe2")}
                write_json(
                    given.out,
                    {**about, "versions": sides, "episodes": given.episodes, "steps": 25, "largest_differences": found},
                )
    wrong = [key for key, x in found.items() if max(x["observations"], x["rewards"], x["states"]) > TOLERANCE]
    wrong += [key for key, x in found.items() if x["ends_that_differ"]]
    if wrong:
        sys.exit(f"the sides differ in {', '.join(sorted(set(wrong)))}")


if __name__ == "__main__":
    main()
