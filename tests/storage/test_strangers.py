"""What strangers hand over is refused in one line or shown as it is, before it takes memory, and never obeyed."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import resource
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console

from heliograph import registry
from heliograph.analysis import corpus as corpora
from heliograph.analysis.corpus import METADATA, SCHEMA, UTTERANCES, CorpusError
from heliograph.analysis.recording import record
from heliograph.cli import main
from heliograph.cli.shown import Display, console, listing, print_table
from heliograph.experiments.settings import settings_from
from heliograph.memory import at_most, is_exhausted
from heliograph.registry import PluginError, UnknownNameError
from heliograph.reports.report_data import read_curve
from heliograph.rllib.runs.sweep import Trial, finished_trial
from heliograph.storage.run_folder import CONFIG, TEAM, WEIGHTS, RunFolderError, read_run, write_team
from heliograph.storage.safe_files import CHECKSUM, MAX_TENSORS, read_json, write_tensors
from heliograph.storage.team_file import export, read_policy
from heliograph.texts import cut, natural, one_line, printable
from tests.analysis.teams import scripted_run
from tests.storage.test_sharing import run_folder

SUMMARY = {"episode_return_mean": 0.5, "num_env_steps": 9, "wall_seconds": 1.0}
ESCAPE = "\x1b[31mred\x1b[0m\x07"


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = run_folder(tmp_path / "run", size=2)
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    return folder


@contextlib.contextmanager
def little_memory(num_bytes: int = 700_000_000) -> Iterator[None]:
    """What takes more fails at once, and does not fill the machine."""
    with at_most(num_bytes):
        yield


def edit(folder: pathlib.Path, change: Callable[[dict], Any]) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config.pop(CHECKSUM, None)
    change(config)
    (folder / CONFIG).write_text(json.dumps(config))


def refused(words: list[str], said: str, capsys: Any) -> str:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1 and len(error) < 5000, error
    return error


# ---- files that are waited for, or never end ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_a_summary_that_is_no_file_is_refused(kind: str, run: pathlib.Path, capsys: Any) -> None:
    (run / "summary.json").unlink()
    os.mkfifo(run / "summary.json") if kind == "pipe" else (run / "summary.json").symlink_to("/dev/zero")
    refused(["compare", str(run)], "summary.json is no file", capsys)
    with pytest.raises(RunFolderError, match=r"is damaged: .* is no file; delete"):
        finished_trial(Trial(name="a", settings=settings_from({}), out=run))


@pytest.mark.parametrize("name", ["summary.json", "progress.csv", CONFIG])
def test_files_of_any_length_are_read_within_bounds(name: str, run: pathlib.Path) -> None:
    with (run / name).open("wb") as file:
        file.truncate(30_000_000_000)  # a hole: it takes no disk
    reading = {"summary.json": lambda: read_json(run / name), "progress.csv": lambda: read_curve(run)}
    with little_memory(), pytest.raises(RunFolderError, match=f"{name} has 30000000000 bytes: more than"):
        reading.get(name, lambda: read_run(run))()


# ---- weights --------------------------------------------------------------------------------------------------------


def sparse(path: pathlib.Path, tensors: dict[str, list[int]], metadata: dict[str, str]) -> None:
    """A safetensors file whose tensors are holes."""
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, shape in tensors.items():
        size = 4 * int(torch.tensor(shape).prod())
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def test_weights_are_compared_before_they_are_read(run: pathlib.Path) -> None:
    sparse(run / WEIGHTS, {"w": [3_000_000_000]}, {CHECKSUM: "0" * 64, "format_version": "1"})
    with little_memory(), pytest.raises(RunFolderError, match=r"do not fit its configuration.*has also \['w'\]"):
        read_run(run)
    team = {key: config_of(run)[key] for key in ("env", "team", "format_version")}
    path = run.parent / "team.safetensors"
    sparse(path, {"policies.speaker.w": [3_000_000_000]}, {TEAM: json.dumps(team), CHECKSUM: "0" * 64})
    with little_memory(), pytest.raises(RunFolderError, match="do not fit its configuration"):
        read_run(path)
    with little_memory(), pytest.raises(RunFolderError, match="more than 2,000,000,000 are refused"):
        read_policy(path, "speaker")


def config_of(run: pathlib.Path) -> dict[str, Any]:
    return json.loads((run / CONFIG).read_text())


def test_many_tensors_and_long_names_are_refused_in_short(run: pathlib.Path) -> None:
    write_tensors(run / WEIGHTS, {f"t{i}": torch.zeros(0) for i in range(MAX_TENSORS + 1)}, metadata={})
    with pytest.raises(RunFolderError, match="holds 20,001 tensors: more than 20,000 are refused"):
        read_run(run)
    write_tensors(run / WEIGHTS, {"x" * 1_000_000: torch.zeros(1)}, metadata={})
    with pytest.raises(RunFolderError) as error:
        read_run(run)
    assert len(str(error.value)) < 1000
    with pytest.raises(UnknownNameError) as unknown:
        read_policy(run, "y" * 1_000_000)
    assert len(str(unknown.value)) < 1000


@pytest.mark.parametrize("where", ["env", "team"])
def test_long_texts_in_a_configuration_are_cut(where: str, run: pathlib.Path, capsys: Any) -> None:
    for value in ("x" * 15_000_000, ":" * 1_000_000, [1] * 100_000):
        edit(run, lambda c: c[where].update({"env" if where == "env" else "model": value}))  # noqa: B023
        refused(["evaluate", str(run)], "", capsys)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("command", ["evaluate", "report", "protocol", "record", "replay", "render", "export"])
def test_weights_that_are_no_numbers_are_said(command: str, value: float, run: pathlib.Path, capsys: Any) -> None:
    team = read_run(run).team
    with torch.no_grad():
        next(iter(team.parameters())).view(-1)[-1] = value
    write_team(run, team)
    more = {"record": ["--out", str(run / "corpus")], "export": [str(run.parent / "x.safetensors")]}
    refused([command, str(run), *more.get(command, [])], "holds NaN or infinity", capsys)
    with pytest.raises(RunFolderError, match="holds NaN or infinity"):
        read_policy(run, "speaker")


# ---- environments that no machine has -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "settings", "said"),
    [
        ("predator_prey", {"size": 5000}, "takes 2,000,000,000 bytes or more"),
        ("predator_prey", {"size": 400}, "takes 2,000,000,000 bytes or more"),
        ("traffic_junction", {"cars": 70_000}, "numbers in a step, more than 1,000,000"),
        ("speaker_listener", {"rounds": 100_000}, "env.settings.rounds=100000 is larger than 1000"),
        ("speaker_listener", {"talk_steps": 100_000}, "up to 100,002 env steps, more than 10,000"),
        ("switch_riddle", {"prisoners": 90_000}, "env steps, more than 10,000"),
    ],
)
def test_environments_of_strangers_are_bounded_as_a_whole(
    env: str, settings: dict[str, int], said: str, run: pathlib.Path, capsys: Any
) -> None:
    edit(run, lambda c: c["env"].update(env=env, settings=settings))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    assert "--trust" in refused(["evaluate", str(run), "--episodes", "5"], said, capsys)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    corpus = record(scripted_run(), num_episodes=4)
    corpus.metadata["env"] = {"env": env, "settings": settings}
    corpus.save(run.parent / "corpus")
    refused(["protocol", str(run.parent / "corpus")], said.removeprefix("env.settings."), capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["training.train_batch_size_per_learner=1000000000000"], "per_learner=1000000000000: to train takes"),
        (["team.critic_size=1000000000"], "critic_size=1000000000: to train takes"),
        (["team.critic_size=1000000", "team.critic=observation"], "critic_size=1000000: to train takes"),
    ],
)
def test_sizes_that_no_machine_has_are_refused_before_training(
    words: list[str], said: str, tmp_path: pathlib.Path, capsys: Any
) -> None:
    assert "make it smaller" in refused(
        ["train", "speaker_listener", "--out", str(tmp_path / "x"), "--set", *words], said, capsys
    )
    assert not (tmp_path / "x").exists()


def test_an_environment_that_this_machine_cannot_hold_is_refused_by_its_settings(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("heliograph.experiments.compatibility.memory_bytes", lambda: 300_000_000)
    words = ["train", "predator_prey", "--out", str(tmp_path / "x"), "--set", "env.size=200"]
    assert "{'size': 200}: two copies of it" in refused(words, "0.3 GB of memory", capsys)
    assert not (tmp_path / "x").exists()


def test_a_million_threads_are_refused(tmp_path: pathlib.Path, capsys: Any) -> None:
    words = ["train", "speaker_listener", "--out", str(tmp_path / "x"), "--threads", "1000000"]
    refused(words, "torch_num_threads=1000000: must be a finite number of at most 4096", capsys)


@pytest.mark.parametrize("error", [MemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory: x")])
def test_an_allocator_that_gives_up_is_one_line(error: Exception, monkeypatch: Any, capsys: Any) -> None:
    def fail(given: Any) -> None:
        raise error

    monkeypatch.setattr("heliograph.cli._command", lambda name: fail)
    refused(["list"], "not enough memory: ", capsys)
    assert is_exhausted(error) and not is_exhausted(RuntimeError("shapes differ"))
    with pytest.raises(type(error)):
        main(["list", "--debug"])


def test_memory_is_bounded_for_a_while() -> None:
    with at_most(100_000_000), pytest.raises(RuntimeError) as error:
        torch.empty(1_000_000_000)  # more than what this process may have had before, and keeps
    assert is_exhausted(error.value)
    assert len(torch.empty(1_000_000_000)) == 1_000_000_000


# ---- corpora --------------------------------------------------------------------------------------------------------


@pytest.fixture
def strange(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Saves a corpus with some columns, and some of its metadata, changed; without a checksum."""

    def save(*, rows: dict[str, Callable[[list], list]] | None = None, **metadata: Any) -> pathlib.Path:
        folder = record(scripted_run(), num_episodes=6).save(tmp_path / "corpus")
        table = pq.read_table(folder / UTTERANCES)
        for name, change in (rows or {}).items():
            column = pa.array(change(table[name].to_pylist()), SCHEMA.field(name).type)
            table = table.set_column(table.column_names.index(name), name, column)
        pq.write_table(table, folder / UTTERANCES)
        about = json.loads((folder / METADATA).read_text()) | metadata
        about = {key: value for key, value in about.items() if key != corpora.CHECKSUM}
        (folder / METADATA).write_text(json.dumps(about))
        return folder

    return save


