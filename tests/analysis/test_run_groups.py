"""Runs are read, grouped and named as their settings say, and what a stranger hands over is told, not executed."""

import json
import pathlib
import re
from typing import Any

import pytest

from heliograph.cli import main
from heliograph.registry import UnknownNameError
from heliograph.reports.compare_page import comparison_page, verdict_of, write_page
from heliograph.reports.report_data import read_curve
from heliograph.reports.run_groups import Comparison, compare, names_of
from heliograph.reports.run_results import find_runs
from heliograph.storage.run_folder import RunFolderError
from tests.analysis.test_report import WIDTHS, Checked, browse

TRAINING: dict[str, Any] = {
    "env": "speaker_listener", "env_settings": {"goals": 3}, "model": "cnet", "model_settings": {}, "channel": "dru",
    "channel_settings": {"bits": 2}, "topology": "full", "topology_settings": {}, "algorithm": "ppo",
    "algorithm_settings": {"lr": 1e-3}, "losses": [], "critic": "hidden", "iterations": 4, "env_steps": None,
    "until": {}, "seed": 0,
}  # fmt: skip


def write(folder: pathlib.Path, *, value: Any = 0.5, seed: int = 0, steps: int = 1000, **changes: Any) -> pathlib.Path:
    """A run folder as training leaves it, as far as a comparison reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    training = {**TRAINING, "seed": seed, **changes}
    team = {key: training[key] for key in ("model", "channel", "topology")}
    env = {"env": training["env"], "settings": training["env_settings"]}
    config = {"format_version": 1, "env": env, "team": team, "training": training}
    (folder / "config.json").write_text(json.dumps(config))
    summary = {
        "episode_return_mean": value, "normalised_return": value, "success_rate": None, "seed": seed,
        "num_env_steps": steps, "wall_seconds": 2.0, "stopped_by": "iterations",
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    rows = [f"{i},{i * steps // 4},{value * i / 4}" for i in range(1, 5)]
    (folder / "progress.csv").write_text("\n".join(["iteration,num_env_steps,episode_return_mean", *rows]) + "\n")
    return folder


def two_channels(folder: pathlib.Path) -> pathlib.Path:
    symbols = {"channel": "symbols", "channel_settings": {"vocabulary": 3}}
    for seed in range(5):
        write(folder / f"dru_{seed}", seed=seed, value=0.9 + seed / 100)
        write(folder / f"symbols_{seed}", seed=seed, value=0.1 + seed / 100, **symbols)
    return folder


def groups_of(comparison: Comparison) -> dict[str, list[float]]:
    return {group.name: group.values for group in comparison.groups}


def test_runs_that_differ_only_in_their_seed_form_a_group(tmp_path: pathlib.Path) -> None:
    found = compare([two_channels(tmp_path)])
    assert groups_of(found) == {
        "channel=dru": pytest.approx([0.9, 0.91, 0.92, 0.93, 0.94]),
        "channel=symbols": pytest.approx([0.1, 0.11, 0.12, 0.13, 0.14]),
    }
    (pair,) = found.pairs
    assert pair.difference.iqm == pytest.approx(0.8) and pair.difference.probability == 1.0
    assert found.groups[0].estimate.iqm == pytest.approx(0.92) and found.remarks == ()
    assert verdict_of(found) == "channel=dru is best"


def test_controls_belong_to_their_run(tmp_path: pathlib.Path) -> None:
    """Controls of a run that ended by `until` have budgets of their own; they form one group all the same."""
    for seed in (1, 0):
        run = write(tmp_path / f"seed_{seed}", seed=seed, value=1.0, iterations=None, until={"success_rate": 1.0})
        control = {"seed": seed, "iterations": None, "env_steps": 900 + seed}
        write(run / "silent", value=seed / 10, channel="none", channel_settings={}, **control)
        write(run / "garbled", value=-1.0, channel="garbled+dru", **control)
    found = compare([tmp_path])
    assert groups_of(found) == {"team": [1.0, 1.0], "controls: silent": [0.0, 0.1], "controls: garbled": [-1.0, -1.0]}
    assert [run.seed for run in found.groups[0].runs] == [0, 1]
    alone = compare([tmp_path / "seed_0" / "silent", tmp_path / "seed_1" / "silent"])
    assert groups_of(alone) == {"all runs": [0.0, 0.1]}


def test_a_run_is_read_once_however_it_is_named(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a")
    finished, unfinished = find_runs([tmp_path, tmp_path / "a", tmp_path / "." / "a"])
    assert len(finished) == 1 and not unfinished
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert len(find_runs([tmp_path])[0]) == 1


def test_what_differs_is_named() -> None:
    lr = [{"env": "a", "training.lr": 1e-3}, {"env": "a", "training.lr": 0.1}, {"env": "a"}]
    assert names_of(lr) == ["training.lr=0.001", "training.lr=0.1", "training.lr=default"]
    assert names_of([{"env": "a"}, {"env": "b", "env.goals": 3}]) == ["env=a", "env=b"]
    bits = [{"channel": "dru", "channel.bits": 1}, {"channel": "dru", "channel.bits": 2}, {"channel": "none"}]
    assert names_of(bits) == ["channel=dru, channel.bits=1", "channel=dru, channel.bits=2", "channel=none"]
    assert names_of([{"losses": [["x", 0.1]]}, {}]) == ['losses=[["x", 0.1]]', "losses=none"]
    assert names_of([{"iterations": 5}, {"env_steps": 9}]) == ["iterations=5", "env_steps=9"]
    assert names_of([{"env": "a"}]) == ["all runs"]
    assert names_of([{"model": "\x1b[31mred"}, {"model": "b" * 90}]) == ["model=\\x1b[31mred", f"model={'b' * 59}…"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 2000}, "Env steps differ, from 1,000 to 2,000"),
        ({"env": "switch_riddle", "env_settings": {}}, "Environments differ"),
        ({"env_settings": {"goals": 8}}, "Environments differ"),
        ({}, "a seed occurs twice"),
        ({"seed": 1}, "fewer than 5 seeds"),
        ({"critic": "state"}, "one seed has no interval"),
    ],
)
def test_what_must_be_said_before_comparing(changes: dict[str, Any], said: str, tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", **changes)
    found = compare([tmp_path])
    assert any(said in remark for remark in found.remarks), found.remarks
    assert said.split(",")[0] in comparison_page(found)


def test_early_stops_and_unfinished_runs_are_told(tmp_path: pathlib.Path) -> None:
    for seed in range(2):
        write(tmp_path / f"{seed}", seed=seed)
    summary = tmp_path / "0" / "summary.json"
    summary.write_text(summary.read_text().replace('"iterations"', '"asha"'))
    write(tmp_path / "late", seed=3)
    (tmp_path / "late" / "summary.json").unlink()
    remarks = " ".join(compare([tmp_path]).remarks)
    assert "Stopped early by asha: 1 of 2" in remarks and "not finished" in remarks and "late" in remarks
    with pytest.raises(RunFolderError, match=r"late has no summary\.json"):
        compare([tmp_path / "late"])


@pytest.mark.parametrize(
    "text", ["", '{"episode_return_mean": 0.', "[1]", '{"episode_return_mean": "x"}', '{"episode_return_mean": NaN}',
             '{"episode_return_mean": true}', "[" * 100_000, "\xff"],
)  # fmt: skip
def test_a_damaged_summary_is_named(text: str, tmp_path: pathlib.Path) -> None:
    run = write(tmp_path / "a")
    (run / "summary.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunFolderError, match=r"a/summary\.json"):
        compare([tmp_path])


def test_a_metric_that_a_run_lacks_is_told_with_those_that_it_has(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a")
    with pytest.raises(RunFolderError, match=r"success_rate=None.*normalised_return \(--metric\)"):
        compare([tmp_path], metric="success_rate")
    assert compare([tmp_path], metric="normalised_return").groups[0].values == [0.5]
    with pytest.raises(UnknownNameError, match="did you mean 'success_rate'"):
        compare([tmp_path], metric="succes_rate")


def test_a_damaged_curve_is_named_and_a_row_cut_short_left_out(tmp_path: pathlib.Path) -> None:
    run = write(tmp_path / "a")
    progress = run / "progress.csv"
    progress.write_text(progress.read_text() + "5,1250,0.")
    curve = read_curve(run)
    assert curve is not None and len(curve) == 4
    progress.write_text("iteration,num_env_steps,episode_return_mean\n1,x,0.5\n")
    with pytest.raises(RunFolderError, match=r"progress\.csv is damaged"):
        comparison_page(compare([tmp_path]))
    progress.unlink()
    assert "Learning curves" not in comparison_page(compare([tmp_path]))


def test_nothing_of_a_strangers_folder_is_executed_or_believed(tmp_path: pathlib.Path) -> None:
    """Names of classes are never imported, markup never obeyed, and no pickle or weight is opened."""
    bad = {"env": "no_such_module:Boom", "model": "<script>alert(1)</script>", "topology": "$\\frac{$"}
    write(tmp_path / "a", **bad)
    write(tmp_path / "b", **{**bad, "model": "[bold]b[/bold]"})
    (tmp_path / "a" / "checkpoints").mkdir()
    (tmp_path / "a" / "team.safetensors").write_bytes(b"no weights")
    text = comparison_page(compare([tmp_path]))
    assert "<script" not in text and "&lt;script&gt;" in text


def test_many_groups_are_set_against_the_best(tmp_path: pathlib.Path) -> None:
    for place in range(10):
        write(tmp_path / f"{place}", value=place / 10, algorithm_settings={"lr": place})
    found = compare([tmp_path])
    assert len(found.pairs) == 9 and {pair.first.name for pair in found.pairs} == {"training.lr=9"}
    text = comparison_page(found)
    assert "The 8 best of 10 groups" in text and "best of many is partly lucky" in text


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = two_channels(tmp_path_factory.mktemp("runs"))
    return write_page(compare([folder]), folder / "deep" / "compare.html")


def test_the_page_is_one_well_formed_file_without_references(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf8")
    found = Checked(text)
    assert found.open == [] and len(found.ids) == len(set(found.ids)) and found.unnamed == []
    assert [r for r in found.references if not r.startswith(("#", "data:"))] == []
    assert "<script" not in text and not re.search(r"url\((?!#)", text)
    assert "seed 4: 0.940" in text and "arXiv:2108.13264" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_no_wider_than_the_screen(page: pathlib.Path, width: int, tmp_path: pathlib.Path) -> None:
    probe = """<script>addEventListener("load", () => { const d = document.documentElement;
    parent.postMessage(`${d.scrollWidth} of ${innerWidth}`, "*"); });</script>"""
    framed, outer = tmp_path / "framed.html", tmp_path / "outer.html"
    framed.write_text(page.read_text(encoding="utf8").replace("</body>", f"{probe}</body>"), encoding="utf8")
    outer.write_text(f"""<body><script>addEventListener("message", e => document.body.append(e.data));</script>
    <iframe src="{framed.as_uri()}" width="{width}" height="900" style="border:0"></iframe></body>""")
    done = browse(outer, tmp_path / "profile", "--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(r"(\d+) of (\d+)", done.stdout.decode(errors="replace").split("</iframe>")[-1])
    assert found is not None
    assert int(found[2]) == width and int(found[1]) <= width


def test_the_command_prints_tables_json_and_writes_the_page(tmp_path: pathlib.Path, capsys: Any) -> None:
    folder, out = two_channels(tmp_path / "runs"), tmp_path / "page.html"
    assert main(["compare", str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "channel=dru" in said and "0.920" in said and "every seed" in said and str(out) in said
    assert main(["compare", str(folder), "--json", "--metric", "normalised_return"]) == 0
    found = json.loads(capsys.readouterr().out)
    best = found["groups"][0]
    assert (best["num_seeds"], best["iqm"], found["metric"]) == (5, pytest.approx(0.92), "normalised_return")
    assert best["interval"]["low"] <= 0.92 <= best["interval"]["high"]
    assert {run["seed"] for run in best["runs"]} == set(range(5))
    assert found["differences"][0]["probability"] == 1.0
    assert main(["compare", str(folder), "--out", str(folder)]) == 2
    assert "is a folder" in capsys.readouterr().err
