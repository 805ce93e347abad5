"""Measures of language beside EGG and emlangkit, and what large languages, recordings and reports cost.

    python benchmarks/language.py [--parts topsim conventions groups lazy played sampling] [--egg REPOSITORY]
        [--tools FOLDER] [--show]

`topsim` is topographic similarity of 5,000 messages beside the functions of EGG (commit 54eb11c) and emlangkit 0.3.0,
which the script installs into a temporary folder; neither takes ragged messages, so that they are padded for
emlangkit. `conventions` compares measures on random languages with what both say. `groups` are all measures of
information, structure and form on 100,000 utterances. `lazy` reads 10 million utterances. `played` records and reports
1,000 episodes of ten agents on a 20 x 20 grid (`--run`); with `--before TREE --before-run RUN` an older checkout does
the same at the same time. `sampling` is what recording costs beside the episodes alone. Everything is measured in a
process of its own: seconds of the processor, and the largest resident set. `--egg` names a git repository, by default
the public one.
"""

import argparse
import concurrent.futures
import functools
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from protocols import RESULTS, command, commit, machine

from heliograph.rllib.runs.train import versions
from heliograph.storage.run_folder import write_json

EGG, EGG_COMMIT = "https://github.com/facebookresearch/EGG", "54eb11c6b4ba3d3171811378f7ad7a117fa93a97"
PACKAGES = ("emlangkit==0.3.0", "editdistance==0.8.1", "wandb==0.22.3", "submitit==1.5.3", "rich==14.2.0")
HERE = pathlib.Path(__file__).parent
PAIRED, LARGE, MANY, EPISODES = 5_000, 100_000, 10_000_000, 1_000
GROUPS = {
    "information": (
        "entropy", "efficiency", "symbol_entropy", "position_entropy", "ngram_entropy", "conditional_entropy",
        "miller_madow_entropy", "mutual_information", "normalised_mutual_information", "adjusted_mutual_information",
        "synonymy", "ambiguity", "residual_entropy", "position_attribute_map", "speaker_consistency",
        "instantaneous_coordination",
    ),
    "structure": (
        "topographic_similarity", "posdis", "bosdis", "context_independence", "context_independence_bag",
        "tree_reconstruction_error", "conflict_count", "concept_best_matching", "npmi", "morpheme_inventory",
        "harris_segmentation", "w_topsim", "c_topsim", "unseen_combinations",
    ),
    "form": (
        "rank_frequency", "message_length", "law_of_abbreviation", "excess_length", "complexity", "back_reference",
    ),
}  # fmt: skip
"""Measures of groups A to C, but those that ask a listener."""
COMPARED = {
    "egg": {"topographic_similarity": "egg", "posdis": "egg", "bosdis": "egg", "entropy": None,
            "mutual_information": None},
    "emlangkit": {"topographic_similarity": "egg", "posdis": "egg", "bosdis": "all", "entropy": None,
                  "mutual_information": None, "npmi": None},
}  # fmt: skip
"""Which of our conventions is held against what a tool says."""