def first(value: Any) -> Callable[[list], list]:
    return lambda column: [value, *column[1:]]


ROWS = [
    *(({name: first(None)}, f"{name} is missing in row 0") for name in ("symbols", "meaning", "sender", "role")),
    ({"bits": first(None)}, "bits is missing in row 0"),
    ({"hearers": first(None)}, "hearers is missing"),
    ({"symbols": first([2**62])}, f"an entry of symbols is {2**62}: must be from 0 to 3"),
    ({"symbols": first([-1])}, "an entry of symbols is -1"),
    ({"symbols": first([1, 1])}, "symbols has 1 entries in one row and 2 in another"),
    ({"symbols": first([None])}, "symbols holds an entry that is missing"),
    ({"meaning": first([0, 1])}, "meaning has 1 entries in one row and 2 in another"),
    ({"meaning": first([])}, "meaning has 0 entries in one row and 1 in another"),
    ({"episode": first(-3)}, "episode is -3: must be from 0 to 5"),
    ({"episode": first(6)}, "episode is 6"),
    ({"step": first(-1)}, "step is -1"),
    ({"round": first(2**50)}, "round is"),
    ({"sender": first("nobody")}, "sender names 'nobody', which is none of the agents"),
    ({"sender": first("listener_0")}, "role is not that of the sender in row 0"),
    ({"role": first("listener")}, "role is not that of the sender in row 0"),
    ({"hearers": first(["nobody"])}, "hearers names 'nobody'"),
    ({"hearers": first(["x" * 100_000])}, "hearers names 'xxx"),
    ({"hearers": first([])}, "actions has not one entry for each of the hearers in row 0"),
    ({"read": first([-5])}, "an entry of read is -5"),
    ({"reward": first(float("nan"))}, "reward is no finite number in row 0"),
    ({"vector": first([0.5])}, "vector is given beside symbols in row 0"),
]
ABOUT = [
    ({"num_episodes": -3}, "num_episodes=-3"),
    ({"vocabulary": -1}, "vocabulary=-1"),
    ({"vocabulary": "x" * 10_000}, "vocabulary="),
    ({"length": 2**62}, "length="),
    ({"roles": {"a": 5}}, "agents and roles must be lists of names"),
    ({"roles": {"speaker": ["speaker_0"]}}, "roles must hold each of the agents"),
    ({"agents": [1, 2]}, "agents and roles must be lists of names"),
    ({"agents": ["speaker_0", "speaker_0", "listener_0"]}, "roles must hold each of the agents"),
    ({"episode_return_mean": "high"}, "episode_return_mean='high'"),
    ({"episode_return_mean": float("inf")}, "episode_return_mean=inf"),
    ({"num_utterances": 5}, "has 6 rows: the metadata says 5"),
]


