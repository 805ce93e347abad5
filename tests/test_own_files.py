"""Components of the user's by `./file.py:Name`, and the user's trust in code, which is remembered with its text."""

import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from heliograph import settings_from, train
from heliograph.channels.base import Channel
from heliograph.cli import main
from heliograph.experiments.choices import TeamChoices, resolve
from heliograph.experiments.settings_file import settings_in
from heliograph.importing import FOLDER, absolute_names, file_of, import_path, imported, module_of
from heliograph.own_files import module_name, path_of_module
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.storage import trusted
from heliograph.storage.run_folder import CONFIG, read_config, read_run
from heliograph.storage.safe_files import CHECKSUM
from heliograph.storage.trusted import UntrustedError, is_trusted, remember

PARTS = '''
"""What a user has in one file."""
import pathlib
from subprocess import check_call

import own_words
from heliograph.channels.symbols import Symbols
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.losses.base import AuxiliaryLoss
from heliograph.models.feedforward import Feedforward
from heliograph.topologies.full import Full

pathlib.Path(__file__).with_name("imported").touch()


class Env(SpeakerListener):
    """An env of mine."""


class Net(Feedforward):
    """A net of mine."""


class Chan(Symbols):
    """A channel of mine."""


class Top(Full):
    """A topology of mine."""


class Short(AuxiliaryLoss):
    """A loss of mine."""

    def __init__(self, team, *, scale: float = 1.0):
        super().__init__(team)
        self.scale = scale

    def forward(self, batch):
        return self.scale * batch.unrolled.channel_inputs[0].square().mean()
'''
SMALL: dict[str, Any] = {
    "model_settings": {"size": 8},
    "algorithm_settings": {"num_envs_per_env_runner": 32, "train_batch_size_per_learner": 100, "minibatch_size": 32},
    "evaluation_episodes": 10,
    "iterations": 1,
}
OWN = {
    "env": "./sub/parts.py:Env",
    "model": "sub/parts.py:Net",
    "channel": "noisy+./sub/parts.py:Chan",
    "topology": "./sub/parts.py:Top",
    "losses": [["./sub/parts.py:Short", 0.1, {"scale": 2.0}]],
}


