"""What EGG and emlangkit say of languages, run by `language.py` with their folders on the path; no Heliograph.

    PYTHONPATH=TOOLS python benchmarks/language_tools.py INPUT.npz

prints one line of JSON: for each language in the file, values of each tool and the seconds of the processor they took.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from egg.core.language_analysis import Disent, TopographicSimilarity, calc_entropy, mutual_info
from emlangkit.metrics import (
    compute_bosdis,
    compute_entropy,
    compute_mutual_information,
    compute_nc_npmi,
    compute_posdis,
    compute_topographic_similarity,
)


def timed(what: Callable[[], Any]) -> dict[str, Any]:
    """A value, or what was raised, and the seconds of the processor."""
    started = time.process_time()
    try:
        value: Any = float(what())
    except Exception as error:
        value = f"{type(error).__name__}: {error}"[:200]
    return {"value": value, "cpu_seconds": round(time.process_time() - started, 3)}


def of_egg(messages: np.ndarray, meanings: np.ndarray) -> dict[str, Callable[[], Any]]:
    said, meant = torch.from_numpy(messages), torch.from_numpy(meanings)
    vocabulary = int(messages.max()) + 1
    return {
        "topographic_similarity": lambda: TopographicSimilarity.compute_topsim(meant, said),
        "posdis": lambda: Disent.posdis(meant, said),
        "bosdis": lambda: Disent.bosdis(meant, said, vocabulary),
        "entropy": lambda: calc_entropy(said),
        "mutual_information": lambda: mutual_info(said, meant),
    }


def of_emlangkit(messages: np.ndarray, meanings: np.ndarray) -> dict[str, Callable[[], Any]]:
    return {
        "topographic_similarity": lambda: compute_topographic_similarity(messages, meanings)[0],
        "posdis": lambda: compute_posdis(messages, meanings),
        "bosdis": lambda: compute_bosdis(messages, meanings),
        "entropy": lambda: compute_entropy(messages),
        "mutual_information": lambda: compute_mutual_information(messages, meanings),
        "npmi": lambda: mean_npmi(messages, meanings),
    }


def mean_npmi(messages: np.ndarray, meanings: np.ndarray) -> float:
    """The mean over utterances of what emlangkit says of their pair."""
    found = compute_nc_npmi(messages, meanings)
    return float(np.mean([found[f"{said}"][f"{meant}"] for said, meant in zip(messages, meanings, strict=True)]))


def main() -> None:
    """Ask both tools about every language of a file; `only` names the measures."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with np.load(sys.argv[1], allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    only = {str(name) for name in arrays.pop("only")}
    found = []
    for number in range(len(arrays) // 2):
        language = arrays[f"messages_{number}"], arrays[f"meanings_{number}"]
        row = {}
        for tool, functions in (("egg", of_egg(*language)), ("emlangkit", of_emlangkit(*language))):
            asked = {name: what for name, what in functions.items() if not only or {name, f"{tool}.{name}"} & only}
            row[tool] = {name: timed(what) for name, what in asked.items()}
        found.append(row)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