@pytest.mark.parametrize(("rows", "said"), ROWS, ids=[said[:40] for _, said in ROWS])
def test_rows_that_nobody_said_are_refused(rows: Any, said: str, strange: Any, capsys: Any) -> None:
    folder = strange(rows=rows)
    refused(["protocol", str(folder)], said, capsys)
    with pytest.raises(CorpusError):
        corpora.load_corpus(folder)


@pytest.mark.parametrize(("about", "said"), ABOUT, ids=[said[:40] for _, said in ABOUT])
def test_metadata_that_cannot_be_is_refused(about: Any, said: str, strange: Any, capsys: Any) -> None:
    refused(["protocol", str(strange(**about))], said, capsys)


def test_what_is_as_it_was_is_read(strange: Any) -> None:
    assert len(corpora.load_corpus(strange())) == 6


@pytest.mark.parametrize("told", [20, 20_000_000])
def test_a_bomb_of_equal_rows_is_refused_before_it_goes_off(
    told: int, strange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = strange(num_utterances=told)
    row = pq.read_table(folder / UTTERANCES).slice(0, 1)
    many = pa.concat_tables([row] * 1000).combine_chunks()
    with pq.ParquetWriter(folder / UTTERANCES, many.schema) as writer:
        for _ in range(200):
            writer.write_table(many)
    if told > 20:
        about = json.loads((folder / METADATA).read_text())
        (folder / METADATA).write_text(json.dumps({**about, "num_utterances": 200_000}))
        monkeypatch.setattr("heliograph.analysis.corpus_checks.memory_bytes", lambda: 300_000_000)
    said = "has 200000 rows: the metadata says 20" if told == 20 else "GB of memory, and this machine has 0.3"
    with little_memory(100_000_000), pytest.raises(CorpusError, match=said):
        corpora.load_corpus(folder)


# ---- curves and summaries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ["1e308,0.5", "64,1e308", "64,-1e308", "-5,0.5", f"{'9' * 400},0.5"])
def test_curves_that_no_figure_can_show_are_named(row: str, run: pathlib.Path, capsys: Any) -> None:
    (run / "progress.csv").write_text(f"num_env_steps,episode_return_mean\n10,0.1\n{row}\n128,0.2\n")
    for words in (["report", str(run), "--episodes", "5"], ["compare", str(run), "--out", str(run / "x.html")]):
        refused(words, "progress.csv is damaged", capsys)


@pytest.mark.parametrize("value", [1e308, -1e308, float("nan"), "x" * 1_000_000, None, True])
@pytest.mark.parametrize("key", list(SUMMARY))
def test_summaries_that_cannot_be_are_named(key: str, value: Any, run: pathlib.Path, capsys: Any) -> None:
    (run / "summary.json").write_text(json.dumps({**SUMMARY, key: value}))
    assert f"summary.json has {key}=" in refused(["compare", str(run)], "must be a number", capsys)


# ---- plug-ins -------------------------------------------------------------------------------------------------------


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[None]:
    """Plug-ins that are missing, broken, end the process, or have a docstring that commands the terminal."""
    (tmp_path / "plug_broken.py").write_text("raise RuntimeError('two\\nlines')")
    (tmp_path / "plug_exits.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "plug_loud.py").write_text(f"class Loud:\n    {ESCAPE!r} ' [red]loud[/x]'\n")
    monkeypatch.syspath_prepend(tmp_path)
    names = {"missing": "plug_nowhere:X", "broken": "plug_broken:X", "exits": "plug_exits:X", "loud": "plug_loud:Loud"}
    real = importlib.metadata.entry_points

    groups = [f"heliograph.{folder}" for folder in registry.KINDS.values()]
    own = [importlib.metadata.EntryPoint(name=n, value=at, group=g) for g in groups for n, at in names.items()]
    points = importlib.metadata.EntryPoints([*own, *(point for g in groups for point in real(group=g))])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda: points)
    caches = (registry._points, registry._foreign, registry.load)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize("kind", ["envs", "recipes"])
def test_a_broken_plug_in_is_told_in_its_line(kind: str, plugged: None, capsys: Any) -> None:
    assert main(["list", kind]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "cannot be imported: ModuleNotFoundError: No module named 'plug_nowhere'" in lines["missing"]
    assert "cannot be imported: RuntimeError: two lines" in lines["broken"]
    assert "cannot be imported: ImportError: sys.exit(3) was called" in lines["exits"]
    assert main(["list", "--json"]) == 0
    assert "cannot be imported" in json.loads(capsys.readouterr().out)["channels"]["missing"]


def test_training_with_a_broken_plug_in_is_one_line(plugged: None, tmp_path: pathlib.Path, capsys: Any) -> None:
    refused(["train", "broken", "--out", str(tmp_path / "x")], "'broken' (plug_broken:X) cannot be imported", capsys)
    with pytest.raises(PluginError):
        registry.load("env", "exits")


# ---- what a terminal would obey -------------------------------------------------------------------------------------


def test_what_a_docstring_commands_is_shown(plugged: None, capsys: Any) -> None:
    assert main(["list", "envs"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\\x1b[31mred" in out and "[red]loud[/x]" in out


def test_names_of_folders_are_shown_as_they_are(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    name = f"[red]{ESCAPE}[x:smile:"
    run = run_folder(tmp_path / name, size=2)
    (run / "summary.json").write_text(json.dumps(SUMMARY))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    corpus, few = str(run / "corpus"), ["--episodes", "3"]
    for words in (
        ["report", str(run), *few],
        ["compare", str(run), "--out", str(run / "compare.html")],
        ["export", str(run), str(run / "handed.safetensors")],
        ["record", str(run), *few, "--out", corpus],
        ["render", str(run), "--out", str(run / "film.gif")],
    ):
        assert main(words) == 0, words
        out = capsys.readouterr().out
        assert "\x1b[31m" not in out and "\x07" not in out, words
        assert printable(name) in out, (words, out)


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_obeyed_wherever_it_is_printed(terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    evil = f"[/x][red]{ESCAPE} :smile:"
    shown = printable(evil)
    monkeypatch.setattr(Console, "is_terminal", property(lambda self: terminal))
    monkeypatch.setenv("COLUMNS", "200")
    console().print(evil)
    print_table([evil, "b"], [[evil, evil]])
    listing([(evil, evil)])
    with Display({evil: settings_from({})}, err=False) as display:
        display.start(evil)
        display.say(evil)
        display.row(evil, {"iteration": 1, "num_env_steps": 1, "seconds": 1.0, "env_steps_per_second": 1.0})
        display.end(evil, {"episode_return_mean": 1.0, "stopped_by": evil})
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out and "\x07" not in out
    assert out.count(shown) >= 8


def test_texts_are_made_fit_for_a_line() -> None:
    assert sorted(["seed_10", "seed_2", "7, 10", "7, 9"], key=natural) == ["7, 9", "7, 10", "seed_2", "seed_10"]
    assert printable("a\tb\n\u202e") == "a\\tb\\n\\u202e" and printable("ü ☀") == "ü ☀"
    assert cut("x" * 500) == "x" * 197 + "..." and cut(5) == "5"
    assert one_line(ValueError(" a\n  b ")) == "a b" and one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 10**7))) == 1000


def test_replays_of_renamed_agents_command_nothing(strange: Any, capsys: Any) -> None:
    names = {"speaker_0": f"s{ESCAPE}", "listener_0": "[/x]"}
    rename = lambda column: [names[x] if isinstance(x, str) else [names[y] for y in x] for x in column]  # noqa: E731
    folder = strange(
        rows={"sender": rename, "hearers": rename},
        agents=list(names.values()),
        roles={"speaker": [names["speaker_0"]], "listener": [names["listener_0"]]},
    )
    assert main(["protocol", str(folder)]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("value", [[1], "x" * 1_000_000, {"speaker": 5}, {"speaker": {"model": ["y"] * 1_000_000}}])
@pytest.mark.parametrize("key", ["policies", "model_settings", "channel", "env"])
def test_what_a_policy_was_trained_as_is_told_in_short(key: str, value: Any, run: pathlib.Path) -> None:
    path, config = run.parent / "policy.safetensors", config_of(run)
    content = {"policy": "speaker", "format_version": 1, "team": config["team"], "trained_in": config["env"]}
    if key == "env":
        content["trained_in"] = value
    else:
        content["team"][key] = value
    write_tensors(path, {"policies.speaker.w": torch.zeros(1)}, metadata={TEAM: json.dumps(content)})
    assert len(read_policy(path, "speaker").trained_as) <= 1000


def test_an_exported_team_reads_as_before(run: pathlib.Path) -> None:
    for half in (True, False):
        path = export(run, run.parent / f"{half}.safetensors", half=half)
        assert read_run(path).team.state_dict().keys() == read_run(run).team.state_dict().keys()
        assert read_policy(path, "speaker").tensors
