"""The report renders in a real browser, offline, without complaint, says what is so, and copes with gaps."""

import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from heliograph.analysis.verdict import verdict
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.reports import report_data as findings
from heliograph.reports.report import write_report
from heliograph.storage.run_folder import RunFolderError, write_config, write_team
from heliograph.types import Bounds
from tests.analysis.teams import collapsed, perfect, perfect_bits, scripted_run

BOUNDS = Bounds(random=-1 / 3, blind=-1 / 3, full_information=1.0, source="exact")
WIDTHS = (1280, 390)
VOID = {"meta", "link", "br", "hr", "img"}


class Checked(html.parser.HTMLParser):
    """Collects ids, headings and outside references, and insists that elements are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.references: list[str] = []
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.headings += [tag] if re.fullmatch(r"h[1-6]", tag) else []
        self.references += [v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "action")]
        self.unnamed += [tag] if tag == "svg" and not given.get("aria-label") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def write_progress(folder: pathlib.Path, *, level: float) -> None:
    rows = [f"{i},{1000 * i},{i / 2},{min(level, -0.33 + 0.2 * i)},0.5,1.0,0.9" for i in range(1, 8)]
    names = "iteration,num_env_steps,seconds,episode_return_mean,success_rate,entropy_bits,mutual_information_bits"
    (folder / "progress.csv").write_text("\n".join([names, *rows]) + "\n")


def write_run(folder: pathlib.Path, *, controls: bool = True, function=perfect, channel: str = "symbols") -> None:
    scripted_run(function, channel=channel, folder=folder)
    write_progress(folder, level=1.0)
    if controls:
        for name, control_channel in (("silent", "none"), ("garbled", f"garbled+{channel}")):
            scripted_run(function, channel=control_channel, folder=folder / name)
            write_progress(folder / name, level=-0.33)


@pytest.fixture(scope="module")
def full_report(tmp_path_factory) -> pathlib.Path:
    """Two seeds with controls."""
    folder = tmp_path_factory.mktemp("run")
    for seed in (0, 1):
        write_run(folder / f"seed_{seed}")
    return write_report(folder, num_episodes=120, trust=True)


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None and not os.environ.get("CI"):
        pytest.skip("no chromium on this machine (in CI there must be one)")
    assert found is not None, "CI must install chromium"
    return found


def browse(path: pathlib.Path, profile: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    """Open a page without any network: every host name fails to resolve, and proxies lead nowhere."""
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", f"--user-data-dir={profile}",
        *arguments, path.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=90)


def test_it_is_one_well_formed_file_without_references(full_report: pathlib.Path) -> None:
    text = full_report.read_text(encoding="utf8")
    page = Checked(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert [r for r in page.references if not r.startswith(("#", "data:"))] == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "<script" not in text
    assert page.unnamed == []
    assert page.headings[0] == "h1"
    assert page.headings.count("h1") == 1
    assert text.count("prefers-color-scheme: dark") == 1
    assert len(text) < 600_000


def test_it_says_what_is_so(full_report: pathlib.Path) -> None:
    text = full_report.read_text(encoding="utf8")
    assert "Messages carry the meaning, and hearers use it" in text
    for expected in ("speaker_listener", "scripted", "symbols", "ppo", "seed 1: random-message control", "value of"):
        assert expected in text
    for kind in ("as sent", "resampled", "swapped", "zeroed", "noise"):
        assert f"<b>{kind}</b>" in text
    for section in ("Did talking pay?", "Does anyone listen?", "The code", "Some episodes, turn by turn"):
        assert f"<h2>{section}</h2>" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_it_renders_in_a_browser_offline_without_errors(full_report: pathlib.Path, width: int, tmp_path) -> None:
    picture = tmp_path / "report.png"
    done = browse(full_report, tmp_path / "profile", f"--window-size={width},3000", f"--screenshot={picture}")
    log = done.stderr.decode(errors="replace")
    assert done.returncode == 0, log
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []
    from matplotlib.image import imread

    pixels = imread(picture)
    assert pixels.shape[1] == width
    assert pixels[..., :3].std() > 0.02  # not blank


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(full_report: pathlib.Path, width: int, tmp_path) -> None:
    """Measured by the browser in a frame of that width (windows of a browser cannot be that narrow)."""
    probe = """<script>addEventListener("load", () => { const d = document.documentElement;
    parent.postMessage(`${d.scrollWidth} of ${innerWidth}`, "*"); });</script>"""
    framed, outer = tmp_path / "framed.html", tmp_path / "outer.html"
    framed.write_text(full_report.read_text(encoding="utf8").replace("</body>", f"{probe}</body>"), encoding="utf8")
    outer.write_text(f"""<body><script>addEventListener("message", e => document.body.append(e.data));</script>
    <iframe src="{framed.as_uri()}" width="{width}" height="900" style="border:0"></iframe></body>""")
    done = browse(outer, tmp_path / "profile", "--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(r"(\d+) of (\d+)", done.stdout.decode(errors="replace").split("</iframe>")[-1])
    assert found is not None, done.stdout.decode(errors="replace")[-500:]
    assert int(found[2]) == width
    assert int(found[1]) <= width


def test_a_run_without_controls_or_curve(tmp_path) -> None:
    write_run(tmp_path, controls=False, function=perfect_bits, channel="dru")
    (tmp_path / "progress.csv").unlink()
    text = write_report(tmp_path, num_episodes=60, trust=True).read_text(encoding="utf8")
    assert "what talking is worth stays open" in text
    assert "value of communication" not in text
    assert 'aria-label="Learning curves' not in text


def test_what_was_said_is_shown_for_as_many_episodes_as_memory_allows(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(findings, "MOST_UTTERANCES", 20)
    write_run(tmp_path, controls=False)
    text = write_report(tmp_path, num_episodes=60, trust=True).read_text(encoding="utf8")
    assert "60 fresh episodes for each number" in text and "that of the first 20 of them" in text


def test_a_run_with_a_curve_that_has_just_begun(tmp_path) -> None:
    write_run(tmp_path, controls=False)
    (tmp_path / "progress.csv").write_text("iteration,num_env_steps,episode_return_mean\n1,8,\n2,16,0.5\n")
    assert "Learning curves" in write_report(tmp_path, num_episodes=30, trust=True).read_text(encoding="utf8")
    (tmp_path / "progress.csv").write_text("iteration,num_env_steps,episode_return_mean\n1,8,x\n")
    with pytest.raises(RunFolderError, match=r"progress\.csv is damaged"):
        write_report(tmp_path, num_episodes=30, trust=True)


@pytest.mark.parametrize(("function", "channel", "expected"), [(collapsed, "symbols", "One message for all meanings"),
                                                               (perfect, "none", "Nobody speaks")])  # fmt: skip
def test_protocols_that_fail(function, channel: str, expected: str, tmp_path) -> None:
    write_run(tmp_path, controls=False, function=function, channel=channel)
    assert expected in write_report(tmp_path, num_episodes=60, trust=True).read_text(encoding="utf8")


def test_names_are_escaped(tmp_path) -> None:
    write_run(tmp_path, controls=False)
    config = tmp_path / "config.json"
    content = json.loads(config.read_text().replace('"ppo"', '"<script>alert(1)</script>"'))
    del content["sha256"]
    config.write_text(json.dumps(content))
    text = write_report(tmp_path, num_episodes=30, trust=True).read_text(encoding="utf8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_folders_that_are_no_runs_are_refused(tmp_path) -> None:
    with pytest.raises(RunFolderError, match="is no run folder"):
        write_report(tmp_path)
    write_run(tmp_path, controls=False)
    with pytest.raises(RunFolderError, match="would import code"):
        write_report(tmp_path)


def told(**changed):
    base = {
        "information": "above_chance", "entropy_bits": 1.58, "meaning_entropy_bits": 1.58, "bits_per_message": 2.0,
        "mutual_information_bits": 1.58, "mutual_information_baseline_bits": 0.01, "num_meanings": 3,
    }  # fmt: skip
    return base | changed


def effects(after: float) -> list[dict]:
    sent = {"messages": "as-sent", "episode_return_mean": 1.0, "difference_mean": 0.0, "difference_se": 0.0}
    change = {"difference_mean": after - 1, "difference_se": 0.02}
    return [sent, {"messages": "resampled", "episode_return_mean": after, **change}]


@pytest.mark.parametrize(
    ("changed", "after", "expected"),
    [
        ({}, -0.3, "Messages carry the meaning, and hearers use it"),
        ({}, 0.99, "Messages carry the meaning, but nobody listens"),
        ({"mutual_information_bits": 0.9}, -0.3, "Messages carry part of the meaning, and hearers use it"),
        ({"information": "babbling", "mutual_information_bits": 0.05}, 1.0, "Babbling"),
        ({"information": "collapsed"}, 1.0, "One message for all meanings"),
        ({"information": "unknown"}, 0.0, "Messages matter"),
        ({"information": "unknown", "num_meanings": 1}, 1.0, "Messages do not matter"),
    ],
)
def test_verdicts(changed: dict, after: float, expected: str) -> None:
    found = verdict(told(**changed), effects(after), bounds=BOUNDS)
    assert found.headline.startswith(expected)
    assert all(sentence.endswith(".") for sentence in found.sentences)


def test_the_untrained_team_stands_beside_the_trained_and_controls_have_a_dash(tmp_path) -> None:
    env = EnvChoice(env="speaker_listener", settings={"goals": 3})
    for name, channel in (("", "dru"), ("garbled", "garbled+dru")):
        choices = TeamChoices(model="cnet", model_settings={"size": 8}, channel=channel)
        facts = facts_of(build_env(env, num_envs=1))
        write_config(tmp_path / name, env=env, choices=choices, training={"algorithm": "ppo"}, seed=0)
        write_team(tmp_path / name, build_team(choices, facts, seed=1))
    text = write_report(tmp_path, num_episodes=60).read_text(encoding="utf8")
    assert "the first team, untrained" in text and "; untrained 0." in text
    assert "<b>used</b>" not in text and "% replaced" in text
    told = [row for row in text.split("<tr>") if "random-message control" in row]
    rows = {row.split("</t")[0].rpartition(">")[2]: row for row in told}
    assert len(rows) == 1 and "\N{EN DASH}</td>" in rows["random-message control"]
