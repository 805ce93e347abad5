"""What works with Heliograph: environments of other projects, installed, tested, played beside themselves, trained on.

    python benchmarks/compatibility.py [--groups mpe2 vmas] [--worlds "pogema"] [--missing] [--folder FOLDER]
    python benchmarks/compatibility.py --show

Each group of `worlds.py` is installed into an environment of its own in a temporary folder, on top of the packages that
run this script (so PyTorch is the one that is here); `beside.py` then tries its worlds. Results stand in
benchmarks/results/compatibility.json, what failed with its reason; `--show` writes docs/works_with.md from them.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from typing import Any

from protocols import RESULTS, commit, machine
from worlds import GROUPS, WORLDS

from heliograph.rllib.runs.train import versions
from heliograph.storage.run_folder import write_json

OUT = RESULTS / "compatibility.json"
PAGE = pathlib.Path(__file__).parent.parent / "docs" / "works_with.md"
INSTALL_SECONDS = 240
PLACEHOLDER = "zz_below.pth"
HEAD = """# What works with Heliograph

Environments of other projects, tried with `python benchmarks/compatibility.py` (not in CI): the package's own test, an
adapted copy beside a raw one with the same seed and actions (observations, rewards, ends, masks and last observations
compared in every step), and two iterations of PPO with a channel. This page is written from
`benchmarks/results/compatibility.json` by `--show`; rows that fail stand here with the reason. "steps, ends" is how
far the two copies were compared: 3,000 steps, 3 ends (games of OpenSpiel: 500) or two minutes of computing.

| environment | version | interface | own test | beside itself | seed | trains | note |
|---|---|---|---|---|---|---|---|
"""


def installed(group: str, folder: pathlib.Path) -> dict[str, Any]:
    """An environment with the packages of a group: its Python, or why it could not be made."""
    home = folder / group
    python = home / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    site = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    ).stdout.strip()
    (pathlib.Path(site) / PLACEHOLDER).write_text(sysconfig.get_path("purelib") + "\n")
    pins = pathlib.Path(__file__).parent.parent / "constraints.txt"
    known = [
        line
        for line in pins.read_text().splitlines()
        if line.startswith(("torch==", "numpy==", "ray==", "gymnasium=="))
    ]
    (home / "pins.txt").write_text("\n".join(known).replace("torch==2.13.0\n", "torch\n") + "\n")
    for packages, flags in (
        (GROUPS[group].packages, ["-c", str(home / "pins.txt")]),
        (GROUPS[group].alone, ["--no-deps"]),
    ):
        if packages:
            command = [str(python), "-m", "pip", "install", "-q", *flags, *packages]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
            except subprocess.TimeoutExpired:
                return {"python": None, "why": f"took longer than {INSTALL_SECONDS} seconds"}
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if "error" in line.lower()] or ["pip failed"]
                return {"python": None, "why": lines[0][:200]}
    return {"python": str(python), "why": ""}


def tried(worlds: list[str], python: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `beside.py` finds of each world of a group."""
    script = pathlib.Path(__file__).parent / "beside.py"
    paths = [str(pathlib.Path(__file__).parent.parent / "src"), os.environ.get("PYTHONPATH", "")]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "SDL_VIDEODRIVER": "dummy"}
    called = subprocess.Popen(
        [python, str(script), *worlds], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=settings
    )
    missing = list(worlds)
    assert called.stdout is not None
    for line in called.stdout:
        if line.startswith('{"world": '):
            found = json.loads(line)
            missing.remove(found["world"])
            yield found.pop("world"), found
    for world in missing:
        yield world, {"made": {"works": False, "told": f"the process ended with exit code {called.wait()}"}}


def page(results: dict[str, Any]) -> str:
    """The table of docs/works_with.md."""
    tried, untried = results["worlds"], sorted(set(WORLDS) - set(results["worlds"]))
    lines = [row(name, found, ray=results["versions"]["ray"]) for name, found in sorted(tried.items())]
    good = [name for name, found in tried.items() if found.get("same", {}).get("works") and found["trains"]["works"]]
    packages = {name.split()[0] for name in good}
    last = (
        f"{len(good)} of {len(lines)} environments, of {len(packages)} packages, are equal to themselves in every step "
        f"and are trained on ({results['date']})."
    )
    still = f" Not tried yet: {', '.join(untried)}." if untried else ""
    return HEAD + "\n".join(lines) + f"\n\n{last}{still}\n"


def row(name: str, found: dict[str, Any], *, ray: str) -> str:
    """One line of the table."""

    def cell(key: str) -> str:
        if key not in found:
            return "-"
        told = found[key]["told"].replace("|", "/").replace("\n", " ").replace("<", "&lt;")
        return told if found[key]["works"] else f"**fails**: {told[:140]}"

    seed = "honoured" if found.get("seeded", {}).get("works") else "-" if "seeded" not in found else "**ignored**"
    packages = ", ".join((*GROUPS[found["group"]].packages, *GROUPS[found["group"]].alone)) or f"ray=={ray}"
    odd = WORLDS[name].odd if name in WORLDS else ""
    cells = (name, packages, cell("made"), cell("own_test"), cell("same"), seed, cell("trains"), odd)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Install, try and write, group by group; what was found before of other groups stays."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--groups", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(WORLDS), metavar="WORLD")
    parser.add_argument("--folder", type=pathlib.Path, default=None, help="where environments are made (and kept)")
    parser.add_argument("--missing", action="store_true", help="only worlds of which nothing is known yet")
    parser.add_argument("--show", action="store_true", help="write docs/works_with.md from the results")
    given = parser.parse_args()
    if given.show:
        PAGE.write_text(page(json.loads(OUT.read_text())))
        return
    results = json.loads(OUT.read_text()) if OUT.exists() else {"worlds": {}}
    header = {"command": "python benchmarks/compatibility.py", "commit": commit(), "versions": versions()}
    header |= {"hardware": machine(), "date": datetime.date.today().isoformat()}
    for group in given.groups:
        done = results["worlds"] if given.missing else {}
        worlds = [name for name in given.worlds if WORLDS[name].group == group and name not in done]
        if not worlds:
            continue
        folder = given.folder or pathlib.Path(tempfile.mkdtemp())
        where = installed(group, folder)
        missing = {"made": {"works": False, "told": f"cannot be installed: {where['why']}"}}
        finds = tried(worlds, where["python"]) if where["python"] else ((world, missing) for world in worlds)
        for world, found in finds:
            results["worlds"][world] = {"group": group, "commit": header["commit"], "date": header["date"], **found}
            print(world, {key: part["works"] for key, part in found.items()}, flush=True)
            write_json(OUT, {**header, "worlds": results["worlds"]})
        if given.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