@pytest.fixture
def parts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A file of the user's in a folder below the one where the user is."""
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "parts.py").write_text(PARTS)
    (folder / "own_words.py").write_text("WORDS = 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FOLDER, raising=False)
    yield folder / "parts.py"
    for name in ("own_words", "parts", module_name(str(folder / "parts.py"))):
        sys.modules.pop(name, None)


def forget(parts: pathlib.Path) -> None:
    """Let the process be as one that never imported the file."""
    sys.modules.pop(module_name(str(parts)))
    sys.modules.pop("own_words")
    (parts.parent / "imported").unlink()


@pytest.mark.parametrize("path", ["/tmp/a.py", "/a_2f_b/c d.py", "/ä/_/é_.py", "/c++/x-y.py", "/f_/f_.py"])
def test_the_name_of_a_module_is_the_path_of_its_file(path: str) -> None:
    name = module_name(path)
    assert name.rpartition(".")[2].isidentifier() and name.isascii() and path_of_module(name) == path
    assert path_of_module("heliograph.envs") is None


def test_paths_become_absolute_wherever_they_stand(parts: pathlib.Path) -> None:
    choices = TeamChoices(model="./sub/parts.py:Net", channel="noisy+sub/parts.py:Chan", topology="full")
    assert choices.model == f"{parts}:Net" and choices.channel == f"noisy+{parts}:Chan"
    layers = TeamChoices(channel=[["./sub/parts.py:Chan", {"vocabulary": 2}], "dru"]).channel
    assert layers == [[f"{parts}:Chan", {"vocabulary": 2}], "dru"]
    config: CommunicationConfig = CommPPOConfig().environment("sub/parts.py:Env")
    config.communication(model="sub/parts.py:Net", losses=[("sub/parts.py:Short", 0.5)])
    assert config.env == f"{parts}:Env" and config.losses[0].loss == f"{parts}:Short"
    assert config.choices().model == f"{parts}:Net"
    assert absolute_names({"a": ["b:c", "x.y:Z", 3], "d": "dru+noisy"}) == {"a": ["b:c", "x.y:Z", 3], "d": "dru+noisy"}


def test_files_named_in_a_settings_file_lie_beside_it(parts: pathlib.Path) -> None:
    (parts.parent / "plan.yaml").write_text("model: ./parts.py:Net\nlosses: [[parts.py:Short, 0.1]]\n")
    found = settings_in(parts.parent / "plan.yaml")
    assert found == {"model": f"{parts}:Net", "losses": [[f"{parts}:Short", 0.1]]}


def test_a_class_of_a_file_is_found_again_by_its_import_path(parts: pathlib.Path) -> None:
    net = imported("./sub/parts.py:Net")
    assert import_path(net) == f"{parts}:Net" and imported(f"{net.__module__}:Net") is net
    assert import_path(Channel) == "heliograph.channels.base:Channel"
    with pytest.raises(ImportError, match=r"there is no file /nowhere/mine\.py"):
        imported("/nowhere/mine.py:Net")


def test_what_a_name_would_import_is_found_without_importing(parts: pathlib.Path, monkeypatch: Any) -> None:
    assert file_of("sub/parts.py:Net") == str(parts) and file_of("sub/other.py:Net") is None
    assert file_of("parts:Net") is None
    monkeypatch.setenv(FOLDER, str(parts.parent))
    assert file_of("parts:Net") == str(parts)
    assert pathlib.Path(str(file_of("heliograph.envs.base:TeamEnv"))).name == "base.py"
    assert not (parts.parent / "imported").exists()


def test_what_is_installed_takes_nothing_from_the_folder(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    """Else a folder of a stranger's could bring what an installed module looks for and goes without."""
    installed, folder = tmp_path / "installed", tmp_path / "folder"
    for place in (installed, folder):
        place.mkdir()
    (installed / "goes_without.py").write_text("try:\n    import an_extra\nexcept ImportError:\n    an_extra = None\n")
    (folder / "an_extra.py").write_text("")
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv(FOLDER, str(folder))
    assert imported("goes_without:an_extra") is None
    monkeypatch.delitem(sys.modules, "goes_without")


def test_a_run_of_files_is_trained_read_and_gone_on_with(parts: pathlib.Path, capsys: Any) -> None:
    train(settings_from({**SMALL, **OWN}), out="run")
    config = read_config(pathlib.Path("run"))
    assert config["env"]["env"] == f"{parts}:Env" and config["team"]["channel"] == f"noisy+{parts}:Chan"
    source = config["sources"][str(parts)]
    assert source["file"] == str(parts) and len(source["sha256"]) == 64
    assert pathlib.Path("run", source["copy"]).read_text() == PARTS
    assert config["sources"]["own_words"]["file"] == str(parts.with_name("own_words.py"))
    assert main(["train", "--resume", "run", "--iterations", "2"]) == 0
    assert main(["evaluate", "run", "--episodes", "5"]) == 0
    assert "--trust" not in capsys.readouterr().out
    assert main(["list", "losses", "sub/parts.py:Short"]) == 0
    assert "A loss of mine." in (told := capsys.readouterr().out) and "scale" in told


def test_trust_is_remembered_until_a_file_changes(parts: pathlib.Path, capsys: Any) -> None:
    train(settings_from({**SMALL, **OWN}), out="run")
    forget(parts)
    assert read_run("run").config["env"]["env"] == f"{parts}:Env"  # whoever trained it, trusts it
    forget(parts)
    (parts.parent / "own_words.py").write_text("WORDS = 3\n")
    with pytest.raises(UntrustedError, match=r"own_words.py has changed since you trusted it"):
        read_run("run")
    assert main(["evaluate", "run", "--episodes", "5"]) == 2
    told = capsys.readouterr().err
    assert told.endswith("if you trust it: heliograph evaluate run --episodes 5 --trust\n")
    assert not (parts.parent / "imported").exists()
    line = told.rpartition("heliograph ")[2].split()
    with pytest.warns(UserWarning, match="has changed since"):
        assert main(line) == 0  # the line that was printed works
        assert main(line[:-1]) == 0  # and is not needed any more
    assert str(trusted.trusted_folder()) not in str(parts)


def test_a_run_of_a_module_is_read_from_another_folder(parts: pathlib.Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv(FOLDER, str(parts.parent))
    train(settings_from({**SMALL, "env": "parts:Env", "channel": "noisy+parts:Chan"}), out="run")
    for name in ("parts", "own_words"):
        sys.modules.pop(name)
    monkeypatch.setenv(FOLDER, str(parts.parent.parent))
    assert main(["evaluate", "run", "--episodes", "5"]) == 0
    parts.unlink()
    sys.modules.pop(module_name(str(parts)))
    assert main(["evaluate", "run", "--episodes", "5"]) == 2
    told = capsys.readouterr().err
    assert f"'parts:Env' came from the module parts, which was {parts}: it is not found here" in told
    assert "--trust" not in told, "it would not help"


def test_a_name_that_is_not_in_a_file_is_told_with_the_nearest(parts: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"parts\.py has no Nut; did you mean Net\?"):
        resolve("model", f"{parts}:Nut")
    with pytest.raises(ValueError, match=r"parts\.py has no Xyzzy\.?$"):
        resolve("model", f"{parts}:Xyzzy")


def test_a_file_that_is_gone_is_named(parts: pathlib.Path, capsys: Any) -> None:
    train(settings_from({**SMALL, **OWN}), out="run")
    forget(parts)
    parts.rename(parts.with_name("moved.py"))
    assert main(["evaluate", "run", "--trust"]) == 2
    told = capsys.readouterr().err
    assert f"came from the file {parts}: there is none here; its text of then is run/source/parts.py.txt" in told


def test_only_what_was_trusted_is_trusted(parts: pathlib.Path) -> None:
    """A stranger's run cannot name something else in a file of the user's, nor a file of the same text elsewhere."""
    train(settings_from({**SMALL, **OWN}), out="run")
    config = json.loads(pathlib.Path("run", CONFIG).read_text())
    del config[CHECKSUM]
    other = parts.with_name("same.py")
    other.write_text(PARTS)
    for name in (f"{parts}:check_call", f"{other}:Env", f"{parts}:Env+{parts}:check_call", "subprocess:run"):
        pathlib.Path("run", CONFIG).write_text(json.dumps({**config, "env": {"env": name, "settings": {}}}))
        with pytest.raises(UntrustedError, match="would import code"):
            read_run("run")
    told = {"env": {"env": f"{parts}:Env", "settings": {"goals": "subprocess:run"}}}
    pathlib.Path("run", CONFIG).write_text(json.dumps({**config, **told}))
    with pytest.raises(UntrustedError, match=r"env\.settings\.goals"):
        read_run("run")


def test_a_terminal_is_asked_once(parts: pathlib.Path, monkeypatch: Any, capsys: Any) -> None:
    train(settings_from({**SMALL, **OWN}), out="run")
    forget(parts)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(parts.parent / "config"))
    answers = iter(["n\n", "y\n"])
    monkeypatch.setattr(
        "sys.stdin", type("Terminal", (), {"isatty": lambda s: True, "readline": lambda s: next(answers)})()
    )
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["evaluate", "run", "--episodes", "5"]) == 2
    assert not (parts.parent / "imported").exists()
    assert main(["evaluate", "run", "--episodes", "5"]) == 0
    assert main(["evaluate", "run", "--episodes", "5"]) == 0  # there is no third answer
    assert f"{parts}:Net in {parts}" in capsys.readouterr().err


def test_nothing_is_remembered_where_nothing_can_be_written(parts: pathlib.Path, monkeypatch: Any) -> None:
    imported("sub/parts.py:Net")
    (parts.parent / "config").write_text("a file")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(parts.parent / "config"))
    remember(["sub/parts.py:Net"])
    assert not is_trusted("sub/parts.py:Net") and module_of("sub/parts.py:Net") in sys.modules
