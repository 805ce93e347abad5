"""What benchmarks share: a run that was put down goes on as if it had never stopped; results stand in tables."""

import json
import pathlib
import re
from typing import Any

import pytest

from heliograph.experiments.settings import TrainSettings, settings_from

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
TINY = {"num_envs_per_env_runner": 16, "train_batch_size_per_learner": 32, "minibatch_size": 16}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the benchmarks that trains and judges."""
    if not BENCHMARKS.exists():
        pytest.skip("no benchmarks beside the tests")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import watched

    return watched


def tiny(seed: int = 0) -> TrainSettings:
    """A small experiment."""
    return settings_from({"env": "identity", "model_settings": {"size": 8}, "algorithm_settings": TINY, "seed": seed})


def test_a_run_that_was_put_down_goes_on_as_if_it_had_not(watched: Any, tmp_path: pathlib.Path) -> None:
    def judge(trainer: Any) -> float:
        return float(sum(weight.detach().sum() for weight in trainer.team.parameters()))

    whole, found = watched.watched(tiny(), judge=judge, updates=6, every=2)
    watched.watched(tiny(), judge=judge, updates=4, every=2, unfinished=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"so_far.json", "state_4.safetensors"}
    again, later = watched.watched(tiny(), judge=judge, updates=6, every=2, unfinished=tmp_path)
    assert [update for update, _ in later["curve"]] == [2, 4, 6]
    assert [score for _, score in later["curve"]] == [score for _, score in found["curve"]]
    pairs = zip(whole.team.parameters(), again.team.parameters(), strict=True)
    assert all(bool((one == other).all()) for one, other in pairs)
    with pytest.raises(SystemExit, match="other settings"):
        watched.watched(tiny(seed=1), judge=judge, updates=6, every=2, unfinished=tmp_path)


def test_every_committed_result_stands_in_a_table_with_its_controls(watched: Any) -> None:
    import table

    folder = table.RESULTS / "traffic"
    lines = table.traffic(folder).split("\n")
    for path in folder.glob("*.json"):
        assert any(line.startswith(f"| `{path.stem}` | real |") for line in lines), path
    for path in (folder / "twins").glob("*.json"):
        assert any(line.startswith(f"| `{path.stem}` | silent |") for line in lines), path
    assert "ic3net_traffic_junction_easy" in table.differences(folder)
    assert table.welch_half_interval([1.0, 2.0, 3.0], [4.0, 6.0]) == pytest.approx(5.977, abs=1e-3)


def test_the_gpu_benchmark_is_rehearsed_on_the_cpu(watched: Any) -> None:
    import gpu
    import torch

    row = gpu.row_of("speaker_listener", device=torch.device("cpu"), copies=8, seconds=0.01)
    assert row["env_steps_per_second"] > 0 and row["training_env_steps_per_second"] > 0
    assert row["largest_difference"] <= gpu.TOLERANCE


WORLDS = (
    "mpe2 simple_crypto_v3", "mpe2 simple_world_comm_v3", "mpe2 simple_speaker_listener_v4, continuous",
    "pettingzoo classic tictactoe_v3", "pettingzoo classic rps_v2", "ray MultiAgentCartPole", "ray RockPaperScissors",
    "ray DoubleRowCorridorEnv", "lbforaging Foraging-8x8-3p-1f-coop", "open_spiel trade_comm",
    "open_spiel coop_box_pushing",
)  # fmt: skip
"""Those that install in seconds; all others are for benchmarks/compatibility.py."""
NEEDED = {"open_spiel": "pyspiel", "pettingzoo": "pettingzoo", "ray": "ray"}


@pytest.mark.parametrize("world", WORLDS)
def test_environments_of_other_projects_are_what_they_are_by_themselves(world: str, watched: Any) -> None:
    import beside
    import worlds

    group = worlds.WORLDS[world].group
    pytest.importorskip(NEEDED.get(group, group))
    assert " steps, " in beside.beside(worlds.WORLDS[world], steps=30, ends=3)


def test_what_works_is_told_as_it_was_found(watched: Any) -> None:
    import compatibility
    import worlds

    results = json.loads(compatibility.OUT.read_text())
    assert len(results["worlds"]) >= 40 and set(results["worlds"]) <= set(worlds.WORLDS)
    assert compatibility.PAGE.read_text() == compatibility.page(results)
    failing = {"ok": {"works": True, "told": "a|b"}, "bad": {"works": False, "told": "why <not>\nit"}}
    line = compatibility.row("x", {"group": "ray", "made": failing["ok"], "same": failing["bad"]}, ray="2.60.0")
    assert line == "| x | ray==2.60.0 | a/b | - | **fails**: why &lt;not> it | - | - |  |"


def test_every_script_and_page_is_named() -> None:
    told = (BENCHMARKS / "README.md").read_text()
    unnamed = [path.name for path in BENCHMARKS.glob("*.py") if f"`{path.name}`" not in told]
    assert not unnamed
    pages = re.findall(r"\(\.\./(docs/\w+\.md)\)", told)
    assert pages and all((BENCHMARKS.parent / page).exists() for page in pages)