def language(number: int, *, length: int, symbols: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Messages that say the attributes seven times out of ten, and their meanings."""
    rng = np.random.default_rng(seed)
    meant = rng.integers(symbols, size=(number, length))
    return np.where(rng.random((number, length)) < 0.7, meant, rng.integers(symbols, size=(number, length))), meant


def in_a_child(what: str, *arguments: str, env: dict[str, str] | None = None) -> Any:
    """What one of the functions below prints in a process of its own."""
    run = [sys.executable, str(HERE / "language.py"), "--child", what, *arguments]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(run, capture_output=True, text=True, env={**os.environ, **threads, **(env or {})})
    if done.returncode:
        raise SystemExit(f"{what}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def costs(what: Callable[[], Any]) -> dict[str, Any]:
    """Its result, seconds of the processor and of the clock, and the largest resident set of this process, in GB."""
    started, clock = time.process_time(), time.perf_counter()
    found = what()
    taken = {"cpu_seconds": round(time.process_time() - started, 3), "seconds": round(time.perf_counter() - clock, 3)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"found": found, **taken, "peak_gb": round(peak, 3)}


def tools_in(folder: pathlib.Path, egg: str) -> dict[str, str]:
    """Install both tools into a folder, unless they are there; returns the path under which they are found."""
    found = {"PYTHONPATH": os.pathsep.join(str(folder / part) for part in ("site", "egg", "more"))}
    if (folder / "egg").exists():
        return found
    quiet = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
    pip = [sys.executable, "-m", "pip", "install", *quiet]
    subprocess.run([*pip, "--no-deps", "--target", str(folder / "site"), *PACKAGES[:2]], check=True)
    subprocess.run([*pip, "--target", str(folder / "more"), *PACKAGES[2:]], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["git", "clone", "--quiet", egg, str(folder / "egg")], check=True)
    subprocess.run(["git", "-C", str(folder / "egg"), "checkout", "--quiet", EGG_COMMIT], check=True)
    return found


def asked(tools: dict[str, str], languages: list[tuple[np.ndarray, np.ndarray]], *, only: tuple[str, ...] = ()) -> Any:
    """What both tools say of some languages."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "languages.npz"
        arrays = {
            f"{name}_{n}": x
            for n, both in enumerate(languages)
            for name, x in zip(("messages", "meanings"), both, strict=True)
        }
        np.savez(path, only=np.array(only, dtype=str), **arrays)
        run = [sys.executable, "-W", "ignore", str(HERE / "language_tools.py"), str(path)]
        done = subprocess.run(run, capture_output=True, text=True, env={**os.environ, **tools, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def topsim(tools: dict[str, str], number: int, against: list[str], known: dict[str, Any]) -> dict[str, Any]:
    """Ours and theirs, of messages of one length, and of ragged ones, padded for emlangkit; by number of messages.

    Ours is timed before theirs and after, and the slower counts.
    """
    equal, ragged = language(number, length=5, symbols=10), ragged_language(number)
    before = in_a_child("topsim", str(number))
    wanted = tuple(f"{tool}.topographic_similarity" for tool in against)
    (of_equal,) = asked(tools, [equal], only=wanted)
    theirs = {"equal": {tool: of_equal[tool]["topographic_similarity"] for tool in against}}
    if "emlangkit" in against:
        (of_padded,) = asked(tools, [ragged], only=("emlangkit.topographic_similarity",))
        theirs["padded"] = {"emlangkit": of_padded["emlangkit"]["topographic_similarity"]}
    after = in_a_child("topsim", str(number))
    ours = {name: max(before[name], after[name], key=lambda found: found["cpu_seconds"]) for name in before}
    pairs = [(name, tool, found) for name, of_tools in theirs.items() for tool, found in of_tools.items()]
    faster = {f"{n}, {tool}": round(x["cpu_seconds"] / ours[n]["cpu_seconds"], 1) for n, tool, x in pairs}
    apart = {f"{n}, {tool}": abs(x["value"] - ours[n]["found"]) for n, tool, x in pairs}
    found = {"messages": number, "ours": ours, "theirs": theirs, "times_as_fast": faster, "difference": apart}
    others = {key: row for key, row in known.items() if key.startswith("of_")}
    return {**others, f"of_{number}_beside_{'_'.join(against)}": found}


def ragged_language(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Messages of 1 to 5 symbols, padded with 10."""
    said, meant = language(number, length=5, symbols=10)
    lengths = np.random.default_rng(1).integers(1, 6, size=number)
    return np.where(np.arange(5) < lengths[:, None], said, 10), meant


def topsim_of(messages: str) -> dict[str, Any]:
    """Ours, in a child."""
    from heliograph.analysis.measures.topographic_similarity import topographic_similarity

    found, number = {}, int(messages)
    for which in ("equal", "ragged", "padded"):
        said, meant = language(number, length=5, symbols=10) if which == "equal" else ragged_language(number)
        eos = 10 if which == "ragged" else None
        topographic_similarity(said[:50], meant[:50], convention="egg", eos=eos)  # what is imported late is there then
        made = functools.partial(topographic_similarity, said, meant, convention="egg", eos=eos)
        found[which] = costs(made)
    return found


def conventions(tools: dict[str, str], *, repeats: int = 8, number: int = 200) -> list[dict[str, Any]]:
    """The largest difference between ours and theirs over random languages, measure by measure."""
    from heliograph.analysis.measures.measure import headline, measure_of
    from heliograph.registry import load

    made = [language(number, length=3 + n % 3, symbols=3 + n, seed=n) for n in range(repeats)]
    rows = []
    for said in asked(tools, made):
        rows.append(said)
    found = []
    for tool, measures in COMPARED.items():
        for name, convention in measures.items():
            how = {} if convention is None else {"convention": convention}
            function = measure_of(load("measure", name), name=name).function
            apart, told = [], []
            for (messages, meanings), row in zip(made, rows, strict=True):
                more = {"vocabulary": int(messages.max()) + 1} if convention == "egg" and name == "bosdis" else {}
                ours, theirs = headline(function(messages, meanings, **how, **more) if name != "entropy" else
                                        function(messages)), row[tool][name]["value"]  # fmt: skip
                (told if isinstance(theirs, str) else apart).append(
                    theirs if isinstance(theirs, str) else abs(ours - theirs)
                )
            found.append({"tool": tool, "measure": name, "convention": convention, "languages": len(made),
                          "largest_difference": max(apart, default=None), "raised": sorted(set(told))})  # fmt: skip
    return found


def groups_of(group: str) -> dict[str, Any]:
    """All measures of a group on 100,000 utterances of length 5 over 10 symbols."""
    from heliograph import analyze

    said, meant = language(LARGE, length=5, symbols=10)
    rng = np.random.default_rng(1)
    columns = {
        "messages": said, "meanings": meant, "actions": rng.integers(5, size=LARGE),
        "hearer_actions": rng.integers(5, size=LARGE), "predicted": said, "episodes": np.arange(LARGE),
    }  # fmt: skip
    analyze({name: column[:50] for name, column in columns.items()}, measures=list(GROUPS[group]), permutations=1)
    seconds = {}

    def all_of_them() -> list[str]:
        for name in GROUPS[group]:
            started = time.process_time()
            table = analyze(columns, measures=[name])
            seconds[name] = round(time.process_time() - started, 2)
            if table["value"].isna().any() and name not in ("law_of_abbreviation", "excess_length"):
                raise SystemExit(f"{name}: {table['reason'].item()}")
        return list(seconds)

    return {**costs(all_of_them), "found": seconds}


def groups() -> dict[str, Any]:
    """The costs of each group, each in a process of its own, two of them at a time."""
    found: dict[str, Any] = {}
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = {group: pool.submit(in_a_child, "groups", group) for group in GROUPS}
        for group, job in jobs.items():
            found[group] = job.result()
            print(json.dumps({group: found[group]}), flush=True)
    return {**found, "seconds_on_two_cores": round(time.perf_counter() - started, 1)}


def lazy_of(path: str) -> dict[str, Any]:
    """Reading 10 million utterances, and a measure of those that are drawn."""
    from heliograph import analyze

    def read() -> dict[str, Any]:
        (row,) = analyze(path, measures=["mutual_information"], permutations=0, bootstraps=0, seed=0).to_dict("records")
        return {"mutual_information_bits": row["value"], "num_utterances": row["num_utterances"]}

    return costs(read)


def lazy() -> dict[str, Any]:
    """A Parquet file of 10 million utterances, written group by group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "language.parquet"
        kind = pa.list_(pa.int64())
        schema = pa.schema({"messages": kind, "meanings": kind})
        with pq.ParquetWriter(path, schema) as writer:
            for block in range(MANY // 500_000):
                pair = language(500_000, length=5, symbols=10, seed=block)
                cuts = pa.array(np.arange(500_001, dtype=np.int32) * 5)
                columns = [pa.ListArray.from_arrays(cuts, pa.array(column.reshape(-1))) for column in pair]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        return {"utterances": MANY, "file_mb": round(path.stat().st_size / 1e6), **in_a_child("lazy", str(path))}


def sampled_of(run: str, episodes: str) -> dict[str, Any]:
    """Episodes alone, and with their recording, in one process, three times in turns."""
    from heliograph import read_run
    from heliograph.analysis.evaluate import play_run
    from heliograph.analysis.recording import write_recording
    from heliograph.rollouts.rollout import Keeping

    team, number = read_run(run), int(episodes)
    play_run(team, num_episodes=2, keeping=Keeping.SAID)
    alone, with_it = [], []
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "corpus"
        for _ in range(3):
            played = costs(lambda: bool(play_run(team, num_episodes=number, keeping=Keeping.SAID)))
            written = costs(lambda: bool(write_recording(team, out, num_episodes=number, overwrite=True)))
            alone.append(played["cpu_seconds"])
            with_it.append(written["cpu_seconds"])
    ratio = float(np.median(with_it) / np.median(alone))
    return {"episodes": number, "alone": alone, "recorded": with_it, "times": round(ratio, 3)}


def command_costs(what: list[str], *, tree: pathlib.Path) -> dict[str, Any]:
    """Seconds of the processor and the largest resident set of a command of Heliograph in a checkout."""
    env = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-m", "heliograph", *what], env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"heliograph {' '.join(what)} ended with {status}")
    return {"cpu_seconds": round(used.ru_utime + used.ru_stime, 1), "peak_gb": round(used.ru_maxrss * 1024 / 1e9, 2)}


def played(given: argparse.Namespace) -> dict[str, Any]:
    """Recording and reporting here and, at the same time, in an older checkout where one is named."""
    trees = {"now": (HERE.parent, given.run)}
    if given.before is not None:
        trees["before"] = (given.before, given.before_run)
    known = json.loads(given.out.read_text(encoding="utf8")).get("played", {}) if given.out.exists() else {}
    found: dict[str, Any] = {name: dict(known.get(name, {})) for name in trees}
    often = ["--episodes", str(given.episodes)]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor() as pool:
        for what in given.commands:
            jobs = {
                name: pool.submit(
                    command_costs, [what, run, *often, "--out", f"{folder}/{name}.{what}"], tree=tree.absolute()
                )
                for name, (tree, run) in trees.items()
            }
            for name, job in jobs.items():
                found[name][what] = {"episodes": given.episodes, **job.result()}
    return found


def sampling(given: argparse.Namespace) -> dict[str, Any]:
    """What recording costs beside sampling alone, of 100 episodes."""
    found: dict[str, Any] = in_a_child("sampled", given.run, "100")
    return found


CHILDREN: dict[str, Callable[..., Any]] = {
    "topsim": topsim_of, "groups": groups_of, "lazy": lazy_of, "sampled": sampled_of,
}  # fmt: skip


def typed(given: argparse.Namespace) -> str:
    """What was typed, with folders of this machine by what they are."""
    found = command()
    named = {given.before_run: "RUN_BEFORE", given.run: "RUN", given.before: "TREE", given.out: "FILE",
             given.tools: "TOOLS"}  # fmt: skip
    if not given.egg.startswith("https"):
        named |= {given.egg: "REPOSITORY"}
    for folder, name in named.items():
        found = found.replace(str(folder), name)
    return found


def show(result: dict[str, Any]) -> str:
    """The results in words."""
    lines = []
    if "topsim" in result:
        for found in result["topsim"].values():
            told = f"{found['messages']:,} messages: {found['times_as_fast']} times as fast"
            lines.append(f"topographic similarity of {told}")
            lines += [f"  ours: {n}: {x['cpu_seconds']} s, {x['peak_gb']} GB" for n, x in found["ours"].items()]
    for row in result.get("conventions", ()):
        lines.append(f"{row['tool']}, {row['measure']}: differs by {row['largest_difference']} {row['raised']}")
    if "groups" in result:
        total = sum(x["cpu_seconds"] for x in result["groups"].values() if isinstance(x, dict))
        lines.append(f"{LARGE:,} utterances: {total:.1f} s of the processor, all groups")
    for name in ("lazy", "played", "sampling"):
        if name in result:
            lines.append(f"{name}: {json.dumps(result[name])}")
    return "\n".join(lines)


def main() -> None:
    """Run the parts that are named, and write each as it comes."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parts = ("topsim", "conventions", "groups", "lazy", "played", "sampling")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts[:4]))
    parser.add_argument("--egg", default=EGG, metavar="REPOSITORY")
    parser.add_argument("--tools", type=pathlib.Path, metavar="FOLDER", help="in which both tools are, or come to be")
    parser.add_argument("--run", metavar="RUN", help="of `played`: a team's run folder")
    parser.add_argument("--before", type=pathlib.Path, metavar="TREE")
    parser.add_argument("--before-run", metavar="RUN", help="the same team as that checkout names its weights")
    parser.add_argument("--commands", nargs="+", choices=("record", "report"), default=["record", "report"])
    parser.add_argument("--messages", type=int, default=PAIRED, help="of topsim")
    parser.add_argument("--against", nargs="+", choices=tuple(COMPARED), default=list(COMPARED), help="of topsim")
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "language.json")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(CHILDREN[given.child[0]](*given.child[1:])))
        return
    result = json.loads(given.out.read_text(encoding="utf8")) if given.out.exists() else {}
    if given.show:
        print(show(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        needed = {"topsim", "conventions"} & set(given.parts)
        tools = tools_in(given.tools or pathlib.Path(folder), given.egg) if needed else {}
        makers: dict[str, Callable[[], Any]] = {
            "topsim": lambda: topsim(tools, given.messages, given.against, result.get("topsim", {})),
            "conventions": lambda: conventions(tools), "lazy": lazy,
            "groups": groups, "played": lambda: played(given),
            "sampling": lambda: sampling(given),
        }  # fmt: skip
        for part in given.parts:
            made = {"command": typed(given), "commit": commit(), "versions": versions(), "hardware": machine()}
            result[part] = makers[part]()
            result.setdefault("about", {})[part] = made
            write_json(given.out, result)
            print(show({part: result[part]}), flush=True)


if __name__ == "__main__":
    main()
